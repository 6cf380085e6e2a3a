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

from snakescribe.audio import SAMPLE_RATE
from snakescribe.engine.guards import understandable
from snakescribe.engine.heap import trim
from snakescribe.engine.journal import FATAL_DEATHS, Journal, Language, WindowText
from snakescribe.engine.language import settled, vote, voters
from snakescribe.engine.log_mel import LADDER, encoder_frames, rung
from snakescribe.engine.reader import Attempt, Heard, Reader
from snakescribe.engine.segments import inserted, moved
from snakescribe.engine.work import Work
from snakescribe.errors import EngineFailure
from snakescribe.transcript import Gap, Word

MOST_WINDOWS = 2
"""Times ``backend.rows``: short windows in a bucket, whose audio is small but whose texts are not."""

T = TypeVar("T")
Listen = Callable[[Work, Gap], list[Work]]
"""Windows of speech in a gap of a window, heard with more sensitive ears."""


@dataclass
class _Outcome:
    """What is left of a bucket."""

    doubtful: list[tuple[Work, Attempt]] = field(default_factory=list)
    unsettled: list[tuple[Work, dict[str, float]]] = field(default_factory=list)
    """Windows whose language the model was not sure of, with what it said."""


class Group:
    """A look-ahead of windows; filled by one thread, then read by as many as the backend has workers."""

    def __init__(self, reader: Reader, journal: Journal, listen: Listen, progress: Callable[[float], None]) -> None:
        """``progress`` is told of seconds of speech finished."""
        self._reader, self._journal, self._listen = reader, journal, listen
        self._progress = progress
        self._lock = threading.Lock()
        self._works: list[Work] = []
        self.seconds = 0.0

    def add(self, work: Work) -> None:
        """Take a window in; one that the journal has is finished at once."""
        state, job, backend = work.state, work.state.job, self._reader.backend
        if state.language is None:
            state.language = self._journal.languages.get(job.key)
        if state.language is None and (job.language or not backend.multilingual):
            code = job.language if job.language and backend.multilingual else "en"
            state.language = Language(key=job.key, language=code, probability=1.0)
        if self._journal.deaths[work.place] >= FATAL_DEATHS:
            at = work.window.start / SAMPLE_RATE
            state.failure = EngineFailure(f"the engine died {FATAL_DEATHS} times on this recording, at {at:.1f} s")
        state.waiting += 1
        done = self._journal.windows.get(work.place)
        if done:
            self._keep([(work, done)])
        else:
            self._works.append(work)
            self.seconds += work.seconds

    def read(self, pool: Executor) -> None:
        """Read everything taken in."""
        works, self._works, self.seconds = self._works, [], 0.0
        self._take_languages(work for work in works if not work.state.job.mixed)
        voting = voters(works)
        first = [leader for leader, *_ in voting.values()]
        results = self._each(pool, self._buckets(first), partial(self._settle_and_read, voting))
        unsettled = {id(work): said for result in results for work, said in result.unsettled}
        self._each(pool, (voting[key] for key in unsettled), lambda some: self._vote(some, unsettled[id(some[0])]))
        self._take_languages(work for work in works if not work.state.job.mixed)
        done = {id(work) for work in first} - unsettled.keys()
        rest = [work for work in works if id(work) not in done]
        results += self._each(pool, self._buckets(rest), self._read)
        doubtful = [pair for result in results for pair in result.doubtful]
        firsts = {id(work): attempt for work, attempt in doubtful}
        self._each(pool, self._buckets([work for work, _ in doubtful], full=True), partial(self._again, firsts))

    def _take_languages(self, works: Iterable[Work]) -> None:
        for work in works:
            if work.language is None and work.state.language is not None:
                work.language = work.state.language.language

    def _each(self, pool: Executor, buckets: Iterable[list[Work]], do: Callable[[list[Work]], T]) -> list[T]:
        """All buckets, as many at once as the pool has workers; suspects strictly one after the other."""
        every = list(buckets)
        alone = [bucket for bucket in every if any(map(self._suspect, bucket))]
        return [do(bucket) for bucket in alone] + list(pool.map(do, (b for b in every if b not in alone)))

    def _suspect(self, work: Work) -> bool:
        """Whether it was in flight when an earlier attempt died; the next death must name it alone."""
        return self._journal.deaths[work.place] > 0

    def _buckets(self, works: Iterable[Work], full: bool = False) -> Iterator[list[Work]]:
        """Windows of one rung and previous text, longest first, as many as the device can hold.

        ``full``: they are heard in the last rung, and so few that every worker gets some.
        """
        alike: dict[tuple[int, str], list[Work]] = defaultdict(list)
        for work in works:
            if work.state.failure is None:
                length = LADDER[-1] if full else rung(encoder_frames(work.length) // 2)
                alike[length, work.state.job.prompt].append(work)
        rows = self._reader.backend.rows
        for (length, _), members in sorted(alike.items(), key=lambda item: -item[0][0]):
            members.sort(key=lambda work: -work.length)
            yield from ([work] for work in members if self._suspect(work))
            together = [work for work in members if not self._suspect(work)]
            count = min(rows * LADDER[-1] // length, rows * MOST_WINDOWS)
            yield from _evenly(together, count, self._reader.backend.workers if full else 1)

    def _settle_and_read(self, voting: dict[int, list[Work]], works: list[Work]) -> _Outcome:
        """The language of each window first; text only of those where it is settled.

        ``voting`` has the voters of each, by ``id``.
        """
        result = _Outcome()
        for heard in self._reader.heard(works):
            sure, languages = [], []
            for work, probabilities in zip(heard.works, self._reader.languages(heard), strict=True):
                if found := settled(voting[id(work)], probabilities):
                    work.language = found.language
                    sure.append(work)
                    if not work.state.job.mixed:
                        work.state.language = found
                        languages.append(found)
                else:
                    result.unsettled.append((work, probabilities))
            self._journal.add(languages)
            if sure:
                self._attempt(heard, sure, result)
        trim()
        return result

    def _vote(self, voting: list[Work], first: dict[str, float]) -> None:
        """Settle the language of a recording, or of a window of a mixed one, whose longest window was not sure."""
        found, leader = vote(voting, first, self._reader), voting[0]
        if leader.state.job.mixed:
            leader.language = found.language if found else None
        elif found:
            leader.state.language = found
            self._journal.add([found])

    def _read(self, works: list[Work]) -> _Outcome:
        result = _Outcome()
        for heard in self._reader.heard(works):
            self._attempt(heard, heard.works, result)
        trim()
        return result

    def _attempt(self, heard: Heard, works: list[Work], result: _Outcome) -> None:
        """Read, keep what the guards trust, and note what is doubtful; listen again to what text leaves out."""
        began = time.perf_counter()
        attempts = list(self._reader.read(heard, works))
        took = (time.perf_counter() - began) / sum(work.seconds for work in works)
        whole, holed = [], []
        for work, attempt in attempts:
            share = took * work.seconds
            if attempt.verdict.flags:
                work.state.wall_seconds += share
                result.doubtful.append((work, attempt))
            elif self._reader.gaps(work, attempt):
                holed.append((work, attempt, share))
            else:
                whole.append((work, self._reader.text(work, attempt, share)))
        self._finish(whole)
        for work, attempt, share in holed:
            self._finish([(work, self._reader.text(work, self._mended(work, attempt), share))])

    def _mended(self, work: Work, attempt: Attempt) -> Attempt:
        """The attempt with what is understood in its gaps, heard once more with a lower threshold of voice activity."""
        understood: list[list[Word]] = []
        for parts in [self._listen(work, gap) for gap in self._reader.gaps(work, attempt)]:
            for heard in self._reader.heard(parts) if parts else ():
                for part, found in self._reader.read(heard, heard.works):
                    if understandable(found.verdict, found.hypothesis):
                        shift = (part.window.start - work.window.start) / SAMPLE_RATE
                        understood.append([moved(word, shift) for word in found.words])
        return replace(attempt, words=tuple(inserted(attempt.words, understood)))

    def _again(self, firsts: dict[int, Attempt], works: list[Work]) -> None:
        """Read doubtful windows, whose first attempts are known by ``id``, once more and better."""
        began = time.perf_counter()
        best = list(self._reader.again([(work, firsts[id(work)]) for work in works]))
        took = (time.perf_counter() - began) / len(works)
        for work, attempt in best:
            self._finish([(work, self._reader.text(work, self._mended(work, attempt), took))])
        trim()

    def _finish(self, finished: list[tuple[Work, WindowText]]) -> None:
        self._journal.add(text for _, text in finished)
        self._keep(finished)

    def _keep(self, finished: list[tuple[Work, WindowText]]) -> None:
        with self._lock:
            for work, text in finished:
                work.state.texts.append(text)
                work.state.wall_seconds += text.wall_seconds
                work.state.waiting -= 1
                self._progress(work.seconds)


def _evenly(works: list[Work], most: int, least: int) -> Iterator[list[Work]]:
    """Parts of at most ``most``, of about one size: a small last one would cost nearly as much as a full one.

    At least ``least`` parts, if there are as many windows.
    """
    parts = max(-(-len(works) // most), min(least, len(works)))
    bounds = [len(works) * i // parts for i in range(parts + 1)] if parts else []
    yield from (works[a:b] for a, b in pairwise(bounds))
