"""OpenVINO: the engine's own network, int8 linear layers, the rest in bfloat16 on CPUs that have it: the fastest."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import openvino as ov
import torch
from openvino import Type, opset13
from openvino.preprocess import PrePostProcessor

from snakescribe import devices
from snakescribe.audio import FRAMES_PER_POSITION
from snakescribe.engine.backend import Hardware
from snakescribe.engine.beam_search import Choice, Ints, Next
from snakescribe.engine.log_mel import rung
from snakescribe.engine.stepwise import StepwiseBackend, StepwiseSession
from snakescribe.models.store import Prepared

PRECISIONS = {"int8_bfloat16": ("bf16", Type.bf16, np.uint16), "int8_float32": ("f32", Type.f32, np.float32)}
"""Of all but the linear layers, which are int8 in the prepared form."""

QUANTISED_TOGETHER = (256, 128, 64)
"""Values of an input that share one int8 scale; a size that does not divide the layer falls back to slow products."""

FEWEST_ROWS = 5
"""Of a step: with AMX, oneDNN multiplies up to four rows by another instruction, whose last bits differ."""


class Memory(NamedTuple):
    """Keys and values of some windows for the decoder's cross-attention; good until the same thread encodes again."""

    arrays: list[npt.NDArray[Any]]
    """Keys and values of each layer, (windows, heads, rung, width); bfloat16 as its bits."""
    lengths: list[int]
    """Encoder positions of each window; zeros follow."""
    order: list[int]
    """Which window is where in the arrays; shared by all that :meth:`only` makes."""
    windows: list[int]
    """Those this is about, by what ``order`` calls them."""

    def only(self, rows: Sequence[int]) -> Memory:
        """Some of these windows, at the front of the same arrays: they change places with what is there.

        What was made before must be asked for again, with ``only``.
        """
        wanted = [self.windows[row] for row in rows]
        for place, window in enumerate(wanted):
            other = self.order.index(window)
            if other != place:
                self.order[place], self.order[other] = window, self.order[place]
                for array in self.arrays:
                    array[[place, other]] = array[[other, place]]
        return Memory(self.arrays, [self.lengths[row] for row in rows], self.order, wanted)


class OpenVinoWhisper(StepwiseBackend):
    """Whisper on OpenVINO's CPU kernels."""

    name = "openvino"

    def __init__(self, prepared: Prepared, hardware: Hardware, rows: int, workers: int) -> None:
        """Load ``prepared.openvino``; ``workers`` buckets run at once, each on one thread."""
        assert prepared.openvino is not None
        super().__init__(prepared, hardware, rows, workers)
        self._heads, state = int(prepared.dims["n_text_head"]), int(prepared.dims["n_text_state"])
        self._width = state // self._heads
        hint, self.kind, self.dtype = PRECISIONS[hardware.compute_type]
        self._kept = threading.local()
        core = ov.Core()
        core.set_property(
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": hint,
                "INFERENCE_NUM_THREADS": workers,
                "NUM_STREAMS": workers,
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": next(n for n in QUANTISED_TOGETHER if state % n == 0),
                "ENABLE_CPU_PINNING": False,  # several jobs on one machine would all pin the same cores
                "CPU_RUNTIME_CACHE_CAPACITY": 64,  # kernels by shape: every step has new ones, hardly any comes again
            },
        )
        self._arrays = 2 * int(prepared.dims["n_text_layer"])
        encoder = _typed(core, prepared.openvino / "encoder.xml", self.kind)
        if self.kind == Type.bf16 and "amx_bf16" in devices.cpu_features():
            _restore_weights(encoder)
        self._encoder = core.compile_model(encoder, "CPU")
        self.decoder = core.compile_model(_typed(core, prepared.openvino / "decoder.xml", self.kind), "CPU")

    def encode(self, log_mels: Sequence[torch.Tensor]) -> Memory:
        """Encode each window at its own length: on a CPU one at a time is as fast as many."""
        lengths = [log_mel.shape[1] // FRAMES_PER_POSITION for log_mel in log_mels]
        arrays = self._reused_arrays((len(lengths), self._heads, rung(max(lengths)), self._width))
        request = self._encoder.create_infer_request()
        for row, (log_mel, length) in enumerate(zip(log_mels, lengths, strict=True)):
            request.set_input_tensor(ov.Tensor(np.ascontiguousarray(log_mel.numpy()[None])))
            request.infer()
            for i, array in enumerate(arrays):
                array[row, :, :length] = request.get_output_tensor(i).data.view(self.dtype)[0]
                array[row, :, length:] = 0
        return Memory(arrays, lengths, list(range(len(lengths))), list(range(len(lengths))))

    def _reused_arrays(self, shape: tuple[int, ...]) -> list[npt.NDArray[Any]]:
        """Arrays that this thread uses again and again: as large as a bucket, they would be new pages every time."""
        size = math.prod(shape)
        kept: list[npt.NDArray[Any]] = getattr(self._kept, "arrays", [])
        if not kept or kept[0].size < size:
            self._kept.arrays = kept = []  # frees the smaller ones first
            kept += (np.empty(size, self.dtype) for _ in range(self._arrays))
        return [array[:size].reshape(shape) for array in kept]

    def _session(self, memory: Memory) -> _Session:
        return _Session(self, memory)


class _Session(StepwiseSession):
    """What its rows have read is the state of an inference request."""

    _memory: Memory

    def __init__(self, backend: OpenVinoWhisper, memory: Memory) -> None:
        self._request = backend.decoder.create_infer_request()
        self._kind, self._dtype = backend.kind, backend.dtype
        self._read = 0
        super().__init__(memory)

    def _step(self, tokens: Ints, parents: Sequence[int], gather: Ints, scatter: Ints, choice: Choice) -> Next:
        rows = len(parents)
        self._set("tokens", _filled(tokens))
        self._set("offset", np.array(self._read, np.int64))
        self._set("gather", gather)
        self._set("scatter", _filled(scatter))
        self._set("parents", _filled(np.array(parents, np.int32)))
        self._set("bias", choice.bias)
        self._set("noise", choice.noise if len(choice.noise) == 1 else _filled(choice.noise))
        self._request.infer()
        self._read += tokens.shape[1]
        logprobs, tokens, special, looked = (
            self._request.get_tensor(name).data[:rows] for name in ("logprobs", "next", "special", "looked")
        )
        return Next(logprobs.copy(), tokens.copy(), special.copy(), looked.view(self._dtype))

    def _attend(self) -> None:
        lengths = self._memory.lengths
        arrays = [array[: len(lengths)] for array in self._memory.arrays]
        padding = np.zeros((len(lengths), 1, 1, arrays[0].shape[2]), np.float32)
        for row, length in zip(padding, lengths, strict=True):
            row[:, :, length:] = -np.inf
        self._set("padding", padding)
        for i, array in enumerate(arrays):
            self._request.set_tensor(f"memory{i}", ov.Tensor(array, array.shape, self._kind))

    def _set(self, name: str, array: npt.NDArray[Any]) -> None:
        self._request.set_tensor(name, ov.Tensor(array))


def _filled(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """With its first row again and again behind it, until there are ``FEWEST_ROWS``."""
    if len(array) >= FEWEST_ROWS:
        return np.ascontiguousarray(array)
    return np.concatenate([array, np.repeat(array[:1], FEWEST_ROWS - len(array), 0)])


def _typed(core: ov.Core, path: Path, kind: Type) -> ov.Model:
    """The network with everything large (keys and values, attention) handed over as ``kind``, to convert nothing."""
    model = core.read_model(path)
    outside = PrePostProcessor(model)
    for i, port in enumerate(model.outputs):
        if any(name.startswith(("memory", "looked")) for name in port.get_names()):
            outside.output(i).tensor().set_element_type(kind)
    for port in model.inputs:
        if (name := port.get_any_name()).startswith("memory"):
            outside.input(name).tensor().set_element_type(kind)
    return outside.build()


def _restore_weights(model: ov.Model) -> None:
    """Multiply int8 weights by their scales once: where the CPU has AMX, OpenVINO would do it again at every call.

    There it does not quantise what goes into a linear layer either, but multiplies in bfloat16.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MatMul" and node.input_value(1).get_node().get_type_name() == "Multiply":
            weight = _constant(node.input_value(1).get_node()).astype(np.float16)
            restored = opset13.convert(opset13.constant(weight), "f32")
            node.input(1).replace_source_output(restored.output(0))


def _constant(node: ov.Node) -> npt.NDArray[np.float32]:
    """What a product of converted constants amounts to."""
    if node.get_type_name() == "Constant":
        return np.asarray(node.get_data(), np.float32)
    first, *others = (_constant(value.get_node()) for value in node.input_values())
    return first * others[0] if others else first
