"""What a recognition backend does: four methods. Everything else (windows, guards, text) is shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

Encoded = Any
"""An encoder output (rows, positions, width) that stays on the backend's device; only the backend looks inside."""


@dataclass(frozen=True)
class Search:
    """How to decode: beam search at temperature 0, else sampling."""

    beam_size: int = 5
    patience: float = 1.0
    temperature: float = 0.0
    timestamps: bool = True
    seed: int = 0
    """Seeds sampling; the same window gets the same text whatever it is decoded with."""


@dataclass(frozen=True)
class Bucket:
    """Windows of one encoder length, decoded together."""

    ids: tuple[int, ...]
    encoded: Encoded
    prompts: tuple[tuple[int, ...], ...]
    """Start tokens per row, all of one length: previous text, start of transcript, language, task."""
    max_tokens: int
    """Text and timestamp tokens a row may get."""
    search: Search


@dataclass(frozen=True)
class Hypothesis:
    """What the decoder made of one window."""

    tokens: tuple[int, ...]
    """Text and timestamp tokens, without prompt and end token."""
    mean_logprob: float
    """Sum of natural-log probabilities over (tokens + 1), as openai/whisper ``decoding.py``."""
    no_speech_probability: float
    temperature: float


@dataclass(frozen=True)
class Alignment:
    """A monotone path through (text token, encoder position) pairs, by cross-attention."""

    token_indices: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    """Encoder positions (20 ms each), as long as ``token_indices``."""
    probabilities: tuple[float, ...]
    """One per text token."""


@dataclass(frozen=True)
class Hardware:
    """What is really used; recorded in every row."""

    device: str
    device_name: str
    driver: str | None
    compute_type: str
    versions: str


class Backend(Protocol):
    """A Whisper model ready on its device."""

    name: str
    hardware: Hardware
    n_mels: int
    multilingual: bool
    max_rows: int
    """Windows that fit into one bucket."""

    def encode(self, log_mel: torch.Tensor) -> Encoded:
        """Run the encoder on (rows, mels, frames) float32; frames may be fewer than 3000."""
        ...

    def detect_language(self, encoded: Encoded) -> list[dict[str, float]]:
        """Probability per language code, for each row."""
        ...

    def decode(self, buckets: Iterable[Bucket]) -> Iterator[tuple[int, Hypothesis]]:
        """Yield (id, hypothesis) for every row of every bucket as they finish."""
        ...

    def align(
        self,
        encoded: Encoded,
        rows: Sequence[int],
        starts: Sequence[tuple[int, ...]],
        tokens: Sequence[Sequence[int]],
        frames: Sequence[int],
    ) -> list[Alignment]:
        """Align text tokens with the first ``frames`` mel frames of the given rows; a start ends with the task."""
        ...
