"""Say how the run went; with `on_error: fail`, exit 1 when recordings failed.

The last step: everything else is done when it runs. Recordings that have left the folder do not count.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from snakescribe.commands.common import register_config, resolved
from snakescribe.errors import FailedRecordings
from snakescribe.files import write_atomically


def register(parser: argparse.ArgumentParser) -> None:
    """Add the step's options."""
    register_config(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="appears when the run counts as good"
    )


def run(args: argparse.Namespace) -> int:
    """Print and write the summary; fail if the run counts as failed."""
    from snakescribe.formats.corrected import notes
    from snakescribe.inventory.again import later
    from snakescribe.tables.summary import summarise

    config, results = resolved(args)
    summary = summarise(results, [*notes(results), *later(results, config.attempts)])
    print(summary.text, file=sys.stderr)
    if summary.failed and config.on_error == "fail":
        plural = "s" * (summary.failed > 1)
        raise FailedRecordings(
            f"{summary.failed} recording{plural} failed; the rest is done (set `on_error: report` to exit 0)"
        )
    write_atomically(args.output, b"")
    return 0
