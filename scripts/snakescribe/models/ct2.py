"""The CTranslate2 form of Whisper weights: any ``model.bin`` read, new ones written, tensor by tensor."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from snakescribe.errors import ModelError
from snakescribe.models.bare import check_weights
from snakescribe.models.capabilities import is_multilingual, language_tokens
from snakescribe.models.checkpoint import Checkpoint, layout

VERSION = 6
"""Of the file format (ctranslate2 ``specs/model_spec.py``, ``CURRENT_BINARY_VERSION``)."""
REVISION = 3
"""Of the layout (``specs/whisper_spec.py``)."""
DTYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
"""By their number in the file (the same module, ``_dtype_to_type_id``)."""


@dataclass(frozen=True)
class Variable:
    """Where one array lies in ``model.bin``."""

    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """Bytes. (torch 2.0 tells the size of an element by a tensor only.)"""
        return math.prod(self.shape) * torch.empty(0, dtype=self.dtype).element_size()

    def read(self, path: Path, part: int = 0, parts: int = 1) -> Tensor:
        """The array, or one of ``parts`` equal parts along the first axis."""
        shape = (self.shape[0] // parts, *self.shape[1:]) if parts > 1 else self.shape
        data = bytearray(self.size // parts)
        with path.open("rb") as file:
            file.seek(self.offset + part * len(data))
            if file.readinto(data) < len(data):
                raise ModelError(f"{path}: ends before its weights do; get the file again")
        return torch.frombuffer(data, dtype=self.dtype).reshape(shape)


class _Tensors(Mapping[str, Tensor]):
    """OpenAI's tensors, each read from ``model.bin`` when asked for: never more than one is held here."""

    def __init__(self, path: Path, variables: dict[str, Variable], table: dict[str, tuple[str | None, ...]]):
        self._path = path
        self._place = {
            name: (variables[variable], part, len(names))
            for variable, names in table.items()
            for part, name in enumerate(names)
            if name
        }

    def __getitem__(self, name: str) -> Tensor:
        variable, part, parts = self._place[name]
        return variable.read(self._path, part, parts)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor, without reading any."""
        return {
            name: (variable.shape[0] // parts, *variable.shape[1:])
            for name, (variable, _, parts) in self._place.items()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


def open_ctranslate2(folder: Path) -> Checkpoint:
    """Index a CTranslate2 Whisper folder's ``model.bin`` in float16, bfloat16 or float32.

    Raises:
        ModelError: it is damaged, no Whisper model, of another format version, or quantised to integers.
    """
    path = folder / "model.bin"
    try:
        variables = _index(path)
        heads = {side: int(variables[f"{side}/num_heads"].read(path)) for side in ("encoder", "decoder")}
        layers = {side: _layers(variables, side) for side in heads}
        table = layout(layers["encoder"], layers["decoder"])
        for name, parts in table.items():
            if not variables[name].dtype.is_floating_point:
                raise ModelError(f"{path}: quantised to integers, the weights are lost; get the float16 form")
            if None in parts and variables[name].read(path, parts.index(None), len(parts)).any():
                raise ModelError(f"{path}: not a Whisper model ({name} has a key bias)")
        state, mels, _ = variables["encoder/conv1/weight"].shape
        vocabulary, text_state = variables["decoder/embeddings/weight"].shape
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path}: not a Whisper model of CTranslate2, or damaged ({error})") from None
    dims = {
        "n_mels": mels,
        "n_audio_ctx": variables["encoder/position_encodings/encodings"].shape[0],
        "n_audio_state": state,
        "n_audio_head": heads["encoder"],
        "n_audio_layer": layers["encoder"],
        "n_vocab": vocabulary,
        "n_text_ctx": variables["decoder/position_encodings/encodings"].shape[0],
        "n_text_state": text_state,
        "n_text_head": heads["decoder"],
        "n_text_layer": layers["decoder"],
    }
    tensors = _Tensors(path, variables, table)
    check_weights(path, dims, tensors.shapes())
    return Checkpoint(dims, tensors)


def save_ctranslate2(checkpoint: Checkpoint, heads: tuple[tuple[int, int], ...], folder: Path) -> None:
    """Write ``model.bin`` (float16), ``vocabulary.json`` and ``config.json`` with alignment ``heads``.

    The bytes that CTranslate2's own converter writes, but tensor by tensor: it holds all of them, several times.

    Raises:
        ModelError: a value is not finite in float16.
    """
    dims = checkpoint.dims
    tokens, config = vocabulary(dims["n_vocab"])
    folder.mkdir()
    _write_json(folder / "vocabulary.json", tokens)
    _write_json(folder / "config.json", config | {"alignment_heads": [list(head) for head in heads]}, end="\n")
    settings, table = _settings(dims), layout(dims["n_audio_layer"], dims["n_text_layer"])
    with (folder / "model.bin").open("wb") as file:
        file.write(struct.pack("<I", VERSION) + _string("WhisperSpec") + struct.pack("<I", REVISION))
        file.write(struct.pack("<I", len(settings) + len(table)))
        for variable in sorted(settings.keys() | table.keys()):
            setting = settings.get(variable)
            array = _fused(checkpoint, table[variable]) if setting is None else setting
            file.write(_string(variable) + struct.pack(f"<B{array.dim()}I", array.dim(), *array.shape))
            file.write(struct.pack("<BI", DTYPES.index(array.dtype), array.numel() * array.element_size()))
            file.write(array.numpy().tobytes())
        file.write(struct.pack("<I", 1) + _string("decoder/projection/weight") + _string("decoder/embeddings/weight"))


def _settings(dims: Mapping[str, int]) -> dict[str, Tensor]:
    """What is no weight in ``model.bin`` (ctranslate2 ``specs/whisper_spec.py``, ``specs/transformer_spec.py``)."""
    switches = ("alibi", "alibi_use_positive_positions", "scale_alibi", "scale_embeddings", "start_from_zero_embedding")
    flags = {f"decoder/{name}": 0 for name in switches} | {"decoder/activation": 3, "decoder/pre_norm": 1}  # 3: GELU
    numbers = {"decoder/num_heads": dims["n_text_head"], "encoder/num_heads": dims["n_audio_head"]}
    numbers |= {"decoder/alignment_heads": 1, "decoder/alignment_layer": -1}
    small = {name: torch.tensor(value, dtype=torch.int8) for name, value in flags.items()}
    return small | {name: torch.tensor(value, dtype=torch.int16) for name, value in numbers.items()}


def _fused(checkpoint: Checkpoint, names: tuple[str | None, ...]) -> Tensor:
    like = next(checkpoint.half(name) for name in names if name)
    parts = [checkpoint.half(name) if name else torch.zeros_like(like) for name in names]
    return torch.cat(parts) if len(parts) > 1 else like


def _string(text: str) -> bytes:
    encoded = text.encode() + b"\0"
    return struct.pack("<H", len(encoded)) + encoded


def _write_json(path: Path, value: object, end: str = "") -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + end, encoding="utf-8")


def vocabulary(size: int) -> tuple[list[str], dict[str, list[int]]]:
    """Tokens by id, in GPT-2's spelling of bytes, and the ids in CTranslate2's ``config.json``."""
    from whisper.tokenizer import get_tokenizer

    multilingual, languages = is_multilingual(size), language_tokens(size)
    tokenizer = get_tokenizer(multilingual, num_languages=languages)
    spelling = _byte_spelling()
    tokens = [
        "".join(spelling[byte] for byte in tokenizer.encoding.decode_single_token_bytes(token)) for token in range(size)
    ]
    never = {
        tokenizer.sot,
        tokenizer.translate,
        tokenizer.transcribe,
        tokenizer.sot_lm,
        tokenizer.sot_prev,
        tokenizer.no_speech,
    }
    return tokens, {
        "suppress_ids": sorted(never | set(tokenizer.non_speech_tokens)),
        "suppress_ids_begin": [*tokenizer.encode(" "), tokenizer.eot],
        "lang_ids": list(range(tokenizer.sot + 1, tokenizer.sot + 1 + languages)),
    }


def _byte_spelling() -> dict[int, str]:
    """GPT-2's printable character for every byte (openai/gpt-2 ``encoder.py`` ``bytes_to_unicode``)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def _layers(variables: dict[str, Variable], side: str) -> int:
    return sum(name.startswith(f"{side}/layer_") and name.endswith("ffn/linear_0/weight") for name in variables)


def _index(path: Path) -> dict[str, Variable]:
    with path.open("rb") as file:
        version, specification, _ = _number(file, "I"), _text(file), _number(file, "I")
        if version != VERSION or specification != "WhisperSpec":
            raise ModelError(
                f"{path}: {specification!r} of format {version}, not WhisperSpec of format {VERSION}; "
                "convert it again with a current CTranslate2"
            )
        variables = {}
        for _ in range(_number(file, "I")):
            name = _text(file)
            shape = tuple(_number(file, "I") for _ in range(_number(file, "B")))
            dtype, length = DTYPES[_number(file, "B")], _number(file, "I")
            variables[name] = Variable(file.tell(), shape, dtype)
            if length != variables[name].size:
                raise ValueError(f"{name} has {length} bytes")
            file.seek(length, 1)
        for _ in range(_number(file, "I")):
            alias, target = _text(file), _text(file)
            variables[alias] = variables[target]
        return variables


def _number(file: BinaryIO, kind: str) -> int:
    (value,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))
    return int(value)


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()
