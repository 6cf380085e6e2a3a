"""CAM++: a stretch of speech becomes a vector that is alike for one voice and unlike for two.

The network is that of Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking" (Interspeech 2023, arXiv 2303.00332), with the weights ``speech_campplus_sv_zh_en_16k-common_advanced``
(200,000 speakers of Chinese and English, Apache-2.0). Two-dimensional convolutions over the log-mel, then layers
densely joined over time at 20 ms, each masked by the mean of the whole stretch; mean and deviation over time make
the vector. Normalisations that follow a product are folded into it once.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5
"""Of the normalisations (PyTorch's default, with which the weights were trained)."""
BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of the three dense blocks."""
GROWTH = 32
"""Channels that each layer adds."""

Weights = dict[str, Tensor]


class VoiceEncoder:
    """The network, loaded once."""

    def __init__(self, weights: Path) -> None:
        """``weights`` is a state dictionary; nothing in it is run."""
        state: Weights = torch.load(weights, map_location="cpu", weights_only=True)
        self._planes = [
            _folded(state, f"head.{conv}", f"head.{norm}")
            for conv, norm in [("conv1", "bn1"), *_RESIDUAL, ("conv2", "bn2")]
        ]
        weight, bias = _folded(state, "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm")
        self._first = weight.permute(2, 1, 0).flatten(0, 1).contiguous(), bias  # rows by time, then channel
        self._blocks = [
            [_Layer(state, f"xvector.block{number}.tdnnd{layer}", dilation) for layer in range(1, layers + 1)]
            for number, (layers, dilation) in enumerate(BLOCKS, 1)
        ]
        self._transits = [
            (
                *_affine(state, f"xvector.transit{number}.nonlinear.batchnorm"),
                _columns(state, f"xvector.transit{number}"),
            )
            for number in range(1, len(BLOCKS) + 1)
        ]
        self._out = _affine(state, "xvector.out_nonlinear.batchnorm")
        self._dense = _folded(state, "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")

    @torch.inference_mode()
    def vectors(self, features: Tensor) -> Tensor:
        """Vectors of length 1, shape (n, 192), of log-mel windows, shape (n, frames, 80), each of mean 0 over time."""
        x = self._channels(features)
        for layers, (scale, shift, weight) in zip(self._blocks, self._transits, strict=True):
            width = x.shape[-1]
            grown = x.new_empty(*x.shape[:2], width + GROWTH * len(layers))
            grown[..., :width] = x
            for layer in layers:
                grown[..., width : width + GROWTH] = layer(grown[..., :width])
                width += GROWTH
            x = torch.relu_(torch.addcmul(shift, grown, scale)) @ weight
        scale, shift = self._out
        x = torch.relu_(torch.addcmul(shift, x, scale))
        deviation, mean = torch.std_mean(x, dim=1)
        weight, bias = self._dense
        return F.normalize(torch.addmm(bias, torch.cat([mean, deviation], 1), weight.squeeze(-1).T))

    def _channels(self, features: Tensor) -> Tensor:
        """Shape (n, frames / 2, 128), out of the two-dimensional part."""
        x = features.transpose(1, 2).unsqueeze(1).contiguous(memory_format=torch.channels_last)
        first, *blocks, last = self._planes
        x = torch.relu_(F.conv2d(x, *first, padding=1))
        for number in (0, 1):
            one, two, across, three, four = blocks[5 * number : 5 * number + 5]
            inner = torch.relu_(F.conv2d(x, *one, stride=(2, 1), padding=1))
            x = torch.relu_(F.conv2d(inner, *two, padding=1).add_(F.conv2d(x, *across, stride=(2, 1))))
            inner = torch.relu_(F.conv2d(x, *three, padding=1))
            x = torch.relu_(F.conv2d(inner, *four, padding=1).add_(x))
        x = torch.relu_(F.conv2d(x, *last, stride=(2, 1), padding=1))
        x = x.permute(0, 3, 1, 2).flatten(2)  # (n, frames, 32 channels x 10 bands)
        weight, bias = self._first
        around = F.pad(x, (0, 0, 2, 2)).unfold(1, 5, 2)  # every second frame with two on either side
        return torch.relu_(around.transpose(2, 3).flatten(2) @ weight + bias)


_RESIDUAL = [
    (f"layer{layer}.{block}.{conv}", f"layer{layer}.{block}.{norm}")
    for layer in (1, 2)
    for block, conv, norm in [
        (0, "conv1", "bn1"),
        (0, "conv2", "bn2"),
        (0, "shortcut.0", "shortcut.1"),
        (1, "conv1", "bn1"),
        (1, "conv2", "bn2"),
    ]
]


class _Layer:
    """One densely joined layer: what it hears locally, masked by what the whole stretch is like."""

    def __init__(self, state: Weights, name: str, dilation: int) -> None:
        self._dilation = dilation
        self._before = _affine(state, f"{name}.nonlinear1.batchnorm")
        weight, self._bias = _folded(state, f"{name}.linear1", f"{name}.nonlinear2.batchnorm")
        self._narrow = weight.squeeze(-1).T.contiguous()
        self._local = state[f"{name}.cam_layer.linear_local.weight"].permute(2, 1, 0).contiguous()
        self._mask = [
            (
                state[f"{name}.cam_layer.linear{number}.weight"].squeeze(-1).T,
                state[f"{name}.cam_layer.linear{number}.bias"],
            )
            for number in (1, 2)
        ]

    def __call__(self, x: Tensor) -> Tensor:
        """(n, frames, channels) to (n, frames, 32)."""
        scale, shift = self._before
        x = torch.relu_(torch.relu_(torch.addcmul(shift, x, scale)) @ self._narrow + self._bias)
        # The paper adds the mean of 100 frames to that of all; a stretch of 2 s or less has one such part.
        (squeeze, one), (widen, other) = self._mask
        mask = torch.sigmoid(torch.relu_(2 * x.mean(1) @ squeeze + one) @ widen + other)
        d, frames = self._dilation, x.shape[1]
        padded = F.pad(x, (0, 0, d, d))
        local = padded[:, :frames] @ self._local[0]
        for step in (1, 2):
            local += padded[:, step * d : step * d + frames] @ self._local[step]
        return local.mul_(mask.unsqueeze(1))


def _affine(state: Weights, name: str) -> tuple[Tensor, Tensor]:
    """A normalisation as ``scale`` and ``shift``."""
    scale = (state[f"{name}.running_var"] + EPSILON).rsqrt()
    mean = state[f"{name}.running_mean"]
    if f"{name}.weight" not in state:
        return scale, -mean * scale
    scale = scale * state[f"{name}.weight"]
    return scale, state[f"{name}.bias"] - mean * scale


def _folded(state: Weights, product: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a product without a bias, with the normalisation after it."""
    scale, shift = _affine(state, norm)
    weight = state[f"{product}.weight"]
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), shift


def _columns(state: Weights, name: str) -> Tensor:
    return state[f"{name}.linear.weight"].squeeze(-1).T.contiguous()
