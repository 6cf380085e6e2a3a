"""Speech that voice activity hardly hears: rules by example, then a thin voice through the real models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from engine_run import Engine, Samples, heard, job, plain, samples_of

from snakescribe.engine import listener
from snakescribe.vad import CHUNK
from snakescribe.vad.loudness import BLOCK, SHORTEST, doubted, levels
from snakescribe.vad.spans import Span

VOICE, PAUSE, BEFORE = 40, 60, 10
"""Chunks."""


def _found(unsure: float, level: float, chunks: int = PAUSE, knock: int = 0) -> npt.NDArray[np.bool_]:
    """A voice at -30 dB, then a stretch with this probability and level, then the voice again, its pads reaching in."""
    probabilities = np.concatenate([np.full(VOICE, 0.9), np.full(chunks, unsure), np.full(VOICE, 0.9)])
    loud = np.full(len(probabilities), -30.0)
    loud[VOICE : VOICE + chunks] = level
    loud[VOICE : VOICE + knock] = -3.0
    spans = [
        Span(0, (VOICE + BEFORE) * CHUNK, tail=BEFORE * CHUNK),
        Span((VOICE + chunks - BEFORE) * CHUNK, (2 * VOICE + chunks) * CHUNK, lead=BEFORE * CHUNK),
    ]
    found = doubted(probabilities.astype(np.float32), spans, loud.astype(np.float32))
    assert not found[:VOICE].any() and not found[VOICE + chunks :].any()
    return found[VOICE : VOICE + chunks]


def test_a_loud_stretch_without_voice_is_doubted() -> None:
    """All of it, under the pads too; not if it is soft, surely no speech, a pause, or a knock in one."""
    assert _found(0.08, -35).all()
    assert not _found(0.08, -37).any()
    assert not _found(0.05, -30).any()
    assert _found(0.08, -30, SHORTEST).all() and not _found(0.08, -30, SHORTEST - 1).any()
    assert not _found(0.08, -60, knock=PAUSE // 3).any()


def test_without_a_voice_nothing_is_as_loud() -> None:
    """Music alone stays music."""
    assert not doubted(np.full(99, 0.1, np.float32), [], np.full(99, -9, np.float32)).any()
    assert doubted(np.zeros(0, np.float32), [], np.zeros(0, np.float32)).shape == (0,)


def test_levels_per_chunk() -> None:
    """A sine has half the power of its peak; the last, shorter chunk is measured by what it has; blocks join."""
    sine = (32_767 * np.sin(np.arange(CHUNK) * 2 * np.pi / 32)).astype(np.int16)
    quiet = np.concatenate([sine, np.zeros(CHUNK, np.int16), sine // 10, sine[:128]])
    assert levels(quiet) == pytest.approx([-3.01, -100, -23.0, -3.01], abs=0.1)
    assert levels(np.zeros(0, np.int16)).shape == (0,)
    long = np.tile(quiet[: 3 * CHUNK], BLOCK)
    assert np.array_equal(levels(long).reshape(-1, 3), np.tile(levels(quiet)[:3], (BLOCK, 1)))


def test_a_thin_voice_is_heard(models_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``It's a good story``, said twice with nothing below 1500 Hz left of it, does not reach voice activity."""
    clip = samples_of(models_root)["endgame_nagg_nell"][15 * 16_000 : 23 * 16_000]
    thin = _above(1500, clip)
    engine = Engine(models_root, model="tiny.en", engine="ctranslate2")
    after = heard(engine.run([job("thin", thin)])["thin"])
    monkeypatch.setattr(listener, "doubted", lambda p, spans, level: np.zeros(len(p), bool))
    before = heard(engine.run([job("thin", thin)])["thin"])
    assert "what are you talking about" in plain(before.text) and "story" not in plain(before.text)
    assert "good story what are you talking about" in plain(after.text)
    assert after.speech_seconds > before.speech_seconds + 2


def _above(hertz: float, samples: Samples) -> Samples:
    """Samples without what lies below a frequency, as loud as before."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    spectrum[np.fft.rfftfreq(len(samples), 1 / 16_000) < hertz] = 0
    thin = np.fft.irfft(spectrum, len(samples))
    louder: Samples = (thin * (samples.astype(np.float64).std() / thin.std())).clip(-32_768, 32_767).astype(np.int16)
    return louder
