r"""The TSV form of a table: what survives a spreadsheet, pandas, duckdb and Python's csv module alike.

Tab-separated with a header line, UTF-8, lines end with a newline, a cell is quoted (``"``, doubled inside)
only where it must be. In text cells ``\`` is written ``\\``, tab ``\t``, newline ``\n`` and carriage
return ``\r``, so that a line of the file is a row of the table; every other character stays as it is.
Undoing these four gives the Parquet value back. Null is an empty cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO, Any

import pandas as pd
import pyarrow as pa

SECONDS = frozenset(
    {
        *("start", "end", "duration", "speech_seconds", "text_seconds", "gap_seconds", "wall_seconds"),
        *("first_start", "overlap_seconds"),
    }
)
"""Columns written to the millisecond; other real numbers (probabilities, ratios) get 4 decimals."""


def escape(text: str) -> str:
    r"""Write backslash, tab, newline and carriage return so that the text fits on a line.

    >>> escape("a\tb")
    'a\\tb'
    """
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def unescape(text: str) -> str:
    r"""Undo :func:`escape`.

    >>> unescape(escape("a\tb\\n\n"))
    'a\tb\\n\n'
    """
    return re.sub(r"\\(.)", lambda match: {"t": "\t", "n": "\n", "r": "\r"}.get(match[1], match[1]), text)


def write_tsv(file: IO[bytes], table: pa.Table, header: bool = False) -> None:
    """Append the rows of ``table``, or its ``header`` and the rows; binary columns are left out."""
    cells = {field.name: cell for field in table.schema if (cell := _cell(field)) is not None}
    frame = table.select(list(cells)).to_pandas(types_mapper=pd.ArrowDtype)
    for name, cell in cells.items():
        # as objects: pandas 2 makes floats of integers among which one is null
        frame[name] = frame[name].astype(object).map(cell, na_action="ignore")
    frame.to_csv(file, sep="\t", lineterminator="\n", index=False, header=header)


def _cell(field: pa.Field) -> Callable[[Any], str] | None:
    kind = field.type
    if pa.types.is_string(kind):
        return escape
    if pa.types.is_floating(kind):
        return "{:.3f}".format if field.name in SECONDS else "{:.4f}".format
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if pa.types.is_integer(kind):
        return str
    if pa.types.is_timestamp(kind):
        return lambda value: value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return lambda values: escape(", ".join(values))
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return lambda values: ";".join(f"{value['start']:.3f}-{value['end']:.3f}" for value in values)
    return None
