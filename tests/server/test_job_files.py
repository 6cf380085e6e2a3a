"""The files of jobs: foreign ones, those of another version, moved ones, and those that cannot be removed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from snakescribe.config import load_config
from snakescribe.server.intake import Intake, RequestOptions
from snakescribe.server.jobs import Jobs, StoredJob
from snakescribe.server.metrics import Metrics

IDS = [f"job_{digit * 24}" for digit in "0123"]
OLD = 1_000_000_000
"""2001, in Unix time."""
Start = Callable[..., Coroutine[Any, Any, Jobs]]


@pytest.fixture
def start(models_root: Path, tmp_path: Path) -> Start:
    """Starts what a server has of jobs, in a state folder; its engine never does, so what is queued stays."""

    async def start(state: Path = tmp_path / "state", **options: Any) -> Jobs:
        given = {"models": str(models_root), "model": "tiny.en", "cache": {"path": str(tmp_path / "cache")}}
        (state / "uploads").mkdir(parents=True, exist_ok=True)
        (state / "jobs").mkdir(exist_ok=True)
        jobs = Jobs(
            Intake(load_config(given | {"server": options}, tmp_path, {}), 2, state, Metrics()),
            state / "jobs",
            state / "uploads",
        )
        await jobs.start()
        return jobs

    return start


def stored(state: Path, job_id: str, /, uploaded: bool = True, **changed: Any) -> Path:
    """The file of a job, its upload beside it."""
    upload = state / "uploads" / f"{job_id}.ulaw"
    known: dict[str, Any] = {"number": 1, "created_at": OLD, "asked": RequestOptions(), "name": "x.ulaw"}
    text = StoredJob(id=job_id, source=bytes(upload), uploaded=uploaded, **known).model_dump_json()
    for folder in ("jobs", "uploads"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    if uploaded:
        upload.write_bytes(b"sound")
    path = state / f"jobs/{job_id}.json"
    path.write_text(json.dumps(json.loads(text) | changed))
    os.utime(path, (OLD, OLD))
    return path


def ended(state: Path, job_id: str) -> Path:
    """A job that is done, and its transcript."""
    path = stored(state, job_id, uploaded=False, state="done", finished_at=int(time.time()))
    path.with_suffix(".transcript").write_text("fail better")
    return path


def test_a_state_folder_that_was_moved_has_its_queue(start: Start, tmp_path: Path) -> None:
    stored(tmp_path / "state", IDS[0])
    moved = (tmp_path / "state").rename(tmp_path / "옮긴 곳")

    async def run() -> None:
        jobs = await start(moved)
        await jobs.stop(0)
        assert jobs.known[IDS[0]].state == "queued" and jobs.known[IDS[0]].path.read_bytes() == b"sound"

    asyncio.run(run())


def test_of_what_cannot_be_read_the_upload_is_kept_for_a_while(start: Start, tmp_path: Path) -> None:
    """Also when it was queued long ago, and for the version that wrote it."""
    path = stored(tmp_path / "state", IDS[0], later=1)
    upload = tmp_path / f"state/uploads/{IDS[0]}.ulaw"

    async def run() -> None:
        first = await start()
        await asyncio.sleep(0.2)  # for the look at what is too old
        assert first.known[IDS[0]].state == "failed" and upload.exists()
        await first.stop(0)
        path.write_text(path.read_text().replace(', "later": 1', ""))
        second = await start()
        assert second.known[IDS[0]].state == "queued" and second.known[IDS[0]].path == upload
        await second.stop(0)
        path.write_text("{}")
        third = await start()
        await third.erase(third.known[IDS[0]])
        await third.stop(0)
        assert not upload.exists() and not path.exists()

    asyncio.run(run())


def test_foreign_files_neither_end_the_start_nor_go(start: Start, tmp_path: Path) -> None:
    """Only what is called as ours is."""
    folder, secret = tmp_path / "state/jobs", tmp_path / "secret"
    (folder / f"{IDS[0]}.json").parent.mkdir(parents=True)
    (folder / f"{IDS[0]}.json").symlink_to(tmp_path / "nothing")
    secret.write_text("not to be overwritten")
    (folder / f"{IDS[1]}.json").symlink_to(secret)
    (folder / f"{IDS[2]}.json").mkdir()
    (folder / "x.json").mkdir()
    (folder / "link.json").symlink_to(tmp_path / "nothing")
    for name in ("notes.json", "notes.transcript", "job_notes.json"):
        (folder / name).write_text("keep me")
        os.utime(folder / name, (OLD, OLD))
    (folder / f"{IDS[3]}.transcript").write_text("what nobody can ask for any more")

    async def run() -> None:
        jobs = await start()
        assert {job.id: job.state for job in jobs.known.values()} == {IDS[1]: "failed"}
        for job in list(jobs.known.values()):
            await jobs.erase(job)
        await asyncio.sleep(0.2)
        await jobs.stop(0)

    asyncio.run(run())
    left = {
        f"{IDS[0]}.json",
        f"{IDS[2]}.json",
        "x.json",
        "link.json",
        "notes.json",
        "notes.transcript",
        "job_notes.json",
    }
    assert {path.name for path in folder.iterdir()} == left
    assert (folder / "notes.json").read_text() == "keep me" and secret.read_text() == "not to be overwritten"


@pytest.mark.parametrize("said", ["job_" + "f" * 24, "../../evil"])
def test_a_job_is_called_as_its_file(start: Start, tmp_path: Path, said: str) -> None:
    stored(tmp_path / "state", IDS[0], id=said)

    async def run() -> None:
        jobs = await start()
        await jobs.stop(0)
        assert [(job.id, job.state) for job in jobs.known.values()] == [(IDS[0], "failed")]

    asyncio.run(run())


def test_states_that_no_server_wrote(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state"
    stored(state, IDS[0], state="running")
    stored(state, IDS[1], state="failed", finished_at=int(time.time()) + 10**9)
    stored(state, IDS[2], uploaded=False, state="done", finished_at=None)
    stored(state, IDS[3], uploaded=False, state="queued", finished_at=OLD)

    async def run() -> None:
        jobs = await start(keep_hours=1e6)
        await jobs.stop(0)
        assert [jobs.known[job_id].state for job_id in IDS] == ["queued", "failed", "failed", "failed"]
        assert (jobs.known[IDS[1]].finished_at or 10**10) <= time.time()

    asyncio.run(run())


def test_one_that_cannot_be_removed_is_tried_again_and_keeps_no_other(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [ended(tmp_path / "state", job_id) for job_id in IDS]
    stuck = paths[0].with_suffix(".transcript")
    stuck.unlink()
    stuck.mkdir()  # what is in the way of removing a file, for everybody

    async def run() -> None:
        jobs = await start(keep_hours=1e-5)
        while list(jobs.known) != IDS[:1] or "what is too old cannot be removed" not in caplog.text:
            await asyncio.sleep(0.02)
        assert [path for path in paths if path.exists()] == paths[:1]
        stuck.rmdir()
        while jobs.known:
            await asyncio.sleep(0.02)
        await jobs.stop(0)
        assert not list(paths[0].parent.iterdir())

    asyncio.run(asyncio.wait_for(run(), 60))
