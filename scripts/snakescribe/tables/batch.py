"""Batch files: one row per recording, segments and words nested; the truth that all else is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from snakescribe.errors import ResultsError
from snakescribe.files import atomic_file
from snakescribe.schema import BATCH, SCHEMA_VERSION
from snakescribe.transcript import covered_seconds

ROW_GROUP_RECORDINGS = 256
ROW_GROUP_SEGMENTS = 8192
"""A row group ends at the first of the two; it is what a reader holds in memory (a few MB, more only for one
recording of many hours)."""


def write_batch(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a batch file, complete or not at all.

    Args:
        path: where; folders are made.
        rows: one mapping per recording with the columns of ``schema.BATCH`` (``schema_version`` is filled in,
            a missing one is null; ``text_seconds`` and ``gap_seconds`` are computed); ``segments`` and ``gaps``
            are mappings like ``Segment.model_dump()`` and ``Gap.model_dump()``.

    Raises:
        KeyError: a row has a column that the schema does not know.
    """
    with atomic_file(path) as file, pq.ParquetWriter(file, BATCH, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=BATCH))


def read_batch(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a batch file as mappings, one row group in memory at a time.

    Raises:
        ResultsError: the file is missing or damaged.
    """
    for group in row_groups(path, columns):
        yield from group.to_pylist()


def row_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of one of our Parquet files; of the wanted ``columns``, one that an older file lacks is null.

    Raises:
        ResultsError: the file is missing or damaged.
    """
    with readable(path), pq.ParquetFile(path) as file:
        if "status" not in file.schema_arrow.names:
            raise pa.ArrowInvalid("it is no table of recordings")
        for number in range(file.num_row_groups):
            group = file.read_row_group(number, columns=columns, use_threads=False)
            for name in set(columns or ()) - set(group.column_names):
                group = group.append_column(name, pa.nulls(len(group)))
            yield group


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Reads one of our Parquet files in its block.

    Raises:
        ResultsError: the file is missing or damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise ResultsError(f"{path} is missing; run again to make it") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last one of damaged names of columns
        raise ResultsError(f"{path} is damaged ({_first_line(error)}); delete it and run again") from None


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    weight = 0
    for row in rows:
        unknown = row.keys() - set(BATCH.names)
        if unknown:
            raise KeyError(f"no such column in a batch file: {', '.join(sorted(unknown))}")
        group.append({**row, **_coverage(row), "schema_version": SCHEMA_VERSION})
        weight += sum(1 + len(segment.get("words", ())) for segment in row.get("segments") or ())
        if len(group) >= ROW_GROUP_RECORDINGS or weight >= ROW_GROUP_SEGMENTS:
            yield group
            group, weight = [], 0
    if group:
        yield group


def _coverage(row: Mapping[str, Any]) -> dict[str, float | None]:
    """How much of a recording has text, and how much speech has none; null when it failed or is not known."""
    if row.get("status") == "failed":
        return {"text_seconds": None, "gap_seconds": None}
    gaps = row.get("gaps")
    return {
        "text_seconds": round(covered_seconds(row.get("segments") or ()), 3),
        "gap_seconds": None if gaps is None else round(sum(gap["end"] - gap["start"] for gap in gaps), 3),
    }


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
