"""The older packages of the variant cu117, on the CPU: they import, and hear what the newest ones hear.

CI builds no image of 5 GB for this: the wheels that the image is made of, in an environment of their own.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakescribe.doctor.cuda import build_of
from snakescribe.images.build import variant_named
from snakescribe.images.wheels import collect

ROOT = Path(__file__).resolve().parents[2]
VARIANT = variant_named("cu117")
REAL, UNLIKE = re.compile(r"\d+\.\d+"), {"versions", "finished_at"}
START = "import sys\nfrom snakescribe.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


@pytest.fixture(scope="module")
def older(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The programs of an environment of the variant's wheels and this checkout; 4.6 GB, so it does not stay."""
    wheels = ROOT / ".images/cu117/wheels"
    names = collect(VARIANT, wheels, None)
    folder = tmp_path_factory.mktemp("older")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-index", "--no-deps"]
    subprocess.run([*command, "--no-compile", *(str(wheels / name) for name in names)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "checkout.pth").write_text(f"{ROOT / 'scripts'}\n")
    (folder / "bin/snakescribe").write_text(f"#!{python}\n{START}")
    (folder / "bin/snakescribe").chmod(0o755)
    yield folder / "bin"
    shutil.rmtree(folder)


def snakescribe(programs: Path, *arguments: str) -> str:
    """Standard output of one of our commands; with an exit code other than 0, an error."""
    environ = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    command = [str(programs / "snakescribe"), *arguments]
    return subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout


def test_the_variant_says_what_its_torch_holds(older: Path) -> None:
    text = "import torch; print(torch.__version__, torch.version.cuda, torch._C._cuda_getArchFlags())"
    command = [str(older / "python"), "-c", text]
    version, cuda, *archs = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    build = build_of(cuda, archs)
    assert version.partition("+")[0] == VARIANT.torch
    assert (build.cuda, build.capabilities, build.ptx) == (VARIANT.cuda, VARIANT.capabilities, VARIANT.ptx)


def test_the_doctor_finds_nothing_wrong(older: Path, models_root: Path) -> None:
    said = snakescribe(older, "doctor", "--config", f"models={models_root}", "device=cpu")
    assert said.startswith("ready: base hears it right on ") and "(torch_whisper, int8_float32)" in said.splitlines()[0]
    assert "without ctranslate2 and openvino, which engines are optional" in " ".join(said.split())


def test_the_tables_are_those_of_the_newest_packages(older: Path, models_root: Path, tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    (recordings / "play.wav").symlink_to(models_root / "samples/endgame_nagg_nell.wav")
    (recordings / "broken.wav").write_text("its row has nulls")
    old, new = (run(programs, models_root, recordings) for programs in (older, Path(sys.executable).parent))
    assert old == new and len(old["recordings"]) == 2 and len(old["words"]) > 50


def run(programs: Path, models: Path, recordings: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of the tables, without what differs from run to run; of real numbers only that they are some."""
    results = recordings.with_name(programs.parent.name)
    options = [f"models={models}", "engine=torch_whisper", "compute_type=float32", "device=cpu", "words=true"]
    paths = ["--recordings", str(recordings), "--results", str(results)]
    snakescribe(programs, "run", *paths, "--config", *options, "cache.mode=off", "on_error=report")
    tables = {}
    for path in (results / "tables").glob("*.tsv"):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        tables[path.stem] = [{k: REAL.sub("0.0", v) for k, v in row.items() if k not in UNLIKE} for row in rows]
    return tables


def test_weights_of_ones_own(older: Path, models_root: Path, tmp_path: Path) -> None:
    snakescribe(older, "models", "import", str(models_root / "tiny.en/ctranslate2"), "--models", str(tmp_path))
    said = snakescribe(older, "models", "list", "--models", str(tmp_path))
    assert "tiny.en" in said
