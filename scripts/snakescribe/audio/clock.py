"""The clock of a recording: its times are those that a media player shows.

What a decoder gives is only sound. A video whose sound begins after its picture, and a call whose microphone was muted,
have less of it than time passes, and all that is said afterwards would be too early. So silence goes where the time
stamps leave a gap. Nothing is ever cut or stretched: a clock that is slower than the sound is not followed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE

STEP = 0.05
"""Seconds that a time stamp may be late before silence is put in: they are rounded to a millisecond (Matroska), or tell
when a packet arrived (WebRTC)."""
CONTAINER_JUMP = 3600
"""Seconds. In MPEG-TS, Ogg and the like a longer jump of the time stamps is a new clock, not a gap (ffmpeg's
``-dts_delta_threshold``; its own 10 s would close a network loss)."""

SURE_STEP = 0.5
"""Seconds of a gap that are believed after the sound changed its rate: the time stamps of raw AAC, and within a packet
of MPEG-TS, still count by the former one."""

_NEW_GRAPH = -1.0

FILTER = (
    "asetpts='"
    f"if(ld(2), if(gt(T, ld(0)+{STEP}), print(ld(0)); print(T); st(0, T)),"
    f" print({_NEW_GRAPH:.0f}); print(T); st(2, 1); st(0, T));"
    " st(1, ld(0)); st(0, ld(0) + NB_SAMPLES/SR); ld(1)/TB'"
)
"""An ffmpeg filter that changes no sample and says on stderr, in pairs of seconds, where the time stamps leave a gap:
the end of the sound before it, the beginning of the sound after it. The first pair is -1 and the first sample's time;
it comes again when the sound changes its rate or channels."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Clock:
    """When the sound begins, and its gaps, in seconds from the start of the recording."""

    start: float = 0.0
    gaps: tuple[tuple[float, float], ...] = ()
    """Start and end of each."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Clock:
        """From the pairs that :data:`FILTER` wrote.

        >>> Clock.of([(-1, 2.5), (11.1, 19.1)])
        Clock(start=2.5, gaps=((11.1, 19.1),))
        """
        start: float | None = None
        gaps: list[tuple[float, float]] = []
        least = 0.0
        for end, begin in pairs:
            if not math.isfinite(end + begin):
                continue
            if end == _NEW_GRAPH:
                start, least = (begin, 0.0) if start is None else (start, SURE_STEP)
            elif begin - end >= least:
                gaps.append((end, begin))
        first = start if start is not None and start >= STEP else 0.0
        return cls(first, tuple(gaps))

    @property
    def seconds(self) -> float:
        """Of silence that is missing in the sound."""
        return self.start + sum(end - start for start, end in self.gaps)

    def silences(self) -> list[tuple[int, int]]:
        """Where silence goes: sample of the decoded sound before which it stands, and how many samples of it."""
        found, put = [], 0.0
        for start, end in ((0.0, self.start), *self.gaps):
            if end > start:
                found.append((round((start - put) * SAMPLE_RATE), round((end - start) * SAMPLE_RATE)))
                put += end - start
        return found


def spread(sound: BinaryIO, samples: int, clock: Clock, target: BinaryIO) -> int:
    """Copy ``samples`` (s16le) with silence in the gaps, as holes; returns how many they are then."""
    done = made = 0
    for before, silence in clock.silences():
        before = min(max(before, done), samples)
        copy_samples(sound, target, before - done)
        target.seek(silence * SAMPLE_BYTES, 1)
        made += before - done + silence
        done = before
    copy_samples(sound, target, samples - done)
    made += samples - done
    target.truncate()
    return made


def copy_samples(source: BinaryIO, target: BinaryIO, samples: int) -> None:
    """Copy so many (s16le) from where ``source`` stands to where ``target`` stands."""
    left = samples * SAMPLE_BYTES
    while left and (block := source.read(min(left, _BLOCK))):
        target.write(block)
        left -= len(block)
