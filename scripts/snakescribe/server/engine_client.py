"""The server's side of the engine process: start it, send it work, hear from it, start it again when it dies."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from snakescribe import errors
from snakescribe.config import Config
from snakescribe.engine.windows import RecordingUpdate
from snakescribe.memory import Mark, memory_here
from snakescribe.server import engine_worker
from snakescribe.server.protocol import Drop, FromEngine, FromServer, NotHeard, NotStarted, Ready, Settled, Stop, Submit

LOG = logging.getLogger(__name__)
STALLED = 900.0
"""Seconds without a word while there is work; one turn takes about 5, with a large model on a slow CPU minutes."""
PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0)
"""Seconds before it is started again, by the deaths since it last said something."""
SILENT_DEATHS = 5
"""Deaths since it last said something, after which what it was given is given up. Of three the journal names the window
that is to blame; but it can die while it loads the model, or listens."""
STOP_SECONDS = 2.0
"""Seconds for it to end by itself."""


class EngineClient:
    """The engine process; every method belongs to the event loop's thread."""

    def __init__(
        self, config: Config, threads: int, journal: Path, on_update: Callable[[RecordingUpdate], None]
    ) -> None:
        """``on_update`` is called in the event loop for every turn of a recording; ``journal`` outlives the process."""
        self._config, self._threads, self._journal, self._on_update = config, threads, journal, on_update
        self._running: dict[str, Submit] = {}
        self._connection: Connection | None = None
        self._process: SpawnProcess | None = None
        self._receiving = ThreadPoolExecutor(1, "from-engine")
        self._sending = ThreadPoolExecutor(1, "to-engine")  # a pipe that nobody reads is full after 49 recordings
        self._settled = False
        self._supervisor: asyncio.Task[None] | None = None
        self._thrift = 0
        self._mark: Mark | None = None
        self.ready: Ready | None = None
        """What was loaded; None while there is no engine."""
        self.is_ready = asyncio.Event()
        self.death = ""
        """How the last process died, in words."""
        self.restarts = 0
        self.restarted = asyncio.Event()
        """Set with every restart; whoever waits for it clears it."""

    async def start(self) -> None:
        """Load the model.

        Raises:
            SnakescribeError: it cannot be loaded, with the class that a batch would end with.
        """
        said = await self._spawn()
        if isinstance(said, NotStarted):
            raise getattr(errors, said.error)(said.message)
        if said is None:
            self._note_death(await self._end())
            raise errors.ModelError(f"the engine died while loading the model: {self.death}; a smaller one needs less")
        self._supervisor = asyncio.create_task(self._supervise(), name="engine")

    async def stop(self) -> None:
        """End the process; what it had not finished is in the journal."""
        if self._supervisor:
            self._supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervisor
        if self.ready and self._process:
            self._send(Stop())
            await asyncio.to_thread(self._process.join, STOP_SECONDS)
        await self._end()
        for threads in (self._receiving, self._sending):
            threads.shutdown(wait=False)

    def submit(self, asked: Submit) -> None:
        """Have a recording transcribed; steps with its key will be heard, the last one with the result."""
        self._running[asked.key] = asked
        self._send(asked)

    def drop(self, key: str) -> None:
        """Give one up."""
        if self._running.pop(key, None):
            self._send(Drop(key))

    def settle(self) -> None:
        """Let it forget what an earlier process left behind and nobody came back for."""
        self._settled = True
        self._send(Settled())

    def _send(self, message: FromServer) -> None:
        if self.ready and self._connection:
            self._sending.submit(_sent, self._connection, message)

    async def _spawn(self) -> FromEngine | None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._mark = memory_here().mark
        arguments = (theirs, self._config, self._threads, self._journal, self._thrift)
        self._process = context.Process(target=engine_worker.main, args=arguments, name="engine", daemon=True)
        self._process.start()  # a millisecond: the model is loaded by the other side
        theirs.close()
        said = await self._receive()
        if isinstance(said, Ready):
            self.ready = said
            self.is_ready.set()
            for asked in self._running.values():
                self._send(asked)
            if self._settled:
                self._send(Settled())
        return said

    async def _receive(self) -> FromEngine | None:
        """The next thing it says; None when it is dead."""
        loop, connection = asyncio.get_running_loop(), self._connection
        assert connection is not None
        try:
            said: FromEngine = await loop.run_in_executor(self._receiving, connection.recv)
        except (EOFError, OSError):
            return None
        return said

    async def _supervise(self) -> None:
        deaths = 0
        while True:
            said = await self._next_step()
            if said is not None:
                deaths = 0
                if said.result is not None:
                    self._running.pop(said.key, None)
                try:
                    self._on_update(said)
                except Exception:
                    LOG.exception("a step of the engine was not understood")
                continue
            exit_code = await self._end()
            self._note_death(exit_code)
            about = {"exit_code": exit_code, "why": self.death, "unfinished": len(self._running)}
            LOG.error("the engine died", extra=about)
            while self.ready is None:
                await asyncio.sleep(PAUSES[min(deaths, len(PAUSES) - 1)])
                deaths += 1
                if deaths >= SILENT_DEATHS and self._running:
                    self._give_up()
                    deaths = 0  # what comes next has as many
                self.restarts += 1
                said_first = await self._spawn()
                if not isinstance(said_first, Ready):
                    self._note_death(await self._end())
                    LOG.error("the engine does not start: %s", getattr(said_first, "message", self.death))
            self.restarted.set()
            LOG.info("the engine is back", extra={"unfinished": len(self._running)})

    def _note_death(self, exit_code: int | None) -> None:
        """Find out whether it was the kernel, for want of memory; then the next one takes less at a time."""
        memory = memory_here()
        if exit_code == -signal.SIGKILL and memory.killed_since(self._mark):
            self.death = f"the kernel killed it for want of memory ({memory})"
            self._thrift += 1
        else:
            self.death = f"it ended with {exit_code}"

    def _give_up(self) -> None:
        """Fail whatever it was given: it dies of it again and again, and cannot say which."""
        starved = self._thrift > 0
        for key in list(self._running):
            del self._running[key]
            message = f"the engine died {SILENT_DEATHS} times while this recording waited; at last {self.death}"
            failure = errors.OutOfMemory(message) if starved else errors.EngineFailure(message)
            self._on_update(RecordingUpdate(key, 0.0, 0.0, 1, result=failure))

    async def _next_step(self) -> RecordingUpdate | None:
        """The next step; None when the process is dead, or silent for so long that it counts as dead."""
        while isinstance(said := await self._next_word(), NotHeard):
            asked = self._running.get(said.key)
            if asked and asked.samples == said.samples:
                self.drop(said.key)
                return RecordingUpdate(said.key, 0.0, 0.0, 1, result=said.failure)
        return said if isinstance(said, RecordingUpdate) else None

    async def _next_word(self) -> FromEngine | None:
        receiving = asyncio.ensure_future(self._receive())
        heard = time.monotonic()
        while not (await asyncio.wait({receiving}, timeout=30))[0]:
            if not self._running:
                heard = time.monotonic()
            elif time.monotonic() - heard > STALLED and self._process:
                LOG.error("the engine said nothing for %d seconds and is killed", STALLED)
                self._process.kill()
        return receiving.result()

    async def _end(self) -> int | None:
        self.ready = None
        self.is_ready.clear()
        if self._process is None or self._connection is None:
            return None
        self._process.kill()
        await asyncio.to_thread(self._process.join)
        self._connection.close()
        return self._process.exitcode


def _sent(connection: Connection, message: FromServer) -> None:
    with suppress(OSError):  # it died just now: everything is sent again to the next one
        connection.send(message)
