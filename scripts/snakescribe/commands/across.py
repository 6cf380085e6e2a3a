"""Give one voice one label in all recordings of a folder (a step of the workflow, with `speakers_across`)."""

from __future__ import annotations

import argparse
import sys

from snakescribe.commands.common import register_config, resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Add the step's options."""
    register_config(parser)


def run(args: argparse.Namespace) -> int:
    """Bring the labels of all batches into line."""
    from snakescribe.speakers.across import label_across

    config, results = resolved(args)
    label_across(config, results, lambda line: print(line, file=sys.stderr))
    return 0
