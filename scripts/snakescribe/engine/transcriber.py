"""The way from samples to transcripts: windows of many recordings, sorted by length, decoded together, guarded.

Recordings come in any number and leave in order. A bounded look-ahead of speech is sorted into buckets of one
encoder length; a window that fails a guard is decoded again alone. Nothing here knows files or tables.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator

from snakescribe.audio import SAMPLE_RATE
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Encoded
from snakescribe.engine.journal import FATAL_DEATHS, Journal, Language, WindowText
from snakescribe.engine.language import vote, voters
from snakescribe.engine.log_mel import encoder_frames
from snakescribe.engine.reader import Attempt, Reader
from snakescribe.engine.work import Job, State, Track, Work
from snakescribe.errors import EngineFailure
from snakescribe.models.store import Prepared
from snakescribe.speech.silero import SpeechDetector
from snakescribe.speech.spans import find_speech, windows
from snakescribe.transcript import Transcript

LOOK_AHEAD = 900.0
"""Seconds of speech sorted together: enough for full buckets, few enough that results leave in order."""

Result = tuple[Job, Transcript | EngineFailure, float]
"""A job, what became of it, and the wall seconds it took."""

__all__ = ["Job", "Track", "Transcriber"]


class Transcriber:
    """Turns recordings into transcripts with one backend; shared by the batch job and the HTTP shim."""

    def __init__(self, backend: Backend, prepared: Prepared, detector: SpeechDetector, config: Config) -> None:
        """Everything is loaded already; ``config`` says how to listen and decode."""
        self._backend = backend
        self._prepared = prepared
        self._detector = detector
        self._config = config

    def transcribe(
        self,
        jobs: Iterable[Job],
        journal: Journal,
        progress: Callable[[float], None] = lambda seconds: None,
    ) -> Iterator[Result]:
        """Yield (job, transcript or failure, wall seconds) in the order of ``jobs``.

        Args:
            jobs: recordings; consumed as far ahead as ``LOOK_AHEAD`` seconds of speech.
            journal: windows found in it are not decoded again; new ones are added bucket by bucket.
            progress: called with the seconds of speech finished since the last call.
        """
        reader = Reader(
            self._backend,
            self._prepared,
            self._config,
            begin=lambda bucket: journal.begin(work.place for work in bucket),
        )
        group = _Group(reader, journal, progress)
        states: deque[State] = deque()
        for job in jobs:
            state = State(job)
            states.append(state)
            for work in self._listen(state):
                group.add(work)
                if group.seconds >= LOOK_AHEAD:
                    group.decode()
                    yield from _finished(states)
            state.listened = True
        group.decode()
        yield from _finished(states)

    def _listen(self, state: State) -> Iterator[Work]:
        for number, track in enumerate(state.job.tracks):
            began = time.perf_counter()
            probabilities = self._detector.probabilities(track.samples)
            spans = find_speech(probabilities, self._config.speech, len(track.samples))
            found = windows(spans, probabilities, self._config.decoding.window)
            state.speech_samples += sum(span.end - span.start for span in spans)
            state.wall_seconds += time.perf_counter() - began
            for window in found:
                state.waiting += 1
                yield Work(state, number, window)


class _Group:
    """A look-ahead of windows, decoded together."""

    def __init__(self, reader: Reader, journal: Journal, progress: Callable[[float], None]) -> None:
        self._reader, self._journal, self._progress = reader, journal, progress
        self._works: list[Work] = []
        self.seconds = 0.0

    def add(self, work: Work) -> None:
        """Take a window in; one that the journal has is finished at once."""
        self._settle_what_is_known(work)
        done = self._journal.windows.get(work.place)
        if done:
            self._keep([(work, done)])
        else:
            self._works.append(work)
            self.seconds += work.seconds

    def decode(self) -> None:
        """Decode everything taken in: language first (its encoder output is kept), then bucket by bucket."""
        works, self._works, self.seconds = self._works, [], 0.0
        first = voters(works)
        encoded = [pair for bucket in self._buckets(first) for pair in self._reader.encoded(bucket)]
        self._journal.add(vote(encoded, self._reader))
        doubtful: list[tuple[Work, Attempt]] = []
        while encoded:
            doubtful += self._decode_bucket(*encoded.pop(0))
        voted = set(first)
        for bucket in self._buckets([work for work in works if work not in voted]):
            for rows, handle in self._reader.encoded(bucket):
                doubtful += self._decode_bucket(rows, handle)
        for work, attempt in doubtful:
            began = time.perf_counter()
            best = self._reader.again(work, attempt)
            if best is not None:
                text = self._reader.text(work, best, time.perf_counter() - began)
                self._journal.add([text])
                self._keep([(work, text)])

    def _settle_what_is_known(self, work: Work) -> None:
        """The language, when it was given or found earlier; the failure, when this window keeps killing us."""
        state, job, backend = work.state, work.state.job, self._reader.backend
        if state.language is None:
            state.language = self._journal.languages.get(job.key)
        if state.language is None and (job.language or not backend.multilingual):
            code = job.language if job.language and backend.multilingual else "en"
            state.language = Language(key=job.key, language=code, probability=1.0)
        if self._journal.deaths[work.place] >= FATAL_DEATHS:
            at = work.window.start / SAMPLE_RATE
            state.failure = EngineFailure(f"the engine died {FATAL_DEATHS} times on this recording, at {at:.1f} s")

    def _buckets(self, works: list[Work]) -> Iterator[list[Work]]:
        """Windows of one encoder length and one previous text, longest first, in rows the device can hold.

        A window that was in flight when an earlier attempt died goes alone, so that the next death names it.
        """
        groups: dict[tuple[int, str], list[Work]] = defaultdict(list)
        for work in works:
            if work.state.failure is None:
                groups[encoder_frames(work.length), work.state.job.prompt].append(work)
        rows = self._reader.backend.max_rows
        for key in sorted(groups, reverse=True):
            suspects = [work for work in groups[key] if self._journal.deaths[work.place]]
            together = [work for work in groups[key] if not self._journal.deaths[work.place]]
            yield from ([work] for work in suspects)
            yield from (together[i : i + rows] for i in range(0, len(together), rows))

    def _decode_bucket(self, bucket: list[Work], handle: Encoded) -> list[tuple[Work, Attempt]]:
        """Decode, keep what the guards trust, and return the rest."""
        began = time.perf_counter()
        attempts = list(self._reader.decoded(bucket, handle))
        took = (time.perf_counter() - began) / sum(work.seconds for work in bucket)
        doubtful, trusted = [], []
        for work, attempt in attempts:
            share = took * work.seconds
            if attempt.verdict.flags:
                work.state.wall_seconds += share
                doubtful.append((work, attempt))
            else:
                trusted.append((work, self._reader.text(work, attempt, share)))
        self._journal.add(text for _, text in trusted)
        self._keep(trusted)
        return doubtful

    def _keep(self, finished: list[tuple[Work, WindowText]]) -> None:
        for work, text in finished:
            work.state.texts.append(text)
            work.state.wall_seconds += text.wall_seconds
            work.state.waiting -= 1
            self._progress(work.seconds)


def _finished(states: deque[State]) -> Iterator[Result]:
    while states and states[0].listened and (states[0].failure or not states[0].waiting):
        state = states.popleft()
        yield state.job, state.failure or _assemble(state), state.wall_seconds


def _assemble(state: State) -> Transcript:
    texts = sorted(state.texts, key=lambda text: (text.start, text.track))
    longest = max((len(track.samples) for track in state.job.tracks), default=0)
    return Transcript(
        duration=round(longest / SAMPLE_RATE, 3),
        speech_seconds=round(state.speech_samples / SAMPLE_RATE, 3),
        language=state.language.language if state.language else None,
        language_probability=round(state.language.probability, 4) if state.language else None,
        segments=tuple(sorted((s for text in texts for s in text.segments), key=lambda s: s.start)),
        flags=tuple(sorted({flag for text in texts for flag in text.flags})),
    )
