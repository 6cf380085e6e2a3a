"""Speech that several files of engine tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engine_run import Samples, samples_of


@pytest.fixture(scope="session")
def beckett(models_root: Path) -> Samples:
    """Ten seconds of read English."""
    return samples_of(models_root)["beckett"]


@pytest.fixture(scope="session")
def cities(models_root: Path) -> Samples:
    """Forty-four seconds of read English."""
    return samples_of(models_root)["two_cities"]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Programs of these names, and no other podman or docker."""
    shells = {str(Path(folder)) for folder in ("/bin", "/usr/bin")}
    for name in ("sh", "cat"):
        (tmp_path / name).symlink_to(next(Path(folder) / name for folder in shells if (Path(folder) / name).exists()))
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!{tmp_path}/sh\n{text}\n")
        path.chmod(0o755)

    return write
