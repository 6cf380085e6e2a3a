"""The encoder and a step of the decoder in milliseconds, beside the device's own matrix product and copy.

The encoder multiplies matrices: its share of a bare product's operations per second tells what is left to gain. A step
of the decoder reads its weights and keys: the time to copy as many bytes is the least that it can take.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from benchmarks.encoder import flops
from benchmarks.gpu.common import Row, Run, fastest, wait
from benchmarks.gpu.memory import in_use, peak
from snakescribe.engine.torch_whisper import TorchWhisper

if TYPE_CHECKING:
    from snakescribe.engine.torch_whisper import Memory
    from snakescribe.models.store import Prepared

BEAM, POSITIONS = 4, 1500
"""Hypotheses of a window, and encoder positions of 30 s."""
COPIES = {torch.Tensor.cpu: "down", torch.Tensor.item: "down", torch.Tensor.tolist: "down", torch.tensor: "up"}
"""What goes between host and device; ``Tensor.to`` does if it is given a device."""


def milliseconds(run: Run, prepared: Prepared) -> Iterator[Row]:
    """Of our own network in 16 bits (on a CPU in 32), for as many windows as are read together."""
    for kind in ("float16", "bfloat16") if run.device == "cuda" else ("float32",):
        product, copy = peaks(run.device, getattr(torch, kind))
        yield Row(
            f"{kind}: matrix product, copy", f"{product / 1e12:.2f} TFLOP/s, {copy / 1e9:.0f} GB/s read and written"
        )
        backend = run.backend(prepared, engine="torch_whisper", compute_type=kind)
        assert isinstance(backend, TorchWhisper)
        yield from _parts(run, prepared.dims, backend, f"{prepared.name} {kind}", product, copy)


def _parts(
    run: Run, dims: Mapping[str, int], backend: TorchWhisper, name: str, product: float, copy: float
) -> Iterator[Row]:
    windows, steps = min(backend.rows, run.pick(32, 2)), run.pick(50, 4)
    generator = torch.Generator().manual_seed(0)
    mels = [torch.randn(backend.n_mels, 2 * POSITIONS, generator=generator) * 0.5 for _ in range(windows)]
    before = in_use(run.device)
    seconds = fastest(lambda: backend.encode(mels), run.device)
    speed = windows * (flops(dims) + keys_flops(dims)) / seconds
    told = (
        f"{1e3 * seconds / windows:.2f} ms a window, {speed / 1e12:.2f} TFLOP/s, {speed / product:.0%} of the product"
    )
    yield Row(f"{name}: encoder, {windows} windows", told)
    memory = backend.encode(mels)
    seconds, copies = step(backend, memory, steps, run.device)
    least = step_bytes(backend, memory, steps) / (copy / 2)  # a copy reads a byte and writes one; a step only reads
    told = f"{1e3 * seconds:.2f} ms, {least / seconds:.0%} of it to read its weights and keys once"
    yield Row(f"{name}: step of {windows} windows, {windows * BEAM} hypotheses", told)
    told = f"{copies['up']} copies up, {copies['down']} down, each of which waits for the device"
    yield Row(f"{name}: between host and device in a step", told)
    needed = peak(run.device) - before
    yield Row(f"{name}: memory of these windows", f"{needed / 1e6:.0f} MB beside the weights, keys and values included")


def peaks(device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Operations per second of torch's product of two square matrices, and bytes read and written by its copy."""
    size = 8192 if device == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    product = 2 * size**3 / fastest(lambda: left @ right, device)
    source = torch.zeros(2**30 if device == "cuda" else 2**27, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return product, 2 * len(source) / fastest(lambda: target.copy_(source), device)


def keys_flops(dims: Mapping[str, int]) -> int:
    """Operations for a window's keys and values of the decoder's cross-attention, which our encoder makes too."""
    return 2 * dims["n_text_layer"] * 2 * POSITIONS * dims["n_audio_state"] * dims["n_text_state"]


def step(backend: TorchWhisper, memory: Memory, count: int, device: str) -> tuple[float, Counter[str]]:
    """Seconds of a step, the mean of ``count`` after the prompt and a first one, and what one copies to and fro."""
    windows = len(memory.lengths)
    session, rules = backend._session(memory), backend._rules
    every, owners = range(windows), [window for window in range(windows) for _ in range(BEAM)]
    session.read(np.full((windows, 3), rules.tokenizer.sot, np.int64), every, every, rules.anything)
    tokens = np.full((len(owners), 1), 1000, np.int64)
    session.read(tokens, owners, owners, rules.first)
    session.read(tokens, range(len(owners)), owners, rules.text)
    with _Copies() as counted:
        session.read(tokens, range(len(owners)), owners, rules.text)
    wait(device)
    began = time.perf_counter()
    for _ in range(count):
        session.read(tokens, range(len(owners)), owners, rules.text)
    wait(device)
    return (time.perf_counter() - began) / count, counted.calls


def step_bytes(backend: TorchWhisper, memory: Memory, steps: int) -> int:
    """That a step must read: weights, keys and values of the audio, and of half of ``steps`` tokens."""
    unread = ("positional_embedding", "cross_attn.key.", "cross_attn.value.")
    weights = [w for name, w in backend.decoder.named_parameters() if not any(part in name for part in unread)]
    held = sum(array.numel() * array.element_size() for array in [*weights, *memory.arrays])
    rows = len(memory.lengths) * BEAM
    _, heads, _, width = memory.arrays[0].shape
    return held + len(memory.arrays) * rows * heads * width * (steps // 2 + 4) * memory.arrays[0].element_size()


class _Copies(TorchFunctionMode):
    """Counts the calls of :data:`COPIES`."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        moved = func is torch.Tensor.to and any(isinstance(one, torch.device) for one in args)
        if moved or func in COPIES:
            self.calls["up" if moved else COPIES[func]] += 1
        return func(*args, **(kwargs or {}))
