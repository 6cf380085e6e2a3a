"""What the tests share: the real weights that ``make setup`` fetched. README.md here says how to run them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]


settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

FOLDERS = ("images", "slurm", "workflow", "e2e", "server", "unit", "report")
"""What takes longest begins first, so that at the end no worker is left alone with it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest folders first."""
    items.sort(key=lambda item: FOLDERS.index(item.path.parent.name))


class ByFixtures(LoadScopeScheduling):
    """Which tests one process runs, because they share what takes long to make.

    Those of a file; all of images; of the demo, those with one engine; of the campaign, each alone.
    (pytest-xdist 3.8.0 writes a test's group into a name that pytest 9.2.0 no longer reads: its own `--dist loadgroup`
    groups nothing, without a word.)
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        folder = path.split("/")[-2]
        if path.endswith("/test_campaign.py"):
            return nodeid
        engine = test.rpartition("[")[2].rstrip("]").partition("-")[0]
        return {"images": folder, "e2e": f"{path} {engine}"}.get(folder, path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFixtures:
    """Asked for by pytest-xdist when it runs tests in several processes."""
    return ByFixtures(config, log)


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
