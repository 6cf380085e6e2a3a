"""Jobs at work: a few at a time from the ledger, beside the requests that wait for their text."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from snakescribe.config import Config
from snakescribe.errors import RecordingError, SnakescribeError, UnreadableRecording
from snakescribe.files import disk_error
from snakescribe.server.http_errors import ErrorObject, of_recording
from snakescribe.server.intake import Intake, RequestOptions, Said, Ticket, hashed
from snakescribe.server.job_ledger import JobLedger, JobRow
from snakescribe.server.metrics import Metrics

LOG = logging.getLogger(__name__)
AT_ONCE = 4
"""Jobs in the engine at a time: enough for full buckets, few enough that requests are not crowded out."""
TIDY_EVERY = 600.0
"""Seconds between two looks at what is too old to keep."""
RETRY = 10.0
"""Seconds after the ledger failed (a full disk)."""


class Jobs:
    """The jobs of one server; lives in the event loop."""

    def __init__(self, ledger: JobLedger, intake: Intake, config: Config, metrics: Metrics, uploads: Path) -> None:
        """``uploads`` is where files of jobs lie until they are done."""
        self.ledger, self._intake, self._config, self._metrics = ledger, intake, config, metrics
        self.uploads = uploads
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tickets: dict[str, Ticket] = {}
        self._more = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Go on with what is queued."""
        wanted = await asyncio.to_thread(self.ledger.unfinished_uploads)
        for path in self.uploads.glob("job_*"):
            if path.name not in wanted:
                path.unlink()
        self._loops = [asyncio.create_task(self._dispatch(), name="jobs"), asyncio.create_task(self._tidy())]

    async def stop(self, seconds: float) -> None:
        """Begin no more; let running jobs finish for so long; the others wait for the next start."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def add(self, job_id: str, name: str, source: Path, uploaded: bool, asked: RequestOptions) -> JobRow:
        """Queue a job."""
        row = await asyncio.to_thread(self.ledger.add, job_id, name, source, uploaded, asked)
        self._more.set()
        return row

    async def cancel(self, row: JobRow) -> bool:
        """End a job; whether it had not ended before."""
        ended = await asyncio.to_thread(self.ledger.end, row.id, "cancelled")
        if ended:
            if task := self._running.get(row.id):
                task.cancel()
            _remove_upload(row)
        return ended

    def ticket(self, job_id: str) -> Ticket | None:
        """How far a running job is."""
        return self._tickets.get(job_id)

    async def _dispatch(self) -> None:
        while True:
            self._more.clear()
            await self._intake.engine.is_ready.wait()  # what cannot be read now would be given up with what runs
            try:
                while len(self._running) < AT_ONCE and (row := await asyncio.to_thread(self.ledger.take)):
                    self._running[row.id] = asyncio.create_task(self._run(row), name=row.id)
            except sqlite3.Error:
                LOG.exception("no job can be taken")
                await asyncio.sleep(RETRY)
                continue
            if not self._running:
                self._intake.engine.settle()
            await self._more.wait()

    async def _run(self, row: JobRow) -> None:
        def watch(ticket: Ticket) -> None:
            self._tickets[row.id] = ticket

        try:
            entry, error = await self._outcome(row, watch)
            await self._end(row, entry, error)
            _remove_upload(row)
        except asyncio.CancelledError:
            self.ledger.put_back(row.id)  # unless its owner cancelled it: then it has ended already
            raise
        finally:
            self._tickets.pop(row.id, None)
            self._running.pop(row.id, None)
            self._more.set()
        LOG.info("job", extra={"job": row.id, "state": "failed" if error else "done", "error": error and error.code})

    async def _end(self, row: JobRow, entry: Said | None, error: ErrorObject | None) -> None:
        """Note how it ended; what is not on disk has not ended, so it is tried until there is room again."""
        while True:
            try:
                await asyncio.to_thread(self.ledger.end, row.id, "failed" if error else "done", entry, error)
                return
            except sqlite3.Error:
                LOG.exception("the end of a job cannot be noted", extra={"job": row.id})
                await asyncio.sleep(RETRY)

    async def _outcome(self, row: JobRow, watch: Callable[[Ticket], None]) -> tuple[Said | None, ErrorObject | None]:
        """The transcript, or why there is none."""
        try:
            try:
                content = await asyncio.to_thread(hashed, row.source)
            except OSError as failure:
                raise UnreadableRecording(f"the file cannot be read: {failure.strerror}") from None
            entry, _ = await self._intake.transcribe(row.source, content, row.asked, watch)
        except RecordingError as failure:
            self._metrics.errors.labels(type(failure).__name__).inc()
            return None, of_recording(failure, self._config).error
        except Exception as failure:
            LOG.exception("a job failed", extra={"job": row.id})
            self._metrics.errors.labels(type(failure).__name__).inc()
            return None, ErrorObject(message=_said(failure), type="server_error", code="internal_error")
        return entry, None

    async def _tidy(self) -> None:
        keep = self._config.server.keep_hours * 3600
        while True:
            try:
                await asyncio.to_thread(self.ledger.forget_before, time.time() - keep)
                await asyncio.to_thread(self._intake.trim_cache)
            except Exception:
                LOG.exception("what is too old cannot be removed")
            await asyncio.sleep(min(TIDY_EVERY, keep))


def new_id() -> str:
    """An id that nobody can guess."""
    return f"job_{secrets.token_hex(12)}"


def _said(failure: Exception) -> str:
    if isinstance(failure, OSError):
        failure = disk_error(failure) or failure
    return str(failure) if isinstance(failure, SnakescribeError) else "the server failed; its log says why"


def _remove_upload(row: JobRow) -> None:
    if row.uploaded:
        row.source.unlink(missing_ok=True)
