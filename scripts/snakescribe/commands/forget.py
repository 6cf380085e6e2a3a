"""Remove what a recording said from results, journals and cache; the recording itself is not touched.

RECORDING is a `recording_id` or a `path` of the tables. It comes back only when its file gets other content.
Killed in the middle, the same command goes on. Nothing is transcribed again afterwards.
"""

from __future__ import annotations

import argparse

from snakescribe.commands.common import finished_run, recording_of, register_results
from snakescribe.config import read_resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Which recording, and where."""
    parser.add_argument("recording", metavar="RECORDING", help="its id or path, as the tables show it")
    register_results(parser)


def run(args: argparse.Namespace) -> int:
    """Forget it and say what was removed."""
    from snakescribe.forgetting import forget

    with finished_run(args) as results:
        found = recording_of(results, args.recording)
        removed, twins = forget(results, read_resolved(results.config), [found])
        print(f"forgotten: {found.recording_id} {found.path!r}")
        for what, count in removed.items():
            if count:
                print(f"  {count} {what} removed")
        if not removed.total():
            print("  there was nothing left to remove")
        for path in twins:
            print(f"  {path!r} has the same content and stays; only its copy in the cache is gone")
    return 0
