"""A sample sheet: which recordings, in a CSV or TSV, with what is known about each of them.

Columns: ``path`` and optionally ``id, language, prompt, channels, reference``; any other column is carried
into the recordings table as text.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, product
from pathlib import Path
from typing import get_args

from snakescribe.config.languages import DETECTED, LANGUAGES
from snakescribe.config.options import Channels
from snakescribe.errors import InputError
from snakescribe.recording import Overrides

MOST_FORMS = 64
"""Spellings of one path that are looked for: of six folders, each one that a Mac or another machine has named."""
OWN_COLUMNS = ("path", "id", "language", "prompt", "channels", "reference")
_ID = re.compile(r"[^\W_][\w.-]*")
_LONGEST_ID = 100  # bytes; an id may become part of a file name (255 bytes)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[ntr\\])")
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


@dataclass(frozen=True, slots=True)
class Row:
    """What a sheet says about one recording; empty cells are None."""

    path: str
    line: int
    """Line of the sheet, from 1, for messages."""
    id: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    reference: str | None = None
    extras: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """All rows of a sheet, and the names of the columns that are carried along, in order."""

    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    content: bytes


def is_sheet(path: str) -> bool:
    """Whether ``recordings:`` names a sheet rather than a folder, by its extension."""
    return path.lower().endswith((".csv", ".tsv"))


def read_sheet(path: Path) -> Sheet:
    """Read and check a sheet; the files it names are not looked at.

    Raises:
        InputError: unreadable, no ``path`` column, or a cell that cannot be right, with its line.
    """
    if path.exists() and not path.is_file():  # a pipe would keep us waiting
        raise InputError(f"sample sheet {path}: not a regular file; give a CSV or TSV file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"sample sheet {path}: {error.strerror}; give an existing CSV or TSV file") from None
    try:
        lines = _lines(content, path)
        header = [name.strip() for name in next(lines, (0, []))[1]]
        columns = tuple(name for name in header if name and name.lower() not in OWN_COLUMNS)
        _check_header([name for name in header if name], columns, path)
        rows = tuple(_row(header, line, cells, path) for line, cells in lines if any(cells))
    except UnicodeDecodeError:
        raise InputError(f"sample sheet {path}: not UTF-8; save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise InputError(f"sample sheet {path}: {error}; check the quotes") from None
    _check_ids(rows, path)
    return Sheet(rows, columns, content)


def spellings(path: str) -> Iterator[bytes]:
    r"""The names on disk that a cell can mean, the most literal first.

    Tables of ours write bytes that are not UTF-8 as ``\xNN``, and Hangul or accents may be composed in the
    sheet and decomposed on disk (macOS) or the other way round, in each part of the path.

    >>> list(spellings("a.wav")), list(spellings(r"a\xff.wav"))
    ([b'a.wav'], [b'a\\xff.wav', b'a\xff.wav'])
    >>> len(list(spellings("회의/요약.wav")))
    4
    """
    literal = os.fsencode(path)
    unescaped = _ESCAPE.sub(
        lambda m: _ESCAPED.get(m[1]) or bytes.fromhex(m[1][1:].decode()),
        literal,
    )
    yield from dict.fromkeys((literal, unescaped))
    forms = [unicodedata.normalize(form, path) for form in ("NFC", "NFD")]
    by_part = product(*(dict.fromkeys(parts) for parts in zip(*(form.split("/") for form in forms), strict=True)))
    some = ("/".join(parts) for parts in islice(by_part, MOST_FORMS))
    others = dict.fromkeys(form.encode() for form in chain(forms, some))
    yield from (one for one in others if one not in (literal, unescaped))


def _lines(content: bytes, path: Path) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(2**31 - 1)  # a reference transcript of hours is longer than the default 128 KiB
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True)
    for cells in reader:
        yield reader.line_num, cells


def _check_header(header: list[str], columns: tuple[str, ...], path: Path) -> None:
    lower = [name.casefold() for name in header]
    if "path" not in lower:
        found = ", ".join(map(repr, header[:6])) or "nothing"
        raise InputError(f"sample sheet {path}: no column 'path' (the first line holds {found})")
    twice = next((name for name in header if lower.count(name.casefold()) > 1), None)
    if twice:
        raise InputError(f"sample sheet {path}: two columns {twice!r}; rename one")
    if columns:
        from snakescribe.schema import RECORDINGS  # pyarrow; wanted only by sheets with own columns

        ours = {name.casefold() for name in RECORDINGS.names}
        taken = next((name for name in columns if name.casefold() in ours), None)
        if taken:
            raise InputError(
                f"sample sheet {path}: column {taken!r} is one of our tables'; rename it, e.g. 'my_{taken}'"
            )


def _row(header: list[str], line: int, cells: list[str], path: Path) -> Row:
    def wrong(what: str) -> InputError:
        return InputError(f"sample sheet {path}, line {line}: {what}")

    if any(cells[len(header) :]) or any(cell for name, cell in zip(header, cells, strict=False) if not name):
        raise wrong("a cell without a column name; name the column or quote the commas inside a cell")
    values = dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=False))
    values.pop("", None)
    own = {name.lower(): values.pop(name) for name in header if name.lower() in OWN_COLUMNS}
    identity, language, channels = (own.get(name, "").strip() for name in ("id", "language", "channels"))
    if not own["path"]:
        raise wrong("no path")
    if identity and not (_ID.fullmatch(identity) and len(identity.encode()) <= _LONGEST_ID):
        raise wrong(f"id {identity!r}: use letters, digits, '.', '_' and '-', at most {_LONGEST_ID} bytes")
    if language and language not in DETECTED and language not in LANGUAGES:
        raise wrong(f"language {language!r} is no code of Whisper; use auto, mixed or a code like ko, en, ja, zh")
    if channels and channels not in get_args(Channels):
        raise wrong(f"channels {channels!r}: use one of {', '.join(get_args(Channels))}")
    mode = next((mode for mode in get_args(Channels) if mode == channels), None)
    return Row(
        path=own["path"],
        line=line,
        id=identity or None,
        overrides=Overrides(language or None, own.get("prompt") or None, mode),
        reference=own.get("reference") or None,
        extras=values,
    )


def _check_ids(rows: tuple[Row, ...], path: Path) -> None:
    first: dict[str, int] = {}
    for row in rows:
        if row.id and first.setdefault(row.id, row.line) != row.line:
            raise InputError(
                f"sample sheet {path}: id {row.id!r} on lines {first[row.id]} and {row.line}; use each once"
            )
