"""Whether the server works: the known clip goes through the engine now and then, and its text must be right."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from snakescribe import known_clip
from snakescribe.config import Config
from snakescribe.errors import RecordingError, SnakescribeError
from snakescribe.server.intake import Intake
from snakescribe.server.metrics import Metrics

LOG = logging.getLogger(__name__)
LATE = 3
"""Times ``server.proof_minutes`` after which a proof that does not come counts as none."""
RETRY = 5.0
"""Seconds after a proof that failed."""


class Proof:
    """Proves one server, again and again."""

    def __init__(self, intake: Intake, config: Config, metrics: Metrics) -> None:
        """Nothing is proved yet."""
        self._intake, self._metrics = intake, metrics
        self._every = config.server.proof_minutes * 60
        self._task: asyncio.Task[None] | None = None
        self._failure = "the known clip was not heard yet"
        self._proved: float | None = None
        self._life = 0

    def start(self) -> None:
        """Prove it now, and then every ``server.proof_minutes``."""
        self._task = asyncio.create_task(self._run(), name="proof")

    async def stop(self) -> None:
        """No more proofs."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def failure(self) -> str | None:
        """Why the server is not ready; None when it is."""
        if self._intake.engine.ready is None:
            return f"the engine is being started again: {self._intake.engine.death}"
        if self._proved is None:
            return self._failure
        if self._life != self._intake.engine.restarts:
            return "the known clip was not heard yet since the engine was started again"
        age = time.monotonic() - self._proved
        return f"the known clip was last heard {age:.0f} s ago" if age > LATE * self._every else None

    async def _run(self) -> None:
        samples = (await asyncio.to_thread(known_clip.samples)).tobytes()
        while True:
            try:
                text = await self._intake.prove(samples)
                failure = None if known_clip.matches(text) else f"the known clip was heard as {text!r}"
            except (RecordingError, SnakescribeError) as error:
                failure = str(error)
            if failure:
                LOG.error("the proof failed: %s", failure)
                self._proved, self._failure = None, failure
            else:
                self._proved, self._life = time.monotonic(), self._intake.engine.restarts
                self._metrics.proved.set_to_current_time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._intake.engine.restarted.wait(), RETRY if failure else self._every)
            self._intake.engine.restarted.clear()
