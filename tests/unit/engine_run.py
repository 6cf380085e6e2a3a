"""Run the real engine on the model store's samples, for the engine tests."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from snakescribe.config import Config, load_config
from snakescribe.engine.backend import Backend, Bucket, Encoded, Hypothesis
from snakescribe.engine.journal import Journal
from snakescribe.engine.load import load_backend
from snakescribe.engine.opened import OpenedModel
from snakescribe.engine.transcriber import Transcriber
from snakescribe.engine.windows import Channel, RecordingJob
from snakescribe.errors import RecordingError
from snakescribe.models.store import Store
from snakescribe.transcript import Transcript
from snakescribe.vad.silero import SpeechDetector

Samples = npt.NDArray[np.int16]
CUTS = (2.3, 0.9, 7.1, 3.4, 12.6, 5.2, 1.5, 9.8, 4.3, 6.6, 2.9, 8.4)
"""Seconds."""


def read_wav(path: Path) -> Samples:
    """Samples of a wav at 16 kHz; other rates are picked to the nearest sample (good enough to be understood)."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, file.getnchannels())[:, 0]
        rate = file.getframerate()
    picked: Samples = samples[(np.arange(len(samples) * 16_000 // rate) * rate) // 16_000]
    return picked


def samples_of(models_root: Path) -> dict[str, Samples]:
    """The store's recordings by name: ``beckett`` (10 s), ``two_cities`` (44 s), ``endgame_nagg_nell`` (28 s)."""
    return {path.stem: read_wav(path) for path in sorted(models_root.glob("samples/*.wav"))}


def cut(samples: Samples) -> list[Samples]:
    """Pieces of very different lengths, cut at the quietest moment of the half second after each."""
    loudness = np.convolve(np.abs(samples.astype(np.float32)), np.ones(800), "same")
    ends = []
    for end in np.cumsum([round(16_000 * seconds) for seconds in CUTS]):
        if end + 8000 < len(samples):
            ends.append(int(end + np.argmin(loudness[end : end + 8000])))
    return np.split(samples, ends)


def plain(text: str) -> str:
    """Lower case without punctuation."""
    return " ".join("".join(c for c in text.lower().replace("-", " ") if c.isalpha() or c == " ").split())


def heard(result: Transcript | RecordingError) -> Transcript:
    """A result that must be no failure."""
    assert isinstance(result, Transcript), result
    return result


def job(key: str, samples: Samples, language: str | None = None) -> RecordingJob:
    """A job of one track."""
    return RecordingJob(key, (Channel(None, samples),), language, "")


@lru_cache(maxsize=3)
def _backend(
    models_root: Path, model: str, engine: str, device: str, compute_type: str, rows: int | None, threads: int
) -> Backend:
    """What a backend is made of; the next test that wants the same one does not load it again."""
    options = {"model": model, "engine": engine, "device": device, "compute_type": compute_type}
    config = load_config({"models": str(models_root), "decoding": {"rows": rows}, **options}, models_root, {})
    return load_backend(config, Store(models_root).resolve(model), threads)


class Engine:
    """A loaded backend with everything around it."""

    def __init__(self, models_root: Path, backend: Backend | None = None, threads: int = 2, **options: Any) -> None:
        """``backend`` replaces the one that ``options`` ask for; on a CPU it has as many workers as ``threads``."""
        self.config: Config = load_config({"models": str(models_root), **options}, models_root, {})
        self.store = Store(models_root)
        self.prepared = self.store.resolve(self.config.model)
        config = self.config
        self.backend = backend or _backend(
            models_root, config.model, config.engine, config.device, config.compute_type, config.decoding.rows, threads
        )
        self._detector = SpeechDetector(self.store.silero())

    @property
    def model(self) -> OpenedModel:
        """With the backend of now: tests exchange it."""
        return OpenedModel(self.prepared, self.backend, self._detector)

    def run(
        self, jobs: Iterable[RecordingJob], journal: Journal | None = None
    ) -> dict[str, Transcript | RecordingError]:
        """Transcripts by key, in the order they came."""
        transcriber = Transcriber(self.model, self.config)
        return {done.key: result for done, result, _ in transcriber.transcribe(jobs, journal or Journal(None))}


class Watched:
    """A real backend that notes what it is asked, and fails on buckets chosen by the test."""

    def __init__(self, real: Backend, fails: Callable[[Sequence[torch.Tensor]], bool] = lambda mels: False) -> None:
        self.real, self.fails = real, fails
        self.encoded: list[int] = []
        """Windows per bucket encoded."""
        self.hypotheses: list[Hypothesis] = []
        """All that were decoded, in order."""
        self.languages: list[dict[str, float]] = []
        """Probability per language code, of each window asked for its language, in order."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def encode(self, log_mels: Sequence[torch.Tensor]) -> Encoded:
        self.encoded.append(len(log_mels))
        if self.fails(log_mels):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.real.encode(log_mels)

    def detect_language(self, encoded: Encoded) -> list[dict[str, float]]:
        found = self.real.detect_language(encoded)
        self.languages += found
        return found

    def decode(self, bucket: Bucket) -> list[Hypothesis]:
        found = self.real.decode(bucket)
        self.hypotheses += found
        return found
