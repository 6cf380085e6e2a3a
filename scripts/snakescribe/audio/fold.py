"""From the channels of a track to what Whisper hears: look first, then fold.

A mix of all channels loses a voice where two sides are opposite in phase, where one carries only noise, and where a
dialogue sits in one of six. So the channels are measured while they are decoded, and the recording is decoded once more
when the plain mix was wrong. No product of matrices is used: OpenBLAS, in several threads, hangs when another thread
starts ffmpeg in that moment (it stops its threads before a fork).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from snakescribe.config.options import Channels
from snakescribe.flags import RecordingFlag

Block = npt.NDArray[np.int16]
Weights = tuple[tuple[float, ...], ...]
"""Of each channel in each output."""

CHUNK = 512
"""Samples (32 ms) that one level is measured over."""
FLOOR = -100
"""dB below full scale: lower levels count as this one."""
DEAD = 40.0
"""dB that the loudest moment of a channel is below that of the loudest channel when nobody speaks on it. A far voice on
the other side of a call was 25 to 32 dB down (shared/field)."""
STEADY = 6.0
"""dB between quiet and loud moments: noise and tones stay within, of speech they are 15 and more apart."""
DROWNS = 15.0
"""dB that steady noise must be below a voice to be left in the mix, and another voice below the dialogue while that
speaks: then they take turns, and music and effects do not."""
OPPOSITE = -0.5
"""Correlation of two channels below which they are the same sound with opposite signs."""
LOST = 10.0
"""dB that a moment of two sides is lower in their mix than on each: they cancel each other out."""
MOST_LOST = 0.01
"""Share of the loud moments that may be lost like that, and …"""
MOST_LOST_MOMENTS = 16
"""… so many (half a second) at least, before the sides are mixed unevenly."""
UNEVEN = (2 / 3, 1 / 3)
"""Weights of two sides that have some sounds with the same sign and some with opposite ones: none is lost, and none is
more than 10 dB below the others."""

CENTRES = {"5.1": 2, "5.1(side)": 2, "5.0": 2, "5.0(side)": 2, "7.1": 2, "7.1(wide)": 2, "7.0": 2, "6.1": 2, "3.0": 2}
"""Layouts of films, by ffmpeg's names, and the channel of the dialogue (SMPTE 428-3: left, right, centre, …)."""


class Levels:
    """What was heard on each channel, added up as it is decoded."""

    def __init__(self, channels: int) -> None:
        """Nothing yet."""
        self.channels = channels
        self.samples = 0
        self.saturated = 0
        """Samples at full scale, of all channels."""
        self._sum = np.zeros(channels)
        self._products = np.zeros((channels, channels))
        self._powers = np.zeros((channels, channels))
        self._histogram = np.zeros((channels, 1 - FLOOR), np.int64)
        # Moments of two sides, lost in their sum and in their difference.
        self._lost = np.zeros((2, 1 - FLOOR), np.int64)

    def add(self, block: Block) -> None:
        """Take in some sound, shape (samples, channels)."""
        self.samples += len(block)
        if block.max(initial=0) == 32767 or block.min(initial=0) == -32768:
            self.saturated += int(np.count_nonzero((block == 32767) | (block == -32768)))
        sound = np.ascontiguousarray(block.T, np.float32)
        sound /= 32768
        self._sum += sound.sum(1)
        chunks = sound[:, : len(block) - len(block) % CHUNK].reshape(self.channels, -1, CHUNK)
        power = np.einsum("cts,cts->ct", chunks, chunks) / CHUNK - np.square(chunks.mean(2))
        if self.channels > 1:
            for one, two in combinations_with_replacement(range(self.channels), 2):
                self._products[one, two] = self._products[two, one] = self._products[one, two] + np.einsum(
                    "s,s->", sound[one], sound[two]
                )
            self._powers += np.einsum("ct,dt->cd", power, power)
        level = np.round(10 * np.log10(np.maximum(power, 1e-10))).astype(np.int64)
        for channel, moments in zip(self._histogram, level, strict=True):
            channel += np.bincount(moments - FLOOR, minlength=1 - FLOOR)
        if self.channels == 2:
            both = np.einsum("ts,ts->t", *chunks) / CHUNK - chunks[0].mean(1) * chunks[1].mean(1)
            for lost, sign in zip(self._lost, (1, -1), strict=True):
                mixed = power.sum(0) + 2 * sign * both
                moments = level.max(0)[mixed < 2 * power.sum(0) / 10 ** (LOST / 10)]
                lost += np.bincount(moments - FLOOR, minlength=1 - FLOOR)

    @property
    def silent(self) -> bool:
        """Whether every sample is 0 but for a constant part."""
        return bool(self.level(1.0).max() <= FLOOR)

    @property
    def offset(self) -> float:
        """The largest constant part of a channel, 0 to 1."""
        return float(np.abs(self._sum).max() / max(1, self.samples))

    def level(self, share: float) -> npt.NDArray[np.float64]:
        """DBFS of each channel that this share of its moments do not exceed, shape (channels,)."""
        total = np.cumsum(self._histogram, 1)
        wanted = np.maximum(1, np.ceil(share * total[:, -1:]))
        return np.asarray(np.argmax(total >= wanted, 1), np.float64) + FLOOR

    def correlation(self, one: int) -> npt.NDArray[np.float64]:
        """Of each channel with this one, -1 to 1, shape (channels,)."""
        mean = self._sum / max(1, self.samples)
        covariance = self._products / max(1, self.samples) - np.outer(mean, mean)
        power = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        return np.asarray(covariance[one] / (power * power[one]))

    def cancels(self, turned: bool) -> bool:
        """Whether too much of two sides is lost in their mix, as they are or with one of them turned."""
        loud = int(self.level(0.99).max() - STEADY * 3) - FLOOR
        lost = int(self._lost[int(turned), max(1, loud) :].sum())
        return lost >= max(MOST_LOST_MOMENTS, MOST_LOST * float(self._histogram[:, max(1, loud) :].sum(1).max()))

    def meanwhile(self, one: int) -> npt.NDArray[np.float64]:
        """Level (dB) of each channel above this one while this one is loud, shape (channels,)."""
        power = self._powers[one] / max(1e-20, self._powers[one, one])
        return np.asarray(10 * np.log10(np.maximum(power, 1e-10)))


@dataclass(frozen=True)
class Fold:
    """How channels become outputs, and what was wrong with them."""

    weights: Weights
    flags: tuple[RecordingFlag, ...] = ()

    def __call__(self, block: Block) -> Block:
        """The outputs of some sound, shape (samples, outputs)."""
        if np.array_equal(self.weights, np.eye(len(self.weights))):
            return block
        folded = np.zeros((len(block), len(self.weights)), np.float32)
        for output, row in enumerate(self.weights):
            for channel, weight in enumerate(row):
                if weight:
                    folded[:, output] += np.float32(weight) * block[:, channel]
        return np.clip(np.rint(folded), -32768, 32767).astype(np.int16)

    @property
    def pans(self) -> list[str]:
        """The same as ffmpeg filters, one for each output.

        >>> Fold(((0.5, -0.5),)).pans
        ['pan=mono|c0=0.5*c0-0.5*c1']
        """
        terms = ["".join(f"{weight:+.7g}*c{c}" for c, weight in enumerate(row) if weight) for row in self.weights]
        return [f"pan=mono|c0={term.removeprefix('+')}" for term in terms]


ONE = Fold(((1.0,),))
"""A single channel as it is."""


def first_fold(mode: Channels, channels: int, layout: str) -> Fold:
    """What is made of the channels before anything was heard of them.

    A mix is the centre of a film, and of everything else all channels alike.
    """
    if mode == "split":
        return Fold(tuple(tuple(float(c == o) for c in range(channels)) for o in range(channels)))
    one = 1 if mode == "right" and channels > 1 else 0
    if mode == "mix":
        one = CENTRES.get(layout, channels)
        if one >= channels:
            return Fold(((1 / channels,) * channels,))
    return Fold((tuple(float(c == one) for c in range(channels)),))


def better_mix(levels: Levels, layout: str) -> Fold:
    """The mix for what was heard: without channels on which nobody speaks, opposite ones turned."""
    plain = first_fold("mix", levels.channels, layout)
    weights = np.array(plain.weights[0])
    if levels.channels == 1:
        return plain
    loud, quiet = levels.level(0.99), levels.level(0.1)
    alive = loud > max(loud.max() - DEAD, FLOOR)
    lively = alive & (loud - quiet >= STEADY)
    if lively.any():
        alive &= lively | (loud < loud[lively].max() - DROWNS)
    if not alive.any():
        return plain
    centre = int(weights.argmax())
    if weights.max() == 1 and (lively[centre] or not lively.any()):
        turns = lively & (levels.meanwhile(centre) < -DROWNS)
        turns[centre] = True
        return Fold((tuple(turns.astype(float).tolist()),))
    sign = _signs(levels, [int(one) for one in np.argsort(-loud, kind="stable") if alive[one]])
    if levels.channels == 2 and alive.all() and levels.cancels(turned=bool((sign < 0).any())):
        return Fold((tuple((np.array(UNEVEN) * sign).tolist()),), ("inverted_channel",))
    silent = bool((loud[~alive] <= loud.max() - DEAD).all())
    if silent and (sign > 0).all() and 2 * alive.sum() >= levels.channels and weights.max() < 1:
        return Fold(plain.weights, () if alive.all() else ("dead_channel",))  # silence drowns nobody
    flags: list[RecordingFlag] = []
    if (sign < 0).any():
        flags.append("inverted_channel")
    if not alive.all():
        flags.append("dead_channel")
    return Fold((tuple((alive * sign / alive.sum()).tolist()),), tuple(flags))


def _signs(levels: Levels, loudest: list[int]) -> npt.NDArray[np.int64]:
    """-1 for a channel that has the sound of a louder one with the opposite sign; ``loudest`` are those that count."""
    sign = np.ones(levels.channels, np.int64)
    for number, one in enumerate(loudest[1:], 1):
        correlation = levels.correlation(one) * sign
        if correlation[max(loudest[:number], key=lambda other: abs(correlation[other]))] < OPPOSITE:
            sign[one] = -1
    return sign


def channel_names(channels: int, names: dict[str, str]) -> list[str | None]:
    """Names of the channels of ``split``; a single channel needs none.

    >>> channel_names(2, {"left": "agent"})
    ['agent', 'right']
    >>> channel_names(3, {"c1": "caller"})
    ['c0', 'caller', 'c2']
    >>> channel_names(1, {})
    [None]
    """
    if channels == 1:
        return [None]
    plain = ["left", "right"] if channels == 2 else [f"c{number}" for number in range(channels)]
    return [names.get(name, name) for name in plain]
