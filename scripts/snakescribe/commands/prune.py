"""Remove what nobody needs any more; without `--yes` only say what that is.

Old are transcripts in the cache that no run has used, journals of batches that never went on, logs of batches, and
half-written files. `--gone` takes all text of recordings that have left their folder too, corrected by hand or not,
and from the cache; they are transcribed again should they come back.
"""

from __future__ import annotations

import argparse
import sys

from snakescribe.commands.common import finished_run, register_results
from snakescribe.config import read_resolved
from snakescribe.units import counted


def register(parser: argparse.ArgumentParser) -> None:
    """Which results, and what of them."""
    register_results(parser)
    parser.add_argument("--days", type=_days, default=90, metavar="N", help="what counts as old (default: 90)")
    parser.add_argument("--gone", action="store_true", help="recordings that have left their folder, too")
    parser.add_argument("--yes", action="store_true", help="remove it")


def _days(text: str) -> float:
    days = float(text)
    if not days >= 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of days from 0 on")
    return days


def run(args: argparse.Namespace) -> int:
    """Say what may go, or remove it."""
    from snakescribe.forgetting import forget
    from snakescribe.inventory.ledger import Ledger
    from snakescribe.pruning import useless

    with finished_run(args) as results:
        config = read_resolved(results.config)
        with Ledger.open(results.ledger, readonly=True) as ledger:
            gone = ledger.gone() if args.gone else []
        kinds = useless(results, config, args.days)
        for kind in kinds:
            print(f"{len(kind.paths):,} {kind.what}, not used for {args.days:g} days: {kind.size / 1e6:,.1f} MB")
            if args.yes:
                kind.remove()
        if args.gone:
            print(f"{counted(len(gone), 'recording')} that left the folder, with all text, corrected by hand or not")
        for one in gone:
            print(f"  {one.recording_id} {one.path!r}")
        if gone and args.yes:
            removed, _ = forget(results, config, gone, for_good=False)
            for what, count in removed.items():
                if count:
                    print(f"  {count:,} {what} removed")
    if not args.yes and (gone or any(kind.paths for kind in kinds)):
        print("nothing was removed; --yes removes it", file=sys.stderr)
    return 0
