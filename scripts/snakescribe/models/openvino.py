"""The OpenVINO form of Whisper weights: the engine's own network, exported once with lengths left open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import Type, opset13
from openvino._offline_transformations import apply_make_stateful_transformation
from openvino.frontend.pytorch import ModuleExtension
from torch import Tensor, nn
from whisper.model import Linear, ModelDimensions

from snakescribe.errors import ModelError
from snakescribe.models.bare import filled
from snakescribe.models.checkpoint import Checkpoint
from snakescribe.models.network import Decoder, Encoder
from snakescribe.models.store import Heads

FULL = 127
"""Largest value of a weight stored in eight bits."""
EXAMPLE = 64
"""Frames of audio that the networks are traced with; how many there are stays open."""


def save_openvino(checkpoint: Checkpoint, alignment_heads: Heads, folder: Path) -> None:
    """Write ``encoder.xml`` and ``decoder.xml`` with int8 and float16 weights beside them, one after the other.

    Linear layers, most of a model, are in float16 until they are in int8, and nothing is multiplied while tracing.
    """
    folder.mkdir(exist_ok=True)
    with torch.no_grad():
        _save(_encoder(checkpoint), folder / "encoder.xml")
        _save(_decoder(checkpoint, alignment_heads), folder / "decoder.xml")


def _save(network: ov.Model, path: Path) -> None:
    _compress(network)
    try:
        ov.save_model(network, path, compress_to_fp16=True)
    except RuntimeError as error:  # OpenVINO's word for a full disk is "iostream error"
        raise ModelError(f"{path.name} cannot be written ({error}); is there room for it?") from None


def _encoder(checkpoint: Checkpoint) -> ov.Model:
    def convert(name: str, tensor: Tensor) -> Tensor | None:
        return _stored(name, tensor) if _reads_audio(name) else None

    model, mels = filled(checkpoint, convert), checkpoint.dims["n_mels"]
    example = torch.randn(2, mels, EXAMPLE)
    exported = _exported(Encoder(model), example, input=[ov.PartialShape([-1, mels, -1])])
    for i, port in enumerate(exported.outputs):
        port.get_tensor().set_names({f"memory{i}"})
    return exported


def _decoder(checkpoint: Checkpoint, alignment_heads: Heads) -> ov.Model:
    def convert(name: str, tensor: Tensor) -> Tensor | None:
        return None if _reads_audio(name) else _stored(name, tensor)

    model, dims = filled(checkpoint, convert), ModelDimensions(**checkpoint.dims)
    heads, width, arrays = dims.n_text_head, dims.n_text_state // dims.n_text_head, 2 * dims.n_text_layer
    rows, windows, read, positions = 6, 2, 7, EXAMPLE // 2
    example = {
        "tokens": torch.zeros(rows, 2, dtype=torch.int64),
        "offset": torch.tensor(read),
        "gather": torch.arange(rows),
        "scatter": torch.arange(rows),
        "padding": torch.zeros(windows, 1, 1, positions),
        "bias": torch.zeros(1, dims.n_vocab),
        "noise": torch.zeros(1, 1),
    }
    memory = [torch.randn(windows, heads, positions, width) for _ in range(arrays)]
    past = [torch.randn(rows, heads, read, width) for _ in range(arrays)]
    exported = _exported(Decoder(model, alignment_heads), (*example.values(), *memory, *past))
    shapes = [[-1, -1], [], [-1], [-1], [-1, 1, 1, -1], [-1, dims.n_vocab], [-1, -1]]
    shapes += [[-1, heads, -1, width]] * (2 * arrays)
    names = [*example, *(f"memory{i}" for i in range(arrays)), *(f"past{i}" for i in range(arrays))]
    for port, name in zip(exported.inputs, names, strict=True):
        port.get_tensor().set_names({name})
    outputs = ["logprobs", "next", "special", "looked", *(f"present{i}" for i in range(arrays))]
    for port, name in zip(exported.outputs, outputs, strict=True):
        port.get_tensor().set_names({name})
    exported.reshape({name: ov.PartialShape(shape) for name, shape in zip(names, shapes, strict=True)})
    _keep_state(exported, arrays, heads, width)
    return exported


def _reads_audio(name: str) -> bool:
    """Whether a tensor belongs to :class:`.network.Encoder`: the keys and values of the decoder's layers do."""
    return name.startswith("encoder.") or ".cross_attn.key." in name or ".cross_attn.value." in name


def _stored(name: str, tensor: Tensor) -> Tensor:
    """Matrices of linear layers as they are, all else in float32, in which a network is traced."""
    linear = name.endswith(".weight") and tensor.dim() == 2 and name != "decoder.token_embedding.weight"
    return tensor.to(torch.float16 if linear else torch.float32)


def _exported(network: nn.Module, example: Any, **given: Any) -> ov.Model:
    linear = ModuleExtension(
        Linear,
        "ov_ext::linear",
        convert=lambda module, linear, x: linear(x, module.weight, module.bias),
        # what a trace gets instead of a product: torch keeps all of them, 5 GB with large-v3's dimensions
        evaluate=lambda module, x, *_: torch.full((*x.shape[:-1], module.out_features), 0.5),
    )
    exported = ov.convert_model(network, example_input=example, extension=[linear], **given)
    network.to("meta")  # the trace is never freed, and refers to the modules
    return exported


def _compress(network: ov.Model) -> None:
    """Store the weights of linear layers, (out, in), as int8 with a scale per output.

    OpenVINO then quantises what goes into them as it comes, row by row, and multiplies integers.
    """
    for node in _of_type(network, "MatMul"):
        weight = node.input_value(1).get_node()
        while weight.get_type_name() == "Convert":
            weight = weight.input_value(0).get_node()
        if weight.get_type_name() == "Constant":
            values = weight.get_data().astype(np.float32)
            scale = np.maximum(np.abs(values).max(1, keepdims=True), 1e-8) / FULL
            stored = opset13.constant(np.round(values / scale).astype(np.int8))
            restored = opset13.multiply(opset13.convert(stored, "f32"), opset13.constant(scale))
            node.input(1).replace_source_output(restored.output(0))
    for node in _of_type(network, "Gather"):
        if (table := node.input_value(0).get_node()).get_type_name() == "Constant":
            halves = opset13.constant(table.get_data().astype(np.float16))  # the embedding, no longer shared
            node.input(0).replace_source_output(opset13.convert(halves, "f32").output(0))
    network.validate_nodes_and_infer_types()


def _of_type(network: ov.Model, kind: str) -> list[ov.Node]:
    """Only these: a list of all nodes would keep the weights that are replaced."""
    return [node for node in network.get_ordered_ops() if node.get_type_name() == kind]


def _keep_state(model: ov.Model, arrays: int, heads: int, width: int) -> None:
    """Turn what was read so far from inputs and outputs into state, reordered by the new input ``parents``.

    The shape that OpenVINO's CPU plugin recognises and runs as one kernel with a growing cache.
    """
    parents = opset13.parameter(ov.PartialShape([-1]), Type.i32, name="parents")
    parents.output(0).get_tensor().add_names({"parents"})
    model.add_parameters([parents])
    for i in range(arrays):
        past = model.input(f"past{i}")
        users = list(past.get_target_inputs())
        chosen = opset13.gather(past, parents, opset13.constant(0))
        for user in users:
            user.replace_source_output(chosen.output(0))
    model.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(model, {f"past{i}": f"present{i}" for i in range(arrays)})
    tokens = opset13.shape_of(model.input("tokens"), output_type="i64")
    rows = opset13.gather(tokens, opset13.constant([0]), opset13.constant(0))
    empty = opset13.concat([rows, *(opset13.constant(np.array([n], np.int64)) for n in (heads, 0, width))], axis=0)
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            zero = opset13.constant(0.0, dtype=np.float32)
            node.set_arguments([opset13.broadcast(zero, empty)])
    model.validate_nodes_and_infer_types()
