"""A bundle's sums, and the script that checks them before anything else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from snakescribe.errors import ImageError
from snakescribe.images.bundle import SUMS, TEMPLATES, verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small files with their sums, and the real script."""
    folder = tmp_path / "묶음 folder"
    (folder / "models").mkdir(parents=True)
    (folder / "models/weights").write_bytes(b"w" * 1000)
    (folder / "bundle.env").write_text("IMAGE='x:1'\nARCHIVE='a.tar.gz'\nSIF=''\n")
    shutil.copy2(TEMPLATES / "install.sh", folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    (folder / SUMS).write_text("".join(sums))
    return folder


def test_it_names_every_damaged_and_missing_file(folder: Path) -> None:
    verify(folder)
    (folder / "models/weights").write_bytes(b"w" * 999 + b"x")
    (folder / "bundle.env").unlink()
    with pytest.raises(ImageError, match=r"^missing: bundle.env; damaged: models/weights; copy these files again$"):
        verify(folder)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x"])
def test_sums_point_only_into_the_bundle(folder: Path, name: str) -> None:
    (folder / SUMS).write_text(f"{'0' * 64}  {name}\n")
    with pytest.raises(ImageError, match="is damaged at"):
        verify(folder)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="this is no bundle"):
        verify(tmp_path)


def test_the_script_runs_nothing_of_a_damaged_bundle(folder: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (folder / "bundle.env").write_text(f"touch '{ran}'\n")
    run = subprocess.run(
        ["sh", str(folder / "install.sh"), "--tool", "podman"], capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 9
    assert "bundle.env" in run.stdout + run.stderr and "copy them again" in run.stderr
    assert not ran.exists()


def test_the_script_says_what_it_can_be_told(folder: Path) -> None:
    run = subprocess.run(["sh", str(folder / "install.sh"), "--tol", "podman"], capture_output=True, text=True)
    assert run.returncode == 2 and "--tool and --device" in run.stderr
