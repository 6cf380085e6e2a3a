"""The way from samples to transcripts: windows of many recordings, sorted by length, read together, guarded.

Recordings come in any number and leave in order. While one look-ahead of speech is read by the backend's workers,
the next one is listened to; nothing else waits. Nothing here knows files or tables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from snakescribe.config import Config
from snakescribe.engine.assembly import assemble
from snakescribe.engine.journal import Journal
from snakescribe.engine.listener import Listener
from snakescribe.engine.lookahead import LookAhead
from snakescribe.engine.opened import OpenedModel
from snakescribe.engine.window_decoder import WindowDecoder
from snakescribe.engine.windows import RecordingJob, RecordingState, WindowTask
from snakescribe.errors import RecordingError
from snakescribe.transcript import Transcript

LOOK_AHEAD = 2400.0
"""Seconds of speech sorted together: enough for full buckets, few enough that results leave in order."""

Result = tuple[RecordingJob, Transcript | RecordingError, float]
"""A job, what became of it, and the wall seconds it took."""


class Transcriber:
    """Turns recordings into transcripts with one model: all of a batch at once."""

    def __init__(self, model: OpenedModel, config: Config) -> None:
        """``config`` says how to find speech and how to decode it."""
        self._model, self._config = model, config
        self._listener = Listener(model.detector, config)

    def transcribe(
        self,
        jobs: Iterable[RecordingJob],
        journal: Journal,
        progress: Callable[[float], None] = lambda seconds: None,
    ) -> Iterator[Result]:
        """Yield (job, transcript or failure, wall seconds) in the order of ``jobs``.

        Args:
            jobs: recordings; consumed as far ahead as twice ``LOOK_AHEAD`` seconds of speech, and a few more.
            journal: windows found in it are not decoded again; new ones are added bucket by bucket.
            progress: called from any thread with the seconds of speech finished since the last call.
        """
        decoder = WindowDecoder(self._model.backend, self._model.prepared, self._config, journal)
        workers = self._model.backend.workers
        states: deque[RecordingState] = deque()
        with (
            ThreadPoolExecutor(workers, "reader") as pool,
            ThreadPoolExecutor(1, "look-ahead") as background,
        ):
            reading: Future[None] | None = None

            def read(ahead: LookAhead) -> Future[None]:
                if reading:
                    reading.result()
                return background.submit(ahead.read, pool)

            def new() -> LookAhead:
                return LookAhead(decoder, journal, self._listener.listen_again, progress)

            ahead = new()
            for state, tasks in self._listened(jobs):
                states.append(state)
                for task in tasks:
                    ahead.add(task)
                    if ahead.seconds >= LOOK_AHEAD:
                        reading, ahead = read(ahead), new()
                        yield from _finished(states)
                state.listened = True
            read(ahead).result()
        yield from _finished(states)

    def _listened(self, jobs: Iterable[RecordingJob]) -> Iterator[tuple[RecordingState, list[WindowTask]]]:
        """Recordings and their windows, in order; a few are listened to at once."""
        count = max(2, self._model.backend.workers)
        ahead: deque[tuple[RecordingState, Future[list[WindowTask]]]] = deque()
        with ThreadPoolExecutor(count, "listener") as pool:
            for job in jobs:
                state = RecordingState(job)
                ahead.append((state, pool.submit(lambda state: list(self._listener.listen(state)), state)))
                if len(ahead) > count:
                    state, tasks = ahead.popleft()
                    yield state, tasks.result()
            yield from ((state, tasks.result()) for state, tasks in ahead)


def _finished(states: deque[RecordingState]) -> Iterator[Result]:
    while states and states[0].listened and (states[0].failure or not states[0].waiting):
        state = states.popleft()
        yield state.job, state.failure or assemble(state), state.wall_seconds
