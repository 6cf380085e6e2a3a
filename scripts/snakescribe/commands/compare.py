"""Two runs side by side: which recordings say something else, and which run is nearer to the references.

Without references the texts of run A stand for them. With them the difference of both rates is told, and how likely
it is chance (paired bootstrap over recordings).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from snakescribe.config import read_resolved
from snakescribe.errors import ResultsError
from snakescribe.layout import Results


def register(parser: argparse.ArgumentParser) -> None:
    """Both runs."""
    parser.add_argument("a", type=Path, metavar="RUN_A", help="results folder of a run")
    parser.add_argument("b", type=Path, metavar="RUN_B", help="that of another one over the same recordings")
    parser.add_argument("--references", type=Path, metavar="DIR", help="folder of references, see evaluate")
    parser.add_argument("--fold-numbers", action="store_true", help="Korean numbers that are spelt out count as digits")


def run(args: argparse.Namespace) -> int:
    """Compare them."""
    from snakescribe.evaluation.compare import changes, heard, verdicts
    from snakescribe.evaluation.evaluate import judge

    runs = [Results(path.absolute()) for path in (args.a, args.b)]
    for results in runs:
        if not results.config.exists():
            raise ResultsError(f"no run in {results.root}; give the results folder of a finished run")
    first, second = map(heard, runs)
    print(changes(first, second, args.fold_numbers))
    judged = [
        judge(results, read_resolved(results.config), args.references, None, args.fold_numbers) for results in runs
    ]
    for line in verdicts(*({one.recording_id: one for one in some} for some in judged)):
        print(line)
    return 0
