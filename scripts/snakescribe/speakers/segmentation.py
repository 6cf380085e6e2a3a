"""Who speaks when within ten seconds, up to three voices and two at once: pyannote's segmentation-3.0.

The network is PyanNet of pyannote.audio (Bredin, Interspeech 2023; Plaquet and Bredin, "Powerset multi-class cross
entropy loss for neural speaker diarization", Interspeech 2023; MIT): learned band-pass filters, four layers of
bidirectional LSTM, and one of seven answers per frame: nobody, one of three voices, or two of them. Which of the three
a voice is has no meaning beyond its window.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from snakescribe.audio import SAMPLE_RATE

WINDOW = 10 * SAMPLE_RATE
"""Samples that the network was trained on."""
FILTERS = 251
"""Samples of a band-pass filter."""
LOWEST, NARROWEST = 50.0, 50.0
"""Hz: cutoff and width below which no filter goes."""
ANSWERS = torch.tensor(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=torch.float32
)
"""Which voices speak, by answer."""


class Segmenter:
    """The network, loaded once."""

    def __init__(self, weights: Path) -> None:
        """``weights`` is a state dictionary within a dictionary; nothing in it is run."""
        state: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
        self._state = state
        self._filters = _band_passes(state)
        self._lstm = torch.nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self._lstm.load_state_dict({k.removeprefix("lstm."): v for k, v in state.items() if k.startswith("lstm.")})
        self._lstm.eval()

    @torch.inference_mode()
    def voices(self, samples: Tensor) -> Tensor:
        """Probability that each of three voices speaks, shape (n, frames, 3), for samples of shape (n, samples)."""
        x = _normalised(samples.unsqueeze(1), self._state, "sincnet.wav_norm1d")
        for number in range(3):
            if number == 0:
                x = F.conv1d(x, self._filters, stride=10).abs_()
            else:
                name = f"sincnet.conv1d.{number}"
                x = F.conv1d(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"])
            x = F.leaky_relu(_normalised(F.max_pool1d(x, 3), self._state, f"sincnet.norm1d.{number}"))
        x, _ = self._lstm(x.transpose(1, 2))
        for name in ("linear.0", "linear.1"):
            x = F.leaky_relu(F.linear(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"]))
        answers = F.linear(x, self._state["classifier.weight"], self._state["classifier.bias"]).softmax(-1)
        return answers @ ANSWERS


def _normalised(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return F.instance_norm(x, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"])


def _band_passes(state: dict[str, Tensor]) -> Tensor:
    """Filters, shape (80, 1, 251): 40 even ones and the odd ones of the same bands (asteroid's ``ParamSincFB``)."""
    name = "sincnet.conv1d.0.filterbank"
    low = LOWEST + state[f"{name}.low_hz_"].abs()
    high = (low + NARROWEST + state[f"{name}.band_hz_"].abs()).clamp(LOWEST, SAMPLE_RATE / 2)
    times, window = state[f"{name}.n_"], state[f"{name}.window_"]
    band = (high - low)[:, 0]
    at_low, at_high = low @ times, high @ times
    even = (at_high.sin() - at_low.sin()) / (times / 2) * window
    odd = (at_low.cos() - at_high.cos()) / (times / 2) * window
    middle = 2 * band.reshape(-1, 1)
    filters = torch.cat(
        [torch.cat([even, middle, even.flip(1)], 1), torch.cat([odd, torch.zeros_like(middle), -odd.flip(1)], 1)]
    )
    return (filters / (2 * band.repeat(2)[:, None])).unsqueeze(1)
