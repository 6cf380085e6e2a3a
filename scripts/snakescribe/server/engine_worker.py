"""The engine's own process: it holds the model and reads in turns what the server sends it.

A process, because a crash in native code, a card that fell off the bus or a machine out of memory must cost a restart
of the engine and not the server; and because the server's event loop shares no interpreter lock with decoding.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from snakescribe.config import Config
from snakescribe.engine.backend import Hardware
from snakescribe.engine.windows import Channel, RecordingJob, RecordingUpdate
from snakescribe.errors import EngineFailure, SnakescribeError
from snakescribe.files import sweep
from snakescribe.server.voices import Cores, Tracks, begin

LOG = logging.getLogger(__name__)
LISTENERS = 6
"""Recordings whose speech is looked for at a time: a short one need not wait for the long ones of the jobs."""
STALLED = 900
"""Seconds after which a turn hangs, and the process ends: most take 5, with a large model on a slow CPU minutes."""
GOING = 1.0
"""Seconds in which whoever went away with his samples has said so."""
IDLE = 1.0
"""Seconds without work after which finished transcripts leave the journal on disk."""
MOST_LEFT = 2000
"""Windows of finished recordings there, when there is always work."""


@dataclass(frozen=True)
class Submit:
    """Transcribe one recording."""

    job: RecordingJob
    """Without its tracks."""
    config: Config
    samples: Path
    """16 kHz s16le, all tracks one after the other. (An earlier one of the same content had others.)"""
    tracks: Tracks


@dataclass(frozen=True)
class Ready:
    """The model is loaded."""

    engine: str
    hardware: Hardware


def main(connection: Connection, config: Config, threads: int, journal: Path, thrift: int = 0) -> None:
    """Load the model, say so (or why not), and serve until the server says so, closes the connection or dies.

    It is told the names of methods of :class:`_Engine` and what to give them, and says every :class:`RecordingUpdate`.
    ``thrift``: how often the kernel has killed a process before this one for want of memory.
    """
    begin()
    with suppress(BrokenPipeError):  # the server died meanwhile
        try:
            engine = _Engine(connection, config, threads, journal, thrift)
        except SnakescribeError as error:
            connection.send(error)
            return
        threading.Thread(target=engine.receive, name="receive", daemon=True).start()
        engine.run()


class _Engine:
    def __init__(self, connection: Connection, config: Config, threads: int, journal: Path, thrift: int) -> None:
        from snakescribe.engine.interleave import Interleaver
        from snakescribe.engine.journal import Journal
        from snakescribe.engine.opened import open_model

        self._connection = connection
        self._gather = config.server.gather_ms / 1000
        model = open_model(config, threads, thrift)
        sweep(journal.parent)  # texts, of one that was killed while it rewrote its journal
        self._journal = Journal(journal)
        self._old = {key for key, *_ in (*self._journal.windows, *self._journal.deaths)} | set(self._journal.languages)
        """Recordings of an earlier process that may come again."""
        self._forgotten = 0
        self._interleaver = Interleaver(model, self._journal)
        self._wanted: dict[str, Submit] = {}
        self._more = threading.Event()
        self._sending = threading.Lock()
        self._listening_pool = ThreadPoolExecutor(LISTENERS, "listener")
        self._cores = Cores(journal.parent)
        self._send(Ready(model.backend.name, model.backend.hardware))

    def _send(self, message: Ready | RecordingUpdate) -> None:
        with self._sending:
            self._connection.send(message)

    def receive(self) -> None:
        while True:
            name, given = "stop", list[Any]()
            with suppress(EOFError, OSError):
                name, *given = self._connection.recv()
            getattr(self, name)(*given)

    def submit(self, asked: Submit) -> None:
        self._wanted[asked.job.key] = asked
        self._old.discard(asked.job.key)
        self._listening_pool.submit(self._listen, asked)

    def drop(self, key: str) -> None:
        self._wanted.pop(key, None)
        self._interleaver.drop(key)

    def settle(self) -> None:
        """Whoever was to come back for what an earlier process left in the journal has come."""
        self._old = set()
        self._more.set()

    def stop(self) -> None:
        with suppress(OSError):
            self._journal.absolve()
        os._exit(0)  # at once: no result of the other threads is needed

    def _listen(self, asked: Submit) -> None:
        from snakescribe.audio.samples import open_samples

        def wanted() -> bool:
            return self._wanted.get(asked.job.key) is asked

        if not wanted():
            return
        try:
            samples = open_samples(asked.samples)
            tracks = tuple(Channel(channel, samples[first : first + count]) for channel, first, count in asked.tracks)
            self._interleaver.add(replace(asked.job, tracks=tracks), asked.config, wanted)
        except Exception as error:
            if isinstance(error, FileNotFoundError):
                time.sleep(GOING)
            if wanted():
                LOG.exception("listening to a recording failed")
                failure = EngineFailure(f"voice activity failed: {type(error).__name__}")
                self._tell(RecordingUpdate(asked.job.key, 0.0, 0.0, 1, result=failure))
        self._more.set()

    def run(self) -> None:
        while True:
            if not self._interleaver:
                if not self._more.wait(IDLE):
                    self._tidy(0)
                    self._more.wait()
                self._more.clear()
                time.sleep(self._gather)
            if self._interleaver:
                with self._cores.held():
                    signal.alarm(STALLED)
                    self._interleaver.turn(self._tell)
                    signal.alarm(0)
            self._tidy(MOST_LEFT)

    def _tell(self, step: RecordingUpdate) -> None:
        if step.result is not None:
            self._wanted.pop(step.key, None)  # before it can come again
        self._send(step)

    def _tidy(self, most: int) -> None:
        """Forget recordings that nobody waits for; on disk as well when there is more than ``most`` of them."""
        self._forgotten += self._journal.keep(self._old | set(self._wanted))
        if self._forgotten > most:
            try:
                self._journal.rewrite()
                self._forgotten = 0
            except OSError:
                LOG.exception("the journal cannot be tidied")
