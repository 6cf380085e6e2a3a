"""Write transcript files (json, txt, srt, vtt) from finished batches; no model is needed.

As a step: `--config FILE --batch ID`. For people: `--missing` writes again what was deleted from
results/transcripts, with the formats of the last run; `--force` writes all of it again, also over what you
have corrected by hand. Without `--force` a corrected file is kept, and the new text goes beside it as NAME.new.EXT.
To give up a single correction, delete the file and use `--missing`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from snakescribe.commands.common import resolved
from snakescribe.config import load_file, read_resolved
from snakescribe.errors import ConfigError, ResultsError
from snakescribe.files import hold_lock
from snakescribe.layout import Results


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options of the step and of the command for people."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--batch", metavar="ID", help="export one batch (with --config)")
    what.add_argument("--missing", action="store_true", help="write deleted transcript files again")
    what.add_argument("--force", action="store_true", help="replace transcripts that were corrected by hand, too")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--config", type=Path, metavar="FILE", help="resolved options of the run (.snakescribe/config.json)"
    )
    where.add_argument("--configfile", type=Path, metavar="FILE", help="your options; only `results` is taken from it")
    where.add_argument("--results", type=Path, metavar="DIR", help="the results folder (default: results)")


def run(args: argparse.Namespace) -> int:
    """Export and say how many files were written."""
    from snakescribe.formats.export import export_again, export_batch

    if args.batch:
        if args.config is None:
            raise ConfigError("--batch needs --config")
        config, results = resolved(args)
        done = export_batch(results, config.outputs, args.batch)
    else:
        results = _folder(args)
        if not results.config.exists() or not results.plan.exists():
            raise ResultsError(f"no run in {results.root}; give its folder with --results")
        lock = hold_lock(results.lock, f"a run works on {results.root}; wait for it to end and try again")
        try:
            done = export_again(results, read_resolved(results.config).outputs, args.force)
        finally:
            os.close(lock)
    corrected = f", {done.corrected} corrected by hand and left alone" if done.corrected else ""
    print(f"export: {done.written} files written, {done.kept} kept, {done.removed} removed{corrected}", file=sys.stderr)
    return 0


def _folder(args: argparse.Namespace) -> Results:
    if args.config:
        return Results(Path(read_resolved(args.config).results))
    if args.configfile:
        return Results(Path(load_file(args.configfile).results))
    return Results((args.results or Path("results")).absolute())
