"""The log-mel spectrogram Whisper was trained on."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import torch
from whisper.audio import mel_filters

from snakescribe.audio import FFT_SAMPLES, FRAME_SAMPLES, WINDOW_FRAMES, WINDOW_POSITIONS

FULL_CONTEXT = WINDOW_FRAMES
"""Mel frames of the 30 s window the model was trained on."""
PADDING = 300
"""Mel frames of silence kept after the speech: with none the decoder repeats itself
(docs/decisions/windows-and-voice-activity.md)."""
RUNG = 100
"""Encoder lengths are multiples of this many frames, so that windows of about one length can go together on a GPU."""
BRIEF, BRIEF_CONTEXT = 200, 1100
"""A window of at most so many mel frames is padded to so many: in 4 to 6 s a lone word is written twice
(docs/decisions/windows-and-voice-activity.md)."""
SHORT, WIDE = 1000, 1500
"""A window that fills at most so many mel frames is padded to so many where more silence than its own is to help, and a
longer one to 30 s (docs/decisions/language.md)."""
LADDER = (300, 400, 550, 750, 1000, 1250, 1350, WINDOW_POSITIONS)
"""Lengths of the keys and values that a bucket's decoder attends to, in encoder positions. Sums over 800 positions and
over 800 with zeros behind them differ in their last bits, so a window always gets the zeros up to its own rung: its
text never depends on its neighbours."""


def brief(samples: int) -> bool:
    """Whether a window is so short that it is padded to ``BRIEF_CONTEXT``."""
    return samples <= BRIEF * FRAME_SAMPLES


def encoder_frames(samples: int) -> int:
    """Mel frames to encode for a window: its own length and the padding, rounded up to whole ``RUNG``.

    >>> encoder_frames(16_000), encoder_frames(16_000 * 3), encoder_frames(16_000 * 28)
    (1100, 600, 3000)
    """
    frames = -(-samples // FRAME_SAMPLES)
    return BRIEF_CONTEXT if brief(samples) else min(FULL_CONTEXT, -(-(frames + PADDING) // RUNG) * RUNG)


def wide(samples: int) -> int:
    """Mel frames of a window with more silence than :func:`encoder_frames` gives it.

    >>> wide(16_000), wide(16_000 * 3), wide(16_000 * 8)
    (3000, 1500, 3000)
    """
    return WIDE if encoder_frames(samples) <= SHORT else FULL_CONTEXT


def rung(positions: int) -> int:
    """The length on the ladder that holds so many encoder positions."""
    return next(length for length in LADDER if length >= positions)


@functools.cache
def _constants(n_mels: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.hann_window(FFT_SAMPLES), mel_filters("cpu", n_mels)


def log_mel(samples: npt.NDArray[np.int16], n_mels: int, frames: int, gain: float = 1.0) -> torch.Tensor:
    """Log-mel spectrogram of 16 kHz samples, padded with silence to ``frames`` (openai/whisper ``audio.py``).

    ``gain`` makes a voice as loud as the others (:mod:`snakescribe.vad.turns`).

    Returns:
        float32 tensor (n_mels, frames), scaled by the window's own maximum.
    """
    padded = torch.zeros(frames * FRAME_SAMPLES)
    kept = samples[: frames * FRAME_SAMPLES]
    padded[: len(kept)] = torch.from_numpy(kept.astype(np.float32)) * (gain / 32768.0)
    hann, filters = _constants(n_mels)
    spectrum = torch.stft(padded, FFT_SAMPLES, FRAME_SAMPLES, window=hann, return_complex=True)
    power = spectrum[..., :-1].abs() ** 2
    logs = torch.clamp(filters @ power, min=1e-10).log10()
    logs = torch.maximum(logs, logs.max() - 8.0)
    return (logs + 4.0) / 4.0
