"""Jobs on disk (SQLite): what was asked, how it stands, and the transcript; they outlive the server."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter

from snakescribe.errors import ResultsError
from snakescribe.server.http_errors import ErrorObject
from snakescribe.server.intake import RequestOptions
from snakescribe.transcribe.cache import CachedTranscript

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
            self._db.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        except sqlite3.Error as error:
            raise ResultsError(f"{path}: {error}; {remedy}") from None

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
        return _row(rows[0]) if rows else None

    def entry(self, job_id: str) -> CachedTranscript | None:
        """The transcript of a job that is done."""
        rows = self._do("SELECT entry FROM jobs WHERE id = ? AND state = 'done'", (job_id,))
        return CachedTranscript.model_validate_json(rows[0][0]) if rows else None

    def take(self) -> JobRow | None:
        """The job that waited longest, running from now on."""
        rows = self._do(
            "UPDATE jobs SET state = 'running' WHERE number = "
            f"(SELECT min(number) FROM jobs WHERE state = 'queued') RETURNING {_COLUMNS}"
        )
        return _row(rows[0]) if rows else None

    def put_back(self, job_id: str) -> None:
        """A running job waits again: the server stops."""
        self._do("UPDATE jobs SET state = 'queued' WHERE id = ? AND state = 'running'", (job_id,))

    def end(
        self, job_id: str, state: State, entry: CachedTranscript | None = None, error: ErrorObject | None = None
    ) -> bool:
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
        rows = self._do("SELECT source FROM jobs WHERE uploaded AND state IN ('queued', 'running')")
        return {Path(source.decode()).name for (source,) in rows}

    def close(self) -> None:
        """Nothing may be asked after this."""
        with self._lock:
            self._db.close()

    def _do(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, tuple(values)).fetchall()


def _dumped(asked: RequestOptions) -> bytes:
    return _ASKED.dump_json(asked)


def _row(columns: tuple[Any, ...]) -> JobRow:
    number, job_id, state, name, source, uploaded, asked, created, finished, error = columns
    return JobRow(
        number,
        job_id,
        state,
        name,
        Path(source.decode("utf-8", "surrogateescape")),
        bool(uploaded),
        _ASKED.validate_json(asked),
        created,
        finished,
        ErrorObject.model_validate_json(error) if error else None,
    )
