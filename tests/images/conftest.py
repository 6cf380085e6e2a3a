"""The image that these tests share: built once, from wheels, with a real podman or docker.

`SNAKESCRIBE_BASE_IMAGE` names a base with Python 3.11 (docs/operations/images.md makes one without a hub). CI has one,
and Apptainer (`.ci/containers/prepare`), and fails if a test here is skipped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakescribe.images.apptainer import convert
from snakescribe.images.build import build, variant_named
from snakescribe.images.tool import Tool, find_tool
from snakescribe.images.wheels import collect

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def base() -> str:
    """The image that ours is built on."""
    name = os.environ.get("SNAKESCRIBE_BASE_IMAGE")
    if not name or not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("needs podman or docker, and SNAKESCRIBE_BASE_IMAGE")
    return name


@pytest.fixture(scope="session")
def tool(base: str) -> Tool:
    """The first of podman and docker that is here."""
    return find_tool(None)


@pytest.fixture(scope="session")
def wheels(base: str) -> Path:
    """Every wheel of the CPU variant, where `snakescribe image wheels` puts them."""
    folder = ROOT / ".images/cpu/wheels"
    names = collect(variant_named("cpu"), folder, None)
    assert any(name.startswith("python_multipart-") for name in names)
    return folder


@pytest.fixture(scope="session")
def image(tool: Tool, base: str, wheels: Path, models_root: Path) -> str:
    """The CPU image, which has proved itself while it was built."""
    return build(tool, "cpu", wheels, models_root, "base", base, "none")


@pytest.fixture(scope="session")
def sif(tool: Tool, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same for Apptainer; more than a gigabyte, so it does not stay."""
    if not shutil.which("apptainer"):
        pytest.skip("needs apptainer")
    path = tmp_path_factory.mktemp("sif") / "snakescribe.sif"
    convert(tool, image, path)
    yield path
    path.unlink()
