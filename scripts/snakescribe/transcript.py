"""What was said in one recording: words in segments in a transcript. Times are seconds from the start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from snakescribe.flags import SegmentFlag
from snakescribe.records import Frozen


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Word:
    """A word with its times (seconds) and the model's probability (0 to 1) for its tokens.

    Not a model: ten hours have 90,000 of them, and with slots one takes a third of the memory (240 bytes).
    """

    start: float
    end: float
    text: str
    probability: float


class Segment(Frozen):
    """A sentence, or what was said between two pauses, with the figures its guards look at."""

    start: float
    end: float
    text: str
    language: str | None = None
    """Whisper's code; with ``language: mixed`` it may differ from segment to segment."""
    channel: str | None = None
    """Name of the channel for ``audio.channels: split``, otherwise None."""
    mean_logprob: float
    """Mean natural-log probability of the decoded tokens of its window, end token included."""
    no_speech_probability: float
    compression_ratio: float
    """Of the window's text: :func:`snakescribe.engine.tokens.compression_ratio`."""
    temperature: float
    """Sampling temperature of the attempt that was kept; 0 is greedy or beam search."""
    flags: tuple[SegmentFlag, ...] = ()
    """Guards that still failed after the last attempt."""
    words: tuple[Word, ...] = ()


class Gap(Frozen):
    """Speech without text (seconds); what was said there is missing."""

    start: float
    end: float
    channel: str | None = None


class Transcript(Frozen):
    """All segments of a recording by start time, with what was found about its speech."""

    duration: float
    """Seconds of audio decoded."""
    speech_seconds: float
    """Seconds that voice activity took for speech (summed over channels)."""
    language: str | None
    """Whisper's code; None when there was no speech."""
    language_probability: float | None
    """1.0 when the language was given, None when there was no speech."""
    segments: tuple[Segment, ...]
    gaps: tuple[Gap, ...] = ()
    """Where more than two seconds of speech have no text."""
    flags: tuple[SegmentFlag, ...] = ()
    """Guards that some window still failed after its last attempt."""
    replacements: tuple[str, ...] = ()
    """Glossary replacements made, as ``from→to ×count``."""

    @property
    def text(self) -> str:
        """The whole transcript; segments joined by a space."""
        return " ".join(s.text for s in self.segments if s.text)


def covered_seconds(segments: Iterable[Mapping[str, Any]]) -> float:
    """Seconds in at least one segment, counted in each channel by itself."""
    seconds, until = 0.0, dict[str | None, float]()
    for segment in sorted(segments, key=lambda segment: segment["start"]):
        channel, end = segment["channel"], segment["end"]
        start = max(segment["start"], until.get(channel, 0.0))
        if end > start:
            seconds += end - start
            until[channel] = end
    return seconds
