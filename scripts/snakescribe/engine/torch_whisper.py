"""The engine's own network on torch: any CPU or GPU that torch has a build for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor
from whisper.model import LayerNorm

from snakescribe.audio import FRAMES_PER_POSITION
from snakescribe.engine import int8_attention
from snakescribe.engine.backend import Hardware
from snakescribe.engine.beam_search import Choice, Ints, Next
from snakescribe.engine.int8_linear import multiply_in_int8
from snakescribe.engine.log_mel import rung
from snakescribe.engine.malloc import trim
from snakescribe.engine.stepwise import StepwiseBackend, StepwiseSession
from snakescribe.models.bare import filled
from snakescribe.models.ct2 import open_ctranslate2
from snakescribe.models.network import Decoder, Encoder, attended
from snakescribe.models.store import Prepared

ROOM = 32
"""Tokens by which arrays of keys and values grow: of a new length at every step the heap would be left with holes."""


class Memory(NamedTuple):
    """Keys and values of some windows for the decoder's cross-attention."""

    arrays: list[Tensor]
    """Keys and values of each layer, (windows, heads, positions, width); in int8 as :mod:`.int8_attention` has them."""
    positions: int
    """The rung of the longest."""
    lengths: list[int]
    """Encoder positions of each window; zeros follow."""

    def only(self, rows: Sequence[int]) -> Memory:
        """Only these windows."""
        if list(rows) == list(range(len(self.lengths))):
            return self
        lengths = [self.lengths[row] for row in rows]
        return Memory([array[list(rows)] for array in self.arrays], self.positions, lengths)


class TorchWhisper(StepwiseBackend):
    """Whisper in float32, bfloat16 or float16; on a CPU also with linear layers, keys and values in int8."""

    name = "torch_whisper"

    def __init__(self, prepared: Prepared, hardware: Hardware, index: int, rows: int, workers: int) -> None:
        """Load ``prepared.ctranslate2`` onto the device, tensor by tensor; ``index`` is the GPU's."""
        super().__init__(prepared, hardware, rows, workers)
        self.device = torch.device(f"cuda:{index}" if hardware.device == "cuda" else "cpu")
        self.int8 = hardware.compute_type == "int8_float32"
        self.dtype: torch.dtype = torch.float32 if self.int8 else getattr(torch, hardware.compute_type)
        model = filled(open_ctranslate2(prepared.ctranslate2), self._kept)
        for module in model.modules():
            if isinstance(module, LayerNorm):
                module.float()  # OpenAI's computes in float32 and keeps its weights so
        self.heads, self.layers = model.dims.n_text_head, model.dims.n_text_layer
        self.width = model.dims.n_text_state // self.heads
        self._encoder = Encoder(model)
        attention = int8_attention.attended if self.int8 else attended
        self.decoder = _Decoder(model, prepared.alignment_heads, attention)
        if self.int8:
            multiply_in_int8(self._encoder)
            multiply_in_int8(self.decoder)
            del model
            trim()

    def _kept(self, name: str, tensor: Tensor) -> Tensor:
        """Weights that are to be int8 wait in float16."""
        waits = self.int8 and tensor.ndim == 2 and name.endswith(".weight")
        return tensor.to(self.device, torch.float16 if waits else self.dtype)

    @torch.inference_mode()
    def encode(self, log_mels: Sequence[Tensor]) -> Memory:
        """Encode windows of one length together, each at its own length."""
        lengths = [log_mel.shape[1] // FRAMES_PER_POSITION for log_mel in log_mels]
        longest = rung(max(lengths))
        arrays: list[Tensor] = []
        for length, rows in self._together(lengths):
            found = self._encoder(torch.stack([log_mels[row] for row in rows]).to(self.device, self.dtype))
            if self.int8:
                found = tuple(part for array in found for part in int8_attention.quantised(array))
            if not arrays:
                arrays = [self._room(part, len(lengths), length, longest) for part in found]
            for array, part in zip(arrays, found, strict=True):
                array[rows, :, : part.shape[2], : part.shape[3]] = part
        return Memory(arrays, longest, lengths)

    def _together(self, lengths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Windows of one length; on a CPU each alone, whose layers then stay in its cache."""
        for length in sorted(set(lengths)):
            rows = [row for row, own in enumerate(lengths) if own == length]
            yield from ((length, some) for some in ([rows] if self.device.type == "cuda" else [[row] for row in rows]))

    @staticmethod
    def _room(part: Tensor, windows: int, length: int, longest: int) -> Tensor:
        """Zeros for all windows, where ``part`` has some of one ``length``."""
        shape = [windows, *(longest if size == length else size for size in part.shape[1:])]
        return torch.zeros(shape, device=part.device, dtype=part.dtype)

    def _session(self, memory: Memory) -> _Session:
        return _Session(self, memory)


class _Decoder(Decoder):
    """Writes new keys and values where :class:`_Session` has left room behind those of before."""

    def behind(self, past: Tensor, new: Tensor) -> Tensor:
        longer = past.as_strided((*past.shape[:2], past.shape[2] + new.shape[2], past.shape[3]), past.stride())
        longer[:, :, past.shape[2] :] = new
        return longer


class _Session(StepwiseSession):
    """What its rows have read lies in ``_past``: keys and values of the tokens so far, by layer, with room behind."""

    _memory: Memory

    def __init__(self, backend: TorchWhisper, memory: Memory) -> None:
        self._decoder, self._device, self._dtype = backend.decoder, backend.device, backend.dtype
        self._slots = int8_attention.TOGETHER if backend.int8 else 1
        heads, layers, width = backend.heads, backend.layers, backend.width
        empty = torch.zeros((len(memory.lengths), heads, 0, width), device=self._device, dtype=self._dtype)
        self._past = [empty] * (2 * layers)
        self._bias: tuple[npt.NDArray[Any], Tensor] | None = None
        super().__init__(memory)

    @torch.inference_mode()
    def _step(self, tokens: Ints, parents: Sequence[int], gather: Ints, scatter: Ints, choice: Choice) -> Next:
        self._go_on(parents, tokens.shape[1])
        found = self._decoder(
            self._on_device(tokens),
            torch.tensor(self._past[0].shape[2], device=self._device),
            self._on_device(gather),
            self._on_device(scatter),
            self._padding,
            self._bias_on_device(choice.bias),
            self._on_device(choice.noise),
            *self._memory.arrays,
            *self._past,
        )
        self._past = list(found[4:])
        return Next(*(array.cpu().numpy() for array in found[:4]))

    def _go_on(self, parents: Sequence[int], new: int) -> None:
        """Have row i of ``_past`` be what row ``parents[i]`` was, with room for ``new`` tokens; layer by layer."""
        _, heads, length, width = self._past[0].shape
        chosen, room = torch.tensor(list(parents), device=self._device), -(-(length + new) // ROOM) * ROOM
        for i, array in enumerate(self._past):
            longer = array.new_empty((len(chosen), heads, room, width))
            torch.index_select(array, 0, chosen, out=longer[:, :, :length])
            self._past[i] = longer[:, :, :length]

    def _attend(self) -> None:
        lengths = torch.tensor(self._memory.lengths, device=self._device)
        positions = torch.arange(self._memory.positions, device=self._device)
        self._padding = torch.zeros((len(lengths), 1, 1, len(positions)), device=self._device, dtype=self._dtype)
        self._padding.masked_fill_(positions[None, None, None, :] >= lengths[:, None, None, None], float("-inf"))

    def _on_device(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _bias_on_device(self, bias: npt.NDArray[Any]) -> Tensor:
        """Kept there: the same array comes with nearly every step."""
        if self._bias is None or self._bias[0] is not bias:
            self._bias = bias, self._on_device(bias)
        return self._bias[1]
