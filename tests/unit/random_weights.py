"""Small Whisper weights with random numbers: of any vocabulary, mel bands and layers, and quick to make."""

from __future__ import annotations

import torch
from torch import Tensor
from whisper.model import sinusoids

from snakescribe.models.bare import Bare
from snakescribe.models.checkpoint import Checkpoint

TURBO = {"n_mels": 128, "n_vocab": 51866}
"""What large-v3-turbo differs in from `base`, besides its size."""


def random_weights(layers: tuple[int, int] = (2, 2), seed: int = 0, **dims: int) -> Checkpoint:
    """64 wide with two heads, as multilingual as `base` unless ``dims`` say otherwise; float16, nothing overflows."""
    usual = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 64, "n_audio_head": 2, "n_audio_layer": layers[0]}
    usual |= {"n_vocab": 51865, "n_text_ctx": 448, "n_text_state": 64, "n_text_head": 2, "n_text_layer": layers[1]}
    torch.manual_seed(seed)
    shapes = Bare(usual | dims).state_dict()
    tensors = {name: _numbers(name, tuple(tensor.shape)) for name, tensor in shapes.items()}
    return Checkpoint(usual | dims, tensors)


def _numbers(name: str, shape: tuple[int, ...]) -> Tensor:
    if name == "encoder.positional_embedding":
        return torch.as_tensor(sinusoids(*shape)).half()
    spread = shape[-1] ** -0.5 if len(shape) > 1 else 0.05
    middle = 1.0 if "ln" in name and name.endswith("weight") else 0.0
    return (torch.randn(shape) * spread + middle).half()
