"""Voices so far below the others of a recording that voice activity does not hear them: heard again, made as loud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from snakescribe.vad import CHUNK
from snakescribe.vad.spans import Span

SHORTEST = 63
"""Chunks (2 s) without speech that are worth hearing again."""
LEAST, MOST = 12.0, 40.0
"""dB that a stretch may be below the voice: nearer ones are heard at once, below that is the noise of a quiet room."""
VOICE, SOUND = 0.75, 0.9
"""Quantiles of the levels of speech, and of a stretch that may have pauses in it."""


def far_stretches(spans: Sequence[Span], level: npt.NDArray[np.float32]) -> Iterator[tuple[slice, float]]:
    """Stretches (chunks) without speech in which there may be a far voice, and what makes it as loud as the speech.

    Args:
        spans: speech in order.
        level: dB per chunk (:func:`~snakescribe.vad.loudness.levels`).
    """
    voice = np.zeros(len(level), np.bool_)
    for span in spans:
        voice[(span.start + span.lead) // CHUNK : -(-(span.end - span.tail) // CHUNK)] = True
    if not voice.any():
        return
    near = float(np.quantile(level[voice], VOICE))
    (edges,) = np.nonzero(np.diff(~voice, prepend=False, append=False))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if end - start >= SHORTEST:
            missing = near - float(np.quantile(level[start:end], SOUND))
            if LEAST <= missing <= MOST:
                yield slice(start, end), 10 ** (missing / 20)
