"""Speech that several files of engine tests share."""

from __future__ import annotations

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
