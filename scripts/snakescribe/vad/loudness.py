"""Speech that voice activity hardly hears although it is as loud as the rest of the recording.

What is not found here reaches no model, and the coverage audit cannot miss it: of 111 recordings one, of a soft voice
in a small room, lost its first 2.2 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from snakescribe.audio.samples import release
from snakescribe.vad import CHUNK
from snakescribe.vad.spans import Span

SHORTEST = 19
"""Chunks (0.6 s): a shorter stretch is a pause between two words."""
AS_LOUD = 6.0
"""dB that the median level of a stretch may be below that of the speech that was found."""
UNSURE = 0.06
"""Mean probability of speech. Of the stretches as loud as speech, where someone spoke had 0.08 to 0.12, a whale 0.003
and 0.026; music on hold has 0.002."""
BLOCK = 1 << 12
"""Chunks (2 min) read at once."""


def levels(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Level of each chunk in dB below full scale, shape (ceil(n / 512),); digital silence is -100."""
    found = np.empty(-(-len(samples) // CHUNK), np.float32)
    for first in range(0, len(found), BLOCK):
        piece = samples[first * CHUNK : (first + BLOCK) * CHUNK]
        starts = np.arange(0, len(piece), CHUNK)
        power = np.add.reduceat(np.square(piece, dtype=np.float32), starts) / np.diff(starts, append=len(piece))
        found[first : first + len(starts)] = 10 * np.log10(power / 32768.0**2 + 1e-10)
        release(samples)
    return found


def doubted(
    probabilities: npt.NDArray[np.float32], spans: Sequence[Span], level: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Chunks outside ``spans`` that may well be speech: as loud as speech, and voice activity not sure of silence.

    The median level decides, so that a knock in a pause does not count.
    """
    result = np.zeros(len(probabilities), np.bool_)
    voice = np.zeros(len(probabilities), np.bool_)
    for span in spans:
        voice[(span.start + span.lead) // CHUNK : -(-(span.end - span.tail) // CHUNK)] = True
    if not voice.any():
        return result
    least = float(np.median(level[voice])) - AS_LOUD
    (edges,) = np.nonzero(np.diff(~voice, prepend=False, append=False))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        stretch = slice(start, end)
        if end - start >= SHORTEST and probabilities[stretch].mean() >= UNSURE and np.median(level[stretch]) >= least:
            result[stretch] = True
    return result


DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
"""Of base64, worth 0 to 63 dB above -63 dB."""
TOGETHER = 8
"""Chunks of a digit: 0.256 s."""


def envelope(channels: Iterable[npt.NDArray[np.int16]]) -> str:
    """The loudest chunk of each quarter of a second in any channel, a digit each: enough to draw a waveform.

    >>> quiet, loud = np.zeros(8192, np.int16), np.full(4096, 16384, np.int16)
    >>> envelope([quiet, loud])  # 0.5 s and 0.256 s of half of full scale, -6 dB
    '5A'
    """
    shown = np.empty(0, np.uint8)
    for samples in channels:
        level = np.clip(np.round(levels(samples) + 63), 0, 63).astype(np.uint8)
        level = np.pad(level, (0, -len(level) % TOGETHER)).reshape(-1, TOGETHER).max(axis=1, initial=0)
        size = max(len(shown), len(level))
        shown = np.maximum(np.pad(shown, (0, size - len(shown))), np.pad(level, (0, size - len(level))))
    return "".join(DIGITS[digit] for digit in shown)
