"""The clock of a recording: its times are those that a media player shows.

What a decoder gives is only sound. A video whose sound begins after its picture, and a call whose microphone was muted,
have less of it than time passes, and all that is said afterwards would be too early. So silence goes where the time
stamps leave a gap. Nothing is ever cut or stretched: a clock that is slower than the sound is not followed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE

STEP = 0.05
"""Seconds that a time stamp may be off before it counts: they are rounded to a millisecond (Matroska), or tell when a
packet arrived (WebRTC)."""
BURST = 0.5
"""Seconds of sound within which time stamps that were late come back: a packet was held up on its way, nothing is
missing."""
GUESSED = 1.0
"""Seconds. When the sample rate rises within a stream, ffmpeg counts on with the old one (MPEG-TS, ADTS), and its time
stamps run away from the sound in steps of a few frames: shorter jumps mean nothing then."""
CONTAINER_JUMP = 3600
"""Seconds. In MPEG-TS, Ogg and the like a longer jump of the time stamps is a new clock, not a gap (ffmpeg's
``-dts_delta_threshold``; its own 10 s would close a network loss)."""

_ROUNDED = 0.002  # seconds of Matroska's time stamps

FILTER = (
    "asetpts='"
    f"if(ld(2), if(gt(abs(T-ld(0)), {STEP}), print(ld(0)); print(T); st(0, T)),"
    " print(-SR); print(T); st(2, 1); st(0, T));"
    " st(1, ld(0)); st(0, ld(0) + NB_SAMPLES/SR); ld(1)/TB'"
)
"""An ffmpeg filter that changes no sample and says on stderr, in pairs of seconds, where the time stamps jump: the end
of the sound before it, the beginning of the sound after it. The first pair is the negative sample rate (Hz) and the
first sample's time; such a pair comes again when the sound changes its rate or channels."""
_LOWEST_RATE = 1000  # Hz

_BLOCK = 1 << 18
_SILENCE = bytes(_BLOCK)


@dataclass(frozen=True)
class Clock:
    """When the sound begins, and its gaps, in seconds from the start of the recording."""

    start: float = 0.0
    gaps: tuple[tuple[float, float], ...] = ()
    """Start and end of each."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]], late: float = 0.0, sound: float = math.inf) -> Clock:
        """From the pairs that :data:`FILTER` wrote.

        Args:
            pairs: of seconds.
            late: seconds that the stream begins after the first of the file. In MPEG-TS, MPEG-PS and Ogg ffmpeg counts
                from the first stream that is decoded, elsewhere from the first of all.
            sound: seconds of it; what comes after the end is no gap (ffmpeg 5.1 gives the end a wrong time stamp).

        >>> Clock.of([(-16000, 2.5), (11.1, 19.1)])
        Clock(start=2.5, gaps=((11.1, 19.1),))
        >>> Clock.of([(-16000, 0.0), (8.6, 16.6)], late=2.5)
        Clock(start=2.5, gaps=((11.1, 19.1),))
        """
        first: float | None = None
        silences: list[tuple[float, float]] = []  # second of the sound, seconds of silence
        ahead = jumps = 0.0  # the sound is ahead of the clock; sum of all jumps
        rates: list[float] = []
        for end, begin in pairs:
            if not math.isfinite(end + begin):
                continue
            if end <= -_LOWEST_RATE:
                rates.append(-end)
                first = begin if first is None else first
                continue
            heard = end - (first or 0.0) - jumps
            jumps += begin - end
            if rates and rates[-1] > rates[0] and abs(begin - end) < GUESSED:
                continue
            ahead += end - begin
            while ahead > 0 and silences and heard - silences[-1][0] < BURST:
                place, long = silences.pop()
                if ahead < long - STEP:
                    silences.append((place, long - ahead))
                    ahead = 0.0
                else:
                    ahead -= long
            if ahead < -STEP and heard < sound - _ROUNDED:
                silences.append((heard, -ahead))
                ahead = 0.0
        start = first or 0.0
        if start < late - STEP:
            start += late
        start = put = start if start >= STEP else 0.0
        gaps = []
        for place, long in silences:
            gaps.append((place + put, place + put + long))
            put += long
        return cls(start, tuple(gaps))

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
        copy_with_holes(sound, target, (before - done) * SAMPLE_BYTES)
        target.seek(silence * SAMPLE_BYTES, 1)
        made += before - done + silence
        done = before
    copy_with_holes(sound, target, (samples - done) * SAMPLE_BYTES)
    made += samples - done
    target.truncate()
    return made


def copy_with_holes(source: BinaryIO, target: BinaryIO, size: int | None = None) -> None:
    """Copy so many bytes, or all; silence takes no room (the target has to be truncated where it ends)."""
    left = sys.maxsize if size is None else size
    while left and (block := source.read(min(left, _BLOCK))):
        if block == _SILENCE[: len(block)]:
            target.seek(len(block), 1)
        else:
            target.write(block)
        left -= len(block)
