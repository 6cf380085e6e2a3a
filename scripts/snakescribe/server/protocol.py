"""What the server and its engine process say to each other; light, so that the server never imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snakescribe.config import Config
from snakescribe.engine.backend import Hardware
from snakescribe.engine.windows import RecordingUpdate
from snakescribe.errors import EngineFailure


@dataclass(frozen=True)
class Submit:
    """Transcribe one recording."""

    key: str
    """Stands for its content and options."""
    samples: Path
    """16 kHz s16le, all tracks one after the other."""
    tracks: tuple[tuple[str | None, int, int], ...]
    """Channel, first sample and samples of each."""
    language: str | None
    prompt: str
    mixed: bool
    config: Config
    languages: tuple[str, ...] = ()
    """Those that it may be in, where it is detected; empty for any."""


@dataclass(frozen=True)
class Drop:
    """Nobody waits for this one any more."""

    key: str


@dataclass(frozen=True)
class Settled:
    """Whoever was to come back for what an earlier process left in the journal has come."""


@dataclass(frozen=True)
class Stop:
    """End, with whatever is being read."""


@dataclass(frozen=True)
class Ready:
    """The model is loaded."""

    engine: str
    hardware: Hardware


@dataclass(frozen=True)
class NotStarted:
    """The model cannot be loaded: an error of :mod:`snakescribe.errors` by its class name."""

    error: str
    message: str


@dataclass(frozen=True)
class NotHeard:
    """The samples of a :class:`Submit` cannot be read, or not understood."""

    key: str
    samples: Path
    """Tell it from an earlier one of the same content, whose samples are gone because nobody waits for it."""
    failure: EngineFailure


FromServer = Submit | Drop | Settled | Stop
FromEngine = Ready | NotStarted | NotHeard | RecordingUpdate
