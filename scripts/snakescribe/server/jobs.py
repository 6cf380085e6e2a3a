"""Jobs: a file each, which outlives the server, and at work a few at a time beside the requests that wait."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from snakescribe.errors import RecordingError, ResultsError
from snakescribe.files import HALF_WRITTEN, write_atomically
from snakescribe.server.http_errors import ErrorObject, HttpError, refusal
from snakescribe.server.intake import Intake, RequestOptions, Said, Ticket, hashed

LOG = logging.getLogger(__name__)
State = Literal["queued", "running", "done", "failed", "cancelled"]
AT_ONCE = 4
"""Jobs in the engine at a time: enough for full buckets, few enough that requests are not crowded out."""
TIDY_EVERY = 600.0
"""Seconds between two looks at what is too old to keep."""
RETRY = 10.0
"""Seconds after the end of a job could not be noted (a full disk)."""
_LOST = "what the server kept of this job is damaged, or of another version; send the recording again"
_DAMAGED = HttpError(500, _LOST, "internal_error").error


class JobState(BaseModel):
    """One job, for everybody."""

    id: str
    object: Literal["job"] = "job"
    state: State = "queued"
    name: str
    created_at: int
    finished_at: int | None = None
    error: ErrorObject | None = None


class StoredJob(JobState):
    """One job, as it stands in its file (``running`` only in memory); its transcript has one of its own."""

    model_config = ConfigDict(extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")
    number: int
    """In the order in which they came."""
    source: bytes
    """Path of the recording."""
    uploaded: bool
    """It is ours, and goes when the job ends."""
    asked: RequestOptions

    @property
    def path(self) -> Path:
        """The recording."""
        return Path(os.fsdecode(self.source))


class Jobs:
    """The jobs of one server; lives in the event loop."""

    def __init__(self, intake: Intake, folder: Path, uploads: Path) -> None:
        """``uploads`` is where files of jobs lie until they are done."""
        self._intake, self._folder, self.uploads = intake, folder, uploads
        self.known: dict[str, StoredJob] = {}
        """By id, in the order in which they came."""
        self.tickets: dict[str, Ticket] = {}
        """How far those are that run, by id."""
        self.coming = 0
        """Those whose recordings are being copied; they have their places in the queue."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._writing = asyncio.Lock()
        self._more = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Go on with what is queued.

        Raises:
            ResultsError: the jobs are those of another version.
        """
        await asyncio.to_thread(self._load)
        self._loops = [asyncio.create_task(self._dispatch(), name="jobs"), asyncio.create_task(self._tidy())]

    def _load(self) -> None:
        if (old := self._folder.with_suffix(".sqlite")).exists():
            remedy = "use that version, or move it away and start again (the jobs in it are lost)"
            raise ResultsError(f"{old}: written by another version of snakescribe; {remedy}")
        self._folder.mkdir(exist_ok=True)
        for left in self._folder.iterdir():  # of a server that was killed while it wrote: texts
            if HALF_WRITTEN.fullmatch(left.name):
                left.unlink()
        jobs = sorted(map(_read, self._folder.glob("*.json")), key=lambda job: job.number)
        self.known = {job.id: job for job in jobs}
        wanted = {job.path.name for job in jobs if job.state == "queued"}
        for path in self.uploads.glob("job_*"):
            if path.name not in wanted:
                path.unlink()

    async def stop(self, seconds: float) -> None:
        """Begin no more; let running jobs finish for so long; the others wait for the next start."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*self._running.values(), return_exceptions=True), seconds)

    def counts(self) -> dict[State, int]:
        """Jobs by state."""
        return Counter(job.state for job in self.known.values())

    def position(self, job: StoredJob) -> int:
        """Jobs queued before this one."""
        return sum(one.state == "queued" for one in takewhile(lambda one: one is not job, self.known.values()))

    async def add(self, job: StoredJob) -> None:
        """Queue a job."""
        await asyncio.to_thread(self._write, job)
        self.known[job.id] = job
        self._more.set()

    async def transcript(self, job: StoredJob) -> Said | None:
        """What was said in a job that is done; if that is damaged, the job has failed."""
        if job.state != "done":
            return None
        try:
            return await asyncio.to_thread(lambda: Said.model_validate_json(self._file(job, "transcript").read_bytes()))
        except (OSError, ValueError):
            if self.known.get(job.id) is job:
                self.known[job.id] = job.model_copy(update={"state": "failed", "error": _DAMAGED})
                await asyncio.to_thread(self._write, self.known[job.id])
            return None

    async def cancel(self, job: StoredJob) -> bool:
        """End a job; whether it had not ended before."""
        if ended := await asyncio.shield(self._end(job, "cancelled")):
            if task := self._running.get(job.id):
                task.cancel()
            if job.uploaded:
                job.path.unlink(missing_ok=True)
        return ended

    async def erase(self, job: StoredJob) -> None:
        """Forget a job that has ended, and what was said in it."""
        self.known.pop(job.id, None)
        for suffix in ("transcript", "json"):
            await asyncio.to_thread(_wipe, self._file(job, suffix))

    async def _end(
        self, job: StoredJob, state: State, entry: Said | None = None, error: ErrorObject | None = None
    ) -> bool:
        """Note how a job ended, on disk first; whether it had not ended before."""
        async with self._writing:
            if (known := self.known.get(job.id)) is None or known.finished_at:
                return False
            ended = job.model_copy(update={"state": state, "finished_at": int(time.time()), "error": error})
            await asyncio.to_thread(self._write, ended, entry)
            self.known[job.id] = ended
            return True

    def _file(self, job: StoredJob, suffix: str = "json") -> Path:
        return self._folder / f"{job.id}.{suffix}"

    def _write(self, job: StoredJob, entry: Said | None = None) -> None:
        if entry:
            write_atomically(self._file(job, "transcript"), entry.model_dump_json().encode())
        write_atomically(self._file(job), job.model_dump_json().encode())
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)  # what was taken is there after a power cut, too
        os.close(folder)

    async def _dispatch(self) -> None:
        while True:
            self._more.clear()
            await self._intake.engine.is_ready.wait()  # what cannot be read now would be given up with what runs
            for job in [job for job in self.known.values() if job.state == "queued"][: AT_ONCE - len(self._running)]:
                job.state = "running"
                self._running[job.id] = asyncio.create_task(self._run(job), name=job.id)
            if not self._running:
                self._intake.engine.settle()
            await self._more.wait()

    async def _run(self, job: StoredJob) -> None:
        entry, error = None, None
        try:
            try:
                content = await asyncio.to_thread(hashed, job.path)
                entry, _ = await self._intake.transcribe(content, job.asked, partial(self.tickets.__setitem__, job.id))
            except Exception as failure:
                if not isinstance(failure, RecordingError):
                    LOG.exception("a job failed", extra={"job": job.id})
                self._intake.metrics.errors.labels(type(failure).__name__).inc()
                error = refusal(failure).error
            state: State = "failed" if error else "done"
            while True:
                try:
                    await asyncio.shield(self._end(job, state, entry, error))
                    break
                except OSError:  # what is not on disk has not ended, so it is tried until there is room again
                    LOG.exception("the end of a job cannot be noted", extra={"job": job.id})
                    await asyncio.sleep(RETRY)
            if job.uploaded:
                job.path.unlink(missing_ok=True)
        except asyncio.CancelledError:
            job.state = "queued"  # unless its owner cancelled it: then another one is known
            raise
        finally:
            self.tickets.pop(job.id, None)
            self._running.pop(job.id, None)
            self._more.set()
        LOG.info("job", extra={"job": job.id, "state": state, "error": error and error.code})

    async def _tidy(self) -> None:
        keep = self._intake.config.server.keep_hours * 3600
        while True:
            try:
                before = time.time() - keep
                for job in [job for job in self.known.values() if (job.finished_at or math.inf) < before]:
                    await self.erase(job)
                await asyncio.to_thread(self._intake.cache.trim)
            except Exception:
                LOG.exception("what is too old cannot be removed")
            await asyncio.sleep(min(TIDY_EVERY, keep))


def _read(path: Path) -> StoredJob:
    """The job of a file; of a damaged one nobody shall wait for, it has failed."""
    try:
        return StoredJob.model_validate_json(path.read_bytes())
    except ValueError:
        at = int(path.stat().st_mtime)
        ended: dict[str, Any] = {"state": "failed", "error": _DAMAGED, "created_at": at, "finished_at": at}
        return StoredJob(id=path.stem, name="", number=0, source=b"", uploaded=False, asked=RequestOptions(), **ended)


def _wipe(path: Path) -> None:
    """Remove a file, and first what stands in it."""
    with suppress(OSError), path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        os.fsync(file.fileno())
    path.unlink(missing_ok=True)
