"""Who said it: a process of its own hears the voices of one recording.

A process, because the networks need some 400 MB that go back when it ends, because its end is how it is cancelled, and
because a death costs nobody else's text. It and the engine take turns with the threads that the server was given.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from snakescribe.config import Config
from snakescribe.errors import EngineFailure, OutOfMemory
from snakescribe.files import die_with_parent
from snakescribe.memory import memory_here
from snakescribe.models.configured import configured_store
from snakescribe.server.logs import to_stderr

LOG = logging.getLogger(__name__)
SHORT = 600.0
"""Seconds of audio: a longer recording waits in a line of its own, so that short ones never wait for it."""
TRIES = 3
"""Processes that may die of one recording; each goes on where the last one was."""
SLICE = 1.0
"""Seconds before whoever waits for the threads gets them; the engine's own turns take about five."""
STALLED = 300
"""Seconds between two pieces of work (a quarter of one, else) after which it hangs, and ends: it holds the threads."""
Tracks = tuple[tuple[str | None, int, int], ...]
"""Channel, first sample and samples of each."""


class Cores:
    """The threads that the server was given: one process computes with them, and the next in line follows.

    Two locks, which the kernel lets go of when their process dies: one is held while it computes, the other while it is
    the next one. With a single lock whoever has just let go of it would have it again.
    """

    def __init__(self, folder: Path) -> None:
        """In the folder that all of them know."""
        paths = (folder / "next.lock", folder / "held.lock")
        self._next, self._held = (os.open(path, os.O_CREAT | os.O_RDWR, 0o600) for path in paths)
        self._since = 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Compute with them."""
        self._take()
        try:
            yield
        finally:
            fcntl.flock(self._held, fcntl.LOCK_UN)

    def pass_on(self) -> None:
        """Between two pieces of work: let others compute, when it was long enough."""
        if time.monotonic() - self._since > SLICE:
            fcntl.flock(self._held, fcntl.LOCK_UN)
            self._take()

    def _take(self) -> None:
        fcntl.flock(self._next, fcntl.LOCK_EX)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        fcntl.flock(self._next, fcntl.LOCK_UN)
        self._since = time.monotonic()


class Voices:
    """Starts the processes; lives in the event loop."""

    def __init__(self, config: Config, threads: int, state: Path) -> None:
        """``state`` is where the engine finds its :class:`Cores`."""
        self._given = config, threads, state
        self.lines = {short: asyncio.Semaphore(1) for short in (True, False)}
        """To be held while voices are heard, by whether the recording is short."""

    async def hear(self, samples: Path, tracks: Tracks) -> bytes:
        """What is heard (:func:`snakescribe.speakers.heard.packed`); when cancelled, the process ends.

        Args:
            samples: 16 kHz s16le, all tracks one after the other; beside it lies what was heard, for the next process.
            tracks: those in it.

        Raises:
            RecordingError: it dies of this recording.
            ModelError: the weights are not what they should be.
        """
        mark = memory_here().mark
        for _ in range(TRIES):
            pool = ProcessPoolExecutor(1, get_context("spawn"), begin, max_tasks_per_child=1)
            work = partial(_heard, *self._given, samples, tracks)
            try:
                return await asyncio.get_running_loop().run_in_executor(pool, work)
            except BrokenProcessPool:
                LOG.error("the process that hears voices died")
            finally:
                for process in list(pool._processes.values()):  # Python 3.14 has kill_workers()
                    process.kill()
                pool.shutdown(wait=False)
        starved, message = memory_here().killed_since(mark), f"the process that hears voices died {TRIES} times"
        raise OutOfMemory(f"{message} for want of memory") if starved else EngineFailure(message)


def begin() -> None:
    """What a process of its own begins with."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the server says when it is over
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    to_stderr()


def _heard(config: Config, threads: int, state: Path, samples: Path, tracks: Tracks) -> bytes:
    from snakescribe.audio.samples import open_samples
    from snakescribe.speakers.heard import VoicesJournal, packed
    from snakescribe.speakers.listen import Listener

    die_with_parent()
    cores = Cores(state)

    def tick(share: float) -> None:
        signal.alarm(0)
        cores.pass_on()
        signal.alarm(STALLED)

    sound, journal = open_samples(samples), VoicesJournal(samples.with_suffix(".voices"))
    with cores.held():
        signal.alarm(STALLED)
        listener = Listener.of(configured_store(config), threads)
        heard = {
            channel: listener.hear(sound[first : first + count], journal.of(str(number)), tick)
            for number, (channel, first, count) in enumerate(tracks)
        }
        signal.alarm(0)
    return packed(heard)
