"""Kaldi's log-mel filter bank, which the voice encoder was trained on.

Frames of 25 ms every 10 ms within the samples; mean removed, first difference (0.97), Povey's window, power of 512
points, 80 triangles evenly spaced in mel from 20 Hz to 8 kHz, natural logarithm (Kaldi's ``compute-fbank-feats`` with
``--dither=0 --num-mel-bins=80``, as in ``torchaudio.compliance.kaldi.fbank`` and kaldi-native-fbank).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from snakescribe.audio import SAMPLE_RATE
from snakescribe.speakers.voices import FEATURE_FRAME as FRAME
from snakescribe.speakers.voices import HOP

POINTS = 512
"""Of the transform: the next power of two."""
BINS = 80
LOWEST = 20.0
"""Hz."""
FLOOR = float(np.finfo(np.float32).eps)
"""Of the energy, before the logarithm, of samples between -1 and 1."""


def _mel(hertz: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))


def _triangles() -> torch.Tensor:
    """Weights of the spectrum's points in each bin, shape (257, 80)."""
    edges = np.linspace(_mel(LOWEST), _mel(SAMPLE_RATE / 2), BINS + 2)
    points = _mel(np.arange(POINTS // 2 + 1) * SAMPLE_RATE / POINTS)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (points - left) / (centre - left), (right - points) / (right - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[-1] = 0.0  # Kaldi leaves out the last point
    return torch.from_numpy(weights.astype(np.float32))


_WINDOW = torch.hann_window(FRAME, periodic=False).pow(0.85)
_TRIANGLES = _triangles()


@torch.inference_mode()
def log_mel(samples: npt.NDArray[np.int16]) -> torch.Tensor:
    """Log energies, shape (frames, 80), of samples at 16 kHz; less than 25 ms have no frame."""
    if len(samples) < FRAME:
        return torch.zeros(0, BINS)
    frames = torch.from_numpy(samples.astype(np.float32) / 32768.0).unfold(0, FRAME, HOP)
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
    power = torch.fft.rfft((frames - 0.97 * before) * _WINDOW, POINTS).abs().square_()
    energy: torch.Tensor = power @ _TRIANGLES
    return energy.clamp_min_(FLOOR).log_()
