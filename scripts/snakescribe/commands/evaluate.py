"""Error rates of a finished run beside reference texts: words and characters, by language and group, with intervals.

References are the sheet's column `reference` (a text, or the path of a .txt, .srt, .vtt or .TextGrid file), or files in
a folder that are named after the recordings. What was found for each recording goes to `evaluation.tsv` in the results,
and with its differences into `report.html`; that of `--corrected` to `evaluation-corrected.tsv`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from snakescribe.commands.common import finished_run, register_results
from snakescribe.config import read_resolved
from snakescribe.errors import InputError


def register(parser: argparse.ArgumentParser) -> None:
    """Which run, which references, and how they are counted."""
    register_results(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--references", type=Path, metavar="DIR", help="folder of references: x.txt for x.mp3")
    what.add_argument("--corrected", action="store_true", help="what was heard beside what people have put right")
    parser.add_argument("--group", metavar="COLUMN", help="a column of the recordings table, e.g. one of the sheet's")
    parser.add_argument("--fold-numbers", action="store_true", help="Korean numbers that are spelt out count as digits")


def run(args: argparse.Namespace) -> int:
    """Print the rates and keep the counts of every recording."""
    from snakescribe.evaluation.evaluate import judge, judge_corrected, rates
    from snakescribe.evaluation.kept import write_counts
    from snakescribe.evaluation.tell import table
    from snakescribe.report.page import write_page

    with finished_run(args) as results:
        config = read_resolved(results.config)
        if args.corrected:
            found = list(judge_corrected(results, args.fold_numbers))
        else:
            found = list(judge(results, config, args.references, args.group, args.fold_numbers))
        if not found:
            raise InputError("no recording has a reference; fill the sheet's `reference`, or give --references DIR")
        target = results.evaluation_corrected if args.corrected else results.evaluation
        write_counts(target, found)
        print(table(rates(found)))
        for one in found:
            if one.strange:
                print(f"the reference of another recording? {one.path} ({one.usual.rate:.0%} errors)")
        print(f"of each recording: {target}")
        if results.report.exists() and not args.corrected:
            write_page(results, config)
            print(f"with every difference: {results.report}")
    return 0
