"""Linear layers in int8 by torch's FBGEMM: the fastest on x86 processors that have AVX2 and nothing newer.

FBGEMM multiplies eight-bit inputs by eight-bit weights; without VNNI it adds two products in 16 bits, which saturate in
silence (findings/torch-int-mm.sh). With weights of seven bits no sum can: 2 · 255 · 63 < 2¹⁵.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

FULL_INPUT, ZERO = 127, 128
"""Largest value of an input in eight bits, and what stands for zero in unsigned ones."""
FULL_WEIGHT = 63
"""Largest value of a weight in seven bits."""
LEAST = 1e-8
"""Stands for a row of zeros' largest value."""


def available() -> bool:
    """Whether torch has such products on this processor: x86 with AVX2."""
    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(
        torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32"
    )


class Int8Linear(nn.Module):
    """``nn.Linear`` with a scale per output for its weights and a scale per row for what goes in, found as it comes.

    So what comes out of a row does not depend on the rows beside it, to the last bit.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(1).clamp_min(LEAST) / FULL_WEIGHT
        integers = (weight / scale[:, None]).round().to(torch.int8)
        with warnings.catch_warnings():  # that tensors of this kind will be made in another way
            warnings.simplefilter("ignore", UserWarning)
            stored = torch._make_per_channel_quantized_tensor(
                integers, scale.double(), torch.zeros_like(scale, dtype=torch.int64), 0
            )
        self._packed = torch.ops.quantized.linear_prepack(stored, None)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        largest = x.abs().amax(-1, keepdim=True).clamp_min(LEAST)
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            x / largest, 1 / FULL_INPUT, ZERO, self._packed
        )
        return product * largest if self.bias is None else torch.addcmul(self.bias, product, largest)


def multiply_in_int8(module: nn.Module) -> None:
    """Put :class:`Int8Linear` in place of every linear layer below ``module``."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, Int8Linear(child))
        else:
            multiply_in_int8(child)
