"""Hear what is doubtful and put it right, on a page on this machine.

It prints an address for your browser, of this machine only and with a secret in it. The page is the report, and can be
edited: every correction is kept at once (`corrections.parquet`). When it is ended with Ctrl-C, tables, transcripts and
report are made anew; after a kill `snakescribe corrections apply` does that. No run works on these results meanwhile.

Recordings that browsers do not play (AMR, WMA, G.726, files without a header or with several tracks) are decoded when
they are opened, into the results folder (115 MB for an hour, 2 GB in all) and only as long as the page is served.
"""

from __future__ import annotations

import argparse

from snakescribe.commands.common import finished_run, register_results
from snakescribe.config import read_resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Which run, and who reviews it where."""
    register_results(parser)
    parser.add_argument("--who", metavar="NAME", help="who puts it right (default: the user's name)")
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="of this machine (default: any free one)")


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port")


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    from snakescribe.reviewing import serve

    with finished_run(args) as results:
        who = args.who and args.who.encode("utf-8", "replace").decode()
        serve(results, read_resolved(results.config), who, args.port)
    return 0
