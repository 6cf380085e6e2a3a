"""The voice activity model on real speech, silence, noise and tones."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from snakescribe.errors import ModelError
from snakescribe.vad import CHUNK
from snakescribe.vad.silero import SpeechDetector


@pytest.fixture(scope="module")
def detector(models_root: Path) -> SpeechDetector:
    """The real weights."""
    return SpeechDetector(models_root / "silero_vad.onnx")


@pytest.fixture(scope="module")
def speech(models_root: Path) -> npt.NDArray[np.int16]:
    """Ten seconds of somebody reading, thinned out to 16 kHz or near it."""
    with wave.open(str(models_root / "samples/beckett.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        samples = samples.reshape(-1, file.getnchannels())[:, 0]
        rate = file.getframerate()
    thinned: npt.NDArray[np.int16] = samples[np.arange(0, len(samples) - 1, rate / 16_000).astype(int)]
    return thinned


@pytest.mark.parametrize("block", [1, 7, 100, 10_000])
def test_blocks_do_not_change_the_result(detector: SpeechDetector, speech: npt.NDArray[np.int16], block: int) -> None:
    """Memory and context are handed on."""
    whole, pieces = detector.probabilities(speech), detector.probabilities(speech, block)
    assert np.allclose(whole, pieces, atol=1e-5)
    assert len({round(float(p), 1) for p in whole}) > 5


def test_speech_is_told_from_the_rest(detector: SpeechDetector, speech: npt.NDArray[np.int16]) -> None:
    """A reader speaks and breathes; silence, noise and a tone do not."""
    found = detector.probabilities(speech)
    assert found.dtype == np.float32 and np.mean(found > 0.5) > 0.35
    time = np.arange(160_000) / 16_000
    noise = np.random.default_rng(1).normal(0, 3000, 160_000)
    for other in (np.zeros(160_000), noise, 10_000 * np.sin(2 * np.pi * 440 * time)):
        assert np.mean(detector.probabilities(other.astype(np.int16)) > 0.5) < 0.05
    gap = np.concatenate([speech, np.zeros(80_000, np.int16), speech])
    assert np.max(detector.probabilities(gap)[len(speech) // CHUNK + 20 : (len(speech) + 80_000) // CHUNK]) < 0.2


@pytest.mark.parametrize("length", [0, 1, 63, 64, 511, 512, 513, 16_000])
def test_one_probability_per_chunk(detector: SpeechDetector, speech: npt.NDArray[np.int16], length: int) -> None:
    """A last, shorter chunk counts; nothing gives nothing."""
    found = detector.probabilities(speech[:length])
    assert found.shape == (-(-length // CHUNK),)
    assert np.all((found >= 0) & (found <= 1))


def test_mapped_samples(detector: SpeechDetector, speech: npt.NDArray[np.int16], tmp_path: Path) -> None:
    """A recording on disk need not be loaded."""
    speech.tofile(tmp_path / "a.pcm")
    mapped = np.memmap(tmp_path / "a.pcm", dtype="<i2", mode="r")
    assert np.array_equal(detector.probabilities(mapped), detector.probabilities(speech))


def test_missing_and_damaged_weights(models_root: Path, tmp_path: Path) -> None:
    """One line that names the file."""
    with pytest.raises(ModelError, match=r"gone\.onnx: No such file"):
        SpeechDetector(tmp_path / "gone.onnx")
    (tmp_path / "half.onnx").write_bytes((models_root / "silero_vad.onnx").read_bytes()[:100_000])
    with pytest.raises(ModelError, match=r"half\.onnx is damaged"):
        SpeechDetector(tmp_path / "half.onnx")
