"""What one channel hears of another's voice, taken out before its own voices are told apart. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from snakescribe.speakers.heard import Heard
from snakescribe.speakers.voices import SPEAKS, Voices, frame_seconds, frames_of

SOFTER = 6.0
"""dB that a voice lies below another channel's, each against the loud moments of its own channel: then it is that
one's, heard from afar. Leaks of -30 to -10 dB were tried (docs/decisions/speakers.md)."""
ALIKE, WITHIN = 0.6, 0.6
"""Correlation of the two levels within so many seconds: what is heard from afar rises and falls with what is said
there, two people who speak at once do not."""
FAR = 25.0
"""The same without measuring against anything: a channel on which nobody speaks has no loud moments of its own."""
AROUND = 0.25
"""Seconds over which the level is taken: words are uneven."""
LOUD = 10
"""Percentile of the levels (dB below full scale) of a channel's voices that counts as loud."""


def without_crosstalk(heard: Heard) -> Heard:
    """Voices of each channel without those that are louder on another one; a single channel stays as it is."""
    if len(heard) < 2:
        return heard
    raw = {channel: _smooth(voices) for channel, voices in heard.items()}
    own = {channel: raw[channel] - _loud(voices, raw[channel]) for channel, voices in heard.items()}
    levels = {channel: -voices.levels.astype(np.float32) for channel, voices in heard.items()}
    return {channel: _without(voices, _leaked(channel, raw, own, levels)) for channel, voices in heard.items()}


def _smooth(voices: Voices) -> npt.NDArray[np.float32]:
    """Levels in dB of full scale."""
    width = min(frames_of(AROUND), len(voices.levels))
    return np.convolve(-voices.levels.astype(np.float32), np.full(width, 1 / width, np.float32), "same")


def _loud(voices: Voices, levels: npt.NDArray[np.float32]) -> float:
    spoken = levels[(voices.frames >= SPEAKS).any(1)]
    return float(np.percentile(spoken, 100 - LOUD)) if len(spoken) else 0.0


def _leaked(
    channel: str | None,
    raw: dict[str | None, npt.NDArray[np.float32]],
    own: dict[str | None, npt.NDArray[np.float32]],
    levels: dict[str | None, npt.NDArray[np.float32]],
) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(raw[channel]), np.bool_)
    for other in raw.keys() - {channel}:
        shared = min(len(found), len(raw[other]))
        nearer = own[other][:shared] - own[channel][:shared] > SOFTER
        nearer &= _correlation(levels[other][:shared], levels[channel][:shared]) > ALIKE
        found[:shared] |= nearer | (raw[other][:shared] - raw[channel][:shared] > FAR)
    return found


def _correlation(one: npt.NDArray[np.float32], two: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of two levels around each frame, -1 to 1; 0 where one of them does not change."""
    width = min(frames_of(WITHIN), len(one))

    def mean(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.convolve(values, np.full(width, 1 / width, np.float32), "same")

    one, two = one - one.mean(), two - two.mean()
    both, first, second = mean(one) * mean(two), mean(one) ** 2, mean(two) ** 2
    spread = (mean(one * one) - first) * (mean(two * two) - second)
    return np.asarray((mean(one * two) - both) / np.sqrt(np.maximum(spread, 1e-3)), np.float32)


def _without(voices: Voices, leaked: npt.NDArray[np.bool_]) -> Voices:
    frames = np.where(leaked[:, None], np.uint8(0), voices.frames)
    middles = frame_seconds(len(leaked))
    before = np.concatenate([[0], np.cumsum(leaked)])
    # Windows are given in features of 10 ms.
    first, last = (np.searchsorted(middles, edge / 100) for edge in (voices.windows[:, 0], voices.windows.sum(1)))
    kept = 2 * (before[last] - before[first]) < np.maximum(last - first, 1)
    return replace(voices, frames=frames, windows=voices.windows[kept], vectors=voices.vectors[kept])
