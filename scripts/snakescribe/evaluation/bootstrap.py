"""How sure a rate is: recordings drawn again and again, since the errors within one hang together.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DRAWS = 2000
SEED = 20041
"""The same counts give the same interval."""
LEVEL = 0.95


def interval(errors: Sequence[int], units: Sequence[int]) -> tuple[float, float] | None:
    """Ends of the interval in which the rate of such recordings lies with a probability of 95 %.

    Args:
        errors: of each recording.
        units: words or characters of each reference.

    Returns:
        None for fewer than two recordings.
    """
    if len(errors) < 2 or not sum(units):
        return None
    drawn = _draws(len(errors))
    rates = (drawn @ np.asarray(errors)) / np.maximum(drawn @ np.asarray(units), 1)
    low, high = np.quantile(rates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def better_by_chance(first: Sequence[int], second: Sequence[int], units: Sequence[int]) -> float:
    """Probability (two-sided) that the difference of two rates over the same recordings is chance.

    Args:
        first: errors of each recording in one run.
        second: in the other.
        units: of each reference.
    """
    drawn = _draws(len(units))
    differences = (drawn @ (np.asarray(first) - np.asarray(second))) / np.maximum(drawn @ np.asarray(units), 1)
    return float(min(1.0, 2 * min((differences <= 0).mean(), (differences >= 0).mean())))


def _draws(count: int) -> npt.NDArray[np.int64]:
    """How often each of ``count`` recordings is in each draw, shape (draws, recordings); less for very many."""
    generator = np.random.default_rng(SEED)
    most = max(500, min(DRAWS, 20_000_000 // count))
    return generator.multinomial(count, np.full(count, 1 / count), size=most)
