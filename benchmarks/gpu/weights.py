"""Weights of any dimensions, made here: random ones in our form, and any of ours in the form of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from whisper.model import AudioEncoder, TextDecoder

from snakescribe.models.alignment import alignment_heads
from snakescribe.models.capabilities import capabilities, is_multilingual
from snakescribe.models.checkpoint import Checkpoint
from snakescribe.models.ct2 import save_ctranslate2
from snakescribe.models.store import CTRANSLATE2, Prepared

if TYPE_CHECKING:
    from transformers import WhisperForConditionalGeneration

SPREAD = 0.02
"""Standard deviation of random weights."""
HUGGING_FACE = (
    (r"\bblocks\b", "layers"),
    (r"mlp\.0", "fc1"),
    (r"mlp\.2", "fc2"),
    (r"mlp_ln", "final_layer_norm"),
    (r"\bcross_attn_ln\b", "encoder_attn_layer_norm"),
    (r"\bcross_attn\b", "encoder_attn"),
    (r"\battn_ln\b", "self_attn_layer_norm"),
    (r"\battn\b", "self_attn"),
    (r"\bquery\b", "q_proj"),
    (r"\bkey\b", "k_proj"),
    (r"\bvalue\b", "v_proj"),
    (r"\bout\b", "out_proj"),
    (r"\bln_post\b|\bdecoder\.ln\b", lambda found: "layer_norm" if found[0] == "ln_post" else "decoder.layer_norm"),
    (r"token_embedding", "embed_tokens"),
    (r"positional_embedding", "embed_positions.weight"),
)
"""OpenAI's names of tensors → those of transformers' ``modeling_whisper.py``."""


def random_model(name: str, dims: dict[str, int], folder: Path, device: str) -> Prepared:
    """A model that never ends a text, so that every window gets as many tokens as it may.

    The embedding of its end token is zero, and so is that token's logit: hundreds of others are always greater.
    """
    with torch.device("meta"):
        sides = {
            "encoder": AudioEncoder(dims["n_mels"], *_sizes(dims, "audio")),
            "decoder": TextDecoder(dims["n_vocab"], *_sizes(dims, "text")),
        }
        shapes = {f"{side}.{key}": w.shape for side, part in sides.items() for key, w in part.state_dict().items()}
    generator = torch.Generator(device).manual_seed(0)
    tensors = {}
    for key, shape in shapes.items():
        norm = re.search(r"(ln|ln_post)\.(weight|bias)$", key)
        if norm:
            tensors[key] = torch.full(shape, float(norm[2] == "weight"), dtype=torch.float16)
        else:
            tensors[key] = (torch.randn(shape, generator=generator, device=device) * SPREAD).half().cpu()
    tensors["decoder.token_embedding.weight"][50257 if is_multilingual(dims["n_vocab"]) else 50256] = 0
    folder.mkdir(parents=True, exist_ok=True)
    heads = alignment_heads("", name, dims)
    save_ctranslate2(Checkpoint(dims, tensors), heads, folder / CTRANSLATE2)
    return Prepared(
        name=name,
        identity="",
        ctranslate2=folder / CTRANSLATE2,
        openvino=None,
        dims=dims,
        capabilities=capabilities(dims),
        alignment_heads=heads,
    )


def _sizes(dims: Mapping[str, int], side: str) -> list[int]:
    return [dims[f"n_{side}_{name}"] for name in ("ctx", "state", "head", "layer")]


def hugging_face_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors as transformers calls them; its last layer is the embedding once more."""
    found = {}
    for name, tensor in tensors.items():
        for pattern, replacement in HUGGING_FACE:
            name = re.sub(pattern, replacement, name)
        found[f"model.{name}"] = tensor
    return found | {"proj_out.weight": found["model.decoder.embed_tokens.weight"]}


def hugging_face(checkpoint: Checkpoint, device: str, dtype: torch.dtype) -> WhisperForConditionalGeneration:
    """The model of transformers with these weights, ready on the device."""
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration
    from whisper.tokenizer import get_tokenizer

    dims = checkpoint.dims
    multilingual = is_multilingual(dims["n_vocab"])
    tokens = get_tokenizer(multilingual, num_languages=capabilities(dims).language_tokens)
    ends = {"bos_token_id": tokens.eot, "eos_token_id": tokens.eot, "pad_token_id": tokens.eot}
    config = WhisperConfig(
        vocab_size=dims["n_vocab"],
        num_mel_bins=dims["n_mels"],
        d_model=dims["n_audio_state"],
        encoder_layers=dims["n_audio_layer"],
        decoder_layers=dims["n_text_layer"],
        encoder_attention_heads=dims["n_audio_head"],
        decoder_attention_heads=dims["n_text_head"],
        encoder_ffn_dim=4 * dims["n_audio_state"],
        decoder_ffn_dim=4 * dims["n_text_state"],
        decoder_start_token_id=tokens.sot,
        **ends,
    )
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
    model.load_state_dict(hugging_face_names(checkpoint.tensors), assign=True)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        decoder_start_token_id=tokens.sot,
        is_multilingual=multilingual,
        lang_to_id={
            f"<|{code}|>": token
            for code, token in zip(tokens.all_language_codes, tokens.all_language_tokens, strict=True)
        },
        task_to_id={"transcribe": tokens.transcribe, "translate": tokens.translate},
        no_timestamps_token_id=tokens.no_timestamps,
        begin_suppress_tokens=[*tokens.encode(" "), tokens.eot],
        suppress_tokens=[*tokens.non_speech_tokens, tokens.sot, tokens.sot_prev, tokens.sot_lm, tokens.no_speech],
        max_length=448,
        **ends,
    )
    return model.to(device, dtype).eval()
