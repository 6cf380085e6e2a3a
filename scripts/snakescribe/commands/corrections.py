"""What people have put right: take edited transcripts back, or list all corrections.

`import` takes .txt, .srt or .vtt files that were edited below `transcripts` (or copies of the same names): what they
say goes into tables, transcripts and report, and stays whatever is run later. The times stay those of the segments.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path

from snakescribe.commands.common import finished_run, register_results
from snakescribe.config import read_resolved
from snakescribe.units import counted


def register(parser: argparse.ArgumentParser) -> None:
    """Two commands, both of a finished run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text)
        register_results(made)
        return made

    taken = action("import", "take edited transcripts back")
    taken.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an edited .txt, .srt or .vtt")
    taken.add_argument("--force", action="store_true", help="also when it has hardly anything of the transcript")
    taken.add_argument("--who", metavar="NAME", help="who has edited (default: the user's name)")
    action("apply", "have tables, transcripts and report say it (after a review that was killed)")
    action("list", "a line of JSON for each correction, the newest last")


def run(args: argparse.Namespace) -> int:
    """Make corrections, or print them."""
    from snakescribe.correcting import bring, listed, pending, take_back

    with finished_run(args) as results:
        if args.action == "list":
            for name, one, odd in listed(results):
                print(json.dumps({"path": name, **one.model_dump(mode="json"), "conflict": odd}, ensure_ascii=False))
            return 0
        if args.action == "apply":
            bring(results, read_resolved(results.config), pending(results))
            return 0
        done = take_back(results, read_resolved(results.config), args.files, args.who or getpass.getuser(), args.force)
    for path, segments in done.items():
        print(f"{path}: {counted(segments, 'segment')} corrected", file=sys.stderr)
    return 0
