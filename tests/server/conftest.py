"""One real server for all tests that do not break it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.handling import Clips
from tests.server.serving import Served, scratch, serving


@pytest.fixture(scope="session")
def served(models_root: Path) -> Iterator[Served]:
    """A server without a key, with ``base``, that has heard the known clip."""
    with scratch() as folder, serving(models_root, Path(folder)) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="session")
def beckett(models_root: Path) -> Path:
    """Ten seconds of speech."""
    return models_root / "samples/beckett.wav"


@pytest.fixture(scope="session")
def two_cities(models_root: Path) -> Path:
    """Forty-four seconds of speech."""
    return models_root / "samples/two_cities.wav"


@pytest.fixture(scope="session")
def closed(models_root: Path) -> Iterator[Served]:
    """A server with a key, narrow limits and a folder for jobs, with ``tiny.en``."""
    limits = {"max_upload_mb": 2, "max_minutes": 1, "queue": 2, "request_seconds": 60}
    others = {"folder": "녹음 recordings", "proof_minutes": 60}
    options = {"model": "tiny.en"} | {f"server.{name}": value for name, value in (limits | others).items()}
    with scratch() as name:
        Path(name, "녹음 recordings").mkdir()
        with serving(models_root, Path(name), "a-key", options) as server:
            server.wait_ready()
            yield server


@pytest.fixture(scope="module")
def clips(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Makes recordings that no other test asked for."""
    return Clips(models_root, tmp_path_factory.mktemp("clips"))
