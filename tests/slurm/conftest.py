"""A real Slurm of two nodes on this machine; README.md here says what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLUSTER = Path(__file__).with_name("cluster")


@contextmanager
def cluster(accounting: str, **settings: str) -> Iterator[None]:
    """Start it (``none`` or ``dbd``; settings as tests/slurm/cluster says), and stop it."""
    subprocess.run([CLUSTER, "start", accounting], env=os.environ | settings, check=True)
    try:
        yield
    finally:
        subprocess.run([CLUSTER, "stop"], check=True)


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """What the tests of this folder need beside the others."""
    if os.getuid() or not shutil.which("slurmctld"):
        pytest.skip("needs root and Debian's packages of Slurm (tests/slurm/README.md)")
