"""Speakers of a finished run: who they are, and names for them; nothing is transcribed again.

`snakescribe speakers list` shows them with how much they say and how they begin.
`snakescribe speakers name call.wav SPEAKER_00=김서연 SPEAKER_01=이준` names them in tables and transcripts;
`SPEAKER_00=` takes a name back.
"""

from __future__ import annotations

import argparse
import sys

from snakescribe.commands.common import finished_run, register_results, results_of
from snakescribe.config import read_resolved
from snakescribe.errors import InputError
from snakescribe.units import counted


def register(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = "who speaks in each recording, how long, and what they say first"
    showing = actions.add_parser("list", help=listing, description=listing)
    showing.add_argument("recording", nargs="?", help="path or id of one recording (default: all)")
    naming = "give names to the speakers of a recording"
    names = actions.add_parser("name", help=naming, description=naming)
    names.add_argument("recording", help="path or id, as in the tables")
    names.add_argument(
        "names", nargs="+", metavar="SPEAKER=NAME", help="e.g. SPEAKER_00=김서연; nothing after = is none"
    )
    for action in (showing, names):
        register_results(action)


def run(args: argparse.Namespace) -> int:
    """Show or name."""
    from snakescribe.naming import name_speakers, speakers_of
    from snakescribe.speakers.names import tidy

    if args.action == "list":
        for line in speakers_of(results_of(args), args.recording):
            print(line)
        return 0
    with finished_run(args) as results:
        names: dict[str, str] = {}
        for item in args.names:
            label, equals, name = item.partition("=")
            if not equals or not label:
                raise InputError(f"{item!r}: expected SPEAKER=NAME, e.g. SPEAKER_00=김서연")
            if tidy(label) in names:
                raise InputError(f"{tidy(label)} has two names; give one")
            names[tidy(label)] = tidy(name)
        changed = name_speakers(results, read_resolved(results.config), args.recording, names)
        print(f"speakers: {counted(changed, 'name')} changed", file=sys.stderr)
    return 0
