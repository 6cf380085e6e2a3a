"""Write the tables: recordings, segments and words as Parquet and TSV.

Takes the newest attempt of every recording out of the batch files; what can change without transcribing
again (is the file still there, reference, the sheet's columns) comes from the ledger.
"""

from __future__ import annotations

import argparse
import sys

from snakescribe.commands.common import register_config, resolved


def register(parser: argparse.ArgumentParser) -> None:
    """Add the step's options."""
    register_config(parser)


def run(args: argparse.Namespace) -> int:
    """Write all six files and say how many rows they hold."""
    from snakescribe.tables.write import write_tables

    _, results = resolved(args)
    rows = write_tables(results)
    print("tables: " + ", ".join(f"{count} {name}" for name, count in rows.items()), file=sys.stderr)
    return 0
