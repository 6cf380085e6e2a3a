"""The ledger: every file ever seen, and every attempt at it, in one SQLite file."""

from __future__ import annotations

import json
import os
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import Json, StringConstraints, TypeAdapter, ValidationError

from snakescribe.errors import ResultsError
from snakescribe.files import first_problem
from snakescribe.inventory.database import BAD_DATABASE, REMEDY, connect, explained
from snakescribe.inventory.manifest import Manifest
from snakescribe.layout import Results
from snakescribe.recording import Header, Recording

TOGETHER = 1000
"""Rows read or entered at a time."""
_IN_ORDER = "ORDER BY length(batch), batch"
_ATTEMPT = TypeAdapter(Recording)  # as JSON in a cell
_KNOWN = (
    "SELECT recording_id, path, sha256, fingerprint, state, duplicate_of, reference, extras, attempt, batch, forgotten"
    " FROM recordings"
)

T = TypeVar("T")
State = Literal["present", "removed"]
BatchName = Annotated[str, StringConstraints(pattern=r"^b\d+$")]


class FileContent(NamedTuple):
    """What is in a file of this size and time."""

    size: int
    mtime_ns: int
    sha256: str
    """Empty when the file could not be read."""
    header: Header = Header()


class Known(NamedTuple):
    """A recording with its newest attempt."""

    path: bytes
    sha256: str
    fingerprint: str
    """Of everything that makes a new attempt when it changes: content, path, overrides."""
    state: State
    duplicate_of: str | None
    reference: str | None
    extras: str
    """The sheet's own columns, as JSON."""
    attempt: int
    batch: BatchName
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """A batch that holds at least one recording's newest attempt."""

    batch: str
    recordings: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Current:
    """What can change about a recording without transcribing it again."""

    source_state: str
    duplicate_of: str | None
    reference: str | None
    extras: dict[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A recording that :meth:`Ledger.find` found, with everywhere it ever left text."""

    recording_id: str
    path: str
    """As in the tables."""
    sha256: tuple[str, ...]
    """Of every content it ever had, the newest last."""
    batches: tuple[str, ...]


class Ledger:
    """The ledger of one results folder: a context manager that turns SQLite's errors into ours."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open(cls, path: Path, readonly: bool = False) -> Ledger:
        """Open the ledger; without ``readonly`` it is made when there is none.

        Raises:
            ResultsError: not there (``readonly``), damaged, not writable, or of another version.
        """
        try:
            return cls(path, connect(path, readonly))
        except BAD_DATABASE as error:
            raise explained(path, error) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()  # an open transaction is rolled back
        if isinstance(error, BAD_DATABASE):
            raise explained(self.path, error) from None

    def _rows(self, kind: type[T], statement: str, values: Iterable[Any] = (), keyed: bool = False) -> Iterator[T]:
        """What a statement finds, each row as a ``kind``: SQLite itself does not notice a damaged value.

        Args:
            kind: of a row, or with ``keyed`` of a pair: its first column and all the others.
            statement: in SQL.
            values: for its question marks.
            keyed: see ``kind``.

        Raises:
            ResultsError: a value is not of its column's type.
        """
        validated = _validator(list[kind])  # type: ignore[valid-type]
        found = self._db.execute(statement, tuple(values))
        try:
            while rows := found.fetchmany(TOGETHER):
                yield from validated([(row[0], row[1:]) for row in rows] if keyed else rows)
        except ValidationError as error:
            raise ResultsError(f"{self.path}: a row in it is damaged ({first_problem(error)}); {REMEDY}") from None

    # What the other steps ask.

    def current(self, batch: str) -> dict[str, Current]:
        """The recordings whose newest attempt lies in ``batch``, by id; forgotten ones are not there."""
        rows = self._rows(
            tuple[str, State, str | None, str | None, Json[dict[str, str]]],
            "SELECT recording_id, state, duplicate_of, reference, extras FROM recordings"
            " WHERE batch = ? AND NOT forgotten",
            (batch,),
        )
        return {key: Current(state, twin, text, extras) for key, state, twin, text, extras in rows}

    def batch_of(self, recording_id: str) -> str | None:
        """Where the newest attempt lies; None for an unknown or forgotten recording."""
        row = self._db.execute(
            "SELECT batch FROM recordings WHERE recording_id = ? AND NOT forgotten", (recording_id,)
        ).fetchone()
        return row[0] if row else None

    def paths(self) -> Iterator[tuple[str, bytes, str]]:
        """Id, path and batch of every recording that is not forgotten."""
        return self._rows(
            tuple[str, bytes, BatchName], "SELECT recording_id, path, batch FROM recordings WHERE NOT forgotten"
        )

    def tries(self, recording_id: str) -> int:
        """Attempts at what is in the file now."""
        statement = (
            "SELECT count(*) FROM attempts JOIN recordings USING (recording_id)"
            " WHERE recording_id = ? AND json_extract(recording, '$.sha256') = sha256"
        )
        return int(self._db.execute(statement, (recording_id,)).fetchone()[0])

    def earlier(self, batch: str) -> list[str]:
        """Other batches that held the recordings of ``batch`` before."""
        rows = self._rows(
            tuple[BatchName],
            "SELECT DISTINCT batch FROM attempts WHERE batch != ?1"
            " AND recording_id IN (SELECT recording_id FROM recordings WHERE batch = ?1)",
            (batch,),
        )
        return [earlier for (earlier,) in rows]

    def find(self, text: str) -> list[Found]:
        """Recordings with this id or path (relative to the folder, as on disk or as in the tables)."""
        written = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        keys = self._rows(
            tuple[str],
            "SELECT DISTINCT recording_id FROM attempts WHERE recording_id = ?1"
            " UNION SELECT recording_id FROM recordings WHERE path = ?2"
            " UNION SELECT recording_id FROM attempts WHERE json_extract(recording, '$.path') = ?1",
            (written, os.fsencode(text)),
        )
        return [self._found(key) for (key,) in list(keys) or self._spelt_alike(text)]

    def _spelt_alike(self, text: str) -> list[tuple[str]]:
        """Ids of recordings whose path differs only in Unicode's form: macOS decomposes Hangul in file names."""
        wanted = unicodedata.normalize("NFC", text)
        rows = self._rows(tuple[str, bytes], "SELECT recording_id, path FROM recordings")
        return [(key,) for key, path in rows if unicodedata.normalize("NFC", os.fsdecode(path)) == wanted]

    def _found(self, recording_id: str) -> Found:
        statement = "SELECT batch, recording FROM attempts WHERE recording_id = ? ORDER BY attempt"
        attempts = list(self._rows(tuple[BatchName, str], statement, (recording_id,)))
        if not attempts:
            raise ResultsError(f"{self.path}: an attempt at {recording_id} is lost, it is damaged; {REMEDY}")
        recordings = [self._recording(text) for _, text in attempts]
        return Found(
            recording_id,
            recordings[-1].path,
            tuple(dict.fromkeys(recording.sha256 for recording in recordings)),
            tuple(dict.fromkeys(batch for batch, _ in attempts)),
        )

    def twins(self, found: Found) -> list[str]:
        """Paths, as in the tables, of other recordings whose content it has or had."""
        marks = ", ".join("?" * len(found.sha256))
        rows = self._rows(
            tuple[bytes],
            f"SELECT path FROM recordings WHERE sha256 IN ({marks}) AND sha256 != '' AND recording_id != ?"
            " AND NOT forgotten ORDER BY path",
            (*found.sha256, found.recording_id),
        )
        return [path.decode("utf-8", "backslashreplace") for (path,) in rows]

    def gone(self) -> list[Found]:
        """Recordings that have left the folder and are still in the tables.

        Raises:
            ResultsError: all of them have: a drive that is not mounted looks like that.
        """
        rows = self._rows(tuple[str, str], "SELECT recording_id, state FROM recordings WHERE NOT forgotten")
        states = list(rows)
        gone = [key for key, state in states if state == "removed"]
        if gone and len(gone) == len(states):
            raise ResultsError("all recordings have left their folder; is its drive mounted?")
        return [self._found(key) for key in gone]

    def forget(self, recording_ids: Iterable[str], for_good: bool = True) -> None:
        """Have recordings leave the tables; they come back only with other content, or (not ``for_good``) with any."""
        self._db.execute("PRAGMA secure_delete = ON")  # a reference text is overwritten, not only unlinked
        with self._db:
            for recording_id in recording_ids:
                # The next copy of its content takes its place as the first one.
                self._db.execute(
                    "UPDATE recordings SET duplicate_of = nullif(heir.id, recording_id) FROM"
                    " (SELECT recording_id AS id FROM recordings WHERE duplicate_of = ?1 ORDER BY path LIMIT 1) AS heir"
                    " WHERE duplicate_of = ?1",
                    (recording_id,),
                )
                self._db.execute(
                    "UPDATE recordings SET forgotten = 1, reference = NULL, extras = '{}', duplicate_of = NULL,"
                    " sha256 = iif(?2, sha256, ''), fingerprint = iif(?2, fingerprint, '') WHERE recording_id = ?1",
                    (recording_id, for_good),
                )

    # What the inventory asks and writes.

    def count(self) -> int:
        """Recordings ever known."""
        return int(self._db.execute("SELECT count(*) FROM recordings").fetchone()[0])

    def looks(self) -> dict[bytes, tuple[int, int]]:
        """Size and time of the files that claimed to be from the future when last looked at."""
        rows = self._rows(tuple[bytes, int, int], "SELECT path, size, mtime_ns FROM looks")
        return {path: (size, mtime) for path, size, mtime in rows}

    def contents(self) -> Iterator[tuple[bytes, FileContent]]:
        """Everything ever examined, in the order of paths."""
        rows = self._rows(
            tuple[bytes, int, int, str, float | None, str | None, int | None, int | None, str | None],
            "SELECT * FROM files ORDER BY path",
        )
        for path, size, mtime, sha256, duration, codec, rate, channels, problem in rows:
            yield path, FileContent(size, mtime, sha256, Header(duration, codec, rate, channels, problem))

    def add_contents(self, contents: Iterable[tuple[bytes, FileContent]]) -> None:
        """Keep what was examined (one transaction)."""
        with self._db:
            self._db.executemany(
                "REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((path, *content, *vars(header).values()) for path, (*content, header) in contents),
            )

    def recordings(self) -> Mapping[str, Known]:
        """Every recording by id, looked up when it is asked for."""
        return _Recordings(self)

    def some(self, recording_ids: Iterable[str]) -> dict[str, Known]:
        """Those of them that are known."""
        chosen = f"{_KNOWN} WHERE recording_id IN (SELECT value FROM json_each(?))"
        return dict(self._rows(tuple[str, Known], chosen, (json.dumps(list(recording_ids)),), keyed=True))

    def everything(self) -> Iterator[tuple[str, Known]]:
        """Every recording, in the order of ids."""
        return self._rows(tuple[str, Known], f"{_KNOWN} ORDER BY recording_id", keyed=True)

    def last_batch(self) -> int:
        """Number of the newest batch, 0 when there is none."""
        newest = self._db.execute("SELECT max(CAST(substr(batch, 2) AS INTEGER)) FROM attempts").fetchone()
        return newest[0] or 0

    def retries_done(self) -> int:
        """How many requests for a retry have been dealt with."""
        return sum(count for (count,) in self._rows(tuple[int], "SELECT value FROM meta WHERE key = 'retries'"))

    def commit(
        self,
        changed: dict[str, Known],
        attempts: Iterable[tuple[str, int, float, Recording]],
        looks: Iterable[tuple[bytes, int, int]],
        retries: int,
    ) -> None:
        """Enter one inventory as a whole (one transaction).

        Args:
            changed: recordings that are new or different.
            attempts: batch, position in it, seconds and recording of each new attempt.
            looks: path, size and time of the files that claim to be from the future.
            retries: requests for a retry that are now dealt with.
        """
        with self._db:
            self.enter(changed, attempts)
            self._db.execute("DELETE FROM looks")
            self._db.executemany("INSERT INTO looks VALUES (?, ?, ?)", looks)
            self._db.execute("REPLACE INTO meta VALUES ('retries', ?)", (str(retries),))

    def enter(self, changed: Mapping[str, Known], attempts: Iterable[tuple[str, int, float, Recording]]) -> None:
        """Enter a part of an inventory: it counts when :meth:`commit` enters the last one."""
        self._db.executemany(
            "REPLACE INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((key, *known) for key, known in changed.items()),
        )
        self._db.executemany(
            "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?)",
            (
                (entry.recording_id, entry.attempt, batch, position, seconds, _ATTEMPT.dump_json(entry).decode())
                for batch, position, seconds, entry in attempts
            ),
        )

    def batches(self) -> list[str]:
        """Every batch ever made, in order."""
        rows = self._rows(tuple[BatchName], f"SELECT DISTINCT batch FROM attempts {_IN_ORDER}")
        return [batch for (batch,) in rows]

    def manifest(self, batch: str) -> Manifest:
        """What stands, or belongs, in the manifest of ``batch``."""
        rows = self._rows(tuple[str], "SELECT recording FROM attempts WHERE batch = ? ORDER BY position", (batch,))
        return Manifest(batch=batch, recordings=tuple(self._recording(text) for (text,) in rows))

    def _recording(self, text: str) -> Recording:
        try:
            return _ATTEMPT.validate_json(text)
        except ValidationError as error:
            raise ResultsError(
                f"{self.path}: a recording in it is damaged, or of another version of snakescribe"
                f" ({first_problem(error)}); use that version, or choose another --results"
            ) from None

    def planned(self) -> list[PlannedBatch]:
        """The batches with at least one current recording: how many, and their seconds of audio."""
        rows = self._rows(
            tuple[BatchName, int, float],
            # The plus keeps SQLite from going by the index of batches: by ids both tables are read from front to end.
            "SELECT +recordings.batch AS name, count(*), total(seconds) FROM recordings"
            " CROSS JOIN attempts USING (recording_id, attempt)"
            " WHERE NOT forgotten GROUP BY name ORDER BY length(name), name",
        )
        return [PlannedBatch(batch, count, round(seconds, 3)) for batch, count, seconds in rows]

    def copy(self, path: Path) -> None:
        """Copy the whole ledger to a new file."""
        target = sqlite3.connect(path)
        self._db.backup(target)
        target.close()


class _Recordings(Mapping[str, Known]):
    """The table as it is now: of a million rows only those that are asked for are in memory."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getitem__(self, key: str) -> Known:
        return self._ledger.some([key])[key]

    def __iter__(self) -> Iterator[str]:
        return (key for (key,) in self._ledger._rows(tuple[str], "SELECT recording_id FROM recordings"))

    def __len__(self) -> int:
        return self._ledger.count()


@cache
def _validator(kind: Any) -> Callable[[Any], Any]:
    return TypeAdapter(kind).validator.validate_python


def still_wanted(results: Results, batch: str) -> Manifest:
    """The manifest of ``batch`` without what was forgotten since, or has a newer attempt elsewhere.

    What a superseded attempt was of may lie under the same path no longer: nothing may be read for it.
    """
    manifest = Manifest.read(results.manifest(batch))
    with Ledger.open(results.ledger, readonly=True) as ledger:
        current = ledger.current(batch)
    wanted = tuple(recording for recording in manifest.recordings if recording.recording_id in current)
    return manifest.model_copy(update={"recordings": wanted})
