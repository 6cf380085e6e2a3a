"""How a run ended: told to who waits, written down for the morning, handed on to who is to know."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from snakescribe.cluster.slurm import refusal
from snakescribe.errors import CrashError, FailedRecordings, SnakescribeError
from snakescribe.failures import notes_left
from snakescribe.files import disk_full, write_atomically
from snakescribe.layout import Results
from snakescribe.records import Frozen
from snakescribe.units import counted, hours

WORST = 20
"""Failed recordings that are named; the table has them all."""
PATIENCE = 600.0
"""Seconds that a command of ``--on-end`` may take; a request has a tenth of it."""


class Failed(Frozen):
    """A recording that failed."""

    path: str
    error_class: str
    error_message: str


class Ending(Frozen):
    """``run.json`` of a results folder: the last run that worked there."""

    schema_version: Literal[1] = 1
    results: str
    host: str
    started: datetime
    ended: datetime
    exit_code: int
    failure: str | None
    """``Class: message`` of what ended it, if that was no failed recording."""
    recordings: dict[str, int]
    """All that are in the folder, by status: ``ok``, ``empty``, ``failed``."""
    audio_seconds: float
    """Of all of them."""
    removed: int
    """Recordings that are in the tables and no longer in the folder."""
    transcribed: int
    """By this run, and neither failed nor taken from the cache."""
    transcribed_seconds: float
    failures: dict[str, int]
    """Failed recordings by class."""
    failed: tuple[Failed, ...]
    """The first few."""

    def line(self) -> str:
        """For people; what ended it has been told before."""
        seconds = (self.ended - self.started).total_seconds()
        rate = self.transcribed_seconds / seconds
        speed = f", {rate:.1f} × real time from start to end" if self.transcribed_seconds else ""
        new = f"{counted(self.transcribed, 'recording')} transcribed, {hours(self.transcribed_seconds)} of audio"
        classes = ", ".join(f"{count} {name}" for name, count in self.failures.items())
        failed = f"; {self.recordings.get('failed', 0)} failed in all ({classes})" if classes else ""
        gone = (
            "; all recordings have left their folder: is its drive mounted?"
            if self.removed and not self.recordings
            else ""
        )
        return f"exit code {self.exit_code} after {hours(seconds)}: {new}{speed}{failed}{gone}"


@dataclass
class Outcome:
    """Exit code and failure of a run, see :class:`Ending`."""

    code: int = CrashError.exit_code
    failure: str | None = None


def tell(code: int, log: Path, results: Results, nothing_new: bool) -> Outcome:
    """Say how it ended; the exit code is that of the worst failure a step has left."""
    said: list[str] = []
    failures = notes_left(results) if code else []
    some_failed = any(failure["class"] == FailedRecordings.__name__ for failure in failures)
    if code == 0 or some_failed:  # everything is done, and the check step has named what failed
        if nothing_new:
            print("nothing new to transcribe; the results so far:", file=sys.stderr)
        told = results.log("check") if code else results.summary
        print(told.read_text(encoding="utf-8").rstrip(), file=sys.stderr)
        print(f"tables: {results.root / 'tables'}\ntranscripts: {results.transcripts}", file=sys.stderr)
        if results.report.exists():
            print(f"report: {results.report}", file=sys.stderr)
    elif failures:
        notes = [note for note in failures if note["class"] != FailedRecordings.__name__]
        said = list(dict.fromkeys(f"snakescribe: {note['class']}: {note['message']}" for note in notes))
        print("\n".join(said), file=sys.stderr)
    else:
        text = log.read_text(encoding="utf-8", errors="replace")
        if refused := refusal(text):
            raise refused
        lines = text.splitlines()
        if any(os.strerror(errno.ENOSPC) in line for line in lines) or not _room(results):
            raise disk_full(results.root)  # so full that neither a step nor Snakemake could say so
        said = [line for line in lines if line.startswith("snakescribe: ")]
        print("\n".join(said or lines[-15:]), file=sys.stderr)
        if code == 1 or code < 0:  # Snakemake's own, for a step that could leave no note; or a signal has killed it
            raise CrashError(f"a step crashed or was killed (no memory left?), or Snakemake failed; {log} says more")
    worst = max((int(failure["exit_code"]) for failure in failures), default=code)
    return Outcome(worst, "; ".join(line.removeprefix("snakescribe: ") for line in said) or None)


@contextmanager
def written_down(results: Results, lock: int | None, on_end: str | None) -> Iterator[Outcome]:
    """Write ``run.json`` when the block ends, whatever way it ends, and hand it on.

    Until then there is none: that of an earlier run is not to be taken for this one's.

    Args:
        results: their folder.
        lock: on it; let go before it is handed on, which may take long.
        on_end: command or address.

    Yields:
        For the block to fill in.
    """
    started = datetime.now(UTC)
    outcome = Outcome()
    results.ending.unlink(missing_ok=True)
    try:
        yield outcome
    except SnakescribeError as error:
        outcome.code, outcome.failure = error.exit_code, f"{type(error).__name__}: {error}"
        raise
    except SystemExit as ended:  # a profile that is no good here has told why
        outcome.code = ended.code if isinstance(ended.code, int) else outcome.code
        raise
    finally:
        try:
            ending = look_back(results, started, outcome)
            write_atomically(results.ending, ending.model_dump_json(indent=1).encode() + b"\n")
            print(ending.line(), file=sys.stderr)
            if lock is not None:
                os.close(lock)
            if on_end:
                _hand_on(ending, on_end, results.ending)
        except (OSError, SnakescribeError) as error:  # a full disk, a damaged table: told already
            print(f"snakescribe: {results.ending} could not be written: {error}", file=sys.stderr)


def look_back(results: Results, started: datetime, outcome: Outcome) -> Ending:
    """What the tables say, and what this run added to the batches, also when it came no further."""
    from snakescribe.tables.batch import row_groups

    status: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    failed: list[Failed] = []
    audio = new_audio = 0.0
    new = removed = 0
    for batch in results.batch("b").parent.glob("*.parquet"):
        if batch.stat().st_mtime < started.timestamp():
            continue
        for group in row_groups(batch, ["status", "duration", "finished_at", "cached"]):
            for row in group.to_pylist():
                if row["status"] != "failed" and not row["cached"] and row["finished_at"] >= started:
                    new += 1
                    new_audio += row["duration"] or 0
    table = results.table("recordings", "parquet")
    columns = ["path", "status", "error_class", "error_message", "duration", "source_state"]
    for group in row_groups(table, columns) if table.exists() else ():
        for row in group.to_pylist():
            if row["source_state"] == "removed":
                removed += 1
                continue
            status[row["status"]] += 1
            audio += row["duration"] or 0
            if row["status"] == "failed":
                classes[row["error_class"]] += 1
                if len(failed) < WORST:
                    failed.append(Failed(**{name: row[name] or "" for name in Failed.model_fields}))
    return Ending(
        results=str(results.root),
        host=socket.gethostname(),
        started=started,
        ended=datetime.now(UTC),
        exit_code=outcome.code,
        failure=outcome.failure,
        recordings=dict(status),
        audio_seconds=audio,
        removed=removed,
        transcribed=new,
        transcribed_seconds=new_audio,
        failures=dict(classes.most_common()),
        failed=tuple(failed),
    )


def _hand_on(ending: Ending, on_end: str, path: Path) -> None:
    """Run a command with the JSON as its input, or send it to an address; neither changes how the run ended."""
    text = ending.model_dump_json().encode()
    try:
        if on_end.startswith(("http://", "https://")):
            request = urllib.request.Request(on_end, text, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=PATIENCE / 10).close()
            return
        said = (ending.line(), ending.failure)
        environment = os.environ | {"SNAKESCRIBE_RUN": str(path), "SNAKESCRIBE_LINE": "; ".join(filter(None, said))}
        done = subprocess.run(on_end, shell=True, input=text, env=environment, timeout=PATIENCE)
        if done.returncode:
            print(f"snakescribe: the command of --on-end ended with {done.returncode}", file=sys.stderr)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"snakescribe: --on-end did not work: {error}", file=sys.stderr)


def _room(results: Results) -> bool:
    """Whether another 64 kB can be written."""
    probe = results.state / "room"
    try:
        write_atomically(probe, bytes(1 << 16))
        probe.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True
