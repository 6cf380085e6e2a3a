"""Which engines there are, where they run and what in: the one table of them. Imports none of their libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from snakescribe.devices import BFLOAT16

if TYPE_CHECKING:
    from snakescribe.engine.backend import Backend, Hardware
    from snakescribe.models.store import Prepared

Loader = Callable[["Prepared", "Hardware", int, int, int], "Backend"]
"""Loads weights onto a device: prepared model, hardware, index of the GPU, rows of a bucket, workers."""


@dataclass(frozen=True)
class Engine:
    """A way to run the network."""

    name: str
    """As the option ``engine`` and the tables call it."""
    package: str | None
    """The distribution that it needs besides torch; an installation may be without it."""
    form: Literal["ctranslate2", "openvino"]
    """Of the weights: a field of :class:`snakescribe.models.store.Prepared`."""
    compute_types: Mapping[str, tuple[str, ...]]
    """By device (``cpu``, ``cuda``), the one of ``auto`` first; a CPU or GPU may lack some. After ``int8_``, which is
    of the linear layers, stands what the rest is."""
    wanted_features: frozenset[str]
    """Of which a CPU must have one for ``auto`` to take this engine; empty: any CPU will do."""
    load: Loader


def _openvino(prepared: Prepared, hardware: Hardware, index: int, rows: int, workers: int) -> Backend:
    from snakescribe.engine.openvino import OpenVinoWhisper

    return OpenVinoWhisper(prepared, hardware, rows, workers)


def _ctranslate2(prepared: Prepared, hardware: Hardware, index: int, rows: int, workers: int) -> Backend:
    from snakescribe.engine.ctranslate2 import CTranslate2Whisper

    return CTranslate2Whisper(prepared, hardware, index, rows, workers)


def _torch_whisper(prepared: Prepared, hardware: Hardware, index: int, rows: int, workers: int) -> Backend:
    from snakescribe.engine.torch_whisper import TorchWhisper

    return TorchWhisper(prepared, hardware, index, rows, workers)


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            name="openvino",
            package="openvino",
            form="openvino",
            compute_types={"cpu": ("int8_bfloat16", "int8_float32")},
            wanted_features=BFLOAT16 | {"avx512_vnni"},
            load=_openvino,
        ),
        Engine(
            name="ctranslate2",
            package="ctranslate2",
            form="ctranslate2",
            compute_types={
                "cpu": ("int8_float32", "float32"),
                "cuda": ("float16", "int8_float32", "float32", "bfloat16"),
            },
            wanted_features=frozenset(),
            load=_ctranslate2,
        ),
        Engine(
            name="torch_whisper",
            package=None,
            form="ctranslate2",
            compute_types={"cpu": ("int8_float32", "float32", "bfloat16"), "cuda": ("float16", "bfloat16", "float32")},
            wanted_features=frozenset({"avx2"}),
            load=_torch_whisper,
        ),
    )
}
FASTEST = {"cpu": ("openvino", "torch_whisper", "ctranslate2"), "cuda": ("ctranslate2", "torch_whisper")}
"""By device, the fastest first, as `snakescribe bench` measured; ``auto`` takes the first that fits
(docs/decisions/precision-and-engines.md)."""
