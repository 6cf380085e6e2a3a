"""One look-ahead of windows, read together: language first, then text, then what is doubtful or missing again."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TypeVar

from snakescribe.audio import FRAMES_PER_POSITION, SAMPLE_RATE
from snakescribe.engine.guards import understandable
from snakescribe.engine.journal import Journal, Language, WindowText
from snakescribe.engine.language_id import settled, vote, voters
from snakescribe.engine.log_mel import LADDER, encoder_frames, rung
from snakescribe.engine.malloc import trim
from snakescribe.engine.segments import inserted, moved
from snakescribe.engine.window_decoder import Attempt, EncodedWindows, WindowDecoder
from snakescribe.engine.windows import WindowTask
from snakescribe.transcript import Gap, Word

MOST_WINDOWS = 2
"""Times ``backend.rows``: short windows in a bucket, whose audio is small but whose texts are not."""

T = TypeVar("T")
ListenAgain = Callable[[WindowTask, Gap], list[WindowTask]]
"""Windows of speech in a gap of a window's text, by a lower threshold of voice activity."""


@dataclass
class _Outcome:
    """What is left of a bucket."""

    doubtful: list[tuple[WindowTask, Attempt]] = field(default_factory=list)
    unsettled: list[tuple[WindowTask, dict[str, float]]] = field(default_factory=list)
    """Windows whose language the model was not sure of, with what it said."""


class LookAhead:
    """A look-ahead of windows; filled by one thread, then read by as many as the backend has workers."""

    def __init__(
        self, decoder: WindowDecoder, journal: Journal, listen_again: ListenAgain, progress: Callable[[float], None]
    ) -> None:
        """``progress`` is told of seconds of speech finished."""
        self._decoder, self._journal, self._listen_again = decoder, journal, listen_again
        self._progress = progress
        self._lock = threading.Lock()
        self._tasks: list[WindowTask] = []
        self.seconds = 0.0

    def add(self, task: WindowTask) -> None:
        """Take a window in; one that the journal has is finished at once."""
        state, job, backend = task.state, task.state.job, self._decoder.backend
        if state.language is None:
            state.language = self._journal.languages.get(job.key)
        if state.language is None and (job.language or not backend.multilingual):
            code = job.language if job.language and backend.multilingual else "en"
            state.language = Language(key=job.key, language=code, probability=1.0)
        state.failure = self._journal.verdict(task.place) or state.failure
        state.waiting += 1
        done = self._journal.windows.get(task.place)
        if done:
            self._keep([(task, done)])
        else:
            self._tasks.append(task)
            self.seconds += task.seconds

    def read(self, pool: Executor) -> None:
        """Read everything taken in."""
        tasks, self._tasks, self.seconds = self._tasks, [], 0.0
        self._take_languages(task for task in tasks if not task.state.job.mixed)
        voting = voters(tasks)
        first = list(voting)
        results = self._each(pool, self._buckets(first), partial(self._settle_and_read, voting))
        unsettled = {task: said for result in results for task, said in result.unsettled}
        self._each(pool, (voting[task] for task in unsettled), lambda some: self._vote(some, unsettled[some[0]]))
        self._take_languages(task for task in tasks if not task.state.job.mixed)
        done = set(first) - unsettled.keys()
        rest = [task for task in tasks if task not in done]
        results += self._each(pool, self._buckets(rest), self._read)
        doubtful = [pair for result in results for pair in result.doubtful]
        self._each(pool, self._buckets((task for task, _ in doubtful), full=True), partial(self._again, dict(doubtful)))

    def _take_languages(self, tasks: Iterable[WindowTask]) -> None:
        for task in tasks:
            if task.language is None and task.state.language is not None:
                task.language = task.state.language.language

    def _each(
        self, pool: Executor, buckets: Iterable[list[WindowTask]], do: Callable[[list[WindowTask]], T]
    ) -> list[T]:
        """All buckets, as many at once as the pool has workers; suspects strictly one after the other."""
        every = list(buckets)
        alone = [bucket for bucket in every if any(map(self._suspect, bucket))]
        return [do(bucket) for bucket in alone] + list(pool.map(do, (b for b in every if b not in alone)))

    def _suspect(self, task: WindowTask) -> bool:
        """Whether it was in flight when an earlier attempt died; the next death must name it alone."""
        return self._journal.deaths[task.place] > 0

    def _buckets(self, tasks: Iterable[WindowTask], full: bool = False) -> Iterator[list[WindowTask]]:
        """Windows of one rung and previous text, longest first, as many as the device can hold.

        ``full``: they are padded to the last rung, and so few that every worker gets some.
        """
        alike: dict[tuple[int, str], list[WindowTask]] = defaultdict(list)
        for task in tasks:
            if task.state.failure is None:
                length = LADDER[-1] if full else rung(encoder_frames(task.length) // FRAMES_PER_POSITION)
                alike[length, task.state.job.prompt].append(task)
        rows = self._decoder.backend.rows
        for (length, _), members in sorted(alike.items(), key=lambda item: -item[0][0]):
            members.sort(key=lambda task: -task.length)
            yield from ([task] for task in members if self._suspect(task))
            together = [task for task in members if not self._suspect(task)]
            count = min(rows * LADDER[-1] // length, rows * MOST_WINDOWS)
            yield from _evenly(together, count, self._decoder.backend.workers if full else 1)

    def _settle_and_read(self, voting: dict[WindowTask, list[WindowTask]], tasks: list[WindowTask]) -> _Outcome:
        """The language of each window first (``voting`` has its voters); text only of those where it is settled."""
        result = _Outcome()
        for encoded in self._decoder.encode(tasks):
            sure, languages = [], []
            for task, probabilities in zip(encoded.tasks, self._decoder.languages(encoded), strict=True):
                if found := settled(voting[task], probabilities):
                    task.language = found.language
                    sure.append(task)
                    if not task.state.job.mixed:
                        task.state.language = found
                        languages.append(found)
                else:
                    result.unsettled.append((task, probabilities))
            self._journal.add(languages)
            if sure:
                self._attempt(encoded, sure, result)
        trim()
        return result

    def _vote(self, voting: list[WindowTask], first: dict[str, float]) -> None:
        """Settle the language of a recording, or of a window of a mixed one, whose longest window was not sure."""
        found, leader = vote(voting, first, self._decoder), voting[0]
        if leader.state.job.mixed:
            leader.language = found.language if found else None
        elif found:
            leader.state.language = found
            self._journal.add([found])

    def _read(self, tasks: list[WindowTask]) -> _Outcome:
        result = _Outcome()
        for encoded in self._decoder.encode(tasks):
            self._attempt(encoded, encoded.tasks, result)
        trim()
        return result

    def _attempt(self, encoded: EncodedWindows, tasks: list[WindowTask], result: _Outcome) -> None:
        """Read, keep what the guards trust, and note what is doubtful; listen again to what text leaves out."""
        began = time.perf_counter()
        attempts = list(self._decoder.read(encoded, tasks))
        took = (time.perf_counter() - began) / sum(task.seconds for task in tasks)
        complete, incomplete = [], []
        for task, attempt in attempts:
            share = took * task.seconds
            if attempt.verdict.flags:
                task.state.spend(share)
                result.doubtful.append((task, attempt))
            elif self._decoder.gaps(task, attempt):
                incomplete.append((task, attempt, share))
            else:
                complete.append((task, self._decoder.text(task, attempt, share)))
        self._finish(complete)
        for task, attempt, share in incomplete:
            self._finish([(task, self._decoder.text(task, self._with_gaps_filled(task, attempt), share))])

    def _with_gaps_filled(self, task: WindowTask, attempt: Attempt) -> Attempt:
        """The attempt with what is understood in its gaps, where speech is looked for with a lower threshold.

        Where texts fill the model's context, the rest of a window is read a context at a time, as long as that is
        shorter by a second each time; words that were cut off stay where nothing is understood in their place.
        """
        understood: list[list[Word]] = []
        for parts in [self._listen_again(task, gap) for gap in self._decoder.gaps(task, attempt)]:
            for encoded in self._decoder.encode(parts) if parts else ():
                for part, found in self._decoder.read(encoded, encoded.tasks):
                    if understandable(found.verdict, found.hypothesis):
                        if found.cut and part.length + SAMPLE_RATE <= task.length:
                            found = self._with_gaps_filled(part, found)
                        shift = (part.window.start - task.window.start) / SAMPLE_RATE
                        understood.append([moved(word, shift) for word in found.words])
        sound = attempt.words[: attempt.cut]
        rest_is_read = attempt.cut and any(part and part[0].start >= sound[-1].start for part in understood)
        words = inserted(sound if rest_is_read else attempt.words, understood)
        return replace(attempt, words=tuple(words), cut=None)

    def _again(self, firsts: dict[WindowTask, Attempt], tasks: list[WindowTask]) -> None:
        """Read doubtful windows, whose first attempts are given, once more and better."""
        began = time.perf_counter()
        best = list(self._decoder.again([(task, firsts[task]) for task in tasks]))
        took = (time.perf_counter() - began) / len(tasks)
        for task, attempt in best:
            self._finish([(task, self._decoder.text(task, self._with_gaps_filled(task, attempt), took))])
        trim()

    def _finish(self, finished: list[tuple[WindowTask, WindowText]]) -> None:
        self._journal.add(text for _, text in finished)
        self._keep(finished)

    def _keep(self, finished: list[tuple[WindowTask, WindowText]]) -> None:
        with self._lock:
            for task, text in finished:
                task.state.texts.append(text)
                task.state.spend(text.wall_seconds)
                task.state.waiting -= 1
                self._progress(task.seconds)


def _evenly(tasks: list[WindowTask], most: int, least: int) -> Iterator[list[WindowTask]]:
    """Parts of at most ``most``, of about one size: a small last one would cost nearly as much as a full one.

    At least ``least`` parts, if there are as many windows.
    """
    parts = max(-(-len(tasks) // most), min(least, len(tasks)))
    bounds = [len(tasks) * i // parts for i in range(parts + 1)] if parts else []
    yield from (tasks[a:b] for a, b in pairwise(bounds))
