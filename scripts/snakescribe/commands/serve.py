"""Answer HTTP requests: OpenAI's audio API, jobs, and a page (see docs/server.md).

Loads the model, then listens until it is told to stop (SIGTERM, Ctrl-C): requests that run are finished or told when to
come back, jobs are found again by the next start. One JSON line per request goes to stderr.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from snakescribe.commands.common import asked_options, register_options
from snakescribe.config.load import load_config, merged


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--host", help="address to listen on (option `server.host`)")
    parser.add_argument("--port", type=int, help="port to listen on (option `server.port`); 0 takes a free one")
    parser.add_argument(
        "--open", action="store_true", default=None, help="listen on a wider address without a key (`server.open`)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads to use; all that this process may use")
    register_options(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    given = {name: getattr(args, name) for name in ("host", "port", "open") if getattr(args, name) is not None}
    config = load_config(merged(asked_options(args), {"server": given}), Path.cwd())
    import python_multipart  # noqa: F401 (FastAPI asks for it late, and in words for developers)

    from snakescribe.server.main import serve

    serve(config, args.threads or len(os.sched_getaffinity(0)))
    return 0
