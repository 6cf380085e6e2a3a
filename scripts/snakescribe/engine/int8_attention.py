"""Cross-attention over int8 keys and values, for a few queries at a time: what a decoder step waits for.

Every step reads the keys and values of all windows: 184 MB in float32 for five windows of 30 s with ``base``. No
library here multiplies so few rows by int8 without unpacking it first, so the two products are loops that Numba (which
openai-whisper brings) compiles to the vector instructions of the processor.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

TOGETHER = 4
"""Queries that one pass over keys or values serves; their number is a multiple of it."""
FULL = 127
"""Largest value of a key or value in eight bits."""


def quantised(x: Tensor) -> tuple[Tensor, Tensor]:
    """Keys or values in int8, a scale for each channel of a head: outliers keep to some channels.

    Args:
        x: (windows, heads, positions, width) float32.

    Returns:
        int8 (windows, heads, width, positions), and scales (windows, heads, 1, width).
    """
    scale = x.abs().amax(2, keepdim=True).clamp_min(1e-8) / FULL
    return (x / scale).round().to(torch.int8).transpose(2, 3), scale


def attended(
    q: Tensor, keys: Tensor, key_scales: Tensor, values: Tensor, value_scales: Tensor, padding: Tensor
) -> tuple[Tensor, Tensor]:
    """As :func:`snakescribe.models.network.attended`, on what :func:`quantised` returns; queries in fours."""
    windows, heads, queries, _ = q.shape
    scores = padding.expand(windows, heads, queries, -1).contiguous()
    read = torch.empty_like(q, memory_format=torch.contiguous_format)
    products = _products()
    products[0]((q * key_scales).numpy(), keys.numpy(), scores.numpy())
    weights = scores.softmax(-1)
    products[1](weights.numpy(), values.numpy(), read.numpy())
    return weights, read * value_scales


@cache
def _products() -> tuple[Any, Any]:
    from numba import njit  # a second, which only this engine needs

    compiled = njit(fastmath={"reassoc", "contract"}, nogil=True)
    return compiled(_add_scores), compiled(_read_values)


def _add_scores(q: Any, keys: Any, scores: Any) -> None:
    """scores[w, h, r, t] += Σ_d q[w, h, r, d] · keys[w, h, d, t]; four channels for four queries at a time."""
    for w in range(q.shape[0]):
        for h in range(q.shape[1]):
            for r in range(0, q.shape[2], 4):
                s0, s1, s2, s3 = scores[w, h, r], scores[w, h, r + 1], scores[w, h, r + 2], scores[w, h, r + 3]
                for d in range(0, q.shape[3], 4):
                    k0, k1, k2, k3 = keys[w, h, d], keys[w, h, d + 1], keys[w, h, d + 2], keys[w, h, d + 3]
                    a0, a1, a2, a3 = q[w, h, r, d], q[w, h, r, d + 1], q[w, h, r, d + 2], q[w, h, r, d + 3]
                    b = q[w, h, r + 1]
                    b0, b1, b2, b3 = b[d], b[d + 1], b[d + 2], b[d + 3]
                    c = q[w, h, r + 2]
                    c0, c1, c2, c3 = c[d], c[d + 1], c[d + 2], c[d + 3]
                    e = q[w, h, r + 3]
                    e0, e1, e2, e3 = e[d], e[d + 1], e[d + 2], e[d + 3]
                    for t in range(keys.shape[3]):
                        x0, x1, x2, x3 = np.float32(k0[t]), np.float32(k1[t]), np.float32(k2[t]), np.float32(k3[t])
                        s0[t] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                        s1[t] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
                        s2[t] += c0 * x0 + c1 * x1 + c2 * x2 + c3 * x3
                        s3[t] += e0 * x0 + e1 * x1 + e2 * x2 + e3 * x3


def _read_values(weights: Any, values: Any, read: Any) -> None:
    """read[w, h, r, d] = Σ_t weights[w, h, r, t] · values[w, h, d, t]; four queries at a time."""
    for w in range(weights.shape[0]):
        for h in range(weights.shape[1]):
            for r in range(0, weights.shape[2], 4):
                p0, p1, p2, p3 = weights[w, h, r], weights[w, h, r + 1], weights[w, h, r + 2], weights[w, h, r + 3]
                for d in range(values.shape[2]):
                    v = values[w, h, d]
                    o0 = o1 = o2 = o3 = np.float32(0)
                    for t in range(values.shape[3]):
                        x = np.float32(v[t])
                        o0 += p0[t] * x
                        o1 += p1[t] * x
                        o2 += p2[t] * x
                        o3 += p3[t] * x
                    read[w, h, r, d], read[w, h, r + 1, d] = o0, o1
                    read[w, h, r + 2, d], read[w, h, r + 3, d] = o2, o3
