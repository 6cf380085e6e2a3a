"""`snakescribe bench`, with the real engines on real speech."""

from __future__ import annotations

import re
import shutil
import wave
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
from snakescribe.speed import Trial, fastest


def test_it_measures_what_works_here_and_its_recommendation_is_a_configuration(
    models_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "녹음"
    folder.mkdir()
    for number in range(16):
        shutil.copy2(models_root / "samples/beckett.wav", folder / f"가 {number}.wav")
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    written = tmp_path / "fast.yaml"
    options = ["model=tiny.en", f"models={models_root}", "engine=ctranslate2"]
    asked = ["bench", "--recordings", str(folder), "--device", "cpu", "--seconds", "160", "--cores", "1"]
    assert main([*asked, "--write", str(written), "--config", *options]) == 0
    said = capfd.readouterr().out
    rows = re.findall(r"^ctranslate2 (\w+) +(\d+) +([\d.]+) +(\d+) +(\d+)$", said, re.MULTILINE)
    assert {row[0] for row in rows} == {"int8_float32", "float32"}
    assert {row[1] for row in rows} == {"10", "5"}, "half the rows of the fastest; there is no audio for twice as many"
    assert all(float(row[2]) > 0.1 and int(row[3]) > 0 and int(row[4]) > 100 for row in rows)
    assert re.search("not here: .*float16 needs CUDA", said), "why a candidate is missing"
    config = load_config(read_options(written), tmp_path)
    assert config.engine == "ctranslate2" and config.decoding.rows in (None, 5)
    assert config.compute_type in ("int8_float32", "float32") and f"--configfile {written}" in said


def trial(engine: str, speed: float, cores: float, rows: int = 5, usual_rows: bool = True) -> Trial:
    """Of 100 s of audio."""
    wall = {"wall_seconds": 100 / speed, "core_seconds": cores, "audio_seconds": 100.0, "speech_seconds": 90.0}
    return Trial(engine=engine, compute_type="x", rows=rows, usual_rows=usual_rows, threads=2, peak_mb=900, **wall)


def test_noise_does_not_choose() -> None:
    """The figures are a newcomer's and a breaker's: loads of the machine, told apart by core-seconds."""
    slow, quick, other = trial("a", 17.1, 16.3), trial("a", 20.5, 16.2), trial("b", 20.7, 19.0)
    assert fastest([quick, slow, other]) == fastest([other, slow, quick]) == [quick, other]
    rows = trial("a", 21.3, 15.9, rows=2, usual_rows=False)
    assert fastest([quick, slow, rows])[0] == quick, "4 % are no reason for other rows"
    assert fastest([slow, other])[0] == other


def test_a_folder_without_speech_to_measure_with(
    models_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    asked = ["bench", "--recordings", str(tmp_path), "--config", f"models={models_root}"]
    assert main(asked) == 3
    assert "can be decoded" in capfd.readouterr().err
    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16000 * 12))
    assert main([*asked, "model=tiny.en", "engine=ctranslate2"]) == 3
    assert "only 0 s of speech in 12 s of recordings; give some in which people speak" in capfd.readouterr().err
    assert main([*asked, "--write", str(tmp_path)]) == 2
    assert "give a file in a folder that is there" in capfd.readouterr().err


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
