"""From probabilities of speech to spans of it, and from spans to windows for the model; all in samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_RATE
from snakescribe.config.options import SpeechOptions
from snakescribe.vad import CHUNK

HYSTERESIS = 0.15
"""Speech goes on until it is this far below the threshold (silero-vad, ``get_speech_timestamps``)."""
LONGEST_PAUSE = round(1.5 * SAMPLE_RATE)
"""Samples; a longer pause ends a window: silence costs time and invites text (design, decision 7)."""
SMOOTHING = 7
"""Chunks (0.22 s, about a syllable) averaged to find a good place for a cut."""
SHORTEST_REST = SAMPLE_RATE
"""Samples that a cut leaves at least for the last piece: from less, Whisper makes things up."""


@dataclass(frozen=True)
class Span:
    """A stretch of speech with some silence around it; ``end`` is the first sample after it."""

    start: int
    end: int
    lead: int = field(default=0, compare=False)
    """Samples of silence before the voice, there so that no soft sound is lost."""
    tail: int = field(default=0, compare=False)
    """The same after it."""

    @property
    def voiced(self) -> int:
        """Samples of voice."""
        return self.end - self.tail - self.start - self.lead


@dataclass(frozen=True)
class Window:
    """What the model hears at once, and the speech inside; ``end`` is the first sample after it."""

    start: int
    end: int
    speech: tuple[Span, ...]
    voice: npt.NDArray[np.float32] = field(compare=False)
    """Probability of speech of each chunk from ``start`` on."""
    gain: float = field(default=1.0, compare=False)
    """What the model's input is multiplied by."""

    def voice_between(self, start: float, end: float) -> float:
        """Mean probability of speech between two times (seconds from the window's start), 0 to 1."""
        first, last = (int(seconds * SAMPLE_RATE) // CHUNK for seconds in (start, end))
        return float(self.voice[min(first, len(self.voice) - 1) : last + 1].mean())


def find_speech(probabilities: npt.NDArray[np.float32], options: SpeechOptions, total_samples: int) -> list[Span]:
    """Spans of speech in order, apart from one another, within the recording.

    Speech begins at a chunk of at least ``threshold`` and ends before one below ``threshold - 0.15``. Pauses
    shorter than ``min_silence`` do not count, then bursts shorter than ``min_speech`` are dropped, then both
    ends get ``pad``; where two pads would meet, each takes half of the pause.
    """
    silence, speech, pad = (
        round(seconds * SAMPLE_RATE) for seconds in (options.min_silence, options.min_speech, options.pad)
    )
    joined: list[Span] = []
    for burst in _bursts(probabilities, options.threshold):
        if joined and burst.start - joined[-1].end < silence:
            joined[-1] = Span(joined[-1].start, burst.end)
        else:
            joined.append(burst)
    kept = [span for span in joined if span.end - span.start >= speech]
    pauses = [later.start - span.end for span, later in pairwise(kept)]
    before = [pad, *(min(pad, pause - pause // 2) for pause in pauses)]
    after = [*(min(pad, pause // 2) for pause in pauses), pad]
    return [
        _padded(span, min(left, span.start), min(right, total_samples - span.end))
        for span, left, right in zip(kept, before, after, strict=False)  # both have one for no span at all
    ]


def windows(spans: Sequence[Span], probabilities: npt.NDArray[np.float32], max_seconds: float) -> list[Window]:
    """Pack spans into windows of at most ``max_seconds``, in order; every sample of a span is in exactly one.

    A span longer than that is cut where speech is least likely in the last third of the allowed length.
    """
    if not spans:
        return []
    longest = int(max_seconds * SAMPLE_RATE)
    smooth = np.convolve(probabilities, np.full(SMOOTHING, 1 / SMOOTHING), "same")
    packed: list[list[Span]] = []
    for span in spans:
        for piece in _pieces(span, smooth, longest):
            fits = packed and piece.end - packed[-1][0].start <= longest
            if fits and piece.start - packed[-1][-1].end < LONGEST_PAUSE:
                packed[-1].append(piece)
            else:
                packed.append([piece])
    return [
        Window(start, end, tuple(group), probabilities[start // CHUNK : -(-end // CHUNK)])
        for group in packed
        for start, end in [(group[0].start, group[-1].end)]
    ]


def _padded(span: Span, lead: int, tail: int) -> Span:
    """With silence around it; the last chunk may reach beyond the recording, and its tail is then negative: none."""
    return Span(span.start - lead, span.end + tail, lead, max(0, tail))


def _bursts(probabilities: npt.NDArray[np.float32], threshold: float) -> Iterator[Span]:
    """Runs of chunks that are speech by two thresholds, whole chunks long."""
    change = np.where(probabilities >= threshold, 1, np.where(probabilities < threshold - HYSTERESIS, -1, 0))
    latest = np.maximum.accumulate(np.where(change != 0, np.arange(len(change)), 0))
    speaking = np.zeros(len(change) + 2, np.int8)
    speaking[1:-1] = change[latest] == 1
    (edges,) = np.nonzero(np.diff(speaking))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield Span(start * CHUNK, end * CHUNK)


def _pieces(span: Span, smooth: npt.NDArray[np.floating], longest: int) -> Iterator[Span]:
    """The span, cut into pieces of at most ``longest`` samples."""
    start, lead = span.start, span.lead
    while span.end - start > longest:
        # Whole chunks between two thirds of the length and all of it, leaving something to say for the rest.
        first = -(-(start + 2 * longest // 3) // CHUNK)
        last = min(start + longest, span.end - SHORTEST_REST) // CHUNK
        if first < last:
            least = int(np.argmin(smooth[first:last][::-1]))  # the latest of equals
            cut = (last - 1 - least) * CHUNK + CHUNK // 2
        else:
            cut = start + longest
        yield Span(start, cut, lead)
        start, lead = cut, 0
    yield Span(start, span.end, lead, min(span.tail, span.end - start))
