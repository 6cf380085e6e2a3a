"""Write transcript files (option `outputs`) from finished batches; no model is needed.

As a step: `--config FILE --batch ID`. For people: `--missing` writes again what was deleted from
results/transcripts, with the formats of the last run; `--force` writes all of it again, also over what you
have corrected by hand. Without `--force` a corrected file is kept, and the new text goes beside it as NAME.new.EXT.
To give up a single correction, delete the file and use `--missing`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from snakescribe.commands.common import finished_run, register_results, resolved
from snakescribe.config import read_resolved
from snakescribe.errors import ConfigError
from snakescribe.units import counted


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options of the step and of the command for people."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--batch", metavar="ID", help="export one batch (with --config)")
    what.add_argument("--missing", action="store_true", help="write deleted transcript files again")
    what.add_argument("--force", action="store_true", help="replace transcripts that were corrected by hand, too")
    parser.add_argument("--config", type=Path, metavar="FILE", help="with --batch: resolved options of the run")
    register_results(parser)


def run(args: argparse.Namespace) -> int:
    """Export and say how many files were written."""
    from snakescribe.formats.corrected import summarise_again
    from snakescribe.formats.export import export_again, export_batch

    if bool(args.batch) != bool(args.config):
        raise ConfigError("--batch and --config go together; with --missing and --force say --results")
    if args.batch:
        config, results = resolved(args)
        done = export_batch(results, config.outputs, args.batch, subtitles=config.subtitles)
    else:
        with finished_run(args) as results:
            config = read_resolved(results.config)
            done = export_again(results, config.outputs, args.force, config.subtitles)
            summarise_again(results)
    corrected = f", {done.corrected} corrected by hand and left alone" if done.corrected else ""
    print(
        f"export: {counted(done.written, 'file')} written, {done.kept} kept, {done.removed} removed{corrected}",
        file=sys.stderr,
    )
    return 0
