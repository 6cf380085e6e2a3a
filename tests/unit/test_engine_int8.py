"""The torch engine's int8: nothing saturates, no row depends on another; here and on a processor with AVX2 alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from snakescribe.engine import int8_attention
from snakescribe.engine.int8_linear import FULL_INPUT, FULL_WEIGHT, Int8Linear, available
from snakescribe.models.network import attended

AVX2 = {"FBGEMM_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
"""Holds torch's products to what every processor since 2015 has."""
pytestmark = pytest.mark.skipif(not available(), reason="int8 of FBGEMM is for x86")


def _exact(x: Tensor, linear: nn.Linear) -> Tensor:
    """The product of the same integers, summed without a limit."""
    inputs, weights = x.double(), linear.weight.detach().double()
    rows, columns = inputs.abs().amax(1, keepdim=True), weights.abs().amax(1, keepdim=True)
    integers = (inputs / rows * FULL_INPUT).round() @ (weights / columns * FULL_WEIGHT).round().T
    return integers * (rows / FULL_INPUT) * (columns.T / FULL_WEIGHT) + linear.bias.detach()


@torch.inference_mode()
@pytest.mark.parametrize(("largest", "sign"), [(1.0, 0), (86.0, 0), (86.0, 1)])
def test_no_sum_saturates(largest: float, sign: int) -> None:
    """``sign``: all inputs and weights are the largest there are, so that every pair of products is. 86 is what the
    fourth block's MLP of ``base`` is given, beside 0.7 elsewhere.
    """
    torch.manual_seed(1)
    linear = nn.Linear(512, 96)
    x = torch.randn(24, 512) * 0.7
    if sign:
        linear.weight.fill_(1.0)
        x.fill_(largest)
    x[:, 7] = largest
    found, exact = Int8Linear(linear)(x), _exact(x, linear)
    assert ((found - exact).abs().max() / exact.abs().max()).item() < 0.01, "saturated sums are 0.1 off"
    if largest == 1.0 or sign:
        assert ((found - linear(x)).norm() / linear(x).norm()).item() < 0.02


@torch.inference_mode()
def test_a_row_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(2)
    layer, x = Int8Linear(nn.Linear(512, 2048)), torch.randn(40, 512)
    together = layer(x)
    for rows in ([3], [3, 4], list(range(3, 40)), [3] * 7):
        assert torch.equal(layer(x[rows])[0], together[3])
    loud = x.clone()
    loud[5] *= 1e4
    assert torch.equal(layer(loud)[3], together[3])


@torch.inference_mode()
def test_attention_is_that_of_the_network_but_for_its_eight_bits() -> None:
    torch.manual_seed(3)
    q, keys, values = (torch.randn(2, 4, n, 64) for n in (8, 300, 300))
    padding = torch.zeros(2, 1, 1, 300)
    padding[1, ..., 250:] = float("-inf")
    expected = attended(q / 8, keys, values, padding)
    found = int8_attention.attended(q / 8, *int8_attention.quantised(keys), *int8_attention.quantised(values), padding)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert ((one - other).norm() / other.norm()).item() < 0.03
    assert not found[0][1, ..., 250:].any()


@torch.inference_mode()
def test_a_query_does_not_depend_on_other_windows_and_queries() -> None:
    torch.manual_seed(4)
    q, keys, values = (torch.randn(3, 4, n, 64) for n in (12, 300, 300))
    memory = (*int8_attention.quantised(keys), *int8_attention.quantised(values))
    together = int8_attention.attended(q, *memory, torch.zeros(3, 1, 1, 300))
    alone = int8_attention.attended(q[1:2, :, 4:8], *(array[1:2] for array in memory), torch.zeros(1, 1, 1, 300))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one[0], other[1, :, 4:8])


@pytest.mark.skipif(all(os.environ.get(name) == value for name, value in AVX2.items()), reason="this is within it")
def test_all_this_holds_with_avx2_alone() -> None:
    here = Path(__file__)
    equality = "test_engine_equality.py::test_text_and_times_do_not_depend_on_rows_and_workers"
    which = [str(here), f"{here.with_name(equality)}", "-k", "not within_it and not openvino and not ctranslate2"]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *which]
    done = subprocess.run(command, env=os.environ | AVX2, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout.splitlines()[-1]
