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

from snakescribe.errors import RecordingError
from snakescribe.files import sweep, write_atomically
from snakescribe.server.http_errors import ErrorObject, HttpError, refusal
from snakescribe.server.intake import Intake, RequestOptions, Said, Ticket, hashed

LOG = logging.getLogger(__name__)
State = Literal["queued", "running", "done", "failed", "cancelled"]
OURS = "job_" + 24 * "[0-9a-f]"
"""Ids, as a pattern of names: what is called otherwise in the folder of jobs is somebody else's."""
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
    """Path of the recording; of an upload the folder is that of the server which reads it."""
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
        """Go on with what is queued."""
        await asyncio.to_thread(self._load)
        self._loops = [asyncio.create_task(self._dispatch(), name="jobs"), asyncio.create_task(self._tidy())]

    def _load(self) -> None:
        self._folder.mkdir(exist_ok=True)
        sweep(self._folder)  # texts, of a server that was killed while it wrote
        files = [path for path in self._folder.glob(f"{OURS}.*") if path.is_file()]
        uploads = {path.stem: path for path in self.uploads.glob(f"{OURS}*")}
        found = (path for path in files if path.suffix == ".json")
        jobs = [_read(path, uploads.get(path.stem, self.uploads / path.stem)) for path in found]
        self.known = {job.id: job for job in sorted(jobs, key=lambda job: job.number)}
        for path in files:
            if path.suffix == ".transcript" and path.stem not in self.known:
                path.unlink()
        # Of a file that cannot be read the upload stays: the version that wrote it may come back.
        for job_id in uploads.keys() - {job.id for job in jobs if job.state == "queued" or job.error == _DAMAGED}:
            uploads[job_id].unlink()

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

    async def transcript(self, job: StoredJob) -> Said:
        """What was said in a job that is done.

        Raises:
            HttpError: that is damaged or gone.
        """
        try:
            return await asyncio.to_thread(lambda: Said.model_validate_json(self._file(job, "transcript").read_bytes()))
        except (FileNotFoundError, ValueError):
            raise HttpError(500, _LOST, "internal_error") from None

    async def cancel(self, job: StoredJob) -> bool:
        """End a job; whether it had not ended before."""
        if ended := await asyncio.shield(self._end(job, "cancelled")):
            if task := self._running.get(job.id):
                task.cancel()
            if job.uploaded:
                job.path.unlink(missing_ok=True)
        return ended

    async def erase(self, job: StoredJob) -> None:
        """Forget a job that has ended, and what was said in it: last of all, so that a failure can be made good."""
        async with self._writing:
            if job.uploaded:
                await asyncio.to_thread(job.path.unlink, missing_ok=True)
            for suffix in ("transcript", "json"):
                await asyncio.to_thread(self._file(job, suffix).unlink, missing_ok=True)
            self.known.pop(job.id, None)

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
                recording = await asyncio.to_thread(hashed, job.path)
                watch = partial(self.tickets.__setitem__, job.id)
                entry, _ = await self._intake.transcribe(recording, job.asked, watch)
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
            before = time.time() - keep
            old = [partial(self.erase, job) for job in self.known.values() if (job.finished_at or math.inf) < before]
            for work in (*old, partial(asyncio.to_thread, self._intake.cache.trim)):
                try:
                    await work()
                except Exception as error:  # the others go, and this is tried again
                    LOG.error("what is too old cannot be removed: %s", error)
            await asyncio.sleep(min(TIDY_EVERY, keep))


def _read(path: Path, upload: Path) -> StoredJob:
    """The job of a file, whose upload would lie there; of a damaged one nobody shall wait for, it has failed."""
    now = int(time.time())
    try:
        job = StoredJob.model_validate_json(path.read_bytes())
        if job.id != path.stem or bool(job.finished_at) == (job.state in ("queued", "running")):
            raise ValueError("not one of ours")
    except ValueError:
        at = now if upload.exists() else int(path.stat().st_mtime)  # what is lost with it is kept for a while
        lost: dict[str, Any] = {"state": "failed", "error": _DAMAGED, "created_at": at, "finished_at": at}
        job = StoredJob(id=path.stem, name="", number=0, source=b"", uploaded=True, asked=RequestOptions(), **lost)
    job.source = bytes(upload) if job.uploaded else job.source
    job.state = "queued" if job.state == "running" else job.state
    job.finished_at = job.finished_at and min(job.finished_at, now)
    return job
