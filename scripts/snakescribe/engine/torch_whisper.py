"""OpenAI's model on torch: any CPU or GPU that torch has a build for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import ModelDimensions, MultiHeadAttention, Whisper, disable_sdpa
from whisper.timing import dtw, median_filter
from whisper.tokenizer import Tokenizer

from snakescribe.engine.backend import Alignment, Bucket, Encoded, Hardware, Hypothesis, Search
from snakescribe.engine.tokens import tokenizer_for
from snakescribe.models.store import Prepared

SAMPLES_PER_WINDOW = 5
"""Hypotheses drawn when sampling, as openai/whisper's ``best_of``."""


class TorchWhisper:
    """Whisper in float32, bfloat16 or float16 through OpenAI's own modules."""

    name = "torch_whisper"

    def __init__(self, prepared: Prepared, hardware: Hardware, index: int, max_rows: int) -> None:
        """Load ``prepared.pt`` onto the device; ``index`` is the GPU's."""
        self.hardware = hardware
        self.max_rows = max_rows
        self._device = torch.device(f"cuda:{index}" if hardware.device == "cuda" else "cpu")
        self._dtype = getattr(torch, hardware.compute_type)
        checkpoint = torch.load(prepared.pt, map_location="cpu", weights_only=True)
        self._model = Whisper(ModelDimensions(**checkpoint["dims"]))
        self._model.load_state_dict(checkpoint["model_state_dict"])
        for block in self._model.decoder.blocks:
            block.cross_attn.__class__ = _SharedCrossAttention
        self._model.to(self._device, self._dtype).eval()
        if self._dtype != torch.float32:
            # OpenAI's LayerNorm computes in float32 and keeps its weights so.
            for module in self._model.modules():
                if isinstance(module, torch.nn.LayerNorm):
                    module.float()
        self._heads = prepared.alignment_heads
        self.n_mels = int(prepared.dims["n_mels"])
        self.multilingual = prepared.multilingual
        self._tokenizer: Tokenizer = tokenizer_for(prepared, None, "transcribe")

    @torch.inference_mode()
    def encode(self, log_mel: torch.Tensor) -> torch.Tensor:
        """OpenAI's encoder with the positional embedding cut to the input's length."""
        encoder = self._model.encoder
        x = F.gelu(encoder.conv1(log_mel.to(self._device, self._dtype)))
        x = F.gelu(encoder.conv2(x)).permute(0, 2, 1)
        x = (x + encoder.positional_embedding[: x.shape[1]]).to(self._dtype)
        for block in encoder.blocks:
            x = block(x)
        encoded: torch.Tensor = encoder.ln_post(x)
        return encoded

    @torch.inference_mode()
    def detect_language(self, encoded: Encoded) -> list[dict[str, float]]:
        """Softmax over the language tokens after the start token."""
        start = torch.tensor([[self._tokenizer.sot]] * len(encoded), device=self._device)
        logits = self._model.logits(start, encoded)[:, 0].float()
        probabilities = logits[:, list(self._tokenizer.all_language_tokens)].softmax(-1).cpu()
        codes = self._tokenizer.all_language_codes
        return [dict(zip(codes, row.tolist(), strict=True)) for row in probabilities]

    def decode(self, buckets: Iterable[Bucket]) -> Iterator[tuple[int, Hypothesis]]:
        """Decode each bucket as one batch."""
        for bucket in buckets:
            torch.manual_seed(bucket.search.seed)
            task = _Task(self._model, bucket, self._tokenizer, self._dtype == torch.float16)
            for key, result in zip(bucket.ids, task.run(bucket.encoded), strict=True):
                yield (
                    key,
                    Hypothesis(
                        tokens=tuple(result.tokens),
                        mean_logprob=result.avg_logprob,
                        no_speech_probability=result.no_speech_prob,
                        temperature=bucket.search.temperature,
                    ),
                )

    @torch.inference_mode()
    def align(
        self,
        encoded: Encoded,
        rows: Sequence[int],
        starts: Sequence[tuple[int, ...]],
        tokens: Sequence[Sequence[int]],
        frames: Sequence[int],
    ) -> list[Alignment]:
        """Cross-attention of the alignment heads, normalised and warped as openai/whisper ``timing.py``."""
        return [
            self._align_row(encoded[row : row + 1], start, text, count)
            for row, start, text, count in zip(rows, starts, tokens, frames, strict=True)
        ]

    def _align_row(self, encoded: torch.Tensor, start: tuple[int, ...], text: Sequence[int], frames: int) -> Alignment:
        tokenizer = self._tokenizer
        sequence = torch.tensor([[*start, tokenizer.no_timestamps, *text, tokenizer.eot]], device=self._device)
        attention: dict[int, torch.Tensor] = {}

        def keep(layer: int) -> Any:
            return lambda _module, _inputs, outputs: attention.__setitem__(layer, outputs[-1][0])

        hooks = [
            block.cross_attn.register_forward_hook(keep(layer))
            for layer, block in enumerate(self._model.decoder.blocks)
        ]
        try:
            with disable_sdpa():
                logits = self._model.decoder(sequence, encoded)[0].float()
        finally:
            for hook in hooks:
                hook.remove()
        chosen = logits[len(start) : len(start) + len(text), : tokenizer.eot].softmax(-1)
        probabilities = chosen[torch.arange(len(text)), torch.tensor(text)].tolist()
        weights = torch.stack([attention[layer][head] for layer, head in self._heads])
        weights = weights[:, :, : max(1, frames // 2)].softmax(-1)
        deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
        weights = median_filter((weights - mean) / deviation, 7)
        matrix = weights.mean(axis=0)[len(start) : -1]
        token_indices, positions = dtw(-matrix.cpu())
        return Alignment(
            token_indices=np.asarray(token_indices, np.int64),
            positions=np.asarray(positions, np.int64),
            probabilities=tuple(probabilities),
        )


class _SharedCrossAttention(MultiHeadAttention):  # type: ignore[misc]
    """Cross-attention in which the beams of a window share its keys and values, as more queries to the same ones."""

    def qkv_attention(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        rows, positions, width = q.shape
        out, weights = super().qkv_attention(q.reshape(len(k), -1, width), k, v, mask)
        return out.reshape(rows, positions, width), weights


class _Task(DecodingTask):  # type: ignore[misc]
    """OpenAI's decoding, fed with encoded windows of any length and with one prompt per row."""

    def __init__(self, model: Whisper, bucket: Bucket, tokenizer: Tokenizer, fp16: bool) -> None:
        self._bucket = bucket
        super().__init__(model, _options(bucket.search, bucket.max_tokens, fp16, tokenizer.language or "en"))

    def _get_initial_tokens(self) -> tuple[int, ...]:
        return self._bucket.prompts[0]

    def _get_audio_features(self, mel: torch.Tensor) -> torch.Tensor:
        # Upstream takes every n_group-th row back after decoding, but does not repeat them before.
        return mel.repeat_interleave(self.n_group, dim=0)

    def _main_loop(self, audio_features: torch.Tensor, tokens: torch.Tensor) -> Any:
        return super()._main_loop(audio_features[:: self.n_group], tokens)

    def _detect_language(self, audio_features: torch.Tensor, tokens: torch.Tensor) -> tuple[list[str], None]:
        tokens[:] = torch.tensor(self._bucket.prompts)
        return ["" for _ in tokens], None


def _options(search: Search, max_tokens: int, fp16: bool, language: str) -> DecodingOptions:
    sampling = search.temperature > 0
    return DecodingOptions(
        language=language,
        temperature=search.temperature,
        sample_len=max_tokens,
        best_of=SAMPLES_PER_WINDOW if sampling else None,
        beam_size=None if sampling or search.beam_size == 1 else search.beam_size,
        patience=None if sampling or search.beam_size == 1 else search.patience,
        without_timestamps=not search.timestamps,
        fp16=fp16,
    )
