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
LIFT = 40.0
"""dB at once for such a recording that has more than 16 bits: its softer sounds are there, and none of it clips."""
SHORTEST_RANGE = 6.0
"""dB between quiet and loud moments of a channel on which there may be a voice; noise alone is not amplified."""

STEREO_MIX = (
    f"asplit[a][b];[a]aformat=channel_layouts=mono:sample_rates={SAMPLE_RATE}:sample_fmts=s16[mix];"
    f"[b]pan=stereo|c0=c0|c1=c1,aformat=sample_rates={SAMPLE_RATE}:sample_fmts=s16[sides];[sides][mix]amerge"
)
"""Two channels become three: left, right and what ffmpeg makes of both. Mixed from samples that were rounded, last
bits differ, and with them now and then a word: of 7 stereo recordings 4 had another text."""


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
    settled: bool = False
    """The gain is not looked at again."""

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
        alike = replace(self, fold=None, settled=False) == replace(other, fold=None, settled=False)
        return alike and self._weights == other._weights

    @property
    def _weights(self) -> Weights | None:
        return self.fold.weights if self.fold else None


def improved(plan: Plan, levels: Levels, stream: AudioStream, mode: Channels) -> Plan:
    """The plan for what was heard; equal to ``plan`` when it was right."""
    fold = better_mix(levels, stream.layout) if mode == "mix" else plan.fold
    gain, settled = _gain(plan, levels, stream)
    highpass = max(plan.highpass or 0, RUMBLE) if levels.offset > MOST_OFFSET else plan.highpass
    better = replace(plan, fold=fold, gain=gain, highpass=highpass, settled=settled)
    return better if better.same_sound(plan) else replace(better, stereo_mix=False)


def _gain(plan: Plan, levels: Levels, stream: AudioStream) -> tuple[float, bool]:
    """The gain (dB) for what was heard, and whether that is the last word."""
    loudest = levels.level(1.0).max()
    if stream.beyond_16_bits and levels.saturated > SATURATED * levels.samples * levels.channels:
        return plan.gain + 20 * math.log10(LOWER), True
    if plan.settled or (loudest >= QUIET and not plan.gain) or (levels.silent and plan.gain):
        return plan.gain, True
    if stream.beyond_16_bits and not plan.gain:
        return LIFT, False  # what 16 bits do not tell of it decides
    if levels.silent or (levels.level(0.99) - levels.level(0.1)).max() < SHORTEST_RANGE:
        return 0.0, True
    return plan.gain + (LOUDEST - loudest if loudest < LOUDEST - LIFT / 2 else 0.0), True
