"""`snakescribe bench`, with the real engines on real speech."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from snakescribe import devices
from snakescribe.cli import main
from snakescribe.config import load_config
from snakescribe.config.load import read_options
from snakescribe.doctor.quick import check_backend
from snakescribe.engine.load import load_backend
from snakescribe.errors import DeviceError
from snakescribe.models import Store


def test_it_measures_what_works_here_and_its_recommendation_is_a_configuration(
    models_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "녹음"
    folder.mkdir()
    shutil.copy2(models_root / "samples/beckett.wav", folder / "가.wav")
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    written = tmp_path / "fast.yaml"
    options = ["model=tiny.en", f"models={models_root}", "engine=ctranslate2"]
    asked = ["bench", "--recordings", str(folder), "--device", "cpu", "--seconds", "6", "--cores", "1"]
    assert main([*asked, "--write", str(written), "--config", *options]) == 0
    said = capfd.readouterr()
    rows = re.findall(r"^ctranslate2 (\w+) +(\d+) +([\d.]+) +(\d+) +(\d+)$", said.out, re.MULTILINE)
    assert {row[0] for row in rows} == {"int8_float32", "float32"}
    assert len({row[1] for row in rows}) == 3, "half and twice the rows of the fastest"
    assert all(float(row[2]) > 0.1 and int(row[3]) > 0 and int(row[4]) > 100 for row in rows)
    assert "float16 needs CUDA" in said.err, "why a candidate is missing"
    fastest = max(rows, key=lambda row: float(row[2]))
    config = load_config(read_options(written), tmp_path)
    as_fast = {int(row[1]) for row in rows if row[2] == fastest[2]}
    assert config.engine == "ctranslate2" and config.decoding.rows in as_fast
    assert config.compute_type in ("int8_float32", "float32")


def test_a_folder_without_speech_to_measure_with(
    models_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    assert main(["bench", "--recordings", str(tmp_path), "--config", f"models={models_root}"]) == 3
    assert "can be decoded" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("features", "engine", "compute_type"),
    [
        ({"avx2", "avx512_vnni", "avx512_bf16"}, "openvino", "int8_bfloat16"),
        ({"avx2", "avx512_vnni"}, "openvino", "int8_float32"),
        ({"avx2"}, "torch_whisper", "int8_float32"),
        ({"sse4_2"}, "ctranslate2", "int8_float32"),
    ],
)
def test_auto_goes_by_what_the_processor_has(
    features: set[str], engine: str, compute_type: str, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cpu_features", lambda: frozenset(features))
    config = load_config({"model": "tiny.en", "models": str(models_root), "device": "cpu"}, Path.cwd())
    prepared = Store(models_root).resolve("tiny.en")
    backend = load_backend(config, prepared, 1)
    assert (backend.name, backend.hardware.compute_type) == (engine, compute_type)
    check_backend(backend, prepared)


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ({"compute_type": "int8"}, ("openvino", "int8_bfloat16")),
        ({"compute_type": "int8_float32"}, ("openvino", "int8_float32")),
        ({"compute_type": "float32"}, ("torch_whisper", "float32")),
        ({"compute_type": "bfloat16"}, ("torch_whisper", "bfloat16")),
        ({"engine": "ctranslate2", "compute_type": "int8"}, ("ctranslate2", "int8_float32")),
        ({"engine": "openvino", "compute_type": "int8"}, ("openvino", "int8_bfloat16")),
    ],
)
def test_the_precision_that_is_asked_for_is_what_it_computes_in(
    options: dict[str, str], used: tuple[str, str], models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cpu_features", lambda: frozenset({"avx2", "avx512_vnni", "avx512_bf16"}))
    config = load_config({"model": "tiny.en", "models": str(models_root), "device": "cpu"} | options, Path.cwd())
    hardware = (backend := load_backend(config, Store(models_root).resolve("tiny.en"), 1)).hardware
    assert (backend.name, hardware.compute_type) == used


def test_a_precision_that_the_processor_lacks_is_an_error(models_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_features", lambda: frozenset({"avx2", "avx512_vnni"}))
    options = {"model": "tiny.en", "models": str(models_root), "device": "cpu", "engine": "openvino"}
    config = load_config(options | {"compute_type": "int8_bfloat16"}, Path.cwd())
    with pytest.raises(DeviceError, match=r"openvino has no int8_bfloat16 on .*one of int8_float32"):
        load_backend(config, Store(models_root).resolve("tiny.en"), 1)
