"""Say who said what in one batch, from its voices (a step of the workflow, with `speakers`)."""

from __future__ import annotations

import argparse
import sys

from snakescribe.commands.common import register_config, resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Add the step's options."""
    register_config(parser)
    parser.add_argument("--batch", required=True, metavar="ID", help="which batch, e.g. b000001")


def run(args: argparse.Namespace) -> int:
    """Write the batch's rows with speakers."""
    from snakescribe.speakers.telling import tell_batch

    config, results = resolved(args)
    tell_batch(config, results, args.batch, lambda line: print(line, file=sys.stderr))
    return 0
