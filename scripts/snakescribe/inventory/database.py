"""The ledger's SQLite file: its tables, and opening it whatever happened to the last process that wrote.

Journal mode DELETE works on NFS. A killed writer leaves the last committed state; the next one to open the
file rolls its journal back. Opening read-only needs no write permission and makes no file.
"""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from contextlib import closing
from pathlib import Path

from snakescribe.errors import ResultsError

SCHEMA_VERSION = 1
BAD_DATABASE = (sqlite3.Error, UnicodeDecodeError)
"""What the sqlite3 module raises of a file that is damaged, locked or out of reach; the second one when SQLite's own
message quotes a damaged schema."""
REMEDY = (
    "restore it, or move the whole folder that it lies in away and run again: texts come from the cache, but what was"
    " forgotten comes back"
)
"""Not the file alone: the manifests beside it would not fit the batches of a new one."""
_WAIT = 60.0  # seconds for another process to finish its transaction

_SCHEMA = """
CREATE TABLE files (
  path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL,
  duration REAL, codec TEXT, sample_rate INTEGER, channels INTEGER, probe_error TEXT
) WITHOUT ROWID;
CREATE TABLE recordings (
  recording_id TEXT PRIMARY KEY, path BLOB NOT NULL, sha256 TEXT NOT NULL, fingerprint TEXT NOT NULL,
  state TEXT NOT NULL, duplicate_of TEXT, reference TEXT, extras TEXT NOT NULL,
  attempt INTEGER NOT NULL, batch TEXT NOT NULL, forgotten INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX recordings_by_batch ON recordings (batch);
CREATE TABLE attempts (
  recording_id TEXT NOT NULL, attempt INTEGER NOT NULL, batch TEXT NOT NULL, position INTEGER NOT NULL,
  seconds REAL NOT NULL, recording TEXT NOT NULL, PRIMARY KEY (recording_id, attempt)
) WITHOUT ROWID;
CREATE INDEX attempts_by_batch ON attempts (batch, position);
CREATE TABLE looks (path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
"""``files``: what is in a file, as last examined. ``recordings``: one per row of the tables, with its newest
attempt. ``attempts``: what stands in the manifests. ``looks``: files that claim to be from the future."""


def connect(path: Path, readonly: bool) -> sqlite3.Connection:
    """Open the file at ``path``; without ``readonly`` it is made when there is none.

    Raises:
        ResultsError: written by another version, or empty.
        sqlite3.Error: see :func:`explained`.
    """
    if not readonly and not path.exists():
        _create(path)
    db = _opened(path, "ro" if readonly else "rw")
    try:
        version = _version(db)
    except sqlite3.OperationalError:
        # A writer was killed in the middle of a commit: rolling back needs to write, once.
        db.close()
        with closing(_opened(path, "rw")) as healing:
            _version(healing)
        db = _opened(path, "ro" if readonly else "rw")
        version = _version(db)
    if version != SCHEMA_VERSION:
        db.close()
        if path.stat().st_size == 0:  # not taken for a new one: there may be manifests, which it would contradict
            raise ResultsError(f"{path}: it is empty, and so damaged; {REMEDY}")
        raise ResultsError(
            f"{path}: written by another version of snakescribe (schema {version}, not {SCHEMA_VERSION}); "
            "use that version, or choose another --results"
        )
    return db


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as db:
        db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    part.replace(path)


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT user_version FROM pragma_user_version").fetchone()[0])  # reads the schema too


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_WAIT)


def explained(path: Path, error: Exception, elsewhere: str = "--results", remedy: str = REMEDY) -> ResultsError:
    """What to tell the user about a :data:`BAD_DATABASE`; ``elsewhere``: the option that names its place."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return ResultsError(f"the disk is full ({path}); free some space and run again")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return ResultsError(f"{path}: {error}; check the folder, or choose another {elsewhere}")
    if name.startswith("SQLITE_BUSY"):
        return ResultsError(f"{path}: in use by another process; try again when it is done")
    return ResultsError(f"{path}: {' '.join(str(error).split()):.200}; it may be damaged; {remedy}")
