"""Backends whose network reads token by token: what they share, around the search and between its steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snakescribe.engine.backend import Bucket, Encoded, Hardware, Hypothesis
from snakescribe.engine.beam_search import Choice, Ints, Next, Rules, Session, decode, detect_language
from snakescribe.engine.tokens import tokenizer_for
from snakescribe.models.store import Prepared


class StepwiseBackend(ABC):
    """A :class:`.backend.Backend` but for its encoder and the steps of its decoder."""

    def __init__(self, prepared: Prepared, hardware: Hardware, rows: int, workers: int) -> None:
        self.hardware, self.rows, self.workers = hardware, rows, workers
        able = prepared.capabilities
        self.n_mels, self.multilingual = able.n_mels, able.multilingual
        self._rules = Rules(tokenizer_for(prepared, None, "transcribe"), int(prepared.dims["n_vocab"]))

    @abstractmethod
    def _session(self, memory: Encoded) -> Session:
        """Begin to decode these windows."""

    def detect_language(self, encoded: Encoded) -> list[dict[str, float]]:
        """Softmax over the language tokens after the start token."""
        return detect_language(self._session(encoded), len(encoded.lengths), self._rules)

    def decode(self, bucket: Bucket) -> list[Hypothesis]:
        """Decode token by token, all rows at once."""
        return decode(self._session(bucket.encoded.only(bucket.windows)), bucket, self._rules)


class StepwiseSession(ABC):
    """One bucket being decoded: :class:`.beam_search.Session` but for the network."""

    _slots = 1
    """The slots of a window are a multiple of this."""

    def __init__(self, memory: Encoded) -> None:
        self._memory = memory
        self._held = list(range(len(memory.lengths)))
        self._attend()

    def read(self, tokens: Ints, parents: Sequence[int], windows: Sequence[int], choice: Choice) -> Next:
        needed = sorted(set(windows))
        # The audio of finished windows goes once it is a quarter of what every step reads.
        if len(needed) <= len(self._held) * 3 // 4:
            self._memory = self._memory.only([self._held.index(window) for window in needed])
            self._held = needed
            self._attend()
        gather, scatter = slots([self._held.index(window) for window in windows], len(self._held), self._slots)
        return self._step(tokens, parents, gather, scatter, choice)

    @abstractmethod
    def _attend(self) -> None:
        """Have the next steps look at ``_memory``."""

    @abstractmethod
    def _step(self, tokens: Ints, parents: Sequence[int], gather: Ints, scatter: Ints, choice: Choice) -> Next:
        """Run the decoder once; ``gather`` and ``scatter`` as from :func:`slots`."""


def slots(windows: Sequence[int], count: int, multiple: int = 1) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each row stands among its window's slots.

    There are at least two slots: a product with one row goes another way through the libraries and differs in its
    last bits, and a result must not depend on how many hypotheses the neighbours have.

    Args:
        windows: the window of each row.
        count: of windows.
        multiple: of which the number of slots is one.

    Returns:
        the row in each slot, (count · slots,), row 0 in an empty one; and the slot of each row, (rows,).

    >>> gather, scatter = slots([0, 0, 2], 3)
    >>> gather.tolist(), scatter.tolist()
    ([0, 1, 0, 0, 2, 0], [0, 1, 4])
    """
    owner = np.asarray(windows, np.int64)
    order = np.argsort(owner, kind="stable")
    sizes = np.bincount(owner, minlength=count)
    first = np.cumsum(sizes) - sizes
    within = np.empty(len(owner), np.int64)
    within[order] = np.arange(len(owner)) - first[owner[order]]
    most = -(-max(2, int(sizes.max())) // multiple) * multiple
    scatter = owner * most + within
    gather = np.zeros(count * most, np.int64)
    gather[scatter] = np.arange(len(owner))
    return gather, scatter
