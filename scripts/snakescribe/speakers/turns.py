"""Who speaks when: the voices of a channel laid over its frames. Pure and quick: done anew for each count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_RATE
from snakescribe.speakers.cluster import LEAST, Vectors, centroids
from snakescribe.speakers.common import NARROW, WIDE
from snakescribe.speakers.voices import (
    FRAME,
    HOP,
    LOCAL,
    SCALE,
    SPEAKS,
    Voices,
    frame_seconds,
    frames_of,
    runs,
    speaking,
)

LONG_ENOUGH = 60
"""Features (0.6 s) that a window has at least to take part in finding the voices."""
SHARE = 0.85
"""Share of a local voice's frames near by that are one voice's: then all of it is that voice's."""
NEAR = 3.0
"""Seconds that are looked at together."""
ENOUGH = 0.3
"""Seconds that a local voice must speak alone to be known."""
SHORTEST = 0.1
"""Seconds of a turn, at least."""


class Turn(NamedTuple):
    """A stretch of speech of one speaker, from ``start`` to ``end`` (seconds)."""

    start: float
    end: float
    speaker: int
    """From 0, in the order in which they speak first."""


def turns(voices: Voices, count: int | None = None, least: int = 1, most: int = 20) -> list[Turn]:
    """Who speaks when on one channel, in order; two may speak at once.

    Args:
        voices: what was heard.
        count: how many speakers there are, where it is known.
        least: speakers to find at least, otherwise.
        most: speakers to find at most, otherwise.
    """
    if not len(voices.windows):
        return []
    vectors = common_taken_away(voices)
    long = voices.windows[:, 1] >= LONG_ENOUGH
    found = centroids(vectors[long] if long.any() else vectors, count, least, most)
    likeness = _likeness(voices, vectors @ found.T)
    return _in_order(_spoken(voices, likeness))


def likenesses(voices: Voices, found: Sequence[Turn]) -> list[Vectors | None]:
    """What each speaker of ``found`` is like, in order: shape (192,), length 1; None for one of too few windows."""
    vectors = common_taken_away(voices)
    middles = (voices.windows[:, 0] + voices.windows[:, 1] / 2) * HOP / SAMPLE_RATE
    speakers: list[Vectors | None] = []
    for speaker in range(1 + max((turn.speaker for turn in found), default=-1)):
        own = [turn for turn in found if turn.speaker == speaker]
        starts, ends = np.array([turn.start for turn in own]), np.array([turn.end for turn in own])
        last = np.searchsorted(starts, middles, "right") - 1
        within = (last >= 0) & (middles <= ends[last])
        speakers.append(_unit(vectors[within].sum(0, keepdims=True))[0] if within.sum() >= LEAST else None)
    return speakers


def common_taken_away(voices: Voices) -> Vectors:
    """Vectors of the windows without what all voices of that band have in common, each of length 1."""
    return _unit(_unit(voices.vectors.astype(np.float32) / SCALE) - (NARROW if voices.narrow else WIDE))


def overlap_seconds(found: Iterable[Turn]) -> float:
    """Seconds in which two or more speak."""
    edges = sorted([(turn.start, 1) for turn in found] + [(turn.end, -1) for turn in found])
    total, speaking_now, since = 0.0, 0, 0.0
    for at, change in edges:
        total += at - since if speaking_now > 1 else 0.0
        speaking_now, since = speaking_now + change, at
    return total


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def _likeness(voices: Voices, of_windows: Vectors) -> Vectors:
    """How much each frame is like each voice: the mean of its windows, weighing most where it is in their middle."""
    total = len(voices.frames)
    middles = frame_seconds(total)
    score, weight = np.zeros((total, of_windows.shape[1]), np.float32), np.zeros(total, np.float32)
    for (start, length), likeness in zip(voices.windows.tolist(), of_windows, strict=True):
        first, last = np.searchsorted(
            middles, [start * HOP / SAMPLE_RATE, (start + length) * HOP / SAMPLE_RATE + 0.015]
        )
        off = np.abs(np.arange(first, last) - (first + last - 1) / 2) / max(1, (last - first) / 2)
        share = np.maximum(0.02, 1 - off).astype(np.float32)
        score[first:last] += share[:, None] * likeness
        weight[first:last] += share
    heard = np.flatnonzero(weight)
    after = np.clip(np.searchsorted(heard, np.arange(total)), 0, len(heard) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(heard[after] - np.arange(total)) <= np.abs(heard[before] - np.arange(total))
    nearest = heard[np.where(nearer, after, before)]  # where no window is, the nearest one tells
    return np.asarray(score[nearest] / weight[nearest][:, None])


def _spoken(voices: Voices, likeness: Vectors) -> npt.NDArray[np.bool_]:
    """Which voices speak in each frame, shape (frames, voices).

    The segmentation hears changes to the frame, and two at once, but only within seconds; the vectors know a voice
    again, to half a second. Where a local voice is nearly always the same voice, all of it is; where it is two, as
    happens with voices much alike, the vectors decide.
    """
    total, count = likeness.shape
    likely = likeness.argmax(1)
    spoken = np.zeros((total, count), np.bool_)
    spoken[np.arange(total), likely] = True
    spoken &= speaking(voices.frames)[:, None]
    if count == 1:
        return spoken
    active = voices.frames >= SPEAKS
    alone = active.sum(1) == 1
    block = frames_of(NEAR)
    for first in range(0, total, block):
        here = slice(first, min(total, first + block))
        around = slice(max(0, first - block // 2), min(total, first + block + block // 2))
        known: dict[int, int] = {}
        for local in range(LOCAL):
            its_own = active[around, local] & alone[around]
            if its_own.sum() < frames_of(ENOUGH):
                continue
            votes = np.bincount(likely[around][its_own], minlength=count)
            known[local] = int(votes.argmax())
            if votes.max() >= SHARE * votes.sum():
                frames = first + np.flatnonzero(active[here, local] & alone[here])
                spoken[frames] = np.arange(count) == known[local]
        for frame in first + np.flatnonzero(active[here].sum(1) > 1):
            both = {known[local] for local in np.flatnonzero(active[frame]).tolist() if local in known}
            if len(both) == 1:
                (one,) = both
                both.add(next(other for other in np.argsort(-likeness[frame]).tolist() if other != one))
            if len(both) > 1:
                spoken[frame] = np.isin(np.arange(count), list(both))
    return spoken


def _in_order(spoken: npt.NDArray[np.bool_]) -> list[Turn]:
    frame = FRAME / SAMPLE_RATE
    middles = frame_seconds(len(spoken))
    found = [
        Turn(
            round(max(0.0, float(middles[first]) - frame / 2), 3), round(float(middles[last - 1]) + frame / 2, 3), voice
        )
        for voice in range(spoken.shape[1])
        for first, last in runs(spoken[:, voice])
        if (last - first) * frame >= SHORTEST
    ]
    found.sort()
    number: dict[int, int] = {}
    return [turn._replace(speaker=number.setdefault(turn.speaker, len(number))) for turn in found]
