"""How many windows are read together, and what happens where they are too much for the device."""

from __future__ import annotations

import contextlib
import logging
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gpu.common import Row, Run, read, samples
from snakescribe.engine.malloc import trim
from snakescribe.errors import RecordingError

if TYPE_CHECKING:
    from benchmarks.gpu.common import Samples

WINDOWS = 6
"""Of the reading that is to fail."""
SHARES = (1.25, 1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Times the memory of one window that is left, until several do not fit: on a CPU the heap may keep what was freed."""
ROOM = 300_000_000
"""Bytes beside the weights, of which a model fills half with keys and values."""


def memory(run: Run) -> Iterator[Row]:
    """Rows of a bucket, texts of one row and of many, and the way back when memory runs out."""
    speech = _pieces(run)
    one, many = run.open(rows=1), run.open()
    hardware = many.backend.hardware
    together = read(many, run.config(), speech)
    alone = read(one, run.config(rows=1), speech)
    differ = sum(alone[key] != text for key, text in together.items())
    told = f"{differ} of {len(speech)} texts differ"
    yield Row(f"{many.backend.name} {hardware.compute_type}: 1 row and {many.backend.rows}", told, not differ)
    rows, weights = many.backend.rows, 2 * many.prepared.capabilities.parameters
    del one, many
    yield from _out_of_memory(run, speech)
    if run.device == "cuda":  # on a CPU they do not depend on it
        with leaving(run.device, weights + ROOM):
            few = run.open(engine="torch_whisper").backend.rows
        told = f"{rows}, and {few} with {ROOM / 1e6:.0f} MB beside the weights"
        yield Row("rows of a bucket", told, 1 <= few < rows)


def _pieces(run: Run) -> dict[str, Samples]:
    import numpy as np

    seconds = run.pick(20, 4) * WINDOWS  # of a short sound, longer ones would say it twice and be doubted
    joined = np.concatenate([samples(run.data / one.path) for one in run.recordings(seconds)])
    return {str(i): part for i, part in enumerate(np.split(np.resize(joined, seconds * 16_000), WINDOWS))}


def _out_of_memory(run: Run, speech: dict[str, Samples]) -> Iterator[Row]:
    """With memory for little more than one window, several go one by one, and the texts are the same.

    In float32, where a text does not depend on how many rows a matrix product has.
    """
    model = run.open(rows=len(speech), threads=1, engine="torch_whisper", compute_type="float32")
    config = run.config(rows=len(speech), language="en")
    read(model, config, dict([next(iter(speech.items()))]), "en")  # what is allocated once
    before = in_use(run.device)
    expected = {key: read(model, config, {key: sound}, "en")[key] for key, sound in speech.items()}
    alone = peak(run.device) - before
    for share in SHARES:
        what = f"{len(speech)} windows with {alone * share / 1e6:.0f} MB, where one takes {alone / 1e6:.0f}"
        with leaving(run.device, int(alone * share)), _warnings() as said:
            try:
                found = read(model, config, speech, "en")
            except RecordingError as error:
                yield Row(what, f"a recording failed: {error}", False)
                return
        if said:
            differ = sum(found[key] != expected[key] for key in found)
            yield Row(what, f"{said[0][:200]}; {differ} texts differ", not differ)
            return
    yield Row(what, "all fitted", False)


@contextlib.contextmanager
def leaving(device: str, left: int) -> Iterator[None]:
    """Leave so many bytes: on a card the rest is taken, on a CPU this process may not map more."""
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
        free = torch.cuda.mem_get_info()[0]
        taken = torch.empty(max(0, free - left), dtype=torch.uint8, device="cuda")
        try:
            yield
        finally:
            del taken
            torch.cuda.empty_cache()
        return
    trim()
    usual = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + left, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)


def in_use(device: str) -> int:
    """Bytes in use on the device now; :func:`peak` counts from here on."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
    return _status("VmRSS")


def peak(device: str) -> int:
    """The most bytes since :func:`in_use`; of a card those that torch gave out, CTranslate2's are not seen."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    return _status("VmHWM")


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What the engine warns of meanwhile."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("snakescribe.engine")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
