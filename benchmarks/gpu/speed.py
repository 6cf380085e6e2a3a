"""How fast: seconds of audio per second beside two peers, and the network's parts beside what the device can do."""

from __future__ import annotations

import importlib.metadata
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from benchmarks import records
from benchmarks.gpu import peers
from benchmarks.gpu.common import Row, Run, read, samples
from benchmarks.gpu.milliseconds import milliseconds
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Bucket, Search
from snakescribe.engine.opened import OpenedModel
from snakescribe.engine.tokens import prompt_tokens, tokenizer_for
from snakescribe.errors import SnakescribeError
from snakescribe.models.store import Prepared

ROUNDS = 2
"""Of every system, by turns, after one that is not counted."""
BATCH = 16
"""Of the peers, as their own pages have it for a card."""
TRIAL = {
    "n_audio_state": 128,
    "n_audio_head": 2,
    "n_audio_layer": 2,
    "n_text_state": 128,
    "n_text_head": 2,
    "n_text_layer": 2,
}
"""Dimensions in place of a large model's, on a CPU."""


def base(run: Run) -> Iterator[Row]:
    """The model of the run with its real weights, on one long recording; then its parts."""
    import numpy as np

    wanted = run.pick(600, 12)
    joined = np.concatenate([samples(run.data / one.path) for one in run.recordings(wanted)])
    speech = np.tile(joined, max(1, wanted * 16_000 // len(joined)))
    seconds = len(speech) / 16_000
    yield Row("one recording of the folder's speech", f"{seconds:.0f} s, of which {len(joined) / 16_000:.0f} s differ")
    prepared = run.prepared()
    systems: dict[str, Callable[[], object]] = {}
    for engine in ("ctranslate2", "torch_whisper"):
        try:
            model = run.open(engine=engine)
        except SnakescribeError as error:
            yield Row(f"ours, {engine}", f"not run: {error}")
            continue
        name = f"ours, {engine} {model.backend.hardware.compute_type}, beam of 4"
        systems[name] = partial(_text, model, run.config(), speech)
    usable = any("ctranslate2" in name for name in systems)
    yield from _peers(run, prepared, usable, systems, speech, None)
    yield from _by_turns(systems, seconds, run.pick(ROUNDS, 1))
    yield from milliseconds(run, prepared)


def _text(model: OpenedModel, config: Config, speech: Any) -> str:
    return read(model, config, {"": speech}, "en")[""]


def turbo(run: Run) -> Iterator[Row]:
    """The dimensions of large-v3-turbo with random weights."""
    yield from _random(run, "large-v3-turbo")


def large(run: Run) -> Iterator[Row]:
    """The dimensions of large-v3 with random weights."""
    yield from _random(run, "large-v3")


def _random(run: Run, name: str) -> Iterator[Row]:
    """Windows of 30 s of noise, every one with the same number of tokens."""
    import numpy as np

    from benchmarks.gpu.weights import random_model
    from snakescribe.models.catalog import catalog

    windows, tokens = run.pick(32, 3), run.pick(96, 32)
    dims = catalog().models[name].dims | ({} if run.device == "cuda" else TRIAL)
    usable = _ctranslate2_runs(run)
    prepared = random_model(name, dims, run.scratch(name), run.device)
    sound = np.random.default_rng(0).standard_normal(windows * 30 * 16_000).astype(np.float32) * 0.05
    systems: dict[str, Callable[[], object]] = {}
    for engine in ("ctranslate2", "torch_whisper") if usable else ("torch_whisper",):
        backend = run.backend(prepared, engine=engine)
        told = f"ours, {engine} {backend.hardware.compute_type}, beam of 4, {backend.rows} rows"
        systems[told] = partial(_windows, backend, prepared, windows, tokens)
    yield from _peers(run, prepared, usable, systems, sound, tokens)
    yield Row(
        "windows of 30 s, tokens of each",
        f"{windows}, {tokens}; {name} dimensions {'' if run.device == 'cuda' else 'made small'}",
    )
    yield from _by_turns(systems, windows * 30, run.pick(ROUNDS, 1))
    systems.clear()
    yield from milliseconds(run, prepared)


def _ctranslate2_runs(run: Run) -> bool:
    try:
        run.open(engine="ctranslate2")
    except SnakescribeError:
        return False
    return True


def _windows(backend: Backend, prepared: Prepared, windows: int, tokens: int) -> bool:
    """Read windows of noise, as many at once as fit; whether each got ``tokens`` (for CTranslate2 a multiple of 32)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    prompt = prompt_tokens(tokenizer_for(prepared, "en", "transcribe"), "")
    got = 0
    for first in range(0, windows, backend.rows):
        count = min(backend.rows, windows - first)
        mels = [torch.randn(backend.n_mels, 3000, generator=generator) * 0.5 for _ in range(count)]
        bucket = Bucket(
            encoded=backend.encode(mels),
            rows=tuple(range(count)),
            prompts=(prompt,) * count,
            limits=(tokens,) * count,
            frames=(3000,) * count,
            searches=(Search(beam_size=4),) * count,
        )
        got += sum(len(hypothesis.tokens) for hypothesis in backend.decode(bucket))
    return got == windows * tokens


def _peers(
    run: Run, prepared: Prepared, usable: bool, systems: dict[str, Callable[[], object]], sound: Any, tokens: int | None
) -> Iterator[Row]:
    """Add those that are installed and run here to ``systems``; ``usable``: CTranslate2 runs on the device."""
    import numpy as np

    if sound.dtype == np.int16:
        sound = sound.astype(np.float32) / 32768
    batch = run.pick(BATCH, 2)
    for package, kind, load in (
        ("faster_whisper", run.pick("float16", "int8"), peers.faster_whisper),
        ("transformers", run.pick("float16", "float32"), peers.transformers),
    ):
        if peers.missing(package):
            yield Row(package, "not run: it is not installed")
        elif package == "faster_whisper" and not usable:
            yield Row(package, "not run: CTranslate2 does not run on this device")
        else:
            version = importlib.metadata.version(package.replace("_", "-"))
            name, folder = f"{package} {version} {kind}, batches of {batch}", run.scratch(package)
            try:
                systems[name] = partial(load(prepared, folder, run.device, kind, batch), sound, tokens)
            except Exception as error:  # what a peer raises is its own, and ours is measured without it
                yield Row(name, f"not run: {error!r}"[:300])


def _by_turns(systems: Mapping[str, Callable[[], object]], seconds: float, rounds: int) -> Iterator[Row]:
    """Seconds of audio per second of each, the median and all; what each returned must be something."""
    found: dict[str, object] = {}
    for name, work in systems.items():
        try:
            found[name] = work()
        except Exception as error:
            yield Row(name, f"failed: {error!r}"[:300], False)
    took: dict[str, list[float]] = {name: [] for name in found}
    for _, name in records.turns(list(found), rounds):
        began = time.perf_counter()
        systems[name]()
        took[name].append(seconds / (time.perf_counter() - began))
    for name, speeds in took.items():
        told = ", ".join(f"{speed:.1f}" for speed in speeds)
        yield Row(name, f"{statistics.median(speeds):.1f} × real time ({told})", bool(found[name]))
