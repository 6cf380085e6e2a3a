"""From batch files and the ledger to the three tables, streamed: memory does not grow with the recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from snakescribe.corrections.apply import apply
from snakescribe.corrections.store import Correction, by_content
from snakescribe.errors import PASSING, ResultsError
from snakescribe.files import atomic_file
from snakescribe.inventory import again
from snakescribe.inventory.ledger import Current, Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.schema import (
    CORRECTED_BATCH,
    KEYS,
    LEDGER,
    RECORDINGS,
    SCHEMA_VERSION,
    SEGMENTS,
    SPEAKERS,
    VERSION,
    WORDS,
)
from snakescribe.tables.batch import row_groups
from snakescribe.tables.tsv import write_tsv

ROWS = {"recordings": 2048, "segments": 65536, "words": 65536, "speakers": 65536}
"""Rows after which a table is flushed to disk as one Parquet row group…"""
BYTES = 8 << 20
"""… or earlier, when they hold this much (whole transcripts can be long)."""

KEY_NAMES = [field.name for field in KEYS]


def write_tables(results: Results) -> dict[str, int]:
    """Write ``tables/{recordings,segments,words}.{parquet,tsv}`` in the plan's order, whole or not at all.

    With ``speakers`` also ``tables/speakers.{parquet,tsv}``.

    A recording's row comes from the batch that the ledger calls its current one (newest attempt, not
    forgotten). What the next run is to try again is left for it.

    Returns:
        Number of rows per table.

    Raises:
        ResultsError: the plan or a batch file is missing, damaged, or lacks a recording.
    """
    plan = Plan.read(results.plan)
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(results.ledger, readonly=True))
        recordings = _Table(stack, results, "recordings", _with_sheet(plan.columns))
        segments = _Table(stack, results, "segments", SEGMENTS)
        words = _Table(stack, results, "words", WORDS)
        told = any(results.speakers(one.batch).exists() for one in plan.batches)
        speakers = [_Table(stack, results, "speakers", SPEAKERS)] if told else []
        failed: dict[str, int] = {}
        corrections = by_content(results)
        for batch in plan.batches:
            current = ledger.current(batch.batch)
            for rows in current_rows(results, batch.batch, current):
                group = _put_right(rows, corrections)
                recordings.add(group, _ledger_columns(group, current, plan.columns))
                failed |= _passing(group, current)
                said = _unnested(group, "segments", "segment")
                segments.add(said)
                words.add(_unnested(said, "words", "word"))
                for table in speakers:
                    table.add(_unnested(group, "speakers", "number"))
        tables = (recordings, segments, words, *speakers)
        for table in tables:
            table.flush()
        again.leave(results, failed)
        return {table.name: table.rows for table in tables}


class _Table:
    """One table as Parquet and TSV; rows wait until a row group is worth writing."""

    def __init__(self, stack: ExitStack, results: Results, name: str, schema: pa.Schema) -> None:
        self.name = name
        self.rows = 0
        self._schema = schema.with_metadata({"snakescribe_schema_version": str(SCHEMA_VERSION)})
        parquet, self._tsv = (stack.enter_context(atomic_file(results.table(name, k))) for k in ("parquet", "tsv"))
        self._parquet = stack.enter_context(pq.ParquetWriter(parquet, self._schema, compression="zstd"))
        write_tsv(self._tsv, self._schema.empty_table(), header=True)
        self._waiting: list[pa.Table] = []

    def add(self, rows: pa.Table, more: Mapping[str, pa.Array] | None = None) -> None:
        """Take the schema's columns out of ``rows`` and ``more``; one that an older file lacks is null."""
        count = len(rows)
        found = {name: rows.column(name) for name in rows.column_names} | dict(more or {})
        found["schema_version"] = pa.repeat(pa.scalar(SCHEMA_VERSION, pa.int32()), count)
        if "corrected" in self._schema.names:
            corrected = found.get("corrected", pa.nulls(count, pa.bool_()))
            found["corrected"] = pc.fill_null(corrected, False)
        arrays = [found[f.name] if f.name in found else pa.nulls(count, f.type) for f in self._schema]
        self._waiting.append(pa.table(arrays, schema=self._schema))
        if sum(map(len, self._waiting)) >= ROWS[self.name] or sum(table.nbytes for table in self._waiting) >= BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one row group."""
        table = pa.concat_tables(self._waiting) if self._waiting else self._schema.empty_table()
        self._waiting = []
        self.rows += len(table)
        if len(table):
            self._parquet.write_table(table)
            write_tsv(self._tsv, table)


def current_rows(results: Results, batch: str, current: Mapping[str, Current]) -> Iterator[pa.Table]:
    """Rows of a batch file that the tables show, by row group."""
    if not current:
        return
    found = 0
    for group in row_groups(results.rows(batch)):
        kept = group.filter(pc.is_in(group["recording_id"], pa.array(current, pa.string())))
        found += len(kept)
        yield kept
    if found != len(current):
        raise ResultsError(
            f"{results.rows(batch)} holds {found} of its {len(current)} recordings; delete it and run again"
        )


def _put_right(rows: pa.Table, corrections: Mapping[str, Sequence[Correction]]) -> pa.Table:
    """The rows as people have corrected them; most have no corrections, and stay as they are."""
    if not corrections.keys() & set(rows["sha256"].to_pylist()):
        return rows
    right = [apply(row, corrections.get(row["sha256"], ())) for row in rows.to_pylist()]
    return pa.Table.from_pylist(right, schema=CORRECTED_BATCH)


def _passing(rows: pa.Table, current: Mapping[str, Current]) -> dict[str, int]:
    """Attempts that failed by what may have been the machine's fault, by recording that is still there."""
    failed = rows.filter(pc.is_in(rows["error_class"], pa.array(PASSING, pa.string())))
    attempts = zip(failed["recording_id"].to_pylist(), failed["attempt"].to_pylist(), strict=True)
    return {key: attempt for key, attempt in attempts if current[key].source_state == "present"}


def _unnested(rows: pa.Table, column: str, index: str) -> pa.Table:
    """The structs nested in a list ``column``, one per row: keys of the parent, number in the parent, fields.

    A parent's own ``index`` column (``segment``) and ``channel`` stay with its children.
    """
    lists = rows.column(column).combine_chunks()
    parents = pc.list_parent_indices(lists)
    structs = pc.list_flatten(lists)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    first = np.cumsum(lengths) - lengths
    columns: dict[str, Any] = {
        name: rows.column(name).take(parents)
        for name in [*KEY_NAMES, "segment", "channel"]
        if name in rows.column_names
    }
    columns[index] = pa.array(np.arange(len(structs)) - first[parents.to_numpy()], pa.int64())
    columns |= {field.name: structs.field(field.name) for field in structs.type}
    return pa.table(columns)


def _ledger_columns(
    rows: pa.Table, current: Mapping[str, Current], sheet_columns: Sequence[str]
) -> dict[str, pa.Array]:
    entries = [current[key] for key in rows["recording_id"].to_pylist()]
    columns = {f.name: pa.array([getattr(e, f.name) for e in entries], f.type) for f in LEDGER}
    for name in sheet_columns:
        columns[name] = pa.array([e.extras.get(name) for e in entries], pa.string())
    return columns


def _with_sheet(names: Sequence[str]) -> pa.Schema:
    """``schema.RECORDINGS`` with the sheet's columns before ``schema_version``."""
    described = {"description": "a column of the sample sheet"}
    sheet = [pa.field(name, pa.string(), metadata=described) for name in names]
    return pa.schema([*list(RECORDINGS)[: -len(VERSION)], *sheet, *VERSION])
