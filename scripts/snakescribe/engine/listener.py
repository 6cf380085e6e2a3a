"""Where speech is in a recording: its windows, and what a lower threshold still finds where text leaves speech out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from snakescribe.audio import MILLISECOND, SAMPLE_RATE
from snakescribe.config import Config
from snakescribe.engine.windows import RecordingState, WindowTask
from snakescribe.transcript import Gap
from snakescribe.vad import CHUNK
from snakescribe.vad.far import far_stretches
from snakescribe.vad.loudness import doubted, levels
from snakescribe.vad.silero import SpeechDetector
from snakescribe.vad.spans import Span, Window, find_speech, windows
from snakescribe.vad.turns import turns

LOWER_THRESHOLD = 0.5
"""Times the threshold of voice activity, where text leaves speech out."""
LEAST_FAR = SAMPLE_RATE // 2
"""Samples of speech that a stretch must have when it is made louder: a knock or a beep has 0.2 s of it."""


class Listener:
    """Finds speech and packs it into windows for the model; may be used from several threads."""

    def __init__(self, detector: SpeechDetector, config: Config) -> None:
        """``config`` has the thresholds and the longest window."""
        self._detector = detector
        self._options = config.speech
        self._longest = config.decoding.window

    def listen(self, state: RecordingState) -> Iterator[WindowTask]:
        """Windows of speech of a recording, track by track."""
        for number, track in enumerate(state.job.tracks):
            began = time.perf_counter()
            probabilities, spans, level = self._speech(track.samples)
            found = [
                replace(window, gain=turn.gain)
                for turn in turns(spans, probabilities, level)
                for window in windows(turn.spans, probabilities, self._longest)
            ]
            state.speech_samples += sum(span.voiced for span in spans)
            state.spend(time.perf_counter() - began)
            yield from (WindowTask(state, number, window) for window in found)

    def listen_again(self, task: WindowTask, gap: Gap) -> list[WindowTask]:
        """Windows of speech in a gap of a window's text, by a lower threshold of voice activity."""
        first, last = _with_silence(task.window, *(round(seconds * SAMPLE_RATE) for seconds in (gap.start, gap.end)))
        samples = task.state.job.tracks[task.track].samples[first:last]
        probabilities = self._detector.probabilities(samples, gain=task.window.gain)
        options = self._options.model_copy(update={"threshold": self._options.threshold * LOWER_THRESHOLD})
        spans = find_speech(probabilities, options, len(samples))
        return [
            WindowTask(task.state, task.track, _moved(window, first, task.window.gain), task.language)
            for window in windows(spans, probabilities, self._longest)
        ]

    def _speech(
        self, samples: npt.NDArray[np.int16]
    ) -> tuple[npt.NDArray[np.float32], list[Span], npt.NDArray[np.float32]]:
        """Voice activity, the speech in a track by it and by how loud it is, and how loud that is (dB per chunk)."""
        probabilities = self._detector.probabilities(samples)
        spans = find_speech(probabilities, self._options, len(samples))
        level = levels(samples)
        loud = doubted(probabilities, spans, level)
        if loud.any():
            spans = find_speech(np.where(loud, np.float32(1), probabilities), self._options, len(samples))
        far = False
        for stretch, gain in far_stretches(spans, level):
            part = samples[stretch.start * CHUNK : stretch.stop * CHUNK]
            again = self._detector.probabilities(part, gain=gain)
            if sum(span.voiced for span in find_speech(again, self._options, len(part))) >= LEAST_FAR:
                probabilities[stretch], far = again, True
        if far:
            spans = find_speech(np.where(loud, np.float32(1), probabilities), self._options, len(samples))
        return probabilities, spans, level


def _moved(window: Window, samples: int, gain: float) -> Window:
    speech = tuple(replace(span, start=span.start + samples, end=span.end + samples) for span in window.speech)
    return replace(window, start=window.start + samples, end=window.end + samples, speech=speech, gain=gain)


def _with_silence(window: Window, first: int, last: int) -> tuple[int, int]:
    """A stretch that begins or ends with a voice, and the silence that the window has around that voice (samples)."""
    for span in window.speech:
        if span.start <= first <= span.start + span.lead + MILLISECOND:
            first = span.start
        if span.end - span.tail - MILLISECOND <= last <= span.end:
            last = span.end
    return first, last
