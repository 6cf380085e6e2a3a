"""When tokens are said: dynamic time warping by rows is the plain one, on any costs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.engine.alignment import MEDIAN_WIDTH, _median, _starts, token_starts

Floats = npt.NDArray[np.float32]


def _drawn(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _plain_starts(cost: Floats) -> list[int]:
    """Dynamic time warping cell by cell, and the column in which each row is entered."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for i in range(rows):
        for j in range(columns):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j = rows - 1, columns - 1
    entered = [0] * rows
    while i >= 0 and j >= 0:
        entered[i] = j
        steps = {(1, 1): total[i, j], (1, 0): total[i, j + 1], (0, 1): total[i + 1, j]}
        down, right = min(steps, key=lambda step: steps[step])
        i, j = i - down, j - right
    return entered


@given(st.integers(1, 30), st.integers(1, 60), st.integers(0, 10_000))
def test_starts_are_those_of_plain_time_warping(tokens: int, positions: int, seed: int) -> None:
    cost = _drawn(seed, tokens, positions)
    assert list(_starts(cost)) == _plain_starts(cost)


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_a_path_among_equals_is_as_cheap_as_the_plain_one(tokens: int, positions: int, data: st.DataObject) -> None:
    """Whole numbers make ties: the columns may differ, the cost of the best way through them may not."""
    values = st.lists(st.integers(-2, 2), min_size=tokens * positions, max_size=tokens * positions)
    cost = np.array(data.draw(values), np.float32).reshape(tokens, positions)

    def cheapest(starts: list[int]) -> float:
        """Rows begin at ``starts``; each ends in the column where the next begins or in the one before."""
        total = 0.0
        for row, start in enumerate(starts):
            if row == tokens - 1:
                total += cost[row, start:].sum()
                continue
            after = starts[row + 1]
            assert start <= after
            together = cost[row, start : after + 1].sum()
            total += together if after == start else min(together, cost[row, start:after].sum())
        return total

    found = list(_starts(cost))
    assert found[0] == 0
    assert cheapest(found) == pytest.approx(cheapest(_plain_starts(cost)))


@given(st.integers(1, 4), st.integers(1, 40), st.integers(0, 1000))
def test_median_is_numpys(tokens: int, positions: int, seed: int) -> None:
    weights = _drawn(seed, tokens, 3, positions)
    found = _median(weights)
    reach = MEDIAN_WIDTH // 2
    if positions <= reach:
        assert found is weights
        return
    padded = np.pad(weights, [(0, 0), (0, 0), (reach, reach)], mode="reflect")
    views = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_WIDTH, axis=-1)
    assert np.array_equal(found, np.median(views, axis=-1))


@given(st.integers(1, 20), st.integers(1, 80), st.integers(0, 1000))
def test_token_starts_never_fall_and_stay_in_the_audio(tokens: int, positions: int, seed: int) -> None:
    attention = np.exp(_drawn(seed, tokens, 4, positions))
    attention /= attention.sum(-1, keepdims=True)
    found = token_starts(attention)
    assert len(found) == tokens and found[0] == 0
    assert list(found) == sorted(found) and found[-1] < positions


def test_tokens_are_found_where_attention_is() -> None:
    """Each token looks at a stretch of its own, with noise over it."""
    borders = [0, 12, 20, 41, 60, 77, 100]
    attention = np.random.default_rng(0).random((6, 5, 100)).astype(np.float32) * 0.2
    for token, (start, end) in enumerate(pairwise(borders)):
        attention[token, :, start:end] += 1
    assert token_starts(attention / attention.sum(-1, keepdims=True)) == pytest.approx(borders[:-1], abs=2)


def test_attention_of_zeros_is_no_error() -> None:
    found = token_starts(np.zeros((3, 2, 20), np.float32))
    assert len(found) == 3 and list(found) == sorted(found)
