"""The server's side of the engine process: start it, send it work, hear from it, start it again when it dies."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from snakescribe import errors
from snakescribe.config import Config
from snakescribe.engine.windows import RecordingUpdate
from snakescribe.memory import memory_here
from snakescribe.server import engine_worker
from snakescribe.server.engine_worker import Ready, Submit

LOG = logging.getLogger(__name__)
PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0)
"""Seconds before it is started again, by the deaths since it last said something."""
SILENT_DEATHS = 5
"""Deaths since it last said something, after which what it was given is given up. Of three the journal names the window
that is to blame; but it can die while it loads the model, or listens."""
STOP_SECONDS = 2.0
"""Seconds for it to end by itself."""


class _Process:
    """A process of the engine, as long as it lives."""

    def __init__(self, *given: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._mark = memory_here().mark
        self._hearing, self._saying = ThreadPoolExecutor(1, "from-engine"), ThreadPoolExecutor(1, "to-engine")
        self.process = context.Process(target=engine_worker.main, args=(theirs, *given), name="engine", daemon=True)
        self.process.start()  # a millisecond: the model is loaded by the other side
        theirs.close()
        self.starved = False
        """Whether the kernel killed it for want of memory, for all we know."""
        self.death = ""
        """How it ended, in words."""

    async def hear(self) -> Any:
        """The next thing it says; None when it is dead."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hearing, self._connection.recv)
        except (EOFError, OSError):
            return None

    def say(self, *message: Any) -> None:
        """Tell it something, after what it was told before: a pipe that nobody reads is full after 49 recordings."""
        self._saying.submit(self._send, message)

    def _send(self, message: tuple[Any, ...]) -> None:
        with suppress(OSError):  # it died just now
            self._connection.send(message)

    async def end(self, seconds: float = 0.0) -> None:
        """Wait so long for it to end by itself, and then no longer."""
        await asyncio.to_thread(self.process.join, seconds)
        self.process.kill()
        await asyncio.to_thread(self.process.join)
        self._connection.close()
        for threads in (self._hearing, self._saying):
            threads.shutdown(wait=False)
        memory = memory_here()
        self.starved = self.process.exitcode == -signal.SIGKILL and memory.killed_since(self._mark)
        ended = "it hung" if self.process.exitcode == -signal.SIGALRM else f"it ended with {self.process.exitcode}"
        self.death = f"the kernel killed it for want of memory ({memory})" if self.starved else ended


class _Read(NamedTuple):
    """A recording that the engine has."""

    asked: Submit
    watch: Callable[[RecordingUpdate], None]
    last: asyncio.Future[RecordingUpdate]


class EngineClient:
    """The engine process; every method belongs to the event loop's thread."""

    def __init__(self, config: Config, threads: int, journal: Path) -> None:
        """``journal`` outlives the process."""
        self._given = config, threads, journal
        self._running: dict[str, _Read] = {}
        self._child: _Process | None = None
        self._settled = False
        self._supervisor: asyncio.Task[None] | None = None
        self._thrift = 0
        self.ready: Ready | None = None
        """What was loaded; None while there is no engine."""
        self.is_ready = asyncio.Event()
        self.absence = ""
        """Why there is none."""
        self.restarts = 0
        self.restarted = asyncio.Event()
        """Set with every restart; whoever waits for it clears it."""

    async def start(self) -> None:
        """Load the model.

        Raises:
            SnakescribeError: it cannot be loaded, with the class that a batch would end with.
        """
        loaded = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(loaded), name="engine")
        await asyncio.wait({loaded, self._supervisor}, return_when=asyncio.FIRST_COMPLETED)
        if self._supervisor.done():
            self._supervisor.result()

    async def stop(self) -> None:
        """End the process; what it had not finished is in the journal."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        self._say("stop")
        seconds, self.ready = STOP_SECONDS if self.ready else 0.0, None
        if self._child:
            await self._child.end(seconds)

    async def read(self, asked: Submit, watch: Callable[[RecordingUpdate], None]) -> RecordingUpdate:
        """Have a recording transcribed: the last of its steps, which are given to ``watch`` as they come."""
        one = self._running[asked.job.key] = _Read(asked, watch, asyncio.get_running_loop().create_future())
        self._say("submit", asked)
        try:
            return await one.last
        finally:
            if self._running.pop(asked.job.key, None):
                self._say("drop", asked.job.key)

    def settle(self) -> None:
        """Let it forget what an earlier process left behind and nobody came back for."""
        self._settled = True
        self._say("settle")

    def _say(self, *message: Any) -> None:
        if self.ready and self._child:
            self._child.say(*message)

    async def _supervise(self, loaded: asyncio.Future[None]) -> None:
        """Start it again and again; ``loaded`` is told of the first time, after which nothing ends this."""
        deaths = 0
        while True:
            try:
                child = self._child = _Process(*self._given, self._thrift)
            except OSError as error:  # too many processes, or descriptors
                if not loaded.done():
                    raise
                LOG.error("the engine cannot be started again: %s", error)
                await asyncio.sleep(PAUSES[-1])
                continue
            while isinstance(said := await child.hear(), Ready | RecordingUpdate):
                if isinstance(said, RecordingUpdate):
                    deaths = 0
                    self._hear(said)
                    continue
                self.ready = said
                self.is_ready.set()
                for one in self._running.values():
                    self._say("submit", one.asked)
                if self._settled:
                    self._say("settle")
                if loaded.done():
                    self.restarted.set()
                    LOG.info("the engine is back", extra={"unfinished": len(self._running)})
                else:
                    loaded.set_result(None)
            self.ready = None
            self.is_ready.clear()
            await child.end()
            self._thrift += child.starved  # the next one takes less at a time
            self.absence = f"the engine is being started again: {child.death}"
            if not loaded.done():
                died = f"the engine died while loading the model: {child.death}; a smaller one needs less"
                raise said or errors.ModelError(died)
            about = {"exit_code": child.process.exitcode, "why": str(said or child.death)}
            LOG.error("the engine died", extra=about | {"unfinished": len(self._running)})
            await asyncio.sleep(PAUSES[min(deaths, len(PAUSES) - 1)])
            deaths += 1
            if deaths >= SILENT_DEATHS and self._running:
                self._give_up(child.death)
                deaths = 0  # what comes next has as many
            self.restarts += 1

    def _give_up(self, death: str) -> None:
        """Fail whatever it was given: it dies of it again and again, and cannot say which."""
        message = f"the engine died {SILENT_DEATHS} times while this recording waited; at last {death}"
        failure = errors.OutOfMemory(message) if self._thrift else errors.EngineFailure(message)
        for key in list(self._running):
            self._hear(RecordingUpdate(key, 0.0, 0.0, 1, result=failure))

    def _hear(self, step: RecordingUpdate) -> None:
        if one := self._running.get(step.key):
            one.watch(step)
            if step.result is not None and not one.last.done():  # it is, when whoever read it has just gone
                one.last.set_result(step)
                del self._running[step.key]
