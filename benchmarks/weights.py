"""The peers' weights, from ours: the same numbers in the form each peer loads, made without a network.

faster-whisper reads the store's CTranslate2 folder, beside which it wants a ``tokenizer.json``; openai-whisper wants a
``.pt``, and whisper.cpp has a format of its own.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from snakescribe.files import atomic_file
from snakescribe.models import Store
from snakescribe.models.checkpoint import save_openai
from snakescribe.models.ct2 import open_ctranslate2

if TYPE_CHECKING:
    import torch
    from tiktoken import Encoding

    from snakescribe.models.checkpoint import Checkpoint

GGML_MAGIC = 0x67676D6C
HYPERPARAMETERS = (
    *("n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer"),
    *("n_text_ctx", "n_text_state", "n_text_head", "n_text_layer", "n_mels"),
)
"""In the order of whisper.cpp's header; a number for the type of the weights follows them."""
FLOAT32, FLOAT16 = 0, 1


@dataclass(frozen=True)
class Weights:
    """Where each peer finds its weights."""

    openai: Path
    ctranslate2: Path
    ggml: Path
    multilingual: bool


def prepare(store: Store, model: str, folder: Path) -> Weights:
    """Make what is not in ``folder`` yet.

    Raises:
        ModelError: the model is not in the store.
    """
    prepared = store.resolve(model)
    place = folder / f"{prepared.name}-{prepared.identity[:12]}"
    multilingual = prepared.capabilities.multilingual
    weights = Weights(place / "openai.pt", place / "ctranslate2", place / "ggml.bin", multilingual)
    weights.ctranslate2.mkdir(parents=True, exist_ok=True)
    for file in prepared.ctranslate2.iterdir():
        link = weights.ctranslate2 / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    tokenizer = weights.ctranslate2 / "tokenizer.json"
    if not tokenizer.exists():
        with atomic_file(tokenizer) as out:
            out.write(tokenizer_json(encoding_of(prepared.dims)).encode())
    checkpoint = open_ctranslate2(prepared.ctranslate2)
    if not weights.openai.exists():
        with atomic_file(weights.openai) as out:
            save_openai(checkpoint, out)
    if not weights.ggml.exists():
        with atomic_file(weights.ggml) as out:
            write_ggml(checkpoint, out)
    return weights


def encoding_of(dims: Mapping[str, int]) -> Encoding:
    from whisper.tokenizer import get_encoding

    multilingual = dims["n_vocab"] >= 51865
    languages = dims["n_vocab"] - 51765 - int(multilingual)  # openai/whisper model.py num_languages
    encoding: Encoding = get_encoding("multilingual" if multilingual else "gpt2", languages)
    return encoding


def tokenizer_json(encoding: Encoding) -> str:
    """The tokenizer as Hugging Face's library reads it.

    tiktoken keeps the rank of every token; that library wants the pair of tokens that each was merged from.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    ranks = encoding._mergeable_ranks
    spelling = _byte_spelling()
    spelled = {token: "".join(spelling[byte] for byte in token) for token in ranks}
    merges = [_halves(token, ranks) for token in sorted(ranks, key=lambda token: ranks[token]) if len(token) > 1]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={spelled[token]: rank for token, rank in ranks.items()},
            merges=[(spelled[left], spelled[right]) for left, right in merges],
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = sorted(encoding._special_tokens, key=lambda token: encoding._special_tokens[token])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    for token in special:
        if tokenizer.token_to_id(token) != encoding._special_tokens[token]:
            raise AssertionError(f"{token} got another number")
    return str(tokenizer.to_str())


def _byte_spelling() -> list[str]:
    """GPT-2's printable character for each byte: itself where it is printable, else one from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(0x100 + others.index(byte)) for byte in range(256)]


def _halves(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that byte-pair encoding merges last on the way to ``token``."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(left + right, len(ranks)) for left, right in itertools.pairwise(parts)]
        i = pairs.index(min(pairs))
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    left, right = parts
    return left, right


def write_ggml(checkpoint: Checkpoint, out: IO[bytes]) -> None:
    """whisper.cpp's file: header, mel filters, tokens, then each tensor with its name and shape."""
    from whisper.audio import mel_filters

    dims = checkpoint.dims
    _integers(out, GGML_MAGIC, *(dims[name] for name in HYPERPARAMETERS), FLOAT16)
    filters = mel_filters("cpu", dims["n_mels"]).float().numpy()
    _integers(out, *filters.shape)
    out.write(filters.tobytes())
    ranks = encoding_of(dims)._mergeable_ranks
    _integers(out, len(ranks))
    for token in sorted(ranks, key=lambda token: ranks[token]):
        _integers(out, len(token))
        out.write(token)
    for name, tensor in checkpoint.tensors.items():
        _tensor(out, name, tensor)


def _tensor(out: IO[bytes], name: str, tensor: torch.Tensor) -> None:
    """Matrices in float16, the rest in float32; a convolution's bias is a column there."""
    array: Any = tensor.squeeze().float().numpy()
    kind = FLOAT16 if array.ndim > 1 and not name.endswith("positional_embedding") else FLOAT32
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        array = array.reshape(-1, 1)
    encoded = name.encode()
    _integers(out, array.ndim, len(encoded), kind, *reversed(array.shape))
    out.write(encoded + array.astype("<f2" if kind == FLOAT16 else "<f4").tobytes())


def _integers(out: IO[bytes], *values: int) -> None:
    out.write(struct.pack(f"<{len(values)}i", *values))
