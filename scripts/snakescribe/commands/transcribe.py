"""Transcribe one batch: normalised audio in, one row per recording out (a step of the workflow).

A batch that was killed goes on from its journal; recordings whose transcripts are in the cache cost nothing.
"""

from __future__ import annotations

import argparse

from snakescribe.commands.common import register_batch, resolved
from snakescribe.files import hold_lock


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    register_batch(parser, "CPU threads to use")


def run(args: argparse.Namespace) -> int:
    """Transcribe and write the batch file."""
    config, results = resolved(args)
    journal = results.journal(args.batch)
    hold_lock(
        journal.with_suffix(".lock"),
        f"batch {args.batch} is being transcribed by another process; wait for it or end it",
    )
    from snakescribe.transcribe.batch import Batch

    Batch(config, results, args.batch, args.threads).run()
    return 0
