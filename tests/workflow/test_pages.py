"""What README.md and docs/operations/doctor.md tell to type, typed."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch

from tests.pages import ROOT, run, said

README = "README.md"


@pytest.fixture
def folders(models_root: Path, tmp_path: Path) -> dict[str, str]:
    """What stands in the place of the page's folders: one recording, no results yet."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy2(models_root / "samples/beckett.wav", folder / "통화 1.wav")
    return {"/my/folder": str(folder), "/my/results": str(tmp_path / "results")}


def test_own_recordings(folders: dict[str, str], tmp_path: Path) -> None:
    """In the order of the page: planned, done, done with other options, the same by plain Snakemake."""
    assert "to do: 1 recording, " in run(said(README, ".venv/bin/snakescribe plan"), ROOT, **folders)
    own = ".venv/bin/snakescribe run --recordings /my/folder --results /my/results"
    text = tmp_path / "results/transcripts/통화 1.wav.txt"
    run(said(README, own), ROOT, **folders)
    assert "ever tried" in text.read_text(encoding="utf-8").lower()
    run(said(README, f"{own} --config"), ROOT, **folders)
    assert json.loads(text.with_suffix(".json").read_text(encoding="utf-8"))["language"] == "ko"
    run(said(README, ".venv/bin/snakemake"), ROOT, **folders)
    assert "ever tried" in text.read_text(encoding="utf-8").lower()


def test_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = said(README, ".venv/bin/snakescribe serve").split()[1:]
    with subprocess.Popen([sys.executable, "-m", "snakescribe", *command, "--port", str(port)], cwd=ROOT) as server:
        while server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                    assert answer.status == 200
                break
            except OSError:
                time.sleep(0.2)
        server.send_signal(signal.SIGTERM)
    assert server.returncode == 0


def test_the_doctor() -> None:
    said_by_it = json.loads(run(said("doctor.md", ".venv/bin/snakescribe doctor --json") + " 2> /dev/null", ROOT))
    assert said_by_it["line"].startswith("ready")
    no_card, no_weights = 6, 5
    code = no_weights if torch.cuda.is_available() else no_card
    assert "not ready: " in run(said("doctor.md", ".venv/bin/snakescribe doctor --device cuda"), ROOT, code)
