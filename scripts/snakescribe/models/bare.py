"""openai-whisper's network without numbers: what weights must look like, and where they are put in one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from whisper.model import AudioEncoder, ModelDimensions, TextDecoder, Whisper

from snakescribe.errors import ModelError
from snakescribe.models.capabilities import has_tokenizer

if TYPE_CHECKING:
    from snakescribe.models.checkpoint import Checkpoint

DIMENSIONS = (
    "n_mels",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_vocab",
    "n_text_ctx",
    "n_text_state",
    "n_text_head",
    "n_text_layer",
)
"""Fields of openai/whisper ``model.py`` ``ModelDimensions``."""
MELS = (80, 128)
"""What openai-whisper has filters for."""
POSITIONS, CONTEXT = 1500, 448
"""Of 20 ms that every Whisper model hears at once, and tokens that it reads."""
STATES = 64
"""The width of a layer is a multiple of this in all of them, as OpenVINO's int8 products want it."""


class Bare(Whisper):  # type: ignore[misc]
    """Its parameters have shapes and take no memory."""

    def __init__(self, dims: Mapping[str, int]) -> None:
        nn.Module.__init__(self)
        self.dims = ModelDimensions(**dims)
        sizes = [dims[name] for name in DIMENSIONS]
        with torch.device("meta"):
            self.encoder, self.decoder = AudioEncoder(*sizes[:5]), TextDecoder(*sizes[5:])


def check_weights(path: Path, dims: Mapping[str, int], found: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse dimensions that no engine can run, and tensors that do not go with them.

    Args:
        path: to be named in a complaint.
        dims: of the model.
        found: shape of each tensor, by OpenAI's names.

    Raises:
        ModelError: what does not fit.
    """
    if not has_tokenizer(dims["n_vocab"]):
        tokens = f"the weights know {dims['n_vocab']} tokens, which fits no Whisper tokenizer"
        raise ModelError(f"{path}: {tokens}; models with tokens of their own cannot be read")
    audio, text = (dims[f"n_{side}_state"] for side in ("audio", "text"))
    fits = dims["n_mels"] in MELS and (dims["n_audio_ctx"], dims["n_text_ctx"]) == (POSITIONS, CONTEXT)
    heads = (dims["n_audio_head"], dims["n_text_head"])
    fits = fits and audio == text and text % STATES == 0 and all(head > 0 and text % head == 0 for head in heads)
    layers = (dims["n_audio_layer"], dims["n_text_layer"])
    if not fits or min(text, *layers) < 1:
        shown = ", ".join(f"{name} {dims[name]}" for name in DIMENSIONS)
        raise ModelError(f"{path}: not the dimensions of a Whisper model ({shown})")
    if sum(layers) > len(found):  # before a network of a billion layers is made
        raise ModelError(f"{path}: not a Whisper model, or not all of it (lacks tensors of {sum(layers)} layers)")
    expected = {name: tuple(tensor.shape) for name, tensor in Bare(dims).state_dict().items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            other = f"{name} is {found.get(name)} instead of {expected.get(name)}"
            problem = other if name in expected and name in found else f"holds an unknown tensor {name}"
            problem = problem if name in found else f"lacks tensor {name}"
            raise ModelError(f"{path}: weights and dimensions do not fit together, or they are damaged ({problem})")


def filled(checkpoint: Checkpoint, convert: Callable[[str, Tensor], Tensor | None]) -> Bare:
    """The network with the weights of ``checkpoint``, which are never all there twice.

    Args:
        checkpoint: read one tensor at a time.
        convert: gives what is to be kept of a tensor (by name), in which type and where; None: it is not needed.
    """
    model = Bare(checkpoint.dims)
    for name in checkpoint.tensors:
        kept = convert(name, checkpoint.tensors[name])
        if kept is not None:
            owner, _, attribute = name.rpartition(".")
            module = model.get_submodule(owner)
            is_buffer = attribute in dict(module.named_buffers(recurse=False))
            setattr(module, attribute, kept if is_buffer else nn.Parameter(kept, requires_grad=False))
    model.eval()
    return model
