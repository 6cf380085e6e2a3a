"""Opening a model: everything that must be loaded before the first recording is transcribed."""

from __future__ import annotations

from dataclasses import dataclass

from snakescribe.config import Config
from snakescribe.engine.backend import Backend
from snakescribe.engine.load import load_backend
from snakescribe.models.configured import configured_model, configured_store
from snakescribe.models.store import Prepared
from snakescribe.vad.silero import SpeechDetector


@dataclass(frozen=True)
class OpenedModel:
    """A model ready on its device, and the voice activity in front of it."""

    prepared: Prepared
    backend: Backend
    detector: SpeechDetector


def open_model(config: Config, threads: int, thrift: int = 0) -> OpenedModel:
    """Load what ``config`` asks for, to use so many CPU threads; ``thrift`` as in :func:`.load_backend`.

    Raises:
        ConfigError: the model cannot do what is asked of it.
        DeviceError: the device or compute type is not there.
        ModelError: weights are missing or damaged.
    """
    prepared = configured_model(config)
    detector = SpeechDetector(configured_store(config).silero())
    return OpenedModel(prepared, load_backend(config, prepared, threads, thrift), detector)
