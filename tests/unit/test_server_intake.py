"""Taking recordings in, without an engine: what is decoded, for whom, and what is left when they go."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from snakescribe.config import load_config
from snakescribe.errors import ResultsError, UnreadableRecording
from snakescribe.server import intake as room
from snakescribe.server.intake import Intake, RequestOptions, Ticket, hashed
from snakescribe.server.job_ledger import JobLedger
from snakescribe.server.jobs import Jobs
from snakescribe.server.metrics import Metrics
from tests.disks import fill


class Decoding:
    """ffmpeg, which begins when the test says so."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.calls = 0
        self._real = room.normalise_recording

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        self.begun.set()
        assert self.go.wait(600)
        return self._real(*arguments)


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoding]:
    decoding = Decoding()
    monkeypatch.setattr(room, "normalise_recording", decoding)
    yield decoding
    decoding.go.set()


@pytest.fixture
def intake(models_root: Path, tmp_path: Path) -> Intake:
    """Its engine is never started: what is decoded waits for it."""
    given = {"models": str(models_root), "model": "tiny.en", "cache": {"path": str(tmp_path / "cache")}}
    return Intake(load_config(given, tmp_path, {}), 2, tmp_path / "state", Metrics())


@pytest.fixture
def uploads(tmp_path: Path, models_root: Path) -> list[Path]:
    """The same recording, from two senders."""
    found = [tmp_path / "state/uploads" / name for name in ("request-1", "request-2")]
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(models_root / "samples/beckett.wav", path)
    return found


async def until(happened: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not happened():
            await asyncio.sleep(0.01)


def test_the_first_sender_leaves_before_it_is_decoded(intake: Intake, uploads: list[Path], decoding: Decoding) -> None:
    async def run() -> None:
        tickets: list[Ticket] = []
        callers = [
            asyncio.create_task(intake.transcribe(upload, hashed(upload), RequestOptions(), tickets.append))
            for upload in uploads
        ]
        await until(lambda: decoding.begun.is_set() and len(tickets) == 2)
        assert tickets[0] is tickets[1]
        callers[0].cancel()
        uploads[0].unlink()
        decoding.go.set()
        await until(lambda: tickets[0].audio_seconds or callers[1].done())
        assert not callers[1].done() and tickets[0].audio_seconds == pytest.approx(9.96, abs=0.01)
        assert decoding.calls == 1
        callers[1].cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await until(lambda: not _work(uploads))
        assert not intake.engine._running, "the engine is told"
        await intake.stop()

    asyncio.run(run())


def test_nobody_waits_for_what_is_decoded(intake: Intake, uploads: list[Path], decoding: Decoding) -> None:
    """The thread finds out later, and leaves nothing."""

    async def run() -> None:
        caller = asyncio.create_task(intake.transcribe(uploads[0], hashed(uploads[0]), RequestOptions()))
        await until(decoding.begun.is_set)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await until(lambda: not _work(uploads))
        decoding.go.set()
        await intake.stop()

    asyncio.run(run())
    assert not _work(uploads)


def test_what_cannot_be_decoded_fails_all_who_wait(intake: Intake, uploads: list[Path], decoding: Decoding) -> None:
    async def run() -> list[Any]:
        for upload in uploads:
            upload.write_bytes(b"not a recording")
        callers = [intake.transcribe(upload, hashed(upload), RequestOptions()) for upload in uploads]
        decoding.go.set()
        found = await asyncio.gather(*callers, return_exceptions=True)
        await intake.stop()
        return list(found)

    assert [type(one) for one in asyncio.run(run())] == [UnreadableRecording] * 2
    assert decoding.calls == 1 and not _work(uploads)


def _work(uploads: list[Path]) -> list[Path]:
    return list((uploads[0].parents[1] / "work").iterdir())


def test_a_damaged_file_of_jobs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(ResultsError, match="file is not a database; it may be damaged; move it away") as caught:
        JobLedger(path)
    assert str(caught.value).startswith(str(path))


def test_jobs_are_not_moved_away_because_a_disk_is_full(tmp_path: Path, mounted: Path) -> None:
    fill(mounted)
    with pytest.raises(ResultsError, match=r"the disk is full \(.*jobs\.sqlite\); free some space and run again$"):
        JobLedger(mounted / "jobs.sqlite")


def test_the_end_of_a_job_is_noted_when_there_is_room_again(
    intake: Intake,
    decoding: Decoding,
    mounted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("snakescribe.server.jobs.RETRY", 0.05)
    source = tmp_path / "x.wav"
    source.write_bytes(b"no recording")

    async def run(ledger: JobLedger) -> None:
        jobs = Jobs(ledger, intake, load_config({}, tmp_path, {}), Metrics(), tmp_path)
        intake.engine.is_ready.set()
        await jobs.start()
        await jobs.add("one", source.name, source, False, RequestOptions())
        await asyncio.to_thread(decoding.begun.wait)
        fill(mounted)
        decoding.go.set()
        while "the end of a job cannot be noted" not in caplog.text:
            await asyncio.sleep(0.05)
        (mounted / "filler").unlink()
        while (known := ledger.get("one")) and known.state == "running":
            await asyncio.sleep(0.05)
        assert known and known.state == "failed" and known.error and known.error.code == "unreadable_recording"
        await jobs.stop(0)

    with closing(JobLedger(mounted / "jobs.sqlite")) as ledger:
        asyncio.run(asyncio.wait_for(run(ledger), 600))


def test_jobs_know_the_version_that_they_were_written_by(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"

    def version(number: int | None = None) -> int:
        with closing(sqlite3.connect(path)) as db:
            if number is not None:
                db.execute(f"PRAGMA user_version = {number}")
            return int(db.execute("PRAGMA user_version").fetchone()[0])

    with closing(JobLedger(path)) as ledger:
        ledger.add("one", "회의.wav", tmp_path / "회의.wav", False, RequestOptions())
    assert version() == 1
    assert version(0) == 0, "as before there was a number"
    with closing(JobLedger(path)) as ledger:
        known = ledger.take()
    assert known is not None and known.id == "one" and version() == 1
    assert version(2) == 2
    said = (
        r"jobs.sqlite: written by another version of snakescribe \(schema 2, not 1\); use that version, or move it away"
    )
    with pytest.raises(ResultsError, match=said):
        JobLedger(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT state FROM jobs").fetchall() == [("running",)], "nothing was changed"
    assert version() == 2


@pytest.mark.parametrize(
    ("column", "value"), [("asked", "x"), ("created", "x"), ("source", 7), ("state", "x"), ("error", "x")]
)
def test_a_damaged_job_has_failed_and_the_others_go_on(tmp_path: Path, column: str, value: object) -> None:
    path = tmp_path / "jobs.sqlite"
    with closing(JobLedger(path)) as ledger:
        for name in ("one", "two"):
            ledger.add(name, f"{name}.wav", tmp_path / name, True, RequestOptions())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE jobs SET {column} = ? WHERE id = 'one'", (value,))
    with closing(JobLedger(path)) as ledger:
        assert ledger.unfinished_uploads() == {"two"}
        taken = ledger.take()
        assert taken is not None and taken.id == "two" and ledger.take() is None
        damaged = ledger.get("one")
        assert damaged is not None and damaged.error is not None and damaged.finished is not None
        assert (damaged.state, damaged.name) == (
            "failed",
            "one.wav",
        ) and "send the recording again" in damaged.error.message
        ledger.erase("one")
        assert ledger.get("one") is None


def test_a_job_whose_transcript_is_damaged_has_failed(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with closing(JobLedger(path)) as ledger:
        ledger.add("one", "one.wav", tmp_path / "one", False, RequestOptions())
        assert ledger.end("one", "done")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE jobs SET entry = '{}'")
    with closing(JobLedger(path)) as ledger:
        assert ledger.entry("one") is None
        known = ledger.get("one")
    assert known is not None and known.state == "failed"


def test_a_file_of_jobs_that_is_damaged_further_in_is_named(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with closing(JobLedger(path)) as ledger:
        for number in range(100):
            ledger.add(f"job {number}", "x" * 200, tmp_path / "one", False, RequestOptions())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2))
    with pytest.raises(ResultsError, match=r"jobs\.sqlite: .*; move it away and start again"):
        JobLedger(path)
