"""Log-mel spectrograms are openai/whisper's, in lengths of the ladder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import whisper
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.engine.log_mel import FULL_CONTEXT, PADDING, RUNG, encoder_frames, log_mel

NOISE = np.random.default_rng(0)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_log_mel_is_openais_at_any_length(n_mels: int) -> None:
    samples = NOISE.integers(-3000, 3000, 50_000).astype(np.int16)
    for frames in (400, 1000, FULL_CONTEXT):  # cut, padded a little, padded to 30 s
        audio = whisper.pad_or_trim(torch.from_numpy(samples.astype(np.float32) / 32768), frames * 160)
        ours = log_mel(samples, n_mels, frames)
        assert ours.shape == (n_mels, frames) and ours.dtype == torch.float32
        assert torch.allclose(ours, whisper.log_mel_spectrogram(audio, n_mels), atol=1e-4)


@given(st.integers(1, 16_000 * 28))
def test_encoder_length_holds_speech_and_padding_on_the_ladder(samples: int) -> None:
    frames = encoder_frames(samples)
    assert frames % RUNG == 0 and frames <= FULL_CONTEXT
    assert frames * 160 >= samples + PADDING * 160 or frames == FULL_CONTEXT
