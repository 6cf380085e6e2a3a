"""What people have put right: take edited transcripts back, undo corrections, or list them.

`import` takes .txt, .srt or .vtt files that were edited below `transcripts` (or copies of the same names): what they
say goes into tables, transcripts and report, and stays whatever is run later. The times stay those of the segments.
`undo` takes corrections of one recording back, wherever they were made: the last one, or the one with the `number` that
`list` shows, or all. Nothing is lost by it: an undo is a row of its own, `list` shows both, and `--number` of an undo
takes that back.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path

from snakescribe.commands.common import finished_run, from_one_on, recording_of, register_results
from snakescribe.config import read_resolved
from snakescribe.units import counted


def register(parser: argparse.ArgumentParser) -> None:
    """Commands of a finished run."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text)
        register_results(made)
        return made

    taken = action("import", "take edited transcripts back")
    taken.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an edited .txt, .srt or .vtt")
    taken.add_argument("--force", action="store_true", help="also when it has hardly anything of the transcript")
    taken.add_argument("--who", metavar="NAME", help="who has edited (default: the user's name)")
    back = action("undo", "take back the last correction of a recording, or others")
    back.add_argument("recording", metavar="RECORDING", help="its id or path, as the tables show it")
    which = back.add_mutually_exclusive_group()
    which.add_argument("--number", type=from_one_on, metavar="N", help="the one with this number in `corrections list`")
    which.add_argument("--all", action="store_true", help="all that are not undone yet")
    back.add_argument("--who", metavar="NAME", help="who takes it back (default: the user's name)")
    action("apply", "have tables, transcripts and report say it (after a review that was killed)")
    action("list", "a line of JSON for each correction, the newest last")


def run(args: argparse.Namespace) -> int:
    """Make corrections, take them back, or print them."""
    from snakescribe.correcting import bring, listed, pending, take_back, undo

    with finished_run(args) as results:
        if args.action == "list":
            for one in listed(results):
                print(json.dumps(one, ensure_ascii=False))
            return 0
        config = read_resolved(results.config)
        if args.action == "apply":
            bring(results, config, pending(results))
            return 0
        who = (args.who or getpass.getuser()).encode("utf-8", "replace").decode()
        if args.action == "undo":
            recording = recording_of(results, args.recording)
            number = undo(results, config, recording, who, args.number, args.all)
            print(f"{recording.path}: {counted(number, 'correction')} undone", file=sys.stderr)
            return 0
        done = take_back(results, config, args.files, who, args.force)
    for path, taken in done.items():
        other = f"{taken.conflicts} of them otherwise than another of these files: the later one counts, both are kept"
        told = f"; {other} (`snakescribe corrections list`)" if taken.conflicts else ""
        told += "; who speaks stays as it was: `snakescribe review` changes it (s)" if taken.speakers else ""
        print(f"{path}: {counted(taken.segments, 'segment')} corrected{told}", file=sys.stderr)
    return 0
