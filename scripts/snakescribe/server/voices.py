"""Who said it: a process of its own hears the voices of one recording and lays them over its text.

A process, because the networks need some 400 MB that go back when it ends, because its end is how it is cancelled, and
because a death costs nobody else's text. It and the engine take turns with the threads that the server was given.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from snakescribe.config import Config
from snakescribe.config.options import Speakers
from snakescribe.errors import EngineFailure, OutOfMemory, RecordingError, SnakescribeError
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
TOLD = ("segments", "speakers", "flags", "language", "duration")
"""Of the row that the batch would write."""


class Cores:
    """The threads that the server was given: one process computes with them, and the next in line follows.

    Two locks, which the kernel lets go of when their process dies: one is held while it computes, the other while it is
    the next one. With a single lock whoever has just let go of it would have it again.
    """

    def __init__(self, folder: Path) -> None:
        """In the folder that all of them know."""
        self._next, self._held = (os.open(folder / f"{name}.lock", os.O_CREAT | os.O_RDWR) for name in ("next", "held"))
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


@dataclass(frozen=True)
class Recorded:
    """A recording whose voices are wanted."""

    row: Mapping[str, Any]
    """What the batch file would have of it, as far as it is needed."""
    speakers: Speakers
    heard: bytes | None
    """What is known of its voices (:func:`snakescribe.speakers.heard.packed`); None to hear them."""
    samples: Path
    """16 kHz s16le, all tracks one after the other; beside it lies what was heard, for the next process."""
    tracks: tuple[tuple[str | None, int, int], ...]
    """Channel, first sample and samples of each."""


class Voices:
    """Starts the processes; lives in the event loop."""

    def __init__(self, config: Config, threads: int, state: Path) -> None:
        """``state`` is where the engine finds its :class:`Cores`."""
        self._config, self._threads, self._state = config, threads, state
        self._lines = {short: asyncio.Semaphore(1) for short in (True, False)}
        self._receiving = ThreadPoolExecutor(len(self._lines), "from-voices")

    async def tell(self, recorded: Recorded) -> tuple[bytes, dict[str, Any]]:
        """What was heard, and the row with speakers; when cancelled, the process ends.

        Raises:
            RecordingError: it dies of this recording.
            ModelError: the weights are not what they should be.
        """
        async with self._lines[recorded.row["duration"] <= SHORT]:
            for _ in range(TRIES):
                mark = memory_here().mark
                said = await self._said(recorded)
                if isinstance(said, Exception):
                    raise said
                if said is not None:
                    return said
                LOG.error("the process that hears voices died")
            starved = memory_here().killed_since(mark)
            message = f"the process that hears voices died {TRIES} times"
            raise OutOfMemory(f"{message} for want of memory") if starved else EngineFailure(message)

    async def _said(self, recorded: Recorded) -> tuple[bytes, dict[str, Any]] | Exception | None:
        given = await asyncio.to_thread(pickle.dumps, recorded)  # the start itself is in the event loop
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        arguments = (theirs, self._config, self._threads, self._state, given)
        process = context.Process(target=_main, args=arguments, name="voices", daemon=True)
        process.start()
        theirs.close()
        try:
            said: tuple[bytes, dict[str, Any]] | Exception
            said = await asyncio.get_running_loop().run_in_executor(self._receiving, ours.recv)
            return said
        except EOFError:
            return None
        finally:
            process.kill()
            await asyncio.shield(asyncio.to_thread(process.join))


def _main(connection: Connection, config: Config, threads: int, state: Path, given: bytes) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the server says when it is over
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    to_stderr()
    said: tuple[bytes, dict[str, Any]] | Exception
    try:
        recorded: Recorded = pickle.loads(given)
        from snakescribe.speakers.heard import unpacked
        from snakescribe.speakers.telling import with_speakers

        heard = recorded.heard or _heard(config, threads, state, recorded)
        row = with_speakers(recorded.row, unpacked(heard), recorded.speakers, config)
        said = heard, {name: row[name] for name in TOLD}
    except (RecordingError, SnakescribeError) as error:
        said = error
    except Exception as error:
        LOG.exception("telling speakers failed")
        said = EngineFailure(f"telling speakers failed: {type(error).__name__}")
    with suppress(BrokenPipeError):  # the server died meanwhile
        connection.send(said)


def _heard(config: Config, threads: int, state: Path, recorded: Recorded) -> bytes:
    from snakescribe.audio.samples import open_samples
    from snakescribe.speakers.heard import VoicesJournal, packed
    from snakescribe.speakers.listen import Listener

    server = multiprocessing.parent_process()
    cores = Cores(state)

    def tick(share: float) -> None:
        if server is not None and not server.is_alive():
            os._exit(0)
        signal.alarm(0)
        cores.pass_on()
        signal.alarm(STALLED)

    samples = open_samples(recorded.samples)
    journal = VoicesJournal(recorded.samples.with_suffix(".voices"))
    with cores.held():
        signal.alarm(STALLED)
        listener = Listener.of(configured_store(config), threads)
        heard = {
            channel: listener.hear(samples[first : first + count], journal.of(str(number)), tick)
            for number, (channel, first, count) in enumerate(recorded.tracks)
        }
        signal.alarm(0)
    return packed(heard)
