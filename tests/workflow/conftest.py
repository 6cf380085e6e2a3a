"""Speech for the workflow tests: the samples in the model store."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def speech(models_root: Path) -> dict[str, Path]:
    """Read English: ``beckett`` (10 s), ``two_cities`` (44 s), ``endgame`` (28 s, two voices)."""
    folder = models_root / "samples"
    names = {"beckett": "beckett", "two_cities": "two_cities", "endgame": "endgame_nagg_nell"}
    return {name: folder / f"{file}.wav" for name, file in names.items()}


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own (48 MB)."""
    folder = tmp_path / "작은 disk"
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    try:
        subprocess.run(asked, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small file system cannot be mounted here (needs root): {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
