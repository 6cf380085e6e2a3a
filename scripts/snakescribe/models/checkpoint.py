"""Whisper weights as OpenAI names them, and how CTranslate2 lays out the same ones.

Every form is read as a :class:`Checkpoint`: dimensions, and tensors under OpenAI's names.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from snakescribe.errors import ModelError
from snakescribe.models.bare import DIMENSIONS, check_weights


@dataclass(frozen=True)
class Checkpoint:
    """Whisper weights in any form; a tensor may be read from disk each time it is asked for."""

    dims: dict[str, int]
    tensors: Mapping[str, Tensor]
    alignment_heads: tuple[tuple[int, int], ...] | None = None
    """(decoder layer, head) pairs, where the weights come with them."""

    def half(self, name: str) -> Tensor:
        """A tensor as contiguous float16.

        Raises:
            ModelError: a value is not finite in float16.
        """
        tensor = self.tensors[name].to(torch.float16).contiguous()
        if not np.isfinite(tensor.numpy()).all():  # 20 times faster here than torch's
            raise ModelError(f"{name} holds a value that is no number, or too large for float16; get the weights again")
        return tensor

    def identity(self) -> str:
        """SHA-256 over every tensor's name, shape and float16 bytes: one per model, whatever its form.

        Raises:
            ModelError: a value is not finite in float16.
        """
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = self.half(name)
            digest.update(f"{name} {list(tensor.shape)}\n".encode())
            digest.update(tensor.numpy().data.cast("B"))
        return digest.hexdigest()


def layout(encoder_layers: int, decoder_layers: int) -> dict[str, tuple[str | None, ...]]:
    """CTranslate2 variable → the OpenAI tensors it holds, one below the other along the first axis.

    None stands for zeros: Whisper's key projections have no bias, CTranslate2's fused ones do.
    """
    table: dict[str, tuple[str | None, ...]] = {
        "encoder/position_encodings/encodings": ("encoder.positional_embedding",),
        "decoder/position_encodings/encodings": ("decoder.positional_embedding",),
        "decoder/embeddings/weight": ("decoder.token_embedding.weight",),
    }

    def linear(variable: str, *names: str) -> None:
        table[f"{variable}/weight"] = tuple(f"{name}.weight" for name in names)
        table[f"{variable}/bias"] = tuple(None if name.endswith("key") else f"{name}.bias" for name in names)

    def norm(variable: str, name: str) -> None:
        table[f"{variable}/layer_norm/gamma"] = (f"{name}.weight",)
        table[f"{variable}/layer_norm/beta"] = (f"{name}.bias",)

    linear("encoder/conv1", "encoder.conv1")
    linear("encoder/conv2", "encoder.conv2")
    norm("encoder", "encoder.ln_post")
    norm("decoder", "decoder.ln")
    for side, layers in (("encoder", encoder_layers), ("decoder", decoder_layers)):
        for i in range(layers):
            layer, block = f"{side}/layer_{i}", f"{side}.blocks.{i}"
            attention = f"{block}.attn"
            fused = [f"{attention}.{part}" for part in ("query", "key", "value")]
            linear(f"{layer}/self_attention/linear_0", *fused)
            linear(f"{layer}/self_attention/linear_1", f"{attention}.out")
            norm(f"{layer}/self_attention", f"{block}.attn_ln")
            if side == "decoder":
                attention = f"{block}.cross_attn"
                linear(f"{layer}/attention/linear_0", f"{attention}.query")
                linear(f"{layer}/attention/linear_1", f"{attention}.key", f"{attention}.value")
                linear(f"{layer}/attention/linear_2", f"{attention}.out")
                norm(f"{layer}/attention", f"{block}.cross_attn_ln")
            linear(f"{layer}/ffn/linear_0", f"{block}.mlp.0")
            linear(f"{layer}/ffn/linear_1", f"{block}.mlp.2")
            norm(f"{layer}/ffn", f"{block}.mlp_ln")
    return table


def open_openai(path: Path) -> Checkpoint:
    """Map OpenAI's ``.pt`` file into memory (no code in it is run).

    Raises:
        ModelError: it is damaged, or no Whisper checkpoint in OpenAI's form.
    """
    try:
        # torch maps its current format only, and torch 2.0 none
        mapped = {"mmap": True} if zipfile.is_zipfile(path) and "mmap" in signature(torch.load).parameters else {}
        saved = torch.load(path, map_location="cpu", weights_only=True, **mapped)
        dims = {name: int(saved["dims"][name]) for name in DIMENSIONS}
        tensors: dict[str, Tensor] = dict(saved["model_state_dict"])
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if not all(isinstance(name, str) and _plain(tensor) for name, tensor in tensors.items()):
            raise ValueError("a tensor is not made of plain floating-point numbers")
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        LookupError,
        TypeError,
        ArithmeticError,
        ValueError,
        AttributeError,
    ) as error:
        reason = re.split(r"\n|\. ", str(error))[0][:100]
        message = f"{path}: not a Whisper checkpoint as OpenAI saves them, or damaged ({reason})"
        forms = "its folder" if path.suffix in (".safetensors", ".bin") else "a .pt file or a folder of weights"
        raise ModelError(f"{message}; give {forms}") from None
    check_weights(path, dims, shapes)
    return Checkpoint(dims, tensors)


def _plain(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.layout is torch.strided and tensor.device.type == "cpu"


def save_openai(checkpoint: Checkpoint, file: Path | IO[bytes]) -> None:
    """Write a ``.pt`` file that ``whisper.load_model`` takes; numbers stay as they are."""
    torch.save({"dims": checkpoint.dims, "model_state_dict": dict(checkpoint.tensors)}, file)
