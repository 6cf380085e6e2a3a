"""Jobs on disk (SQLite): what was asked, how it stands, and the transcript; they outlive the server."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Json, TypeAdapter, ValidationError

from snakescribe.errors import ResultsError
from snakescribe.inventory.database import BAD_DATABASE, explained
from snakescribe.server.http_errors import ErrorObject
from snakescribe.server.intake import RequestOptions, Said

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
SCHEMA_VERSION = 1
"""Files of versions that counted none (0) have the same tables."""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    source BLOB NOT NULL,
    uploaded INTEGER NOT NULL,
    asked TEXT NOT NULL,
    created REAL NOT NULL,
    finished REAL,
    error TEXT,
    entry TEXT
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, number);
PRAGMA user_version = {SCHEMA_VERSION};
"""
_COLUMNS = "number, id, state, name, source, uploaded, asked, created, finished, error"
_ASKED = TypeAdapter(RequestOptions)
_ROW = TypeAdapter(
    tuple[int, str, State, str, bytes, bool, Json[RequestOptions], float, float | None, Json[ErrorObject] | None]
)
_DAMAGED = ErrorObject(
    message="what the server kept of this job is damaged; send the recording again",
    type="server_error",
    code="internal_error",
)


class JobRow(NamedTuple):
    """One job, without its transcript."""

    number: int
    """In the order in which they came."""
    id: str
    state: State
    name: str
    """Of the file, for people."""
    source: Path
    uploaded: bool
    """``source`` is ours, and goes when the job ends."""
    asked: RequestOptions
    created: float
    finished: float | None
    """Unix seconds."""
    error: ErrorObject | None


class JobLedger:
    """The jobs of one server; every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """What was running when a server died is queued again.

        Raises:
            ResultsError: the file is damaged, cannot be written, or is of another version.
        """
        self._lock = threading.Lock()
        remedy = "move it away and start again (the jobs in it are lost)"
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                self._db.close()
                raise ResultsError(
                    f"{path}: written by another version of snakescribe (schema {version}, not {SCHEMA_VERSION}); "
                    f"use that version, or {remedy}"
                )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA secure_delete = ON")  # what was said is gone with the job
            self._db.executescript(_SCHEMA)
            if self._db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("it is damaged")
            self._db.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        except BAD_DATABASE as error:
            raise explained(path, error, "server.state", remedy) from None

    def add(self, job_id: str, name: str, source: Path, uploaded: bool, asked: RequestOptions) -> JobRow:
        """A new job, queued."""
        values = (job_id, name, str(source).encode("utf-8", "surrogateescape"), uploaded, _dumped(asked), time.time())
        self._do(
            "INSERT INTO jobs (id, state, name, source, uploaded, asked, created) VALUES (?, 'queued', ?, ?, ?, ?, ?)",
            values,
        )
        found = self.get(job_id)
        assert found is not None
        return found

    def get(self, job_id: str) -> JobRow | None:
        """One job."""
        rows = self._do(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,))
        return self._row(rows[0]) if rows else None

    def entry(self, job_id: str) -> Said | None:
        """The transcript of a job that is done; if it is damaged, the job has failed."""
        rows = self._do("SELECT number, entry FROM jobs WHERE id = ? AND state = 'done'", (job_id,))
        for number, entry in rows:
            try:
                return Said.model_validate_json(entry)
            except ValidationError:
                self._give_up(number)
        return None

    def take(self) -> JobRow | None:
        """The job that waited longest, running from now on; a damaged one has failed, and the next is taken."""
        while rows := self._do(
            "UPDATE jobs SET state = 'running' WHERE number = "
            f"(SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING {_COLUMNS}"
        ):
            row = self._row(rows[0])
            if row.state == "running":
                return row
        return None

    def put_back(self, job_id: str) -> None:
        """A running job waits again: the server stops."""
        self._do("UPDATE jobs SET state = 'queued' WHERE id = ? AND state = 'running'", (job_id,))

    def end(self, job_id: str, state: State, entry: Said | None = None, error: ErrorObject | None = None) -> bool:
        """Note how a job ended; whether it had not ended before."""
        values = (state, time.time(), entry and entry.model_dump_json(), error and error.model_dump_json(), job_id)
        return bool(
            self._do(
                "UPDATE jobs SET state = ?, finished = ?, entry = ?, error = ? "
                "WHERE id = ? AND state IN ('queued', 'running') RETURNING id",
                values,
            )
        )

    def position(self, number: int) -> int:
        """Jobs queued before this one."""
        return int(self._do("SELECT count(*) FROM jobs WHERE state = 'queued' AND number < ?", (number,))[0][0])

    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        return dict(self._do("SELECT state, count(*) FROM jobs GROUP BY state"))

    def erase(self, job_id: str) -> None:
        """Remove a job that has ended, and what was said in it."""
        self._do("DELETE FROM jobs WHERE id = ? AND finished IS NOT NULL", (job_id,))

    def forget_before(self, moment: float) -> None:
        """Remove jobs that ended before ``moment`` (Unix seconds)."""
        if self._do("DELETE FROM jobs WHERE finished < ? RETURNING id", (moment,)):
            self._do("PRAGMA wal_checkpoint(TRUNCATE)")  # the log has what was said as well

    def unfinished_uploads(self) -> set[str]:
        """Names of the uploaded files that are still needed."""
        rows = self._do(f"SELECT {_COLUMNS} FROM jobs WHERE uploaded AND state IN ('queued', 'running')")
        return {row.source.name for row in map(self._row, rows) if row.state not in ENDED}

    def close(self) -> None:
        """Nothing may be asked after this."""
        with self._lock:
            self._db.close()

    def _do(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, tuple(values)).fetchall()

    def _row(self, columns: tuple[Any, ...]) -> JobRow:
        """A row of ``_COLUMNS``; of a damaged one nobody shall wait for, the job has failed."""
        try:
            columns = _ROW.validate_python(columns)
        except ValidationError:
            return self._row(self._give_up(columns[0]))
        number, job_id, state, name, source, uploaded, asked, created, finished, error = columns
        path = Path(source.decode("utf-8", "surrogateescape"))
        return JobRow(number, job_id, state, name, path, uploaded, asked, created, finished, error)

    def _give_up(self, number: int) -> tuple[Any, ...]:
        """End a damaged job, whatever stands in it; its row of ``_COLUMNS`` then."""
        now = time.time()
        rows: list[tuple[Any, ...]] = self._do(
            "UPDATE jobs SET state = 'failed', name = CAST(name AS TEXT), source = x'', uploaded = 0, asked = '{}',"
            f" created = ?, finished = ?, error = ?, entry = NULL WHERE number = ? RETURNING {_COLUMNS}",
            (now, now, _DAMAGED.model_dump_json(), number),
        )
        return rows[0]


def _dumped(asked: RequestOptions) -> bytes:
    return _ASKED.dump_json(asked)
