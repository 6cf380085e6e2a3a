"""Run the real engine on the model store's samples, for the engine tests."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snakescribe.config import Config, load_config
from snakescribe.engine.backend import Backend
from snakescribe.engine.journal import Journal
from snakescribe.engine.load import load_backend
from snakescribe.engine.transcriber import Job, Track, Transcriber
from snakescribe.errors import EngineFailure
from snakescribe.models.store import Store
from snakescribe.speech.silero import SpeechDetector
from snakescribe.transcript import Transcript

Samples = npt.NDArray[np.int16]


def read_wav(path: Path) -> Samples:
    """Samples of a wav at 16 kHz; other rates are picked to the nearest sample (good enough to be understood)."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, file.getnchannels())[:, 0]
        rate = file.getframerate()
    picked: Samples = samples[(np.arange(len(samples) * 16_000 // rate) * rate) // 16_000]
    return picked


def job(key: str, samples: Samples, language: str | None = None) -> Job:
    """A job of one track."""
    return Job(key, (Track(None, samples),), language, "")


class Engine:
    """A loaded backend with everything around it."""

    def __init__(self, models_root: Path, backend: Backend | None = None, **options: Any) -> None:
        """``backend`` replaces the one that ``options`` ask for."""
        self.config: Config = load_config({"models": str(models_root), **options}, models_root, {})
        self.store = Store(models_root)
        self.prepared = self.store.resolve(self.config.model)
        self.backend = backend or load_backend(self.config, self.prepared, threads=2)

    def run(self, jobs: Iterable[Job], journal: Journal | None = None) -> dict[str, Transcript | EngineFailure]:
        """Transcripts by key, in the order they came."""
        detector = SpeechDetector(self.store.silero())
        transcriber = Transcriber(self.backend, self.prepared, detector, self.config)
        return {done.key: result for done, result, _ in transcriber.transcribe(jobs, journal or Journal(None))}
