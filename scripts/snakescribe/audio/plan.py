"""How a track is decoded: first as it is, then mended by what was heard of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.fold import Fold, Levels, Weights, better_mix
from snakescribe.audio.report import AudioStream
from snakescribe.config.options import Channels

PASSES = 4
"""Times that a track is decoded at most: for a better mix, and for a level that 16 bits cannot tell the first time."""
MOST_OFFSET = 0.02
"""Constant part (of full scale) that is taken away."""
RUMBLE = 20.0
"""Hz: no voice is lower, and a constant part is 0 Hz."""
SATURATED = 0.01
"""Share of samples at full scale, of a source that knows larger ones, from which on it is decoded at a lower level."""
LOWER = 1 / 16
"""-24 dB; more headroom than any recorder needs."""
QUIET = -62.0
"""dBFS of the loudest moment. Below, 16 bits cut the softer sounds off (a bit is 6 dB, and silence -98)."""
LOUDEST = -20.0
"""dBFS that the loudest moment of such a recording is brought to."""
LIFT = 60.0
"""dB at once for one that is digital silence in 16 bits."""
SHORTEST_RANGE = 6.0
"""dB between quiet and loud moments of a recording in which there may be a voice; noise alone is not amplified."""

STEREO_MIX = (
    f"asplit[a][b];[a]aformat=channel_layouts=mono:sample_rates={SAMPLE_RATE}:sample_fmts=s16[mix];"
    f"[b]pan=stereo|c0=c0|c1=c1,aformat=sample_rates={SAMPLE_RATE}:sample_fmts=s16[sides];[sides][mix]amerge"
)
"""Two channels become three: left, right and what ffmpeg makes of both. Mixed from samples that were rounded, last
bits differ, and with them now and then a word: of 8 stereo recordings 5 had another text."""


@dataclass(frozen=True)
class Plan:
    """One decoding of one track."""

    track: int
    fold: Fold | None = None
    """None is the first one, made when the number of channels is known."""
    gain: float = 0.0
    """dB, before the samples become 16 bits."""
    highpass: float | None = None
    """Hz."""
    stereo_mix: bool = False
    """ffmpeg mixes the two channels itself, rounding once, and the mix comes as a third channel beside them."""

    def filters(self) -> list[str]:
        """For ffmpeg, on every channel.

        >>> Plan(0, gain=40.0, highpass=80.0).filters()
        ['highpass=f=80.0', 'volume=40.0dB:precision=float']
        """
        filters = [f"highpass=f={self.highpass}"] if self.highpass is not None else []
        filters += [f"volume={self.gain}dB:precision=float"] if self.gain else []
        return [*filters, STEREO_MIX] if self.stereo_mix else filters

    def same_sound(self, other: Plan) -> bool:
        """Whether both give the same samples."""
        return replace(self, fold=None) == replace(other, fold=None) and self._weights == other._weights

    @property
    def _weights(self) -> Weights | None:
        return self.fold.weights if self.fold else None


def improved(plan: Plan, levels: Levels, stream: AudioStream, mode: Channels) -> Plan:
    """The plan for what was heard; equal to ``plan`` when it was right."""
    fold = better_mix(levels, stream.layout) if mode == "mix" else plan.fold
    gain = plan.gain
    loudest, quiet = levels.level(1.0).max(), levels.level(0.1).min()
    if levels.saturated > SATURATED * levels.samples * levels.channels:
        gain += 20 * math.log10(LOWER) if stream.beyond_16_bits else 0
    elif plan.gain == 0 and levels.silent:
        gain += LIFT if stream.beyond_16_bits else 0
    elif loudest < QUIET and loudest - quiet >= SHORTEST_RANGE:
        gain += LOUDEST - loudest
    highpass = max(plan.highpass or 0, RUMBLE) if levels.offset > MOST_OFFSET else plan.highpass
    better = replace(plan, fold=fold, gain=gain, highpass=highpass)
    return better if better.same_sound(plan) else replace(better, stereo_mix=False)
