"""Whether anybody speaks at all, asked while a file with several audio tracks is decoded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.samples import open_samples
from snakescribe.config import Config
from snakescribe.models.configured import configured_store
from snakescribe.vad.spans import find_speech

if TYPE_CHECKING:
    from snakescribe.vad.silero import SpeechDetector

LEAST = 0.5
"""Seconds of speech: voice activity takes a knock or a beep for 0.2 s of it."""


def speech_finder(config: Config) -> Callable[[Path, int, int], bool]:
    """A function that looks for speech in a file of samples (s16le), from a sample on, in so many.

    The model is loaded when it is first asked.
    """

    @functools.cache
    def detector() -> SpeechDetector:
        from snakescribe.vad.silero import SpeechDetector  # onnxruntime takes a while to load, and is seldom needed

        return SpeechDetector(configured_store(config).silero())

    def speaks(path: Path, first: int, samples: int) -> bool:
        sound = open_samples(path)[first : first + samples]
        spans = find_speech(detector().probabilities(sound), config.speech, samples)
        return sum(span.voiced for span in spans) >= LEAST * SAMPLE_RATE

    return speaks
