"""Weights as Hugging Face's transformers saves Whisper, official, fine-tuned or distilled.

A folder with ``config.json`` and ``model.safetensors``, or several files of weights and their index; of
``generation_config.json`` the alignment heads are read. No code in it is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from snakescribe.errors import ModelError
from snakescribe.models.bare import check_weights
from snakescribe.models.checkpoint import Checkpoint

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FIELDS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}
"""OpenAI's dimensions, and what ``config.json`` calls them (transformers ``configuration_whisper.py``)."""
WORDS = (
    ("layers.", "blocks."),
    ("self_attn_layer_norm.", "attn_ln."),
    ("encoder_attn_layer_norm.", "cross_attn_ln."),
    ("final_layer_norm.", "mlp_ln."),
    ("self_attn.", "attn."),
    ("encoder_attn.", "cross_attn."),
    ("q_proj.", "query."),
    ("k_proj.", "key."),
    ("v_proj.", "value."),
    ("out_proj.", "out."),
    ("fc1.", "mlp.0."),
    ("fc2.", "mlp.2."),
    ("encoder.layer_norm.", "encoder.ln_post."),
    ("decoder.layer_norm.", "decoder.ln."),
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens.", "token_embedding."),
)
"""Parts of a tensor's name there (``modeling_whisper.py``) and here; the first ones first."""
TIED, EMBEDDING = "proj_out.weight", "decoder.token_embedding.weight"
"""The last product's matrix, which is that of the first; some folders hold it twice."""
NUMBERS = ("F64", "F32", "F16", "BF16")


class _Tensors(Mapping[str, Tensor]):
    """Tensors by OpenAI's names, mapped from disk when asked for."""

    def __init__(self, places: dict[str, tuple[Any, str]]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Tensor:
        file, there = self._places[name]
        tensor: Tensor = file.get_tensor(there)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def open_transformers(folder: Path) -> Checkpoint:
    """Map the weights of a folder into memory.

    Raises:
        ModelError: there are none in this form, they are damaged, or not those of a Whisper model; what to do.
    """
    try:
        config = _read(folder / "config.json")
        if config.get("model_type") != "whisper":
            raise ModelError(f"{folder}: config.json is of model_type {config.get('model_type')!r}, not 'whisper'")
        if config.get("activation_function", "gelu") != "gelu" or config.get("scale_embedding"):
            raise ModelError(f"{folder}: config.json asks for what openai-whisper's network does not compute")
        dims = {ours: int(config[theirs]) for ours, theirs in FIELDS.items()}
        tensors = _Tensors(_places(folder))
        if TIED in tensors:
            if not tensors[TIED].equal(tensors[EMBEDDING]):
                raise ModelError(f"{folder}: {TIED} is not tied to the embedding as Whisper's is")
            del tensors._places[TIED]
        shapes = {name: tuple(file.get_slice(there).get_shape()) for name, (file, there) in tensors._places.items()}
        check_weights(folder, dims, shapes)
        return Checkpoint(dims, tensors, _alignment_heads(folder, dims))
    except (SafetensorError, KeyError, TypeError, ArithmeticError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{folder}: damaged, or not a Whisper model of transformers ({error})") from None


def _places(folder: Path) -> dict[str, tuple[Any, str]]:
    """Which file holds a tensor, and what it is called there."""
    if (folder / WHOLE).exists():
        files = {WHOLE}
    elif (folder / INDEX).exists():
        files = set(_read(folder / INDEX)["weight_map"].values())
    else:
        raise ModelError(_advice(folder))
    places: dict[str, tuple[Any, str]] = {}
    for name in sorted(files):
        if Path(name).name != name:
            raise ModelError(f"{folder / INDEX}: names a file outside the folder ({name})")
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: lacks {name}; get the whole folder again")
        file: Any = safe_open(folder / name, framework="pt")
        for there in file.keys():  # noqa: SIM118 (it is no mapping)
            if (kind := file.get_slice(there).get_dtype()) not in NUMBERS:
                raise ModelError(f"{folder / name}: {there} is {kind}, quantised; get the float16 or float32 weights")
            if _ours(there) in places:
                raise ModelError(f"{folder / name}: {there} is there twice; get the whole folder again")
            places[_ours(there)] = (file, there)
    return places


def _ours(name: str) -> str:
    name = name.removeprefix("model.")
    for theirs, ours in WORDS:
        name = name.replace(theirs, ours)
    return name


def _advice(folder: Path) -> str:
    if (folder / "adapter_config.json").exists():
        return f"{folder}: an adapter without its model; merge them (peft: merge_and_unload), save that and import it"
    if list(folder.glob("*.safetensors")):
        lacks = INDEX if (folder / "config.json").exists() else "config.json"
        return f"{folder}: lacks {lacks}; get the whole folder again"
    if list(folder.glob("*.bin")):
        return f"{folder}: weights as a pickle, which could run code; save them with transformers as {WHOLE}"
    return f"{folder}: no {WHOLE} and no model.bin; give a folder of transformers or CTranslate2, or a .pt file"


def _alignment_heads(folder: Path, dims: dict[str, int]) -> tuple[tuple[int, int], ...] | None:
    """What ``generation_config.json`` says; None without it, or where it is left over from a model of another shape."""
    path = folder / "generation_config.json"
    found = (_read(path).get("alignment_heads") if path.exists() else None) or []
    heads = tuple((int(layer), int(head)) for layer, head in found)
    fit = all(0 <= layer < dims["n_text_layer"] and 0 <= head < dims["n_text_head"] for layer, head in heads)
    return heads if heads and fit else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(_advice(path.parent) if path.name == "config.json" else f"{path}: not there") from None
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}); get it again") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: damaged; get it again")
    return found
