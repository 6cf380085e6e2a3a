"""Speech for the workflow tests: the samples in the model store."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def speech(models_root: Path) -> dict[str, Path]:
    """Read English: ``beckett`` (10 s), ``two_cities`` (44 s), ``endgame`` (28 s, two voices)."""
    folder = models_root / "samples"
    names = {"beckett": "beckett", "two_cities": "two_cities", "endgame": "endgame_nagg_nell"}
    return {name: folder / f"{file}.wav" for name, file in names.items()}
