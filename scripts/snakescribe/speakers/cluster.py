"""Vectors of windows become voices: those that are alike are joined, until no two groups are alike enough.

Average linkage over cosine distances: the distance of two groups is the mean over all pairs, so that a group is its sum
and its size, and joining groups that were joined before is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

APART = 0.7
"""Distance above which two groups are two voices (docs/decisions/speakers.md)."""
SURE = 0.45
"""Distance below which windows near one another are one voice for sure; only to make few of many."""
MANY, CHUNK, LEFT = 1500, 500, 150
"""More windows than ``MANY`` are joined within chunks first, until ``LEFT`` are left of each: memory is bounded."""
LEAST = 3
"""Windows (2 s of speech) that make a voice; fewer belong to the voice that they are most like."""

Vectors = npt.NDArray[np.float32]
"""Shape (n, 192); each of length 1, or a sum of such."""


@dataclass(frozen=True)
class Groups:
    """Windows joined: their sum, and how many they are."""

    sums: Vectors
    sizes: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Merge:
    """One step of the joining: group ``gone`` goes into group ``into``."""

    into: int
    gone: int
    distance: float


def centroids(vectors: Vectors, count: int | None, least: int, most: int) -> Vectors:
    """What each voice is like, shape (voices, 192), each of length 1.

    Args:
        vectors: of windows with one voice, shape (n, 192), n at least 1, in order of time.
        count: how many voices there are, where it is known.
        least: voices to find at least, otherwise.
        most: voices to find at most, otherwise.
    """
    groups = Groups(vectors, np.ones(len(vectors), np.float32))
    while len(groups.sizes) > MANY:
        groups = _thinned(groups)
    merges = linked(groups)
    if count is None:
        found = _cut(groups, merges, sum(merge.distance <= APART for merge in merges))
        voices = int((found.sizes >= LEAST).sum())
        count = min(max(voices, least), most)
        if voices == count:
            return _directions(found, count)
    return _directions(_counted(groups, merges, count), count)


def linked(groups: Groups) -> list[Merge]:
    """Every step until one group is left, the nearest first; a distance never falls in average linkage."""
    sums, sizes = groups.sums.astype(np.float64), groups.sizes.astype(np.float64)
    distance = 1 - (sums @ sums.T) / np.outer(sizes, sizes)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(1)
    found: list[Merge] = []
    for _ in range(len(sizes) - 1):
        values = distance[np.arange(len(sizes)), nearest]
        one = int(values.argmin())
        into, gone = sorted((one, int(nearest[one])))
        found.append(Merge(into, gone, float(values[one])))
        joint = (distance[into] * sizes[into] + distance[gone] * sizes[gone]) / (sizes[into] + sizes[gone])
        sizes[into] += sizes[gone]
        distance[into], distance[:, into] = joint, joint
        distance[gone], distance[:, gone], distance[into, into] = np.inf, np.inf, np.inf
        stale = np.flatnonzero((nearest == into) | (nearest == gone))
        nearest[stale] = distance[stale].argmin(1)
        nearer = joint < distance[np.arange(len(sizes)), nearest]
        nearest[nearer] = into
        nearest[into] = distance[into].argmin()
    return found


def _thinned(groups: Groups) -> Groups:
    """The same windows in fewer groups, joined only with their neighbours in time."""
    parts = []
    for first in range(0, len(groups.sizes), CHUNK):
        part = Groups(groups.sums[first : first + CHUNK], groups.sizes[first : first + CHUNK])
        merges = linked(part)
        sure = sum(merge.distance <= SURE for merge in merges)
        parts.append(_cut(part, merges, max(sure, len(part.sizes) - LEFT)))
    return Groups(np.concatenate([p.sums for p in parts]), np.concatenate([p.sizes for p in parts]))


def _cut(groups: Groups, merges: list[Merge], steps: int) -> Groups:
    """The groups after so many steps."""
    sums, sizes = groups.sums.copy(), groups.sizes.copy()
    for merge in merges[:steps]:
        sums[merge.into] += sums[merge.gone]
        sizes[merge.into] += sizes[merge.gone]
        sizes[merge.gone] = 0
    there = sizes > 0
    return Groups(sums[there], sizes[there])


def _counted(groups: Groups, merges: list[Merge], count: int) -> Groups:
    """The latest state in which so many groups are large enough to be a voice; else the one with the most of them."""
    sizes = groups.sizes.copy()
    voices = [int((sizes >= LEAST).sum())]
    for merge in merges:
        both = sizes[merge.into] + sizes[merge.gone]
        before = int(sizes[merge.into] >= LEAST) + int(sizes[merge.gone] >= LEAST)
        voices.append(voices[-1] - before + int(both >= LEAST))
        sizes[merge.into], sizes[merge.gone] = both, 0
    enough = [steps for steps, there in enumerate(voices) if there >= count]
    return _cut(groups, merges, enough[-1] if enough else len(voices) - 1 - int(np.argmax(voices[::-1])))


def _directions(groups: Groups, count: int) -> Vectors:
    """Of the ``count`` largest groups that are large enough to be a voice; of the largest one in any case."""
    order = np.argsort(-groups.sizes, kind="stable")
    chosen = [int(i) for i in order[:count] if groups.sizes[i] >= LEAST] or [int(order[0])]
    found = groups.sums[chosen]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))
