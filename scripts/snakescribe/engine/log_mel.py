"""The log-mel spectrogram Whisper was trained on, for a batch of windows at a time."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import torch
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters

FRAME: int = HOP_LENGTH
"""Samples per mel frame (10 ms); the encoder halves this rate."""
FULL_CONTEXT = 3000
"""Mel frames of the 30 s window the model was trained on."""
PADDING = 200
"""Mel frames of silence kept after the speech: with none the decoder repeats itself (design decision 7)."""
RUNG = 200
"""Encoder lengths are multiples of this many frames, so that a result never depends on its neighbours."""
SHORTEST = 400


def encoder_frames(samples: int) -> int:
    """Mel frames to encode for a window: its own length and the padding, rounded up on the fixed ladder.

    >>> encoder_frames(16_000)
    400
    >>> encoder_frames(16_000 * 28)
    3000
    """
    frames = -(-samples // FRAME) + PADDING
    return min(FULL_CONTEXT, max(SHORTEST, -(-frames // RUNG) * RUNG))


@functools.cache
def _constants(n_mels: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.hann_window(N_FFT), mel_filters("cpu", n_mels)


def log_mel(windows: list[npt.NDArray[np.int16]], n_mels: int, frames: int) -> torch.Tensor:
    """Log-mel spectrograms of 16 kHz samples, each padded with silence to ``frames``.

    Computed as openai/whisper ``audio.log_mel_spectrogram``, but each window is scaled by its own maximum, so
    that a row does not depend on the others.

    Returns:
        float32 tensor (windows, n_mels, frames).
    """
    padded = torch.zeros(len(windows), frames * FRAME)
    for row, samples in zip(padded, windows, strict=True):
        kept = samples[: frames * FRAME]
        row[: len(kept)] = torch.from_numpy(kept.astype(np.float32)) / 32768.0
    hann, filters = _constants(n_mels)
    spectrum = torch.stft(padded, N_FFT, HOP_LENGTH, window=hann, return_complex=True)
    power = spectrum[..., :-1].abs() ** 2
    logs = torch.clamp(filters @ power, min=1e-10).log10()
    logs = torch.maximum(logs, logs.amax(dim=(1, 2), keepdim=True) - 8.0)
    return (logs + 4.0) / 4.0
