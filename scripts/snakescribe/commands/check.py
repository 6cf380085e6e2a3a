"""Say how the run went; with `on_error: fail`, exit 1 when recordings failed.

The last step: everything else is done when it runs. Recordings that have left the folder do not count.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from snakescribe.commands.common import register_config, resolved
from snakescribe.errors import FailedRecordings
from snakescribe.layout import Results

SHOWN = 50
"""Failed files that are printed; the table has them all."""
COLUMNS = ["path", "status", "error_class", "error_message", "duration", "wall_seconds", "source_state"]


def register(parser: argparse.ArgumentParser) -> None:
    """Add the step's options."""
    register_config(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where the summary is written")


def run(args: argparse.Namespace) -> int:
    """Print the summary and the failed files; write the summary unless the run counts as failed."""
    from snakescribe.files import write_atomically

    config, results = resolved(args)
    summary, failed = _examined(results)
    print(summary, file=sys.stderr)
    if failed and config.on_error == "fail":
        raise FailedRecordings(
            f"{failed} recording{'s' * (failed > 1)} failed; the rest is done (on_error: report exits 0)"
        )
    write_atomically(args.output, f"{summary}\n".encode())
    return 0


def _examined(results: Results) -> tuple[str, int]:
    """The summary as text and the number of failed recordings that are still there."""
    from snakescribe.tables.batch import row_groups

    count: Counter[str] = Counter()
    audio = wall = 0.0
    failures: list[str] = []
    for group in row_groups(results.table("recordings", "parquet"), COLUMNS):
        for row in group.to_pylist():
            if row["source_state"] == "removed":
                count["removed"] += 1
                continue
            count[row["status"]] += 1
            audio += row["duration"] or 0
            wall += row["wall_seconds"] or 0
            if row["status"] == "failed" and len(failures) < SHOWN:
                failures.append(_failure(row))
    statuses = ", ".join(f"{count[status]} {status}" for status in ("ok", "empty", "failed"))
    removed = f", {count['removed']} removed since" if count["removed"] else ""
    present = count.total() - count["removed"]
    speed = f", {audio / wall:.1f} × real time" if wall else ""
    lines = [f"{present} recordings: {statuses}{removed}; {audio / 3600:.2f} h of audio{speed}"]
    lines += failures
    if count["failed"] > SHOWN:
        table = results.table("recordings", "tsv")
        lines.append(f"… and {count['failed'] - SHOWN} more; all are in {table} (status = failed)")
    return "\n".join(lines), count["failed"]


def _failure(row: dict[str, Any]) -> str:
    return f"  {_printable(row['path'])}: {row['error_class']}: {_printable(row['error_message'] or '')}"


def _printable(text: str) -> str:
    """Control characters of hostile names written as escapes, so that they do not reach the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
