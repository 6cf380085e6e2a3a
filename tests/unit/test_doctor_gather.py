"""Looking at a real machine: this one, and pieces of others put in its place (a driver's files, an ffmpeg)."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pynvml
import pytest

from snakescribe import known_clip
from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.config import Config, load_config
from snakescribe.doctor import gather, probes
from snakescribe.doctor.child import ChildFailed, in_child
from snakescribe.doctor.cuda import load_variants
from snakescribe.doctor.diagnose import diagnose
from snakescribe.doctor.facts import Ffmpeg, Gpu

PATIENCE = 300.0
"""Seconds that a child may take on a busy machine."""
OPEN_KERNEL = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)\n"
    "GCC version:  gcc version 12.3.0\n"
)
KERNEL = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.199.02  Thu May 11 11:46:56 UTC 2023\n"
    "GCC version:  gcc version 9.4.0 (Ubuntu 9.4.0-1ubuntu1~20.04.1)\n"
)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts shell scripts before everything else on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


@pytest.fixture
def no_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that was started without NVIDIA's libraries, also where these tests run beside a GPU."""

    def missing(function: object, seconds: float) -> None:
        raise ChildFailed("NVMLError_LibraryNotFound: NVML Shared Library Not Found")

    monkeypatch.setattr(gather, "in_child", missing)


def config(models_root: Path, tmp_path: Path, **options: object) -> Config:
    values = {"models": str(models_root), "results": str(tmp_path / "results"), "cache": {"path": str(tmp_path / "c")}}
    return load_config(values | options, tmp_path, {})


def test_this_machine_is_well(models_root: Path, tmp_path: Path) -> None:
    asked = config(models_root, tmp_path, model="tiny.en", device="cpu")
    facts = gather.gather(asked, load_variants())
    verdict = diagnose(facts, load_variants())
    assert verdict.exit_code == 0, verdict.line
    assert facts.hearing and facts.hearing.text and known_clip.matches(facts.hearing.text)
    assert {"torch", "python-multipart", "nvidia-ml-py", "av"} <= {
        p.name for p in facts.packages if p.declared is not None
    }
    assert not [package for package in facts.packages if package.broken]


@pytest.mark.parametrize("engine", ["openvino", "ctranslate2", "torch_whisper"])
def test_the_clip_goes_through_the_engine_that_is_asked_for(models_root: Path, tmp_path: Path, engine: str) -> None:
    options = {"model": "tiny.en", "device": "cpu", "engine": engine, "prompt": "Something quite different."}
    hearing = gather.hearing(config(models_root, tmp_path, **options))
    assert hearing.engine == engine and hearing.text and known_clip.matches(hearing.text)


def test_an_engine_that_does_not_run_says_why(models_root: Path, tmp_path: Path) -> None:
    hearing = gather.hearing(config(models_root, tmp_path, model="base", compute_type="float16"))
    assert hearing.error == "DeviceError" and "no engine here has float16 on" in (hearing.problem or "")


@pytest.mark.usefixtures("no_nvml")
@pytest.mark.parametrize(("text", "driver"), [(KERNEL, "470.199.02"), (OPEN_KERNEL, "580.65.06")])
def test_the_driver_by_the_kernel_alone(
    programs: Callable[[str, str], Path], tmp_path: Path, text: str, driver: str
) -> None:
    programs("nvidia-smi", "exit 127")
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text(text)
    found = gather.nvidia(tmp_path / "proc", tmp_path / "no")
    assert found.driver == driver and found.device_files == 0 and found.gpus == ()
    assert found.problem and "NVML" in found.problem


@pytest.mark.usefixtures("no_nvml")
def test_the_driver_by_nvidia_smi(programs: Callable[[str, str], Path], tmp_path: Path) -> None:
    programs("nvidia-smi", "printf '550.54.14, NVIDIA A100-SXM4-80GB, 8.0\\n550.54.14, Tesla T4, 7.5\\n'")
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    found = gather.nvidia(tmp_path / "proc", tmp_path)
    assert found.driver == "550.54.14" and found.device_files == 2
    assert found.gpus == (Gpu(name="NVIDIA A100-SXM4-80GB", capability="8.0"), Gpu(name="Tesla T4", capability="7.5"))
    programs("nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    assert gather.nvidia(tmp_path / "proc", tmp_path).driver is None


def test_nvml_is_really_asked(tmp_path: Path) -> None:
    found = gather.nvidia(tmp_path, tmp_path)
    assert found.gpus or (found.problem or "").startswith("NVMLError")  # and no ImportError or the like


def test_what_nvml_says_when_there_is_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "nvmlInit()": "None",
        "nvmlSystemGetCudaDriverVersion_v2()": "12040",
        "nvmlSystemGetDriverVersion()": "'550.54.14'",
        "nvmlDeviceGetCount()": "2",
        "nvmlDeviceGetHandleByIndex(index)": "index",
        "nvmlDeviceGetName(handle)": "['NVIDIA A100-SXM4-80GB', 'NVIDIA H100 80GB HBM3'][handle]",
        "nvmlDeviceGetCudaComputeCapability(handle)": "[(8, 0), (9, 0)][handle]",
    }
    assert all(hasattr(pynvml, call.partition("(")[0]) for call in answers)
    functions = "".join(f"def {call}: return {answer}\n" for call, answer in answers.items())
    (tmp_path / "pynvml.py").write_text(functions)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = gather.nvidia(tmp_path, tmp_path)
    assert (found.driver, found.cuda, found.problem) == ("550.54.14", "12.4", None)
    assert [(gpu.name, gpu.capability) for gpu in found.gpus] == [
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("NVIDIA H100 80GB HBM3", "9.0"),
    ]


def test_the_product_that_every_card_must_do() -> None:
    probes.multiply("cpu")
    with pytest.raises(RuntimeError):
        probes.multiply("meta")  # has no numbers


def test_the_container_by_its_environment() -> None:
    assert gather.container({"APPTAINER_CONTAINER": "/x.sif"}).kind == "apptainer"
    assert gather.container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).kind == "kubernetes"
    asked = gather.container({"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VISIBLE_DEVICES": ""})
    assert asked.nvidia_visible == "all" and asked.cuda_visible == ""


def test_a_checkout_asks_for_packages(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=3.11"\ndependencies = ["fastapi", "rich>=13", "numpy>=99", "none-such",\n'
        "\"colorama; sys_platform == 'win32'\"]\n"
    )
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/runtime.txt").write_text(
        "rich==1.2.3 \\\n    --hash=sha256:00\n    # via x\npygments==2.0\n"
    )
    found = {package.name: package for package in gather.packages(tmp_path)}
    assert set(found) == {"fastapi", "python-multipart", "rich", "numpy", "none-such", "pygments"}
    assert found["python-multipart"].declared == "" and found["python-multipart"].broken is None
    assert found["none-such"].installed is None
    assert not found["numpy"].suits and found["rich"].suits and found["rich"].locked == "1.2.3"
    assert found["pygments"].declared is None


def test_a_variant_with_older_packages_has_a_lock_of_its_own(tmp_path: Path) -> None:
    for folder in ("requirements", "containers"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.11"\ndependencies = []\n')
    (tmp_path / "requirements/runtime.txt").write_text("numpy==2.4.6 \\\nrich==1.2.3\n")
    (tmp_path / "requirements/old.txt").write_text("numpy==1.26.4 \\\n")
    known = {"cuda": None, "minimum_driver": None, "ctranslate2": None, "wheels": "any", "lock": "old.txt"}
    for torch, numpy in ((metadata.version("torch"), "1.26.4"), ("0.1", "2.4.6")):
        (tmp_path / "containers/variants.yaml").write_text(json.dumps({"variants": {"old": known | {"torch": torch}}}))
        assert {p.name: p.locked for p in gather.packages(tmp_path)} == {"numpy": numpy, "rich": "1.2.3"}


def test_outside_a_checkout_the_metadata_asks(tmp_path: Path) -> None:
    names = {package.name for package in gather.packages(tmp_path) if package.declared is not None}
    assert {"torch", "snakemake", "pydantic"} <= names and "pytest" not in names


def test_a_package_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich/__init__.py").write_text("import no_such_module")
    (tmp_path / "pysubs2").mkdir()
    (tmp_path / "pysubs2/__init__.py").write_text("import os; os.abort()")  # and takes all others down with it
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=3.11"\ndependencies = ["rich", "pysubs2", "pyyaml"]\n'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = {package.name: package.broken for package in gather.packages(tmp_path)}
    assert broken == {
        "rich": "ModuleNotFoundError: No module named 'no_such_module'",
        "pysubs2": "crashed (SIGABRT)",
        "pyyaml": None,
    }


def test_ffmpeg_is_really_run() -> None:
    found = gather.ffmpeg()
    assert found.problem is None and found.version and found.lacks == ()


def test_ffmpegs_that_are_no_good(programs: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = ffmpeg_path()
    path = programs("ffmpeg", "exit 1")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
    found = gather.ffmpeg()
    assert found.path == str(path) and "cannot be run" in (found.problem or "")
    programs("ffmpeg", f'case "$*" in *decoders*) {real} "$@" | grep -v -e amr -e vorbis;; *) exec {real} "$@";; esac')
    assert gather.ffmpeg() == Ffmpeg(
        path=str(path), version=gather.ffmpeg().version, lacks=("vorbis", "amrnb", "amrwb")
    )
    programs("ffmpeg", f'case "$*" in *known_clip*) echo "Invalid data" >&2; exit 1;; *) exec {real} "$@";; esac')
    assert "does not decode the known clip (Invalid data)" in (gather.ffmpeg().problem or "")


def test_every_byte_of_the_weights_is_read(models_root: Path, tmp_path: Path) -> None:
    assert gather.bad_weights(config(models_root, tmp_path, model="tiny.en")) == ()
    (missing,) = gather.bad_weights(config(models_root, tmp_path, model="small"))
    assert "model small is not prepared; run: " in missing


def test_folders_that_are_not_there_yet(models_root: Path, tmp_path: Path) -> None:
    found = gather.folders(config(models_root, tmp_path))
    assert [folder.option for folder in found] == ["results", "cache"]
    assert all(folder.writable and folder.free_gb > 0 for folder in found)
    assert not (tmp_path / "results").exists()
    off = config(models_root, tmp_path, cache={"mode": "off"}, results="/proc/no/where")
    (results,) = gather.folders(off)
    assert results.option == "results"


def test_a_child_that_hangs_crashes_or_ends_is_told_apart() -> None:
    with pytest.raises(ChildFailed, match="no answer within 1 s"):
        in_child(time.sleep, 3600, seconds=1)
    assert not multiprocessing.active_children(), "and it is ended"
    with pytest.raises(ChildFailed, match=r"crashed \(SIGABRT\)"):
        in_child(os.abort, seconds=PATIENCE)
    with pytest.raises(ChildFailed, match=r"ended without an answer \(exit code 3\)"):
        in_child(os._exit, 3, seconds=PATIENCE)
    with pytest.raises(ChildFailed, match="FileNotFoundError: "):
        in_child(os.listdir, "/no/such/folder", seconds=PATIENCE)
    assert in_child(json.loads, '{"a": [1]}', seconds=PATIENCE) == {"a": [1]}


def test_what_a_library_prints_does_not_disturb() -> None:
    assert in_child(print, "hello", seconds=PATIENCE) is None
    assert in_child(probes.modules, ["this"], seconds=PATIENCE) == {}  # prints a poem when it is imported


def test_the_command_prints_the_verdict_first(models_root: Path, tmp_path: Path) -> None:
    env = os.environ | {"SNAKESCRIBE_MODELS": str(models_root), "STT_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "snakescribe.cli", "doctor", "--config", "model=tiny.en", f"results={tmp_path}"]
    said = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 6, said.stderr
    first, *rest = said.stdout.splitlines()
    assert first.startswith("not ready: ") and "STT_DEVICE=cpu" in first
    assert any(line.startswith("device") and " bad " in line for line in rest)
    env["STT_DEVICE"] = "cpu"
    said = subprocess.run([*command, "--json"], env=env, cwd=tmp_path, capture_output=True, text=True)
    answer = json.loads(said.stdout)
    assert said.returncode == answer["exit_code"] == 0 and answer["line"].startswith("ready")
    assert known_clip.matches(answer["facts"]["hearing"]["text"])
    env["STT_DEVICE"] = "gpu"
    refused = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2 and "STT_DEVICE: should be" in refused.stderr
