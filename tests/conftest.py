"""What the tests share: the real weights that ``make setup`` fetched. README.md here says how to run them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]


settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

FOLDERS = ("images", "workflow", "e2e", "server", "unit")
"""What takes longest begins first, so that at the end no worker is left alone with it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests share its fixtures, so one process runs them (`--dist loadgroup`); so do all tests of images.

    The demo has a group for each of its engines: it shares nothing between them.
    """
    items.sort(key=lambda item: FOLDERS.index(item.path.parent.name))
    for item in items:
        group = "images" if item.path.parent.name == "images" else str(item.path)
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "demo" in item.fixturenames:
            group += f" {item.callspec.params['demo']}"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def models_root() -> Path:
    """The model store that ``make setup`` filled (``base``, ``tiny.en``, the voice-activity weights)."""
    root = Path(os.environ.get("SNAKESCRIBE_MODELS") or ROOT / ".models")
    if not root.is_dir():
        pytest.fail(f"no model store at {root}; run `make setup` first")
    return root


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """Commands that run inside the test process make files private; the next test starts as a shell does."""
    before = os.umask(0o022)
    yield
    os.umask(before)
