"""What a recognition backend does: three methods. Everything else (windows, guards, text) is shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

Encoded = Any
"""Windows that went through the encoder; they stay on the backend's device, and only the backend looks inside."""


@dataclass(frozen=True)
class Search:
    """How to decode: beam search at temperature 0, else sampling."""

    beam_size: int = 5
    patience: float = 1.0
    margin: float = 4.0
    """A hypothesis this much less probable (natural log) than the best one is given up."""
    temperature: float = 0.0
    seed: int = 0
    """Seeds sampling; the same window gets the same text whatever it is decoded with."""


@dataclass(frozen=True)
class Bucket:
    """Rows decoded together. Each row's result is the same whatever the others are."""

    encoded: Encoded
    rows: tuple[int, ...]
    """Which of the encoded windows; one that is decoded in several ways comes several times."""
    prompts: tuple[tuple[int, ...], ...]
    """Start tokens per row, all of one length: previous text, start of transcript, language, task."""
    limits: tuple[int, ...]
    """Tokens that each row may get."""
    frames: tuple[int, ...]
    """Mel frames of audio in each row, without padding; what text is aligned with."""
    searches: tuple[Search, ...]
    """How each row is decoded."""

    @property
    def windows(self) -> list[int]:
        """The encoded windows that are needed, each once, in rising order."""
        return sorted(set(self.rows))


@dataclass(frozen=True)
class Hypothesis:
    """What the decoder made of one window."""

    tokens: tuple[int, ...]
    """Text tokens, without prompt and end token."""
    logprobs: tuple[float, ...]
    """Natural-log probability of each token."""
    starts: tuple[int, ...]
    """Encoder position (20 ms each) at which each token begins, and one more: where the last one ends."""
    mean_logprob: float
    """Sum of natural-log probabilities, the end token's included, over (tokens + 1), as openai/whisper."""
    no_speech_probability: float
    temperature: float


@dataclass(frozen=True)
class Hardware:
    """What is really used; recorded in every row."""

    device: str
    device_name: str
    driver: str | None
    compute_type: str
    versions: str


class Backend(Protocol):
    """A Whisper model ready on its device; its methods may be called from ``workers`` threads at once."""

    name: str
    hardware: Hardware
    n_mels: int
    multilingual: bool
    rows: int
    """Windows of 30 s that fit into one bucket; of shorter ones, as many more."""
    workers: int
    """Buckets worked on at once."""

    def encode(self, log_mels: Sequence[torch.Tensor]) -> Encoded:
        """Run the encoder on each window's log-mel, (mels, frames) float32 of at most 30 s."""
        ...

    def detect_language(self, encoded: Encoded) -> list[dict[str, float]]:
        """Probability per language code, for each encoded window."""
        ...

    def decode(self, bucket: Bucket) -> list[Hypothesis]:
        """The best hypothesis of every row, in order."""
        ...
