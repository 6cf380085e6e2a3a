"""Find, hash and probe the recordings, and put new ones into batches (a step of the workflow)."""

from __future__ import annotations

import argparse
import sys

from snakescribe.commands.common import register_config, resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Only ``--config``."""
    register_config(parser)


def run(args: argparse.Namespace) -> int:
    """Take the inventory; one line says what it came to."""
    from snakescribe.inventory.take import take

    config, _ = resolved(args)
    print(f"inventory: {take(config)}", file=sys.stderr)
    return 0
