"""The real Apptainer: the rules in an image, from a host that has hardly more than Snakemake."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ("snakemake", "pydantic", "pyyaml", "setuptools")
"""What the host needs, and what puts our package there."""
NO_PRIVILEGES = ["--apptainer-args=--no-privs"] if os.getuid() == 0 else []
"""As root, Apptainer would raise limits that this machine may not raise; users have none to raise."""


@pytest.fixture(scope="module")
def host(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``snakemake`` of a host without torch, ffmpeg or an engine."""
    folder = tmp_path_factory.mktemp("host") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, str(next(wheels.glob("pip-*.whl")) / "pip"), "--python", str(folder / "bin/python")]
    install = [*pip, "install", "--quiet", "--no-index", "--find-links", str(wheels), "--no-build-isolation"]
    subprocess.run([*install, *LIGHT], check=True)
    subprocess.run([*install, "--no-deps", "--editable", str(ROOT)], check=True)
    return folder / "bin/snakemake"


@pytest.fixture(scope="module")
def recordings(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, one with a Korean name."""
    folder = tmp_path_factory.mktemp("녹음 파일")
    shutil.copy2(models_root / "samples/beckett.wav", folder / "회의 1차.wav")
    shutil.copy2(models_root / "samples/endgame_nagg_nell.wav", folder)
    return folder


def test_the_workflow_gives_the_same_texts_in_an_image_and_without(
    sif: Path, host: Path, recordings: Path, models_root: Path, tmp_path: Path
) -> None:
    image = ["--sdm", "apptainer", *NO_PRIVILEGES, "--config", f"container={{'image': '{sif}'}}"]
    inside = _transcribed(host, recordings, tmp_path / "inside", models_root, image)
    outside = _transcribed(_here(), recordings, tmp_path / "outside", models_root, ["--config"])
    assert {row["status"] for row in inside} == {"ok"} and len(inside) == 2
    same = ("path", "text", "language", "duration", "speech_seconds", "engine", "compute_type", "versions")
    assert [[row[key] for key in same] for row in inside] == [[row[key] for key in same] for row in outside]
    for text in (tmp_path / "outside/transcripts").glob("*.srt"):
        assert (tmp_path / "inside/transcripts" / text.name).read_bytes() == text.read_bytes()


def test_an_image_that_is_not_there_is_refused_before_anything_runs(
    host: Path, recordings: Path, models_root: Path, tmp_path: Path
) -> None:
    done = _run(
        host, recordings, tmp_path, models_root, ["--sdm", "apptainer", "--config", "container={'image': '/no.sif'}"]
    )
    assert done.returncode != 0
    assert "/no.sif" in done.stderr


def _here() -> Path:
    return Path(sys.executable).with_name("snakemake")


def _run(
    snakemake: Path, recordings: Path, results: Path, models: Path, options: list[str]
) -> subprocess.CompletedProcess[str]:
    command = [str(snakemake), "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *options]
    command += [f"recordings={recordings}", f"results={results}", f"models={models}"]
    command += [f"cache={{'path': '{results}.cache'}}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=results.parent, timeout=600)


def _transcribed(
    snakemake: Path, recordings: Path, results: Path, models: Path, options: list[str]
) -> list[dict[str, str]]:
    done = _run(snakemake, recordings, results, models, options)
    assert done.returncode == 0, done.stdout + done.stderr
    with (results / "tables/recordings.tsv").open(encoding="utf-8", newline="") as table:
        return sorted(csv.DictReader(table, delimiter="\t"), key=lambda row: row["path"])
