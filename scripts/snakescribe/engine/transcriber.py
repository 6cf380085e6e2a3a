"""The way from samples to transcripts: windows of many recordings, sorted by length, read together, guarded.

Recordings come in any number and leave in order. While one look-ahead of speech is read by the backend's workers,
the next one is listened to; nothing else waits. Nothing here knows files or tables.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_RATE
from snakescribe.config import Config
from snakescribe.engine.backend import Backend
from snakescribe.engine.journal import Journal, WindowText
from snakescribe.engine.lookahead import LookAhead
from snakescribe.engine.window_decoder import WindowDecoder
from snakescribe.engine.windows import RecordingJob, RecordingState, WindowTask
from snakescribe.errors import EngineFailure
from snakescribe.models.store import Prepared
from snakescribe.transcript import Gap, Segment, Transcript
from snakescribe.vad.loudness import doubted, levels
from snakescribe.vad.silero import SpeechDetector
from snakescribe.vad.spans import Span, Window, find_speech, windows

LOOK_AHEAD = 2400.0
"""Seconds of speech sorted together: enough for full buckets, few enough that results leave in order."""
MORE_SENSITIVE = 0.5
"""Times the threshold of voice activity, where text leaves speech out."""
MILLISECOND = SAMPLE_RATE // 1000
"""Samples; what times of gaps are rounded to."""

Result = tuple[RecordingJob, Transcript | EngineFailure, float]
"""A job, what became of it, and the wall seconds it took."""


class Transcriber:
    """Turns recordings into transcripts with one backend: all of a batch at once."""

    def __init__(self, backend: Backend, prepared: Prepared, detector: SpeechDetector, config: Config) -> None:
        """Everything is loaded already; ``config`` says how to listen and decode."""
        self._backend = backend
        self._prepared = prepared
        self._detector = detector
        self.config = config

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
        decoder = WindowDecoder(self._backend, self._prepared, self.config, journal)
        states: deque[RecordingState] = deque()
        with (
            ThreadPoolExecutor(self._backend.workers, "reader") as pool,
            ThreadPoolExecutor(1, "group") as background,
        ):
            reading: Future[None] | None = None

            def read(group: LookAhead) -> Future[None]:
                if reading:
                    reading.result()
                return background.submit(group.read, pool)

            def new() -> LookAhead:
                return LookAhead(decoder, journal, self.more_sensitive, progress)

            group = new()
            for state, tasks in self._listened(jobs):
                states.append(state)
                for task in tasks:
                    group.add(task)
                    if group.seconds >= LOOK_AHEAD:
                        reading, group = read(group), new()
                        yield from _finished(states)
                state.listened = True
            read(group).result()
        yield from _finished(states)

    def _listened(self, jobs: Iterable[RecordingJob]) -> Iterator[tuple[RecordingState, list[WindowTask]]]:
        """Recordings and their windows, in order; a few are listened to at once."""
        count = max(2, self._backend.workers)
        ahead: deque[tuple[RecordingState, Future[list[WindowTask]]]] = deque()
        with ThreadPoolExecutor(count, "listener") as pool:
            for job in jobs:
                state = RecordingState(job)
                ahead.append((state, pool.submit(lambda state: list(self.listen(state)), state)))
                if len(ahead) > count:
                    state, tasks = ahead.popleft()
                    yield state, tasks.result()
            yield from ((state, tasks.result()) for state, tasks in ahead)

    def listen(self, state: RecordingState) -> Iterator[WindowTask]:
        """Windows of speech of a recording, track by track."""
        for number, track in enumerate(state.job.tracks):
            began = time.perf_counter()
            probabilities, spans = self._speech(track.samples)
            found = windows(spans, probabilities, self.config.decoding.window)
            state.speech_samples += sum(span.voiced for span in spans)
            state.wall_seconds += time.perf_counter() - began
            yield from (WindowTask(state, number, window) for window in found)

    def _speech(self, samples: npt.NDArray[np.int16]) -> tuple[npt.NDArray[np.float32], list[Span]]:
        """Voice activity, and the speech in a track by it and by how loud it is."""
        probabilities, options = self._detector.probabilities(samples), self.config.speech
        spans = find_speech(probabilities, options, len(samples))
        loud = doubted(probabilities, spans, levels(samples))
        if loud.any():
            spans = find_speech(np.where(loud, np.float32(1), probabilities), options, len(samples))
        return probabilities, spans

    def more_sensitive(self, task: WindowTask, gap: Gap) -> list[WindowTask]:
        """Windows of speech in a gap, with a lower threshold of voice activity."""
        first, last = _with_silence(task.window, *(round(seconds * SAMPLE_RATE) for seconds in (gap.start, gap.end)))
        samples = task.state.job.tracks[task.track].samples[first:last]
        probabilities = self._detector.probabilities(samples)
        options = self.config.speech
        options = options.model_copy(update={"threshold": options.threshold * MORE_SENSITIVE})
        spans = find_speech(probabilities, options, len(samples))
        return [
            WindowTask(task.state, task.track, _moved(window, first), task.language)
            for window in windows(spans, probabilities, self.config.decoding.window)
        ]


def _moved(window: Window, samples: int) -> Window:
    speech = tuple(replace(span, start=span.start + samples, end=span.end + samples) for span in window.speech)
    return replace(window, start=window.start + samples, end=window.end + samples, speech=speech)


def _with_silence(window: Window, first: int, last: int) -> tuple[int, int]:
    """A stretch that begins or ends with a voice, and the silence the model heard around that voice (samples)."""
    for span in window.speech:
        if span.start <= first <= span.start + span.lead + MILLISECOND:
            first = span.start
        if span.end - span.tail - MILLISECOND <= last <= span.end:
            last = span.end
    return first, last


def _finished(states: deque[RecordingState]) -> Iterator[Result]:
    while states and states[0].listened and (states[0].failure or not states[0].waiting):
        state = states.popleft()
        yield state.job, state.failure or assemble(state), state.wall_seconds


def assemble(state: RecordingState) -> Transcript:
    """The transcript of a recording all of whose windows are read."""
    texts = _in_order(state.texts)
    longest = max((len(track.samples) for track in state.job.tracks), default=0)
    language, probability = _language(state)
    return Transcript(
        duration=round(longest / SAMPLE_RATE, 3),
        speech_seconds=round(state.speech_samples / SAMPLE_RATE, 3),
        language=language,
        language_probability=probability,
        segments=tuple(ordered(state)),
        gaps=tuple(sorted((gap for text in texts for gap in text.gaps), key=lambda gap: gap.start)),
        flags=tuple(sorted({flag for text in texts for flag in text.flags})),
    )


def ordered(state: RecordingState) -> list[Segment]:
    """Segments of the windows read so far, of all tracks, by their start."""
    segments = (segment for text in _in_order(state.texts) for segment in text.segments)
    return sorted(segments, key=lambda segment: segment.start)


def _in_order(texts: Iterable[WindowText]) -> list[WindowText]:
    return sorted(texts, key=lambda text: (text.start, text.track))


def _language(state: RecordingState) -> tuple[str | None, float | None]:
    """The recording's language; where every window has its own, that of most of its text, and its share of it."""
    if state.language and not state.job.mixed:
        return state.language.language, round(state.language.probability, 4)
    seconds: defaultdict[str, float] = defaultdict(float)
    for text in state.texts:
        for segment in text.segments:
            seconds[segment.language or ""] += segment.end - segment.start
    if not seconds:
        return None, None
    code = max(seconds, key=lambda code: seconds[code])
    return code, round(seconds[code] / sum(seconds.values()), 4)
