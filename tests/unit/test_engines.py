"""The table of engines, and what is said of them elsewhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from snakescribe import devices
from snakescribe.config import AskedConfig
from snakescribe.doctor.diagnose import OPTIONAL
from snakescribe.engine.engines import ENGINES, FASTEST
from snakescribe.engine.load import MOST_ROWS, _rows
from snakescribe.models.capabilities import capabilities
from snakescribe.models.catalog import catalog
from snakescribe.models.store import Prepared
from snakescribe.speed import CANDIDATES

TYPES = {kind for engine in ENGINES.values() for types in engine.compute_types.values() for kind in types}


def test_the_options_are_those_of_the_table() -> None:
    fields = AskedConfig.model_fields
    assert set(get_args(fields["engine"].annotation)) == {"auto", *ENGINES}
    assert set(get_args(fields["compute_type"].annotation)) == {"auto", "int8", *TYPES}
    devices = {device for engine in ENGINES.values() for device in engine.compute_types}
    assert set(get_args(fields["device"].annotation)) == {"auto", *devices}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_configuration_refuses_only_what_no_engine_has(engine: str) -> None:
    for device in ("cpu", "cuda"):
        for kind in sorted(TYPES):
            there = kind in ENGINES[engine].compute_types.get(device, ())
            try:
                AskedConfig(engine=engine, device=device, compute_type=kind)
            except ValidationError:
                assert not there, (device, kind)


def test_every_engine_is_named_by_its_key_and_has_a_form_of_the_weights() -> None:
    for name, engine in ENGINES.items():
        assert engine.name == name and engine.form in Prepared.__dataclass_fields__
        assert engine.wanted_features <= {*devices.BFLOAT16, "avx512_vnni", "avx2"}
    assert not ENGINES["torch_whisper"].package, "what is always there"
    for device, names in FASTEST.items():
        assert set(names) == {name for name, engine in ENGINES.items() if device in engine.compute_types}


def test_bench_and_the_doctor_know_them_all() -> None:
    assert {engine for engine, _ in CANDIDATES} == ENGINES.keys() and len(set(CANDIDATES)) == len(CANDIDATES)
    assert {kind for _, kind in CANDIDATES} == TYPES
    assert {engine.package for engine in ENGINES.values()} - {None} == OPTIONAL


def test_a_bucket_is_as_large_as_a_card_has_room_for() -> None:
    """large-v3 has 1.5 billion numbers, and keys and values of a window are 246 MB."""

    def rows(name: str, free: float = math.inf, device: str = "cuda") -> int:
        dims = catalog().models[name].dims
        return _rows(Prepared(name, "", Path(), None, dims, capabilities(dims), ()), device, free)

    assert [rows("large-v3", free * 1e9) for free in (141, 12, 8, 4, 2)] == [18, 18, 10, 1, 1]
    assert rows("large-v3-turbo", 141e9) == MOST_ROWS and rows("base", device="cpu") == 5
