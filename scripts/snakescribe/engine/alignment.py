"""When each token was said: the path of the decoder's attention through the audio (openai/whisper ``timing.py``)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
MEDIAN_WIDTH = 7
"""Positions; smooths the attention along time (``medfilt_width``)."""
_SORT_7 = "0-6 2-3 4-5 0-2 1-4 3-6 0-1 2-5 3-4 1-2 4-6 2-3 4-5 1-2 3-4 5-6"  # optimal network (Knuth, TAOCP 3, 5.3.4)


def token_starts(attention: Floats) -> tuple[int, ...]:
    """Where each token begins, as an encoder position (20 ms).

    Args:
        attention: (tokens + 1, heads, positions of audio); the last row looked for the end token.

    Returns:
        One position per row, never falling.
    """
    if len(attention) == 1:
        return (0,)
    total = np.zeros((len(attention), attention.shape[-1]), np.float32)
    for head in range(attention.shape[1]):  # all at once would be 100 MB
        weights = attention[:, head] / np.maximum(attention[:, head].sum(-1, keepdims=True), 1e-9)
        weights -= weights.mean(0)
        weights /= np.maximum(weights.std(0), 1e-9)
        total += _median(weights)
    return _starts(-total / attention.shape[1])


def _median(weights: Floats) -> Floats:
    """Median of ``MEDIAN_WIDTH`` neighbours along the last axis, ends mirrored: shifted views in a sorting network."""
    reach = MEDIAN_WIDTH // 2
    if weights.shape[-1] <= reach:
        return weights
    padded = np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(reach, reach)], mode="reflect")
    lanes = [padded[..., i : i + weights.shape[-1]].copy() for i in range(MEDIAN_WIDTH)]
    for pair in _SORT_7.split():
        low, high = (int(i) for i in pair.split("-"))
        smaller = np.minimum(lanes[low], lanes[high])
        np.maximum(lanes[low], lanes[high], out=lanes[high])
        lanes[low] = smaller
    return lanes[reach]


def _starts(cost: npt.NDArray[np.floating]) -> tuple[int, ...]:
    """First column of each row on the cheapest monotone path through ``cost`` (tokens, positions).

    Dynamic time warping with steps right, down and diagonal. Within a row the cheapest way to column j is the
    running minimum over the columns at which the row can be entered, so a row is a handful of vector operations.
    """
    rows, columns = cost.shape
    entered = np.zeros((rows, columns), np.int64)
    straight = np.zeros((rows, columns), bool)
    before = np.cumsum(cost[0].astype(np.float64))
    index = np.arange(columns)
    for row in range(1, rows):
        diagonal = np.concatenate(([np.inf], before[:-1]))
        straight[row] = before < diagonal
        along = np.cumsum(cost[row].astype(np.float64))
        entry = np.minimum(before, diagonal) - (along - cost[row])
        least = np.minimum.accumulate(entry)
        entered[row] = np.maximum.accumulate(np.where(entry <= least, index, 0))
        before = along + least
    found = [0] * rows
    column = columns - 1
    for row in range(rows - 1, 0, -1):
        column = int(entered[row, column])
        found[row] = column
        if not straight[row, column]:
            column -= 1
    return tuple(found)
