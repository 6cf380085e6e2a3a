"""``containers/variants.yaml`` says what the wheels hold: compared with the wheels that are installed."""

from __future__ import annotations

import importlib.metadata
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_facts import VARIANTS

from snakescribe.doctor.cuda import BRANCHES, Build, Variants, load_variants, minimum_driver, version
from snakescribe.doctor.cuda import VARIANTS as FILE

PTX, MACHINE_CODE = 1, 2
TOOLKITS = {(8, 7): "12.8"}
"""CUDA toolkit by the PTX version it writes (NVIDIA, PTX ISA, release notes)."""


def gpu_code(library: bytes) -> Iterator[tuple[int, str, tuple[int, int]]]:
    """Kind, capability and version of all GPU code in a library: the "fat binary" containers that nvcc embeds.

    A container begins with a magic number, a version (2 bytes), its header's size (2) and the size that follows (8).
    An entry: kind (2), version (2), header's size (4), size that follows (8); at byte 24 its minor and major version
    (2 each) and its architecture (4).
    """
    magic = struct.pack("<I", 0xBA55ED50)
    place = library.find(magic)
    while place >= 0:
        _, _, header, size = struct.unpack_from("<IHHQ", library, place)
        entry, end = place + header, place + header + size
        while entry < end:
            kind, _, head, body = struct.unpack_from("<HHIQ", library, entry)
            minor, major, arch = struct.unpack_from("<HHI", library, entry + 24)
            yield kind, f"{arch // 10}.{arch % 10}", (major, minor)
            entry += head + body
        place = library.find(magic, end)


def test_ctranslate2_holds_what_the_file_says() -> None:
    known = VARIANTS.ctranslate2
    assert known
    assert importlib.metadata.version("ctranslate2") == known.version, "look what the new wheel holds"
    (path,) = [
        Path(str(file.locate()))
        for file in importlib.metadata.files("ctranslate2") or []
        if file.name.startswith("libctranslate2")
    ]
    library = path.read_bytes()
    found = set(gpu_code(library))
    assert {capability for kind, capability, _ in found if kind == MACHINE_CODE} == set(known.capabilities)
    assert {(capability, TOOLKITS[isa]) for kind, capability, isa in found if kind == PTX} == {(known.ptx, known.cuda)}
    assert known.library.encode() in library and b"libcublas.so.13" not in library


def test_minimum_drivers_follow_the_toolkits() -> None:
    for variant in VARIANTS.variants.values():
        assert variant.minimum_driver == (minimum_driver(variant.cuda) if variant.cuda else None)


def test_the_variants_are_those_of_the_plan_and_of_the_lock() -> None:
    assert list(VARIANTS.variants) == ["cpu", "cu117", "cu118", "cu126", "cu130"]
    requirements = (FILE.parents[1] / "requirements/runtime.txt").read_text()
    torch = next(line.split()[0] for line in requirements.splitlines() if line.startswith("torch=="))
    assert torch in {f"torch=={variant.torch.partition('+')[0]}" for variant in VARIANTS.variants.values()}
    assert VARIANTS.ctranslate2 and f"ctranslate2=={VARIANTS.ctranslate2.version}" in requirements
    for variant in VARIANTS.variants.values():
        assert variant.ctranslate2 in (None, VARIANTS.ctranslate2.version)
        if variant.lock:
            own = (FILE.parents[1] / "requirements" / variant.lock).read_text()
            assert f"\ntorch=={variant.torch} " in own


def test_outside_a_checkout_there_are_none(tmp_path: Path) -> None:
    assert load_variants(tmp_path / "variants.yaml") == Variants()


def test_branches_rise() -> None:
    values = [version(cuda) for cuda in BRANCHES.values()]
    assert list(BRANCHES) == sorted(BRANCHES) and values == sorted(values)


@pytest.mark.parametrize(
    ("capability", "runs"),
    [
        ("5.0", False),
        ("7.5", True),
        ("8.0", False),
        ("8.6", True),
        ("8.9", True),
        ("9.0", True),
        ("10.0", False),
        ("12.0", False),
    ],
)
def test_code_runs_on_the_same_major_and_a_higher_minor_number(capability: str, runs: bool) -> None:
    build = Build(cuda="12.6", capabilities=("7.5", "8.6", "9.0"))
    assert (build.problem(capability, "13.0") is None) is runs


def test_ptx_is_for_later_cards_and_later_drivers() -> None:
    build = Build(cuda="12.8", capabilities=("8.6",), ptx="8.6")
    assert build.problem("9.0", "12.8") is None and build.problem("12.0", "13.0") is None
    assert build.problem("9.0", "12.4") == "translate"
    assert build.problem("8.0", "13.0") == "none"
