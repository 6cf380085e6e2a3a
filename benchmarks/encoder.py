"""How much of the machine the encoder uses: its floating-point operations per second beside a bare matrix product's.

Runs as a process of its own on one core, ``python -m benchmarks.encoder``, and prints JSON. Times are CPU seconds of
that process, the least of several, so that a busy machine disturbs them little.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from benchmarks import records
from benchmarks.measure import measured

if TYPE_CHECKING:
    from benchmarks.bench import Bench

KIND = "encoder"
FRAMES = 3000
"""Mel frames of Whisper's 30-s window."""
ROWS = (1, 4)
"""Windows per call that are tried; the faster one counts."""
SHAPES = ((1500, 2048, 2048), (1500, 512, 2048), (1024, 1024, 1024))
"""(rows, depth, columns) of the bare products; the fastest counts. 1500 is the encoder's length."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ENOUGH_S = 3.0
"""CPU seconds of tries for one figure, two tries at least."""


def flops(dims: Mapping[str, int], frames: int = FRAMES) -> int:
    """Floating-point operations of the encoder for one window, two per multiply-add.

    With T mel frames, n = T/2 positions, width d, m mels and L layers, the multiply-adds are::

        conv1          T · 3 · m · d          (three taps)
        conv2          n · 3 · d · d          (stride 2)
        each layer     n · 4 · d · d          (query, key, value, output)
                     + n · n · 2 · d          (scores and their product with the values)
                     + n · 8 · d · d          (feed-forward of width 4 d, in and out)

    Normalisation, softmax and GELU are left out, as usual.

    >>> flops({"n_mels": 80, "n_audio_state": 512, "n_audio_layer": 6})
    87367680000
    """
    n, d = frames // 2, dims["n_audio_state"]
    convolutions = frames * 3 * dims["n_mels"] * d + n * 3 * d * d
    layer = n * 4 * d * d + n * n * 2 * d + n * 8 * d * d
    return 2 * (convolutions + dims["n_audio_layer"] * layer)


def least(work: Callable[[], object]) -> float:
    """CPU seconds of the fastest of several calls; the first one is not counted."""
    work()
    tries: list[float] = []
    while sum(tries) < ENOUGH_S or len(tries) < 2:
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


def peaks() -> dict[str, float]:
    """Operations per second of torch's matrix product on this core, by precision."""
    import torch

    products: dict[str, tuple[torch.dtype, Callable[..., torch.Tensor]]] = {
        "float32": (torch.float32, torch.matmul),
        "bfloat16": (torch.bfloat16, torch.matmul),
        "int8": (torch.int8, torch._int_mm),
    }
    found = {}
    for precision, (dtype, product) in products.items():
        best = 0.0
        for rows, depth, columns in SHAPES:
            left, right = (torch.randint(-8, 8, shape).to(dtype) for shape in ((rows, depth), (depth, columns)))
            seconds = least(lambda a=left, b=right, f=product: f(a, b))  # type: ignore[misc]
            best = max(best, 2 * rows * depth * columns / seconds)
        found[precision] = best
    return found


def encoders(model: str, models: Path) -> list[dict[str, Any]]:
    """Seconds per 30-s window of every engine and compute type this machine has; ``auto`` comes first."""
    import torch

    from snakescribe.config import load_config
    from snakescribe.config.options import Config
    from snakescribe.engine.load import load_backend
    from snakescribe.errors import SnakescribeError
    from snakescribe.models import Store

    prepared = Store(models).resolve(model)
    choices = (get_args(Config.model_fields[option].annotation) for option in ("engine", "compute_type"))
    generator = torch.Generator().manual_seed(0)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for engine, compute_type in itertools.product(*choices):
        asked = {"device": "cpu", "model": model, "engine": engine, "compute_type": compute_type}
        try:
            backend = load_backend(load_config(asked, Path.cwd()), prepared, 1)
        except SnakescribeError as error:
            print(f"{engine} {compute_type}: {error}", file=sys.stderr)
            continue
        key = (backend.name, backend.hardware.compute_type)
        if key in found:
            continue
        seconds = {}
        for rows in ROWS:
            log_mel = torch.randn(rows, backend.n_mels, FRAMES, generator=generator) * 0.5
            seconds[rows] = least(lambda b=backend, x=log_mel: b.encode(x)) / rows  # type: ignore[misc]
        best = min(seconds, key=lambda rows: seconds[rows])
        found[key] = {"engine": key[0], "compute_type": key[1], "seconds": seconds[best], "rows": best}
    return list(found.values())


def run(bench: Bench) -> int:
    """Measure in a process of its own, unless that is done; returns 1 if it failed."""
    state = bench.state(KIND, bench.our_version, {})
    if records.done(records.read_rows(bench.raw), KIND, state):
        return 0
    log = bench.work / "last.log"
    command = [sys.executable, "-m", "benchmarks.encoder", "--model", bench.model, "--models", str(bench.store.root)]
    usage = measured(command, bench.affinity[:1], log, os.environ | ONE_THREAD)
    found = {} if usage.exit_code else json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    bench.keep(KIND, KIND, state, 0, usage, version=bench.our_version, **found)
    return int(usage.exit_code != 0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--models", type=Path, required=True)
    args = parser.parse_args()
    import torch

    from snakescribe.models import Store

    torch.set_num_threads(1)
    operations = flops(Store(args.models).resolve(args.model).dims)
    print(json.dumps({"flops": operations, "peaks": peaks(), "encoders": encoders(args.model, args.models)}))


if __name__ == "__main__":
    main()
