"""What is not about GPUs: packages, ffmpeg, weights, disk and the known clip, with the exit code of the worst."""

from __future__ import annotations

from typing import Any

import pytest
from doctor_facts import RTX_3090, VARIANTS, facts, heard, machine, torch_of

from snakescribe.doctor.diagnose import Diagnosis, diagnose
from snakescribe.doctor.facts import Container, ContainerTool, Facts, Ffmpeg, Folder, Nvidia, Package
from snakescribe.errors import EXIT_CODES

MULTIPART = Package(name="python-multipart", installed=None, declared=">=0.0.9")


def verdict(**changes: Any) -> Diagnosis:
    return diagnose(facts(**changes), VARIANTS)


def test_all_is_well() -> None:
    found = verdict()
    assert found.line == "ready: base hears it right on some processor (ctranslate2, int8_float32) in 0.5 s"
    assert found.exit_code == 0
    assert {check.state for check in found.checks} == {"ok"}


def test_a_package_that_nobody_imports_at_the_start() -> None:
    found = verdict(packages=(MULTIPART,))
    assert (
        found.line
        == "not ready: python-multipart is missing: mend the image with its wheel (`snakescribe image patch`)"
    )
    assert found.exit_code == 8 and 8 in EXIT_CODES
    bare = verdict(packages=(MULTIPART,), container=Container())
    assert bare.line.endswith("is missing: run `make setup`, or install it with pip")


def test_a_package_that_is_there_but_broken() -> None:
    broken = Package(name="av", installed="18.1", declared=">=14", broken="ImportError: libavcodec.so.62: not found")
    assert "av cannot be imported (ImportError: libavcodec.so.62: not found)" in verdict(packages=(broken,)).line


def test_an_engine_may_be_left_out_unless_it_is_asked_for() -> None:
    without = (Package(name="ctranslate2", installed=None, declared=">=4.8"),)
    assert verdict(packages=without).exit_code == 0
    assert "ctranslate2 is missing" in verdict(packages=without, engine="ctranslate2").line


def test_other_versions_are_told_but_the_clip_decides() -> None:
    old = Package(name="torch", installed="2.5.1+cu121", declared=">=2.7", suits=False)
    assert (
        "ready, but versions that were never tried: torch 2.5.1+cu121 (wanted >=2.7)" in verdict(packages=(old,)).line
    )
    drifted = Package(name="rich", installed="14.0.0", locked="15.0.0")
    found = verdict(packages=(drifted,))
    assert "ready, but rich 14.0.0 (locked 15.0.0) is another version than the lock says" in found.line
    assert found.exit_code == 0


@pytest.mark.parametrize("torch", ["2.13.0+cpu", "2.13.0", "2.7.1+cu118"])
def test_the_torch_of_a_variant_is_as_good_as_the_locked_one(torch: str) -> None:
    package = Package(name="torch", installed=torch, declared=">=2.7", locked="2.13.0")
    assert verdict(packages=(package,)).line.startswith("ready: ")


def test_an_old_python() -> None:
    found = verdict(python="3.10.4")
    assert found.line == "not ready: Python 3.10.4 is too old: install one that is >=3.11" and found.exit_code == 8


def test_ffmpeg() -> None:
    assert verdict(ffmpeg=Ffmpeg(path=None)).exit_code == 8
    lame = verdict(ffmpeg=Ffmpeg(path="/f", version="7", lacks=("mp3", "amrnb")))
    assert lame.exit_code == 8 and "was built without mp3: install another one" in lame.line
    rare = verdict(ffmpeg=Ffmpeg(path="/f", version="7", lacks=("amrnb",)))
    assert rare.exit_code == 0 and "ready, but ffmpeg 7 (/f) was built without amrnb" in rare.line


def test_damaged_weights() -> None:
    damaged = "/m/base/ctranslate2/model.bin: damaged: expected sha256 aa, found bb; run: fetch"
    found = verdict(weights=(damaged,), hearing=None)
    assert found.line == f"not ready: {damaged}"
    assert found.exit_code == 5


def test_disk() -> None:
    def on(free: float, writable: bool = True) -> Diagnosis:
        return verdict(folders=(Folder(option="results", path="/r", free_gb=free, writable=writable),))

    assert on(0.05).exit_code == 4 and "hardly any room is left for results (/r): 0.05 GB" in on(0.05).line
    assert on(0.5).exit_code == 0 and on(0.5).line.startswith("ready, but hardly any room")
    assert on(50, writable=False).exit_code == 4 and "no permission to write results (/r)" in on(50, False).line


def test_container_tools_are_told_and_never_the_fault() -> None:
    known = {"version": "20.10.24", "builder": "its own", "storage": "/var/lib/docker", "free_gb": 39.0, "cgroup": 1}
    down = ContainerTool(name="docker", problem="docker does not work here: its service is not running")
    for tool, has_gpu, said in (
        (
            ContainerTool.model_validate({"name": "docker"} | known),
            False,
            "20.10.24 with root, builder its own, cgroup v1, 39 GB free in",
        ),
        (
            ContainerTool.model_validate({"name": "docker"} | known),
            True,
            "no GPUs in containers: install the NVIDIA Container Toolkit",
        ),
        (down, False, "its service is not running"),
    ):
        nvidia = machine("535.54.03", RTX_3090) if has_gpu else Nvidia()
        verdict = diagnose(facts(device="cpu", nvidia=nvidia, container_tools=[tool]), VARIANTS)
        (check,) = [check for check in verdict.checks if check.name == "docker"]
        assert verdict.exit_code == 0 and check.state == "ok" and said in check.says


def test_the_cause_comes_before_its_effects() -> None:
    found = verdict(
        packages=(MULTIPART,),
        ffmpeg=Ffmpeg(path=None),
        weights=("damaged",),
        hearing=heard(None, problem="no module"),
    )
    assert found.line.startswith("not ready: python-multipart is missing") and found.exit_code == 8
    assert [check.state for check in found.checks].count("bad") == 4


def test_an_unused_gpu_is_told_before_anything_slight() -> None:
    drifted = Package(name="rich", installed="14.0.0", locked="15.0.0")
    found = verdict(packages=(drifted,), nvidia=machine("550.54.14", RTX_3090))
    assert found.line.startswith("ready, but device: auto takes the CPU: NVIDIA GeForce RTX 3090")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 8, "hears nothing in a clear sentence, without an error: try another engine"),
        ("!!!", 8, "hears nothing in a clear sentence"),
        ("Thank you for watching.", 5, "hears 'Thank you for watching.' instead of"),
        ("She opened the window and looked at the old dream in the garden.", 0, "a slip that a small model may make"),
    ],
)
def test_what_the_cpu_hears(text: str, code: int, said: str) -> None:
    found = verdict(hearing=heard(text))
    assert found.exit_code == code and said in found.line


def test_wrong_text_from_a_gpu_is_the_devices_fault() -> None:
    well = {"nvidia": machine("550.54.14", RTX_3090), "torch": torch_of("cu126", gpus=1)}
    assert verdict(hearing=heard("Thank you.", device="cuda"), **well).exit_code == 6
    crashed = heard(None, device="", problem="crashed (SIGSEGV)")
    assert verdict(hearing=crashed, **well).exit_code == 6
    assert verdict(hearing=crashed).exit_code == 8


def test_a_failure_of_our_own_keeps_its_class() -> None:
    found = verdict(hearing=heard(None, problem="base has no openvino form; run x", error="ModelError"))
    assert found.exit_code == 5
    assert (
        found.line == "not ready: the known clip could not be transcribed with base: base has no openvino form; run x"
    )


def test_verdicts_are_one_line_each() -> None:
    for check in verdict(ffmpeg=Ffmpeg(path=None), weights=("a",), hearing=heard("")).checks:
        assert "\n" not in check.says and check.says


def test_facts_survive_json() -> None:
    there = facts(nvidia=machine("550.54.14", RTX_3090), packages=(MULTIPART,))
    assert Facts.model_validate_json(there.model_dump_json()) == there
