"""The cheap form: it costs nothing, and what it refuses has the doctor's sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from doctor_facts import CPU_TORCH, CU121, RTX_3090, machine
from engine_run import Engine, Watched

from snakescribe.config import Config, load_config
from snakescribe.doctor import gather, quick
from snakescribe.doctor.facts import Container, Nvidia, Torch
from snakescribe.doctor.quick import check_backend, quick_check
from snakescribe.engine.backend import Bucket, Encoded, Hypothesis
from snakescribe.errors import DeviceError, InstallationError, ModelError
from snakescribe.models.store import Store
from snakescribe.models.unchanged import NOTE, check_unchanged


@pytest.fixture
def store(models_root: Path, tmp_path: Path) -> Store:
    """``tiny.en`` alone, to be damaged."""
    root = tmp_path / "models"
    shutil.copytree(models_root / "tiny.en", root / "tiny.en", ignore=shutil.ignore_patterns(NOTE))
    shutil.copyfile(models_root / "silero_vad.onnx", root / "silero_vad.onnx")
    return Store(root)


def config(store: Store, **options: Any) -> Config:
    cache = {"path": str(store.root.parent / "cache")}
    values = {"model": "tiny.en", "models": str(store.root), "cache": cache, "device": "cpu"}
    return load_config(values | options, store.root, {})


def read_by(do: Callable[[], None]) -> int:
    """Bytes that this process read from files meanwhile."""

    def so_far() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = so_far()
    do()
    return so_far() - before


def flip(path: Path) -> None:
    """One byte in the middle becomes another; the size stays."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def test_weights_are_hashed_once(store: Store) -> None:
    spare = store.root.parent / "spare"
    files = len(store.entry("tiny.en").files)
    assert check_unchanged(store, "tiny.en", spare) == files
    assert check_unchanged(store, "tiny.en", spare) == 0
    touched = store.root / "tiny.en/ctranslate2/model.bin"
    os.utime(touched, (1, 1))
    assert check_unchanged(store, "tiny.en", spare) == 1
    assert check_unchanged(store, "tiny.en", spare) == 0
    assert not spare.exists()


@pytest.mark.parametrize("file", ["ctranslate2/model.bin", "openvino/decoder.bin"])
def test_a_damaged_file_is_refused_each_time(store: Store, file: str) -> None:
    quick_check(config(store))
    flip(store.root / "tiny.en" / file)
    for _ in range(2):
        with pytest.raises(ModelError, match=rf"{file}: damaged: expected sha256 .*; run: .*models fetch tiny.en"):
            quick_check(config(store))


def test_damaged_voice_activity_is_refused(store: Store) -> None:
    flip(store.root / "silero_vad.onnx")
    with pytest.raises(ModelError, match=r"silero_vad.onnx: damaged: .*; run: .*models fetch silero"):
        quick_check(config(store))


def test_a_note_that_is_damaged_or_of_other_sums_counts_for_nothing(store: Store) -> None:
    spare = store.root.parent / "spare"
    check_unchanged(store, "tiny.en", spare)
    note = store.root / "tiny.en" / NOTE
    note.write_text(note.read_text().replace(store.entry("tiny.en").files["ctranslate2/model.bin"].sha256, "0" * 64))
    assert check_unchanged(store, "tiny.en", spare) == 1
    note.write_bytes(b"{")
    assert check_unchanged(store, "tiny.en", spare) == len(store.entry("tiny.en").files)


def test_a_store_that_is_read_only_is_noted_in_the_cache(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from snakescribe.models import unchanged

    spare, real = store.root.parent / "spare", unchanged.write_atomically

    def refuse(path: Path, data: bytes) -> None:  # root may write everywhere
        if path.is_relative_to(store.root):
            raise OSError(30, "Read-only file system")
        real(path, data)

    monkeypatch.setattr(unchanged, "write_atomically", refuse)
    assert check_unchanged(store, "tiny.en", spare) > 0
    assert check_unchanged(store, "tiny.en", spare) == 0
    assert len(list(spare.iterdir())) == 1 and not (store.root / "tiny.en" / NOTE).exists()


def test_it_is_cheap_on_the_cpu_and_loads_no_torch(store: Store) -> None:
    weights = (store.resolve("tiny.en").ctranslate2 / "model.bin").stat().st_size
    assert read_by(lambda: quick_check(config(store))) > weights
    assert read_by(lambda: quick_check(config(store))) < weights / 10
    code = "import sys; from snakescribe.doctor import quick; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def old_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The story: CUDA 12.1 on driver 470, in a container."""
    _pretend(monkeypatch, machine("470.199.02", RTX_3090), Torch(version="2.5.1+cu121", cuda="12.1", archs=CU121))


def _pretend(monkeypatch: pytest.MonkeyPatch, nvidia: Nvidia, build: Torch) -> None:
    monkeypatch.setattr(quick, "TRACES", (Path("/"),))
    monkeypatch.setattr(gather, "nvidia", lambda: nvidia)
    monkeypatch.setattr(gather, "container", lambda environ: Container(kind="docker"))
    monkeypatch.setattr(quick, "_torch_build", lambda: build)


@pytest.mark.usefixtures("old_driver")
def test_an_old_driver_ends_the_job(store: Store) -> None:
    with pytest.raises(DeviceError, match=r"supports up to CUDA 11.4, this image .* use the variant cu117 or cu118"):
        quick_check(config(store, device="cuda"))


@pytest.mark.usefixtures("old_driver")
def test_an_old_driver_is_told_under_auto_and_ignored_under_cpu(store: Store) -> None:
    said: list[str] = []
    quick_check(config(store, device="auto"), said.append)
    assert len(said) == 1 and said[0].startswith("device: auto takes the CPU: NVIDIA driver 470.199.02")
    quick_check(config(store, device="cpu"), said.append)
    assert len(said) == 1


def test_cuda_without_any_gpu(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, Nvidia(problem="NVMLError_LibraryNotFound"), CPU_TORCH)
    with pytest.raises(DeviceError, match="this container sees no NVIDIA GPU and no driver"):
        quick_check(config(store, device="cuda"))
    said: list[str] = []
    quick_check(config(store, device="auto"), said.append)
    assert said == []


class Deaf(Watched):
    """A real backend whose answers are spoilt on the way, as a broken GPU spoils them without an error."""

    def __init__(self, engine: Engine, **spoilt: Any) -> None:
        super().__init__(engine.backend)
        self.spoilt = spoilt

    def decode(self, bucket: Bucket) -> list[Hypothesis]:
        return [replace(hypothesis, **self.spoilt) for hypothesis in super().decode(bucket)]


class Broken(Watched):
    """A real backend whose encoder fails."""

    def encode(self, log_mels: Sequence[torch.Tensor]) -> Encoded:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with …")


@pytest.fixture(scope="module")
def engine(models_root: Path) -> Engine:
    return Engine(models_root, model="tiny.en", engine="ctranslate2", device="cpu")


@pytest.mark.parametrize("name", ["openvino", "ctranslate2", "torch_whisper"])
@pytest.mark.parametrize("model", ["base", "tiny.en"])
def test_every_backend_proves_itself(models_root: Path, name: str, model: str) -> None:
    loaded = Engine(models_root, model=model, engine=name, device="cpu")
    watched = Watched(loaded.backend)
    check_backend(watched, loaded.prepared)
    assert len(watched.encoded) == 1 and len(watched.hypotheses[0].tokens) > 0


def test_a_backend_that_hears_nothing(engine: Engine) -> None:
    with pytest.raises(
        InstallationError, match=r"ctranslate2 on .* hears nothing in a clear sentence, without an error"
    ):
        check_backend(Deaf(engine, tokens=()), engine.prepared)


def test_a_backend_that_computes_no_numbers(engine: Engine) -> None:
    with pytest.raises(InstallationError, match="computes no numbers in a clear sentence"):
        check_backend(Deaf(engine, mean_logprob=float("nan")), engine.prepared)


def test_a_backend_that_fails(engine: Engine) -> None:
    with pytest.raises(InstallationError, match=r"fails on a clear sentence \(CUDA error: no kernel image .* Compile"):
        check_backend(Broken(engine.backend), engine.prepared)


def test_on_a_gpu_it_is_the_devices_fault(engine: Engine) -> None:
    on_gpu = Deaf(engine, tokens=())
    on_gpu.hardware = replace(engine.backend.hardware, device="cuda", device_name="NVIDIA A100")
    with pytest.raises(DeviceError, match="ctranslate2 on NVIDIA A100 hears nothing"):
        check_backend(on_gpu, engine.prepared)


def test_what_torch_is_built_for() -> None:
    build = quick._torch_build()
    assert build.version == torch.__version__ and build.cuda == torch.version.cuda
    assert bool(build.archs) == bool(build.cuda)
