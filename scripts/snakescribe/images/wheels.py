"""The folder of wheels that an image is made of: every package of the lock, checked by its hash, nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from snakescribe.checkout import ROOT
from snakescribe.doctor.cuda import Variant
from snakescribe.errors import ImageError

LOCKS = ROOT / "requirements"
PYTHON = (3, 11)
"""Of the image; wheels are for one minor version."""

_ONLY_CUDA = re.compile(r"(nvidia-(?!ml-py)|cuda-|triton==)")


def collect(variant: Variant, folder: Path, torch_index: str | None) -> list[str]:
    """Fill ``folder`` with the wheels of a variant; what is there and right is not fetched again.

    The locks of this checkout are what goes in, except for torch, whose version and build the variant decides, what
    a lock of the variant's own has instead, and CTranslate2 and OpenVINO, which a variant may leave out.

    Returns:
        File names.

    Raises:
        ImageError: pip failed, or this Python is not the image's.
    """
    if sys.version_info[:2] != PYTHON:
        needed, here = (".".join(map(str, version[:2])) for version in (PYTHON, sys.version_info))
        raise ImageError(f"the image's Python is {needed} and this is {here}; run with a Python {needed}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheels-") as scratch:
        fresh = Path(scratch) / "wheels"
        fresh.mkdir()
        for number, wanted in enumerate(_requirements(variant, torch_index)):
            _pip(wanted, Path(scratch) / str(number), folder, fresh)
        names = sorted(path.name for path in fresh.iterdir())
        for path in folder.glob("*.whl"):
            if path.name not in names:
                path.unlink()
        for name in names:
            if not (folder / name).exists():
                (fresh / name).replace(folder / name)
    return names


@dataclass(frozen=True)
class _Wanted:
    """What one run of pip gets."""

    packages: list[str]
    """Requirements, with the lines of their hashes unless ``versions`` is given."""
    versions: list[str] | None = None
    """``name==version`` that dependencies are bound to; None takes no dependencies, and checks hashes."""
    index: str | None = None


def _requirements(variant: Variant, torch_index: str | None) -> list[_Wanted]:
    runtime, torch_cpu, cuda = (_lock(f"{name}.txt") for name in ("runtime", "torch-cpu", "cuda"))
    every = _lock("bootstrap.txt") + runtime + _lock("no-deps.txt")
    ours = [p for p in every if not _ONLY_CUDA.match(p) and not p.startswith("torch==")]
    if variant.ctranslate2 is None:
        ours = [p for p in ours if not p.startswith("ctranslate2==")]
    if not variant.openvino:
        ours = [p for p in ours if not p.startswith("openvino==")]
    if variant.lock:
        own = _lock(variant.lock)
        names = {p.partition("==")[0] for p in own}
        return [_Wanted([p for p in ours if p.partition("==")[0] not in names] + own)]
    if variant.cuda is None:
        return [_Wanted(ours), _Wanted(torch_cpu, index=torch_index)]
    torch = [p for p in runtime if p.startswith(f"torch=={variant.torch} ")]
    if torch:
        return [_Wanted(ours + torch + cuda)]
    # Not the lock's torch: it brings the CUDA libraries that it names itself by exact version.
    versions = [p.split()[0] for p in ours]
    return [_Wanted(ours), _Wanted([f"torch=={variant.torch}"], versions, torch_index)]


def _lock(name: str) -> list[str]:
    return _packages((LOCKS / name).read_text(encoding="utf-8"))


def _packages(lock: str) -> list[str]:
    """The requirements of a lock, each with the lines of its hashes."""
    return [found for found in re.split(r"(?m)^(?=[A-Za-z0-9])", lock) if found and not found.startswith("#")]


def _pip(wanted: _Wanted, scratch: Path, known: Path, target: Path) -> None:
    listed = scratch.with_suffix(".txt")
    listed.write_text("\n".join(wanted.packages), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--disable-pip-version-check", "--no-build-isolation"]
    command += ["--requirement", str(listed), "--wheel-dir", str(target), "--find-links", str(known)]
    command += ["--extra-index-url", wanted.index] if wanted.index else []
    if wanted.versions is None:
        command += ["--no-deps", "--require-hashes"]
    else:
        bound = scratch.with_suffix(".constraints")
        bound.write_text("\n".join(wanted.versions), encoding="utf-8")
        command += ["--constraint", str(bound)]
    if subprocess.run(command).returncode:
        raise ImageError("pip could not collect the wheels; see what it said above")
