r"""Places where something was said: duckdb reads the segments table with all cores, and only the hits come here.

Texts are compared composed (NFC) and whatever their case. Every way of looking is a pattern of RE2, whose time grows
only with the text, whatever the pattern; in it ``\w`` and ``\s`` are ASCII's. duckdb's own ``levenshtein`` is of no
use: it counts bytes, so that one syllable of Hangul may be three edits (2.0.0).
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from glob import escape
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from snakescribe.errors import ConfigError
from snakescribe.tables.batch import readable

How = Literal["substring", "regex", "fuzzy"]
SPACE, LETTER = r"[\s\pZ\x{200B}]", r"[\pL\pM\pN]"
"""Khmer has spaces of no width between its words."""
LOOSE = {"HANGUL", "CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "MYANMAR", "KHMER", "TIBETAN"}
"""First words of the Unicode names of characters between which spaces are a matter of taste."""
COMPOSED = r"""CASE WHEN regexp_matches(text, '[\pM\x{1100}-\x{11FF}\x{2126}-\x{212B}\x{F900}-\x{FAFF}]')
    THEN nfc_normalize(text) ELSE text END"""
"""Six times as fast as normalising everything; what else composing would change is in no transcript."""
MEMORY = "1GB"
"""What duckdb may hold; it needs a fifth of it for a table of any length, and writes nothing to the disk."""
COLUMNS = ("recording_id", "path", "segment", "start", "end", "language", "channel", "speaker", "text")
NEEDED = {"path", "start", "end", "text"}
BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")
"""In a pattern: any byte, so that parts of letters would be found."""
LONGEST = 200
"""Letters of a query: a fuzzy pattern grows with their square."""
TOGETHER = 1000
"""Hits fetched at a time."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Hit:
    """A segment in which something was found."""

    row: Row
    """Its :data:`COLUMNS`; the text is composed."""
    marks: tuple[tuple[int, int], ...]
    """Where in its text: first character and the one after the last."""
    before: tuple[Row, ...]
    """Segments of the same recording before it in the table."""
    after: tuple[Row, ...]


def find(table: Path, pattern: str, language: str | None, limit: int | None, around: int) -> Iterator[Hit]:
    """Hits in the order of the table, as they are found.

    Args:
        table: segments.parquet.
        pattern: from :func:`pattern_of`.
        language: of the segments; all of them if None.
        limit: of hits.
        around: how many segments before and after each hit are wanted.

    Raises:
        ConfigError: RE2 does not take the pattern.
        ResultsError: the table is missing or damaged.
    """
    with readable(table), pq.ParquetFile(table) as file:
        there = [name for name in COLUMNS if name in file.schema_arrow.names]
        if not set(there) >= NEEDED:
            raise pa.ArrowInvalid("it is no table of segments")
        neighbours = _Neighbours(file, there)
        with _reader(table) as connection:
            try:
                connection.execute("SELECT regexp_matches('', $1)", [pattern])
            except duckdb.InvalidInputException as error:
                reason = str(error).removeprefix("Invalid Input Error: ").split("\n")[0]
                raise ConfigError(f"this cannot be looked for ({reason}); mend the pattern, or shorten it") from None
            where = f"regexp_matches({COMPOSED}, $1)"
            if language:
                where += " AND language = $3" if "language" in there else " AND $3 IS NULL"
            columns = ", ".join(f'"{name}"' for name in there)
            values = [pattern, escape(str(table)), *filter(None, [language])]
            try:
                found = connection.execute(
                    f"SELECT {columns}, regexp_extract_all({COMPOSED}, $1), file_row_number"
                    f" FROM read_parquet($2, file_row_number=true) WHERE {where}"
                    + (f" LIMIT {limit}" if limit is not None else ""),
                    values,
                )
                while rows := found.fetchmany(TOGETHER):
                    for *cells, said, number in rows:
                        row: Row = dict.fromkeys(COLUMNS) | dict(zip(there, cells, strict=True))
                        row["text"] = unicodedata.normalize("NFC", row["text"])
                        yield Hit(row, _marks(row["text"], said), *neighbours.of(row, number, around))
            except duckdb.Error as error:
                raise pa.ArrowInvalid(str(error)) from None


def pattern_of(query: str, how: How) -> str:
    r"""What RE2 is to look for.

    Args:
        query: a text, or with ``regex`` a pattern already. With characters of Hangul, kana, Chinese, Thai or their like
            in a text, its spaces and those of the transcripts do not count.
        how: ``fuzzy`` allows for one syllable or letter that is another one, or too much, or (of three) missing.

    Raises:
        ConfigError: there is nothing, or too little, to look for.

    >>> pattern_of("a b", "substring"), pattern_of("환불", "fuzzy").count("|")
    ('(?i)a[\\s\\pZ\\x{200B}]+b', 3)
    """
    query = unicodedata.normalize("NFC", query)
    loose = any(unicodedata.name(c, "").partition(" ")[0] in LOOSE for c in query)
    parts = query.replace("\u200b", " ").split()
    letters = [f"{SPACE}+" if c == " " else re.escape(c) for c in ("" if loose else " ").join(parts)]
    if not 1 + (how == "fuzzy") <= len(letters) <= LONGEST:
        raise ConfigError(
            f"{len(letters)} letters cannot be looked for; give {1 + (how == 'fuzzy')} to {LONGEST} of them"
        )
    if how == "regex":
        if BYTE.search(query):
            raise ConfigError(r"\C is a byte, not a letter, and cannot be looked for; write . for any letter")
        return f"(?i){query}"
    between = f"{SPACE}*" if loose else ""
    return "(?i)" + "|".join(between.join(some) for some in (_within_one(letters) if how == "fuzzy" else [letters]))


def _within_one(letters: list[str]) -> Iterator[list[str]]:
    """Whatever is one edit away, the word itself first."""
    yield letters
    for i in range(len(letters)):
        if i:
            yield [*letters[:i], LETTER, *letters[i:]]
        yield [*letters[:i], LETTER, *letters[i + 1 :]]
    if len(letters) > 2:  # of two, one would be left
        for i in range(len(letters)):
            yield [*letters[:i], *letters[i + 1 :]]


def _marks(text: str, said: list[str]) -> tuple[tuple[int, int], ...]:
    marks, at = [], 0
    for one in filter(None, said):  # a pattern may match nothing at all
        start = text.find(one, at)
        if start >= 0:
            at = start + len(one)
            marks.append((start, at))
    return tuple(marks)


@contextmanager
def _reader(table: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A duckdb that can read this one file: no other, no network, no extension from anywhere."""
    closed = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "temp_directory": ""}
    with duckdb.connect(config={**closed, "memory_limit": MEMORY}) as connection:
        # It compares with the pattern of the name, in which [ and * are escaped, then with what that finds.
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in (str(table), escape(str(table))))
        connection.execute(f"SET allowed_paths = [{names}]")
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        yield connection


class _Neighbours:
    """Segments beside a hit, from the row groups that were read last."""

    def __init__(self, file: pq.ParquetFile, columns: list[str]) -> None:
        lengths = (file.metadata.row_group(number).num_rows for number in range(file.num_row_groups))
        self._ends = list(accumulate(lengths))
        self._group = lru_cache(2)(lambda number: file.read_row_group(number, columns=columns, use_threads=False))

    def of(self, row: Row, number: int, around: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Those of the same recording before and after the row with this ``number`` in the table."""
        before = self._rows(row, max(0, number - around), number)
        after = self._rows(row, number + 1, min(number + 1 + around, self._ends[-1]))
        return before, after

    def _rows(self, like: Row, first: int, end: int) -> tuple[Row, ...]:
        rows: list[Row] = []
        while first < end:
            number = bisect.bisect_right(self._ends, first)
            start = self._ends[number - 1] if number else 0
            until = min(end, self._ends[number])
            rows += self._group(number).slice(first - start, until - first).to_pylist()
            first = until
        key = "recording_id" if "recording_id" in (rows[0] if rows else ()) else "path"
        return tuple(row for row in rows if row[key] == like[key])
