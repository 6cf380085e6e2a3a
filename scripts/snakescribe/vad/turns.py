"""Where one voice ends and another begins that is far louder or softer: no window of the model may hold both.

A model's input is scaled by its loudest moment. Beside a loud voice one that is 25 dB lower is next to nothing, and its
text begins with what the loud one said last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from snakescribe.vad import CHUNK
from snakescribe.vad.loudness import BLOCK
from snakescribe.vad.spans import Span

BESIDE = 63
"""Chunks of voice (2 s) that are compared on each side; a shorter turn stays with its neighbours."""
SOFT, LOUD = 15, 47
"""Quartiles of so many chunks, by rank."""
STEP = 6.0
"""dB from the upper quartile of the softer side to the lower quartile of the louder one: of 112 recordings none has
more than 2.2, a second voice 18 dB lower 6.6, one 25 dB lower 13.6 (docs/decisions/windows-and-voice-activity.md)."""
NEAR = 31
"""Chunks of voice (1 s) from where the level changes in which the cut may be moved into a pause."""
VOICED = 0.5
"""Probability from which on a chunk tells how loud a voice is."""


@dataclass(frozen=True)
class Turn:
    """Speech of about one level."""

    spans: tuple[Span, ...]
    gain: float
    """What makes it as loud as the loudest turn of the track."""


def turns(spans: Sequence[Span], probabilities: npt.NDArray[np.float32], level: npt.NDArray[np.float32]) -> list[Turn]:
    """Speech cut where its level changes by ``STEP``; in most recordings nowhere.

    Args:
        spans: speech in order.
        probabilities: of speech, per chunk.
        level: dB per chunk (:func:`~snakescribe.vad.loudness.levels`).
    """
    voiced = _voiced(spans, probabilities)
    found = [_in_pause(place, voiced) for place in _changes(level[voiced])]
    if not found:
        return [Turn(tuple(spans), 1.0)] if spans else []
    bounds = [0, *found, len(voiced)]
    loud = [float(np.quantile(level[voiced[a:b]], 0.75)) for a, b in pairwise(bounds)]
    rest, result = list(spans), []
    for place, own in zip(found, loud, strict=False):
        mine, rest = _cut(rest, int(voiced[place - 1] + 1) * CHUNK, int(voiced[place]) * CHUNK)
        result.append(Turn(tuple(mine), 10 ** ((max(loud) - own) / 20)))
    return [*result, Turn(tuple(rest), 10 ** ((max(loud) - loud[-1]) / 20))]


def _voiced(spans: Sequence[Span], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Chunks that surely are voice."""
    inside = np.zeros(len(probabilities), np.bool_)
    for span in spans:
        inside[(span.start + span.lead) // CHUNK : -(-(span.end - span.tail) // CHUNK)] = True
    return np.flatnonzero(inside & (probabilities >= VOICED))


def _changes(level: npt.NDArray[np.float32]) -> list[int]:
    """Which chunks of voice begin at another level, at least ``BESIDE`` apart."""
    if len(level) < 2 * BESIDE:
        return []
    stretches = np.lib.stride_tricks.sliding_window_view(level, BESIDE)
    blocks = (stretches[first : first + BLOCK] for first in range(0, len(stretches), BLOCK))
    soft, loud = np.concatenate([np.partition(b, (SOFT, LOUD), axis=1)[:, (SOFT, LOUD)] for b in blocks]).T
    found: list[int] = []
    for change in (soft[BESIDE:] - loud[:-BESIDE], soft[:-BESIDE] - loud[BESIDE:]):  # louder or softer from here on
        (edges,) = np.nonzero(np.diff(change >= STEP, prepend=False, append=False))
        for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            found.append(first + BESIDE + _best_cut(level[first : end - 1 + 2 * BESIDE], end - first))
    kept: list[int] = []
    for place in sorted(found):
        if place - (kept[-1] if kept else 0) >= BESIDE and len(level) - place >= BESIDE:
            kept.append(place)
    return kept


def _best_cut(level: npt.NDArray[np.float32], places: int) -> int:
    """Of so many places from ``BESIDE`` on the one that leaves two parts of the most even levels (least squares)."""
    total = np.cumsum(level, dtype=np.float64)
    left = np.arange(BESIDE, BESIDE + places)
    before, right = total[left - 1], len(level) - left
    explained = before**2 / left + (total[-1] - before) ** 2 / right
    return int(np.argmax(explained))


def _in_pause(place: int, voiced: npt.NDArray[np.intp]) -> int:
    """The chunk of voice after the longest pause near ``place``: a voice may fade within its last word."""
    first = place - NEAR
    pauses = np.diff(voiced[first - 1 : place + NEAR])
    return first + int(np.argmax(pauses)) if pauses.max() > 1 else place


def _cut(spans: list[Span], end: int, start: int) -> tuple[list[Span], list[Span]]:
    """Spans before and after a change of voices: one ends at the sample ``end``, the other begins at ``start``."""
    middle = (end + start) // 2
    before = [span for span in spans if span.end - span.tail <= middle]
    after = [span for span in spans if span.start + span.lead >= middle]
    for span in spans[len(before) : len(spans) - len(after)]:
        before.append(replace(span, end=middle, tail=middle - max(end, span.start + span.lead)))
        after.insert(0, replace(span, start=middle, lead=min(start, span.end - span.tail) - middle))
    return before, after
