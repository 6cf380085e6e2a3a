"""Hear what the voices of one batch are like (a step of the workflow, with `speakers`).

What is in the cache is not heard again; killed, it goes on from its journal.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from snakescribe.commands.common import register_batch, resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    register_batch(parser, "CPU threads to use")


def run(args: argparse.Namespace) -> int:
    """Write the batch's voices."""
    from snakescribe.speakers.hearing import hear_batch

    config, results = resolved(args)
    hear_batch(config, results, args.batch, args.threads, _log)
    return 0


def _log(line: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)
