"""Whisper's network as this engine runs it: audio once into keys and values, then one token per row and step.

The weights are those of ``whisper.model.Whisper``; only the way through them is ours. The same modules run on
torch and, exported by ``models prepare``, on OpenVINO.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import Whisper

from snakescribe.models.capabilities import is_multilingual, language_tokens

CANDIDATES = 9
"""Most probable next tokens returned per row: enough for a beam of 8, as a row has one end token."""


class Encoder(nn.Module):
    """Log-mel (rows, mels, 2·T) → keys and values of every decoder layer's cross-attention, (rows, heads, T, width).

    Any T up to 1500: the positional embedding is cut to it.
    """

    def __init__(self, model: Whisper) -> None:
        super().__init__()
        self.encoder, self.layers = model.encoder, model.decoder.blocks
        self.heads, self.text_heads = model.dims.n_audio_head, model.dims.n_text_head

    def forward(self, log_mel: Tensor) -> tuple[Tensor, ...]:
        encoder = self.encoder
        x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(log_mel)))).permute(0, 2, 1)
        x = x + encoder.positional_embedding[: x.shape[1]]
        for block in encoder.blocks:
            y = block.attn_ln(x)
            q, k, v = (_split(part(y), self.heads) for part in (block.attn.query, block.attn.key, block.attn.value))
            x = x + block.attn.out(_joined(F.scaled_dot_product_attention(q, k, v)))
            x = x + block.mlp(block.mlp_ln(x))
        x = encoder.ln_post(x)
        return tuple(
            _split(part(x), self.text_heads)
            for block in self.layers
            for part in (block.cross_attn.key, block.cross_attn.value)
        )


Attention = Callable[..., tuple[Any, Tensor]]
"""Queries (windows, heads, queries, width), what is kept of a window, padding → weights, and what they read."""


def attended(q: Tensor, keys: Tensor, values: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-attention as two products, with keys and values as the encoder leaves them."""
    weights = (q @ keys.transpose(2, 3) + padding).softmax(-1)
    return weights, weights @ values


class Decoder(nn.Module):
    """The next tokens of each row.

    Rows are hypotheses; the rows of one window share its cross-attention keys and values, as more queries to them.
    """

    def __init__(
        self, model: Whisper, alignment_heads: Sequence[tuple[int, int]], attention: Attention = attended
    ) -> None:
        super().__init__()
        self._attention = attention
        self.decoder, self.heads = model.decoder, model.dims.n_text_head
        self.alignment: dict[int, list[int]] = defaultdict(list)
        for layer, head in sorted(alignment_heads):
            self.alignment[layer].append(head)
        self.start = 50258 if is_multilingual(model.dims.n_vocab) else 50257  # openai/whisper tokenizer.py
        self.languages = language_tokens(model.dims.n_vocab)
        self.vocabulary = nn.Linear(model.dims.n_text_state, model.dims.n_vocab, bias=False, device="meta")
        self.vocabulary.weight = model.decoder.token_embedding.weight

    def forward(
        self,
        tokens: Tensor,
        offset: Tensor,
        gather: Tensor,
        scatter: Tensor,
        padding: Tensor,
        bias: Tensor,
        noise: Tensor,
        *keys_values: Tensor,
    ) -> tuple[Tensor, ...]:
        """Read ``tokens`` and say what may follow.

        Args:
            tokens: (rows, n) int64.
            offset: tokens read before; scalar int64.
            gather: (windows · slots,) int64, the row in each window's slots (any row in an empty slot).
            scatter: (rows,) int64, each row's place in ``gather``.
            padding: (windows, 1, 1, T), -inf where a window is shorter than the longest one, else 0.
            bias: (1 or rows, vocabulary) added to the logits: -inf forbids a token.
            noise: (1 or rows, 1 or vocabulary) added for the choice only; Gumbel noise makes it a sample.
            keys_values: of cross-attention per layer, each (windows, heads, T, width) or whatever ``attention`` keeps;
                then of what the rows have read, each (rows, heads, offset, width).

        Returns:
            log-probabilities (rows, CANDIDATES) and ids of the best next tokens; log-probabilities of the special
            tokens from the start token to ``no_timestamps``; where the alignment heads looked for the next token
            (rows, alignment heads, T); then the new keys and values.
        """
        decoder, heads, layers = self.decoder, self.heads, len(self.decoder.blocks)
        each = len(keys_values) // layers - 2
        memory, past = keys_values[: each * layers], keys_values[each * layers :]
        n = tokens.shape[1]
        windows = memory[0].shape[0]
        positions = torch.arange(n, device=tokens.device) + offset
        seen = torch.arange(n + past[0].shape[2], device=tokens.device)
        mask = torch.zeros(n, n + past[0].shape[2], device=tokens.device, dtype=past[0].dtype)
        mask = mask.masked_fill(seen[None, :] > positions[:, None], float("-inf"))
        x = decoder.token_embedding(tokens) + decoder.positional_embedding[positions]
        width = x.shape[-1]
        present, looked = [], []
        for i, block in enumerate(decoder.blocks):
            y = block.attn_ln(x)
            q, k, v = (_split(part(y), heads) for part in (block.attn.query, block.attn.key, block.attn.value))
            k, v = self.behind(past[2 * i], k), self.behind(past[2 * i + 1], v)
            present += [k, v]
            x = x + block.attn.out(_joined(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)))
            q = block.cross_attn.query(block.cross_attn_ln(x)).index_select(0, gather)
            q = _split(q.view(windows, -1, width), heads) * (width // heads) ** -0.5
            weights, read = self._attention(q, *memory[each * i : each * (i + 1)], padding)
            if i in self.alignment:
                last = weights[:, self.alignment[i]].unflatten(2, (-1, n))[:, :, :, -1]
                looked.append(last.transpose(1, 2).flatten(0, 1).index_select(0, scatter))
            x = x + block.cross_attn.out(_joined(read).view(-1, n, width).index_select(0, scatter))
            x = x + block.mlp(block.mlp_ln(x))
        x = decoder.ln(x[:, -1])
        logits = self.vocabulary(x).float() + bias
        total = torch.logsumexp(logits, -1, keepdim=True)
        _, ids = torch.topk(logits + noise, CANDIDATES, dim=-1)
        special = logits[:, self.start : self.start + self.languages + 7] - total
        return (torch.gather(logits, 1, ids) - total, ids, special, torch.cat(looked, 1).float(), *present)

    def behind(self, past: Tensor, new: Tensor) -> Tensor:
        """Keys or values of what was read before, and of what is read now behind them."""
        return torch.cat([past, new], 2)


def _split(x: Tensor, heads: int) -> Tensor:
    """(rows, n, heads · width) → (rows, heads, n, width)."""
    rows, n, width = x.shape
    return x.view(rows, n, heads, width // heads).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    """(rows, heads, n, width) → (rows, n, heads · width)."""
    rows, heads, n, width = x.shape
    return x.transpose(1, 2).reshape(rows, n, heads * width)
