"""How long transcribing takes before anything was measured."""

from __future__ import annotations

from snakescribe.config import Config
from snakescribe.models.capabilities import parameters
from snakescribe.models.catalog import catalog
from snakescribe.models.configured import configured_capabilities

BASE_SPEED = 0.05
"""CPU-seconds per second of audio with `base` and OpenVINO; CTranslate2 takes twice that
(docs/decisions/precision-and-engines.md)."""
VOICES_SPEED = 0.04
"""CPU-seconds per second of speech for telling voices apart (docs/decisions/speakers.md)."""
VOICES_BESIDE_BASE = 0.25
"""Of what transcribing with `base` takes."""
SLOWEST = 6.0
"""How many times that an old, busy machine may take."""
RUN_SECONDS, BATCH_SECONDS = 10.0, 5.0
"""Of a run without any audio, and of a batch beside transcribing (loading the model), on an idle machine of today."""
START = 10.0
"""Minutes for what does not grow with the audio: Snakemake, a model from a network drive."""


def core_seconds(config: Config) -> float:
    """Per second of audio, on a CPU: it grows with the size of the model."""
    size = configured_capabilities(config).parameters
    return BASE_SPEED * size / parameters(catalog().models["base"].dims)


def voices_share(config: Config) -> float:
    """What telling voices apart costs beside transcribing; nothing when nobody asks for it."""
    return 0.0 if config.speakers == "off" else VOICES_BESIDE_BASE * BASE_SPEED / core_seconds(config)


def listening(seconds: float, threads: int, attempt: int) -> int:
    """Minutes for hearing the voices in so many seconds of audio, as :func:`runtime`."""
    return round(attempt * (START + SLOWEST * VOICES_SPEED / threads * seconds / 60))


def decoding(seconds: float, attempt: int) -> int:
    """Minutes for normalising so many seconds of audio, as :func:`runtime`: a tenth of real time, from a slow drive."""
    return round(attempt * (START + seconds / 600))


def runtime(config: Config, seconds: float, threads: int, attempt: int) -> int:
    """Minutes after which a cluster may end a job; it goes on from its journal then, with more of them.

    Args:
        config: its model and device.
        seconds: of audio.
        threads: of the job.
        attempt: from 1.
    """
    on_gpu = 0.1 if config.device == "cuda" else 1.0 / threads
    return round(attempt * (START + SLOWEST * core_seconds(config) * on_gpu * seconds / 60))
