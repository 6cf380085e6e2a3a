"""Taking recordings in, without an engine: what is decoded, for whom, and what is left when they go."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakescribe.config import load_config
from snakescribe.errors import UnreadableRecording
from snakescribe.server import intake as room
from snakescribe.server.http_errors import HttpError, refusal
from snakescribe.server.intake import Intake, RequestOptions, Ticket, hashed
from snakescribe.server.jobs import Jobs, StoredJob
from snakescribe.server.metrics import Metrics
from tests.disks import fill

ONE, TWO = (f"job_{digit * 24}" for digit in "12")


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
            asyncio.create_task(intake.transcribe(hashed(upload), RequestOptions(), tickets.append))
            for upload in uploads
        ]
        await until(lambda: decoding.begun.is_set() and [one.waiters for one in intake._tickets.values()] == [2])
        callers[0].cancel()
        uploads[0].unlink()
        assert not tickets, "nothing is known of it yet"
        decoding.go.set()
        await until(lambda: tickets or callers[1].done())
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
        caller = asyncio.create_task(intake.transcribe(hashed(uploads[0]), RequestOptions()))
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
        callers = [intake.transcribe(hashed(upload), RequestOptions()) for upload in uploads]
        decoding.go.set()
        found = await asyncio.gather(*callers, return_exceptions=True)
        await intake.stop()
        return list(found)

    assert [type(one) for one in asyncio.run(run())] == [UnreadableRecording] * 2
    assert decoding.calls == 1 and not _work(uploads)


def _work(uploads: list[Path]) -> list[Path]:
    return list((uploads[0].parents[1] / "work").iterdir())


@pytest.fixture
def jobs(intake: Intake, tmp_path: Path) -> Callable[[], Jobs]:
    """Those of a server that starts again each time; it has no engine that would take them."""
    (tmp_path / "uploads").mkdir()
    return lambda: Jobs(intake, tmp_path / "jobs", tmp_path / "uploads")


def job(name: str, source: Path, uploaded: bool = False) -> StoredJob:
    asked = RequestOptions(prompt="회의", speakers="2")
    more: Any = {"source": bytes(source), "uploaded": uploaded, "asked": asked}
    return StoredJob(id=name, name="x.wav", number=1, created_at=1, **more)


def test_a_full_disk_takes_no_job_and_keeps_the_others(intake: Intake, tmp_path: Path, mounted: Path) -> None:
    async def run() -> None:
        first = Jobs(intake, mounted / "jobs", tmp_path)
        await first.start()
        await first.add(job(ONE, tmp_path))
        fill(mounted)
        with pytest.raises(OSError, match="No space left") as caught:
            await first.add(job(TWO, tmp_path))
        assert "the server's disk is full" in refusal(caught.value).error.message
        await first.stop(0)
        second = Jobs(intake, mounted / "jobs", tmp_path)
        await second.start()
        assert list(first.known) == list(second.known) == [ONE]
        await second.stop(0)

    asyncio.run(run())


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

    async def run() -> None:
        jobs = Jobs(intake, mounted / "jobs", tmp_path)
        intake.engine.is_ready.set()
        await jobs.start()
        await jobs.add(job(ONE, source))
        await asyncio.to_thread(decoding.begun.wait)
        fill(mounted)
        decoding.go.set()
        while "the end of a job cannot be noted" not in caplog.text:
            await asyncio.sleep(0.05)
        assert jobs.known[ONE].state == "running", "what is not on disk has not ended"
        (mounted / "filler").unlink()
        while (known := jobs.known[ONE]).state == "running":
            await asyncio.sleep(0.05)
        assert known.state == "failed" and known.error and known.error.code == "unreadable_recording"
        await jobs.stop(0)
        assert StoredJob.model_validate_json((mounted / f"jobs/{ONE}.json").read_bytes()) == known

    asyncio.run(asyncio.wait_for(run(), 600))


def test_jobs_are_found_again_in_their_order_and_leave_nothing(jobs: Callable[[], Jobs], tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    a, b, c = (f"job_{name * 24}" for name in "abc")
    upload = tmp_path / f"uploads/{a}.ulaw"

    async def run() -> None:
        first = jobs()
        await first.start()
        for path in (odd, upload, tmp_path / "uploads" / ONE):  # the last one is nobody's
            path.touch()
        for number, name in enumerate((b, a, c)):
            known = job(name, upload if name == a else odd, name == a)
            await first.add(known.model_copy(update={"number": number}))
        assert [first.position(known) for known in first.known.values()] == [0, 1, 2]
        assert await first.cancel(first.known[b]) and not await first.cancel(first.known[b])
        await first.stop(0)
        (tmp_path / "jobs" / f".{'0' * 16}.part").write_text("killed while it was written")
        second = jobs()
        await second.start()
        assert [(one.id, one.state, one.path) for one in second.known.values()] == [
            (b, "cancelled", odd),
            (a, "queued", upload),
            (c, "queued", odd),
        ]
        assert second.known[a].asked == RequestOptions(prompt="회의", speakers="2")
        assert list((tmp_path / "uploads").iterdir()) == [upload] and second.position(second.known[a]) == 0
        await second.cancel(second.known[a])
        for one in list(second.known.values()):
            await second.cancel(one)
            await second.erase(one)
        assert not second.known and not upload.exists() and odd.exists()
        await second.stop(0)

    asyncio.run(run())
    assert not list((tmp_path / "jobs").iterdir())


@pytest.mark.parametrize("damage", ["", "{}", '"asked":7', '"created_at":"x"', '"state":"x"', '"later":1', "\udcff"])
def test_a_damaged_job_has_failed_and_the_others_go_on(jobs: Callable[[], Jobs], tmp_path: Path, damage: str) -> None:
    """Its upload is kept as long as it is: whoever wrote it may be able to read it."""
    file = tmp_path / f"jobs/{ONE}.json"

    async def run() -> None:
        first = jobs()
        await first.start()
        for name in (ONE, TWO):
            (tmp_path / "uploads" / name).touch()
            await first.add(job(name, tmp_path / "uploads" / name, True))
        await first.stop(0)
        file.write_bytes(damaged_as(file.read_text(), damage))
        second = jobs()
        await second.start()
        damaged = second.known[ONE]
        assert damaged.state == "failed" and damaged.finished_at is not None and damaged.error is not None
        assert "send the recording again" in damaged.error.message and second.known[TWO].state == "queued"
        assert {path.name for path in (tmp_path / "uploads").iterdir()} == {ONE, TWO}
        await second.erase(damaged)
        assert list(second.known) == [path.name for path in (tmp_path / "uploads").iterdir()] == [TWO]
        await second.stop(0)

    asyncio.run(run())


def damaged_as(text: str, damage: str) -> bytes:
    """Something else, or a job with another value of one field."""
    if damage.startswith('"'):
        kept = {key: value for key, value in json.loads(text).items() if not damage.startswith(f'"{key}"')}
        damage = json.dumps(kept)[:-1] + f", {damage}}}"
    return damage.encode("utf-8", "surrogateescape")


def test_a_job_whose_transcript_is_gone_says_so(jobs: Callable[[], Jobs], tmp_path: Path) -> None:
    async def run() -> None:
        first = jobs()
        await first.start()
        await first.add(job(ONE, tmp_path))
        assert await first._end(first.known[ONE], "done")
        with pytest.raises(HttpError, match="send the recording again"):
            await first.transcript(first.known[ONE])
        await first.stop(0)

    asyncio.run(run())
