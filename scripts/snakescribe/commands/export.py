"""Write transcript files (json, txt, srt, vtt) from finished batches; no model is needed.

As a step: `--config FILE --batch ID`. For people: `--missing` writes again what was deleted from
results/transcripts, with the formats of the last run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from snakescribe.commands.common import resolved
from snakescribe.config import load_file, read_resolved
from snakescribe.errors import ConfigError, ResultsError
from snakescribe.layout import Results


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options of the step and of the command for people."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--batch", metavar="ID", help="export one batch (with --config)")
    what.add_argument("--missing", action="store_true", help="write deleted transcript files again")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--config", type=Path, metavar="FILE", help="resolved options of the run (.snakescribe/config.json)"
    )
    where.add_argument("--configfile", type=Path, metavar="FILE", help="your options; only `results` is taken from it")
    where.add_argument("--results", type=Path, metavar="DIR", help="the results folder (default: results)")


def run(args: argparse.Namespace) -> int:
    """Export and say how many files were written."""
    from snakescribe.formats.export import export_batch, export_missing

    if args.batch:
        if args.config is None:
            raise ConfigError("--batch needs --config")
        config, results = resolved(args)
        done = export_batch(results, config.outputs, args.batch)
    else:
        results = _folder(args)
        if not results.config.exists() or not results.plan.exists():
            raise ResultsError(f"no run in {results.root}; give its folder with --results")
        done = export_missing(results, read_resolved(results.config).outputs)
    print(f"export: {done.written} files written, {done.kept} kept, {done.removed} removed", file=sys.stderr)
    return 0


def _folder(args: argparse.Namespace) -> Results:
    if args.config:
        return Results(Path(read_resolved(args.config).results))
    if args.configfile:
        return Results(Path(load_file(args.configfile).results))
    return Results((args.results or Path("results")).absolute())
