"""What the step commands share: the resolved configuration written by the Snakefile."""

from __future__ import annotations

import argparse
from pathlib import Path

from snakescribe.config import Config, load_file
from snakescribe.files import die_with_parent
from snakescribe.layout import Results


def register_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``, the resolved options of the run."""
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE",
        help="resolved options of the run (results/.snakescribe/config.json)",
    )


def resolved(args: argparse.Namespace) -> tuple[Config, Results]:
    """The run's options and where its files lie; from here on the step dies with the Snakemake that started it."""
    die_with_parent()
    config = load_file(args.config)
    return config, Results(Path(config.results))
