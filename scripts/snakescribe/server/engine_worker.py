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
from multiprocessing.connection import Connection
from pathlib import Path

from snakescribe.config import Config
from snakescribe.engine.windows import RecordingUpdate
from snakescribe.errors import EngineFailure, SnakescribeError
from snakescribe.files import HALF_WRITTEN
from snakescribe.server.logs import to_stderr
from snakescribe.server.protocol import Drop, FromServer, NotHeard, NotStarted, Ready, Settled, Stop, Submit
from snakescribe.server.voices import Cores

LOG = logging.getLogger(__name__)
LISTENERS = 6
"""Recordings whose speech is looked for at a time: a short one need not wait for the long ones of the jobs."""
IDLE = 1.0
"""Seconds without work after which finished transcripts leave the journal on disk."""
MOST_LEFT = 2000
"""Windows of finished recordings there, when there is always work."""


def main(connection: Connection, config: Config, threads: int, journal: Path, thrift: int = 0) -> None:
    """Load the model, say so, and serve until the server says so, closes the connection or dies.

    ``thrift``: how often the kernel has killed a process before this one for want of memory.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the server says when it is over
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    to_stderr()
    with suppress(BrokenPipeError):  # the server died meanwhile
        try:
            engine = _Engine(connection, config, threads, journal, thrift)
        except SnakescribeError as error:
            connection.send(NotStarted(type(error).__name__, str(error)))
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
        for left in journal.parent.iterdir():  # of one that was killed while it rewrote its journal: texts
            if HALF_WRITTEN.fullmatch(left.name):
                left.unlink()
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

    def _send(self, message: Ready | NotHeard | RecordingUpdate) -> None:
        with self._sending:
            self._connection.send(message)

    def receive(self) -> None:
        while True:
            try:
                message: FromServer = self._connection.recv()
            except (EOFError, OSError):
                message = Stop()
            match message:
                case Submit():
                    self._wanted[message.key] = message
                    self._old.discard(message.key)
                    self._listening_pool.submit(self._listen, message)
                case Drop():
                    self._wanted.pop(message.key, None)
                    self._interleaver.drop(message.key)
                case Settled():
                    self._old = set()
                    self._more.set()
                case Stop():
                    with suppress(OSError):
                        self._journal.absolve()
                    os._exit(0)  # at once: no result of the other threads is needed

    def _listen(self, asked: Submit) -> None:
        from snakescribe.audio.samples import open_samples
        from snakescribe.engine.windows import Channel, RecordingJob

        def wanted() -> bool:
            return self._wanted.get(asked.key) is asked

        if not wanted():
            return
        try:
            samples = open_samples(asked.samples)
            tracks = tuple(Channel(channel, samples[first : first + count]) for channel, first, count in asked.tracks)
            self._interleaver.add(
                RecordingJob(asked.key, tracks, asked.language, asked.prompt, asked.mixed, asked.languages),
                asked.config,
                wanted,
            )
        except Exception as error:
            if wanted():  # else it went away, and its samples with it; the server knows whether that is on its way
                LOG.exception("listening to a recording failed")
                failure = EngineFailure(f"voice activity failed: {type(error).__name__}")
                self._send(NotHeard(asked.key, asked.samples, failure))
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
                    self._interleaver.turn(self._tell)
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
