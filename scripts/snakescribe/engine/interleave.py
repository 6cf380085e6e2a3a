"""Recordings that come at any time, read in short turns: callers share buckets, and no one waits for a long recording.

Each turn takes a window of every recording in line, then another, until it has about five seconds of work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from snakescribe.audio import MILLISECOND
from snakescribe.config import Config
from snakescribe.engine.assembly import assemble, ordered
from snakescribe.engine.journal import Journal
from snakescribe.engine.language_id import VOTERS
from snakescribe.engine.listener import Listener
from snakescribe.engine.lookahead import LookAhead
from snakescribe.engine.opened import OpenedModel
from snakescribe.engine.transcriber import LOOK_AHEAD
from snakescribe.engine.window_decoder import WindowDecoder
from snakescribe.engine.windows import RecordingJob, RecordingState, RecordingUpdate, WindowTask
from snakescribe.errors import EngineFailure
from snakescribe.keys import decoding_key
from snakescribe.transcript import Segment

LOG = logging.getLogger(__name__)
TURN = 5.0
"""Seconds of wall time that a turn should take: as long as a short clip waits for what came before it."""
FIRST_TURN = 60.0
"""Seconds of speech in a turn while the speed is not known."""


@dataclass(eq=False)
class _Line:
    """A recording in line."""

    state: RecordingState
    config: Config
    listener: Listener
    alike: str
    """Its :func:`decoding_key`: only recordings that decode alike are read together."""
    tasks: deque[WindowTask]
    voters: int
    """Windows at the head of ``tasks`` that tell the language, and so are read together."""
    places: list[tuple[int, int]]
    """Start (samples) and track of every window, in order."""
    total: float
    told: int = 0
    """Segments that were told."""
    finished: bool = False
    dropped: bool = False


class Interleaver:
    """The line of recordings before one backend; recordings may join and leave from any thread."""

    def __init__(self, model: OpenedModel, journal: Journal) -> None:
        """``journal`` has what an earlier process finished of the recordings that come again."""
        self._model, self._journal = model, journal
        self._lines: deque[_Line] = deque()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(model.backend.workers, "reader")
        self._speech = FIRST_TURN

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._lines)

    def add(self, job: RecordingJob, config: Config, wanted: Callable[[], bool] = lambda: True) -> None:
        """Find the speech of a recording (seconds, for a long one) and put it in line if it is still ``wanted``."""
        listener = Listener(self._model.detector, config)
        state = RecordingState(job)
        tasks = list(listener.listen(state))
        voters = VOTERS if job.language is None and not job.mixed and self._model.backend.multilingual else 0
        line = _Line(
            state,
            config,
            listener,
            decoding_key(config),
            deque(_voters_first(tasks) if voters else tasks),
            voters,
            sorted((task.window.start, task.track) for task in tasks),
            sum(task.seconds for task in tasks),
        )
        with self._lock:
            if wanted():
                self._lines.append(line)

    def drop(self, key: str) -> None:
        """Read no more of a recording: its caller has gone."""
        with self._lock:
            for line in self._lines:
                line.dropped |= line.state.job.key == key

    def turn(self, tell: Callable[[RecordingUpdate], None]) -> None:
        """Read a little of every recording in line that decodes as the first one does.

        Args:
            tell: called once for each of them, from any thread but never twice at a time; for those that are finished
                before the turn is over, at once.
        """
        with self._lock:
            self._lines = deque(line for line in self._lines if not line.dropped)
            lines = [line for line in self._lines if line.alike == self._lines[0].alike]
        known = set(self._journal.windows)
        taken = _taken(lines, self._speech, known)
        touched = [line for line in lines if line in taken or not line.tasks]

        def finished(_seconds: float) -> None:
            for line in touched:
                if len(line.state.texts) == len(line.places) and not line.finished:
                    _tell(line, len(touched), tell)

        began = time.perf_counter()
        if taken:
            self._read(touched, [task for tasks in taken.values() for task in tasks], finished)
        took = time.perf_counter() - began
        # What an earlier process has read says nothing of how long the next turn will take.
        speech = sum(task.seconds for tasks in taken.values() for task in tasks if task.place not in known)
        if speech > FIRST_TURN / 2:  # of less, the overhead is most of the time
            self._speech = min(max(speech / took * TURN, FIRST_TURN / 2), LOOK_AHEAD)
        for line in touched:
            if not line.finished:
                _tell(line, len(touched), tell)
        with self._lock:
            rest = [line for line in self._lines if not line.finished]
            self._lines = deque(sorted(rest, key=touched.__contains__))  # a turn puts one behind those who had none

    def _read(self, lines: list[_Line], tasks: list[WindowTask], progress: Callable[[float], None]) -> None:
        try:
            self._read_together(lines[0], tasks, progress)
        except Exception as error:  # a mistake of ours, a full disk: only whom it concerns may suffer
            LOG.exception("reading %d windows of %d recordings failed", len(tasks), len(lines))
            self._pool.shutdown()  # what is still being read ends first
            self._pool = ThreadPoolExecutor(self._model.backend.workers, "reader")
            for line in lines:
                done = {text.place for text in line.state.texts}
                missing = [task for task in tasks if task.state is line.state and task.place not in done]
                if missing and len(lines) > 1:
                    self._read([line], missing, progress)
                elif missing:
                    line.state.failure = EngineFailure(f"reading it failed: {type(error).__name__}")

    def _read_together(self, first: _Line, tasks: list[WindowTask], progress: Callable[[float], None]) -> None:
        decoder = WindowDecoder(self._model.backend, self._model.prepared, first.config, self._journal)
        ahead = LookAhead(decoder, self._journal, first.listener.listen_again, progress)
        for task in tasks:
            ahead.add(task)
        ahead.read(self._pool)


def _tell(line: _Line, together: int, tell: Callable[[RecordingUpdate], None]) -> None:
    """Say how far a recording is now, and its result if it has one."""
    state = line.state
    line.finished = state.failure is not None or not line.tasks
    if line.dropped:
        return
    told = line.told
    step = RecordingUpdate(
        key=state.job.key,
        done=round(line.total - sum(task.seconds for task in line.tasks), 3),
        total=round(line.total, 3),
        together=together,
        segments=() if state.failure else tuple(_new_segments(line)),
        told=told,
        result=(state.failure or assemble(state)) if line.finished else None,
        wall_seconds=state.wall_seconds,
    )
    tell(step)


def _voters_first(tasks: list[WindowTask]) -> list[WindowTask]:
    """The windows that the language is told by, then the rest in order.

    A batch looks for them in its first look-ahead, and the text must not depend on who reads it.
    """
    ahead, seconds = 0, 0.0
    while ahead < len(tasks) and seconds < LOOK_AHEAD:
        seconds += tasks[ahead].seconds
        ahead += 1
    voters = sorted(tasks[:ahead], key=lambda task: -task.length)[:VOTERS]
    return voters + [task for task in tasks if task not in voters]


def _taken(lines: list[_Line], seconds: float, known: Container[object]) -> dict[_Line, list[WindowTask]]:
    """Windows for a turn: one of each recording, round after round (its voters at once).

    Those that an earlier process has read (``known``) take no time: a recording that comes again is soon where it was.
    """
    taken: dict[_Line, list[WindowTask]] = {}
    while seconds > 0 and any(line.tasks for line in lines):
        for line in lines:
            count, line.voters = max(line.voters, 1), 0
            for _ in range(min(count, len(line.tasks))):
                task = line.tasks.popleft()
                taken.setdefault(line, []).append(task)
                seconds -= 0.0 if task.place in known else task.seconds
            if seconds <= 0:
                break
    return taken


def _new_segments(line: _Line) -> list[Segment]:
    """Segments before which nothing can come any more, and that were not told yet."""
    known, read = ordered(line.state), {(text.start, text.track) for text in line.state.texts}
    missing = next((start for start, track in line.places if (start, track) not in read), None)
    if missing is not None:
        begins = missing // MILLISECOND / 1000  # times of segments are in milliseconds
        known = [segment for segment in known if segment.start < begins]
    new, line.told = known[line.told :], len(known)
    return new
