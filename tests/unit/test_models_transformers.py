"""Folders of Hugging Face's transformers: the same weights are the same model, and what is no model is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from random_weights import TURBO, random_weights
from safetensors.torch import save_file
from torch import Tensor

from snakescribe.errors import ModelError
from snakescribe.models import Store
from snakescribe.models.alignment import alignment_heads
from snakescribe.models.checkpoint import Checkpoint
from snakescribe.models.ct2 import open_ctranslate2
from snakescribe.models.prepare import import_path, open_weights, prepare
from snakescribe.models.transformers import open_transformers

PARTS = {"attn": "self_attn", "cross_attn": "encoder_attn", "attn_ln": "self_attn_layer_norm", "mlp.0": "fc1"}
PARTS |= {"cross_attn_ln": "encoder_attn_layer_norm", "mlp_ln": "final_layer_norm", "mlp.2": "fc2"}
PRODUCTS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}
OUTSIDE = {
    "encoder.positional_embedding": "model.encoder.embed_positions.weight",
    "decoder.positional_embedding": "model.decoder.embed_positions.weight",
    "decoder.token_embedding.weight": "model.decoder.embed_tokens.weight",
}


def theirs(name: str) -> str:
    """What transformers calls a tensor of OpenAI's."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    side, _, rest = name.partition(".")
    inside = re.fullmatch(r"blocks\.(\d+)\.(mlp\.\d|\w+)(?:\.(query|key|value|out))?\.(weight|bias)", rest)
    if not inside:
        return f"model.{side}.{re.sub(r'^ln(_post)?', 'layer_norm', rest)}"
    layer, part, product, kind = inside.groups()
    middle = f"{PARTS[part]}.{PRODUCTS[product]}" if product else PARTS[part]
    return f"model.{side}.layers.{layer}.{middle}.{kind}"


def configuration(dims: dict[str, int]) -> dict[str, Any]:
    """``config.json`` as far as it tells the shape."""
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "activation_function": "gelu",
        "scale_embedding": False,
        "d_model": dims["n_text_state"],
        "num_mel_bins": dims["n_mels"],
        "vocab_size": dims["n_vocab"],
        "max_source_positions": dims["n_audio_ctx"],
        "max_target_positions": dims["n_text_ctx"],
        "encoder_layers": dims["n_audio_layer"],
        "decoder_layers": dims["n_text_layer"],
        "encoder_attention_heads": dims["n_audio_head"],
        "decoder_attention_heads": dims["n_text_head"],
    }


def saved(weights: Checkpoint, folder: Path, dtype: torch.dtype = torch.float16, files: int = 1) -> Path:
    """A folder as ``save_pretrained`` leaves it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(configuration(weights.dims)))
    tensors = {theirs(name): tensor.to(dtype).contiguous() for name, tensor in weights.tensors.items()}
    if files == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder
    names = {name: f"model-{i % files + 1:05}-of-{files:05}.safetensors" for i, name in enumerate(tensors)}
    for file in set(names.values()):
        save_file({name: tensors[name] for name in tensors if names[name] == file}, folder / file, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder


@pytest.fixture
def small() -> Checkpoint:
    return random_weights()


def test_the_same_weights_are_the_same_model(models_root: Path, tmp_path: Path) -> None:
    """Down to the bytes of the forms, so the text is the same, too."""
    model = Store(models_root).resolve("tiny.en")
    folder = saved(open_ctranslate2(model.ctranslate2), tmp_path / "whisper-tiny.en")
    store = Store(tmp_path / "store")
    entry = import_path(store, folder)
    known = Store(models_root).entry("tiny.en")
    assert (entry.name, entry.identity, entry.dims) == ("whisper-tiny.en", known.identity, known.dims)
    assert entry.alignment_heads == known.alignment_heads
    assert store.resolve("whisper-tiny.en").key == known.identity
    weights = [file for file in known.files if file.endswith(".bin")]
    assert len(weights) == 3 and all(entry.files[file] == known.files[file] for file in weights)
    assert store.resolve(str(folder)).identity == model.identity
    (folder / "model.safetensors").touch()
    with pytest.raises(ModelError, match="has changed since it was imported"):
        store.resolve(str(folder))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("files", [1, 3])
def test_every_type_in_one_file_or_in_several(tmp_path: Path, dtype: torch.dtype, files: int) -> None:
    weights = random_weights((3, 2), **TURBO)
    rounded = Checkpoint(weights.dims, {name: tensor.to(dtype) for name, tensor in weights.tensors.items()})
    found = open_weights(saved(weights, tmp_path / "folder", dtype, files))
    assert found.dims == weights.dims and found.identity() == rounded.identity()


def test_the_embedding_may_be_there_twice_and_the_prefix_may_be_missing(small: Checkpoint, tmp_path: Path) -> None:
    folder = saved(small, tmp_path / "folder")
    tensors = {theirs(name).removeprefix("model."): tensor for name, tensor in small.tensors.items()}
    save_file(
        tensors | {"proj_out.weight": tensors["decoder.embed_tokens.weight"].clone()}, folder / "model.safetensors"
    )
    assert open_transformers(folder).identity() == small.identity()
    save_file(tensors | {"proj_out.weight": tensors["decoder.embed_tokens.weight"] + 1}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="is not tied to the embedding"):
        open_transformers(folder)


@pytest.mark.parametrize(
    ("said", "heads"),
    [([[1, 0], [0, 1]], ((1, 0), (0, 1))), ([[7, 0], [10, 17]], ((1, 0), (1, 1))), (None, ((1, 0), (1, 1)))],
)
def test_alignment_heads_come_with_the_weights(tmp_path: Path, said: Any, heads: Any) -> None:
    """A distilled model has two decoder layers; some were saved with the heads of the model they were made from."""
    folder = saved(random_weights((3, 2), **TURBO), tmp_path / "distilled")
    (folder / "generation_config.json").write_text(json.dumps({"alignment_heads": said}))
    found = open_transformers(folder)
    assert alignment_heads("?", "distilled", found.dims, found.alignment_heads) == heads


def test_alignment_heads_stay_until_others_come(small: Checkpoint, tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), saved(small, tmp_path / "folder")
    said = folder / "generation_config.json"
    said.write_text('{"alignment_heads": [[0, 1], [1, 0]]}')
    assert import_path(store, folder).alignment_heads == ((0, 1), (1, 0))
    path = store.root / "folder/model.json"
    entry = json.loads(path.read_text())
    entry["made_with"]["openvino"] = "2026.0.0"
    path.write_text(json.dumps(entry))
    assert prepare(store, "folder")
    assert store.entry("folder").alignment_heads == ((0, 1), (1, 0))
    said.unlink()
    assert import_path(store, folder).alignment_heads == ((0, 1), (1, 0))
    before = store.resolve("folder").key
    assert before != store.resolve("folder").identity
    said.write_text('{"alignment_heads": [[1, 1]]}')
    assert import_path(store, folder).alignment_heads == ((1, 1),)
    assert store.resolve("folder").key != before, "the cache has words with other times"
    config = json.loads((store.root / "folder/ctranslate2/config.json").read_text())
    assert config["alignment_heads"] == [[1, 1]]


def without_a_tensor(folder: Path, tensors: dict[str, Tensor]) -> None:
    del tensors["model.decoder.layers.1.fc2.bias"]
    save_file(tensors, folder / "model.safetensors")


def with_a_tensor(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors | {"model.encoder.layers.0.self_attn.k_proj.bias": torch.zeros(64)}, folder / "model.safetensors")


def with_a_tensor_twice(folder: Path, tensors: dict[str, Tensor]) -> None:
    twice = "model.decoder.layers.1.fc2.bias"
    save_file(tensors | {twice.removeprefix("model."): tensors[twice].clone()}, folder / "model.safetensors")


def of_another_shape(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors | {"model.encoder.conv1.weight": torch.zeros(64, 80, 5)}, folder / "model.safetensors")


def in_eight_bits(folder: Path, tensors: dict[str, Tensor]) -> None:
    eight = tensors["model.encoder.layers.0.fc1.weight"].to(torch.int8)
    save_file(tensors | {"model.encoder.layers.0.fc1.weight": eight}, folder / "model.safetensors")


def not_finite(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors | {"model.decoder.layer_norm.bias": torch.full((64,), 1e6)}, folder / "model.safetensors")


def cut(folder: Path, _: dict[str, Tensor]) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-10])


def with_a_huge_header(folder: Path, _: dict[str, Tensor]) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 7 + b"\x7f{}")


def pickled(folder: Path, tensors: dict[str, Tensor]) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")


def an_adapter(folder: Path, _: dict[str, Tensor]) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "adapter_config.json").write_text("{}")


def empty(folder: Path, _: dict[str, Tensor]) -> None:
    for file in folder.iterdir():
        file.unlink()


def with_a_shard_outside(folder: Path, _: dict[str, Tensor]) -> None:
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"weight_map": {"a": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def without_an_index(folder: Path, _: dict[str, Tensor]) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")


def without_a_config(folder: Path, _: dict[str, Tensor]) -> None:
    (folder / "config.json").unlink()


def without_a_shard(folder: Path, _: dict[str, Tensor]) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def configured(**values: Any) -> Callable[[Path, dict[str, Tensor]], None]:
    def change(folder: Path, _: dict[str, Tensor]) -> None:
        found = json.loads((folder / "config.json").read_text()) | values
        kept = {key: value for key, value in found.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))

    return change


def with_a_damaged_config(folder: Path, _: dict[str, Tensor]) -> None:
    (folder / "config.json").write_text("{")


def with_a_deep_config(folder: Path, _: dict[str, Tensor]) -> None:
    (folder / "config.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_a_tensor, r"lacks tensor decoder\.blocks\.1\.mlp\.2\.bias"),
        (with_a_tensor, r"unknown tensor encoder\.blocks\.0\.attn\.key\.bias"),
        (with_a_tensor_twice, r"decoder\.layers\.1\.fc2\.bias is there twice"),
        (of_another_shape, r"encoder\.conv1\.weight is \(64, 80, 5\) instead of \(64, 80, 3\)"),
        (in_eight_bits, "is I8, quantised; get the float16 or float32 weights"),
        (not_finite, "decoder.ln.bias holds a value that is no number, or too large for float16"),
        (cut, "damaged, or not a Whisper model"),
        (with_a_huge_header, "damaged, or not a Whisper model"),
        (pickled, "a pickle, which could run code; save them with transformers as model.safetensors"),
        (an_adapter, "an adapter without its model; merge them"),
        (empty, r"no model\.safetensors and no model\.bin; give a folder of transformers or CTranslate2"),
        (with_a_shard_outside, "names a file outside the folder"),
        (without_an_index, r"folder: lacks model\.safetensors\.index\.json; get the whole folder again"),
        (without_a_config, r"folder: lacks config\.json; get the whole folder again"),
        (without_a_shard, "lacks model-00002-of-00002.safetensors; get the whole folder again"),
        (with_a_damaged_config, r"config\.json: damaged .*; get it again"),
        (configured(model_type="wav2vec2"), "model_type 'wav2vec2', not 'whisper'"),
        (configured(activation_function="relu"), "does not compute"),
        (configured(vocab_size=51870), "51870 tokens, which fits no Whisper tokenizer"),
        (configured(num_mel_bins=64), "not the dimensions of a Whisper model .*n_mels 64"),
        (configured(encoder_layers=1_000_000_000), "lacks tensors of 1000000002 layers"),
        (configured(encoder_layers=3), r"lacks tensor encoder\.blocks\.2"),
        (configured(decoder_attention_heads=7), "not the dimensions of a Whisper model"),
        (configured(d_model=None), "not a Whisper model .*d_model"),
        (configured(d_model="wide"), "not a Whisper model"),
        (configured(d_model=float("inf")), "not a Whisper model"),
        (with_a_deep_config, "not a Whisper model"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(small: Checkpoint, tmp_path: Path, change: Any, said: str) -> None:
    folder = saved(small, tmp_path / "folder")
    change(folder, {theirs(name): tensor.clone() for name, tensor in small.tensors.items()})
    with pytest.raises(ModelError, match=said) as caught:
        import_path(Store(tmp_path / "store"), folder)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "store").glob("*"))
