"""What there is to look at after a run: `report.html` with all texts, or its first screen here with `--text`.

The page is one file and asks no network; a run makes it at its end (option `report`).
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from snakescribe.commands.common import finished_run, register_results, resolved
from snakescribe.config import read_resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Which run, and whether it is told here."""
    where = register_results(parser)
    where.add_argument("--config", type=Path, metavar="FILE", help="as a step of the workflow: its resolved options")
    parser.add_argument("--text", action="store_true", help="tell it in the terminal; no page is written")


def run(args: argparse.Namespace) -> int:
    """Write the page, or tell its first screen."""
    from snakescribe.report.page import write_page
    from snakescribe.report.terminal import overview_of, tell

    with nullcontext(resolved(args)[1]) if args.config else finished_run(args) as results:
        config = read_resolved(results.config)
        if args.text:
            tell(overview_of(results, config))
        else:
            overview = write_page(results, config)
            print(f"report: {overview.recordings} recordings in {results.report}", file=sys.stderr)
    return 0
