"""A real Slurm of two nodes on this machine; tests/README.md says what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLUSTER = Path(__file__).with_name("cluster")
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def cluster(accounting: str, **settings: str) -> Iterator[None]:
    """Start it (``none`` or ``dbd``; settings as tests/slurm/cluster says), and stop it."""
    subprocess.run([CLUSTER, "start", accounting], env=os.environ | settings, check=True)
    try:
        yield
    finally:
        subprocess.run([CLUSTER, "stop"], check=True)


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Snakemake's plug-in, where only these tests see it: with it every start of Snakemake takes longer."""
    if os.getuid() or not shutil.which("slurmctld"):
        pytest.skip("needs root and Debian's packages of Slurm (tests/README.md)")
    folder = str(tmp_path_factory.mktemp("plugin"))
    locked = ["--require-hashes", "--no-deps", "-r", str(ROOT / "requirements/slurm.txt")]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *locked], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])]))
        yield
