"""Drivers, cards and builds that do not go together: one sentence each, with the variant that fits."""

from __future__ import annotations

import pytest
from doctor_facts import (
    A100,
    CPU_TORCH,
    CU121,
    H100,
    K80,
    L4,
    M60,
    P100,
    RTX_3090,
    RTX_5090,
    VARIANTS,
    facts,
    heard,
    machine,
    torch_of,
)

from snakescribe.doctor.cuda import Variants
from snakescribe.doctor.diagnose import Diagnosis, diagnose
from snakescribe.doctor.facts import Container, CTranslate2, Gpu, Nvidia, Torch


def verdict(nvidia: Nvidia, torch: Torch, device: str = "cuda", **changes: object) -> Diagnosis:
    """The doctor's answer; where CUDA cannot be had, the clip is not heard either."""
    hearing = heard(None, problem="no CUDA", error="DeviceError") if device == "cuda" else heard()
    return diagnose(facts(nvidia=nvidia, torch=torch, device=device, **{"hearing": hearing} | changes), VARIANTS)


def test_the_story_this_project_comes_from() -> None:
    old = verdict(machine("470.199.02", RTX_3090), Torch(version="2.5.1+cu121", cuda="12.1", archs=CU121))
    assert old.line == (
        "not ready: NVIDIA driver 470.199.02 supports up to CUDA 11.4, this image (torch 2.5.1+cu121, CUDA 12.1) needs "
        "525.60.13 or newer: use the variant cu117 or cu118, update the driver to 525.60.13 or newer, or set "
        "STT_DEVICE=cpu"
    )
    assert old.exit_code == 6 and old.variants == ("cu117", "cu118")


def test_auto_does_not_hide_the_story() -> None:
    torch = Torch(version="2.5.1+cu121", cuda="12.1", archs=CU121)
    old = verdict(machine("470.199.02", RTX_3090), torch, device="auto")
    assert old.line.startswith(
        "ready, but device: auto takes the CPU: NVIDIA driver 470.199.02 supports up to CUDA 11.4, this image"
    )
    assert "use the variant cu117 or cu118" in old.line and old.exit_code == 0


def test_with_the_cpu_asked_for_the_driver_does_not_matter() -> None:
    torch = Torch(version="2.5.1+cu121", cuda="12.1", archs=CU121)
    assert verdict(machine("470.199.02", RTX_3090), torch, device="cpu").line.startswith("ready: base hears it right")


@pytest.mark.parametrize(
    ("variant", "too_old", "enough"),
    [
        ("cu117", ["440.33.01"], ["450.80.02", "470.199.02", "515.65.01", "525.60.13", "550.54.14", "580.65.06"]),
        ("cu118", ["440.33.01"], ["450.80.02", "470.199.02", "515.65.01", "525.60.13", "550.54.14", "580.65.06"]),
        ("cu126", ["440.33.01", "470.199.02", "515.65.01"], ["525.60.13", "550.54.14", "580.65.06"]),
        ("cu130", ["440.33.01", "470.199.02", "515.65.01", "525.60.13", "550.54.14", "575.51.03"], ["580.65.06"]),
    ],
)
def test_which_driver_runs_which_image(variant: str, too_old: list[str], enough: list[str]) -> None:
    for driver in too_old:
        found = verdict(machine(driver, RTX_3090), torch_of(variant))
        assert found.exit_code == 6 and variant not in found.variants
        assert f"driver {driver} supports up to CUDA" in found.line
    for driver in enough:
        found = verdict(machine(driver, RTX_3090), torch_of(variant, gpus=1), hearing=heard(device="cuda"))
        assert found.exit_code == 0 and variant in found.variants, found.line


@pytest.mark.parametrize(
    "driver", ["450.80.02", "460.91.03", "470.256.02", "495.46", "510.108.03", "515.65.01", "520.61.05"]
)
@pytest.mark.parametrize(
    ("gpu", "fits"),
    [
        (RTX_3090, "use the variant cu117 or cu118"),
        (A100, "use the variant cu117 or cu118"),
        (P100, "use the variant cu117 or cu118"),
        (K80, "use the variant cu117"),
        (L4, "use the variant cu117 or cu118"),  # it runs the code of 8.6
        (H100, "use the variant cu118"),  # of which cu117 has none
        (RTX_5090, "no variant fits this card"),
    ],
)
def test_drivers_before_525(driver: str, gpu: Gpu, fits: str) -> None:
    found = verdict(machine(driver, gpu), torch_of("cu117") if gpu in (H100, RTX_5090) else torch_of("cu126"))
    assert found.exit_code == 6 and f"{fits}, " in found.line.replace(" with this driver: update the driver", ""), (
        found.line
    )


def test_no_variant_is_named_for_a_driver_that_is_too_old_for_all() -> None:
    line = verdict(machine("440.33.01", RTX_3090), torch_of("cu118")).line
    assert "needs 450.80.02 or newer: update the driver to 450.80.02 or newer, or set STT_DEVICE=cpu" in line


def test_a_new_image_on_driver_525() -> None:
    found = verdict(machine("525.60.13", RTX_3090), torch_of("cu130"))
    assert "supports up to CUDA 12.0" in found.line and "needs 580 or newer" in found.line
    assert (
        "use the variant cu126 or cu117 or cu118, update the driver to 580 or newer, or set STT_DEVICE=cpu"
        in found.line
    )


@pytest.mark.parametrize(("gpu", "named"), [(A100, True), (H100, True), (RTX_3090, False)])
def test_forward_compatibility_is_for_data_centre_cards(gpu: Gpu, named: bool) -> None:
    line = verdict(machine("550.54.14", gpu), torch_of("cu130")).line
    assert ("install cuda-compat-13-0 in the image" in line) is named


def test_a_forward_compatibility_package_that_is_there_counts() -> None:
    there = Nvidia(driver="550.54.14", cuda="13.0", gpus=(A100,), device_files=1)
    assert verdict(there, torch_of("cu130", gpus=1), hearing=heard(device="cuda")).exit_code == 0


@pytest.mark.parametrize(("gpu", "fits"), [(P100, "cu126 or cu117 or cu118"), (M60, "cu126 or cu117 or cu118")])
def test_old_cards_that_a_wheel_has_dropped(gpu: Gpu, fits: str) -> None:
    line = verdict(machine("580.65.06", gpu), torch_of("cu130")).line
    assert line.startswith(
        f"not ready: {gpu.name} (compute capability {gpu.capability}) is not supported by torch 2.13.0 (CUDA 13.0, "
        "built for compute capability 7.5 to 12.0)"
    )
    assert f"use the variant {fits}, or set STT_DEVICE=cpu" in line


def test_a_new_card_with_an_old_wheel() -> None:
    assert "use the variant cu130" in verdict(machine("580.65.06", RTX_5090), torch_of("cu126")).line
    line = verdict(machine("570.124.06", RTX_5090), torch_of("cu126")).line
    assert "no variant fits this card with this driver: update the driver" in line


def test_ptx_that_the_driver_cannot_translate() -> None:
    torch = Torch(version="2.9.0", cuda="12.8", archs=("sm_80", "compute_90"))
    assert "has only PTX of CUDA 12.8 for NVIDIA H100" in verdict(machine("550.54.14", H100), torch).line
    assert verdict(machine("570.124.06", H100), torch, hearing=heard(device="cuda")).exit_code == 0


def test_a_cpu_build_beside_a_gpu() -> None:
    found = verdict(machine("550.54.14", RTX_3090), CPU_TORCH)
    assert found.exit_code == 6
    assert found.line == (
        "not ready: NVIDIA GeForce RTX 3090 (driver 550.54.14) is there, but torch 2.13.0+cpu in this image is built "
        "for the CPU only: use the variant cu126 or cu117 or cu118, or set STT_DEVICE=cpu"
    )
    hidden = verdict(machine("550.54.14", RTX_3090), CPU_TORCH, device="auto")
    assert hidden.exit_code == 0 and "ready, but device: auto takes the CPU: NVIDIA GeForce RTX 3090" in hidden.line


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (Container(kind="docker"), "start it with docker run --gpus all, or set STT_DEVICE=cpu"),
        (Container(kind="docker", nvidia_visible="void"), "(NVIDIA_VISIBLE_DEVICES is 'void'): start it with docker"),
        (Container(kind="podman"), "start it with podman run --device nvidia.com/gpu=all"),
        (Container(kind="apptainer"), "start it with apptainer exec --nv"),
    ],
)
def test_a_container_without_the_gpus_of_its_host(container: Container, said: str) -> None:
    kernel = Nvidia(driver="550.54.14", problem="NVMLError_LibraryNotFound: NVML Shared Library Not Found")
    found = verdict(kernel, torch_of("cu126"), container=container)
    assert "the host has NVIDIA driver 550.54.14, but this container was started without its GPUs" in found.line
    assert said in found.line and found.exit_code == 6


def test_no_gpu_at_all() -> None:
    assert "this container sees no NVIDIA GPU and no driver: start it with docker" in verdict(Nvidia(), CPU_TORCH).line
    bare = verdict(Nvidia(), CPU_TORCH, container=Container())
    assert "this machine has no NVIDIA GPU and no driver: install NVIDIA's driver" in bare.line
    assert bare.exit_code == 6
    auto = verdict(Nvidia(), CPU_TORCH, device="auto")
    assert auto.exit_code == 0 and auto.line.startswith("ready: base hears it right on some processor")


def test_a_driver_that_was_updated_under_the_machine() -> None:
    mismatch = "NVMLError_LibRmVersionMismatch: Driver/library version mismatch"
    nvidia = Nvidia(driver="550.54.14", device_files=1, problem=mismatch)
    assert "restart the machine" in verdict(nvidia, torch_of("cu126")).line
    hanging = Nvidia(driver="550.54.14", device_files=1, problem="no answer within 20 s")
    assert "does not answer (no answer within 20 s): look at nvidia-smi" in verdict(hanging, torch_of("cu126")).line


@pytest.mark.parametrize("value", ["", "-1"])
def test_gpus_that_are_hidden(value: str) -> None:
    container = Container(cuda_visible=value)
    line = verdict(machine("550.54.14", RTX_3090), torch_of("cu126"), container=container).line
    assert f"CUDA_VISIBLE_DEVICES={value!r} hides NVIDIA GeForce RTX 3090: unset it" in line


def test_what_torch_says_when_nothing_else_explains_it() -> None:
    torch = torch_of("cu126", problem="CUDA error: out of memory")
    line = verdict(machine("550.54.14", RTX_3090), torch).line
    assert "cannot use NVIDIA GeForce RTX 3090 (driver 550.54.14): CUDA error: out of memory" in line


@pytest.mark.parametrize(
    ("driver", "gpu", "said"),
    [
        ("550.54.14", H100, "only PTX of CUDA 12.8 for NVIDIA H100 80GB HBM3 (compute capability 9.0), which a driver"),
        ("580.65.06", M60, "no code for Tesla M60 (compute capability 5.2)"),
        ("570.124.06", H100, None),
        ("550.54.14", RTX_3090, None),
    ],
)
def test_a_card_that_ctranslate2_has_no_code_for(driver: str, gpu: Gpu, said: str | None) -> None:
    ct2 = CTranslate2(version="4.8.5", gpus=1, has_cublas=True)
    well = heard(device="cuda")
    found = verdict(machine(driver, gpu), torch_of("cu126", gpus=1), ctranslate2=ct2, hearing=well)
    if said is None:
        assert found.exit_code == 0, found.line
    else:
        assert found.exit_code == 6 and said in found.line and "set engine: torch_whisper" in found.line
        other = verdict(
            machine(driver, gpu), torch_of("cu126", gpus=1), ctranslate2=ct2, hearing=well, engine="torch_whisper"
        )
        assert other.exit_code == 0


def test_a_cublas_that_torch_does_not_bring() -> None:
    """`auto` takes the other engine, so only who asks for this one cannot go on."""
    ct2 = CTranslate2(version="4.8.5", gpus=1)
    well = heard(device="cuda", engine="torch_whisper")
    for engine, code in (("auto", 0), ("ctranslate2", 6), ("torch_whisper", 0)):
        here = machine("580.65.06", RTX_3090), torch_of("cu130", gpus=1)
        found = verdict(*here, ctranslate2=ct2, hearing=well, engine=engine)
        told = (
            "CTranslate2 4.8.5 needs libcublas.so.12, which torch for CUDA 13.0 does not bring: set engine: torch_whis"
        )
        assert found.exit_code == code and (told in found.line) == (engine != "torch_whisper")


def test_empty_text_from_a_gpu_names_the_cause() -> None:
    silent = heard("", device="cuda", device_name="NVIDIA A100")
    found = verdict(machine("550.54.14", A100), torch_of("cu126", gpus=1), hearing=silent)
    assert found.exit_code == 6
    assert "NVIDIA A100 (ctranslate2, int8_float32) hears nothing in a clear sentence, without an error" in found.line
    assert "(PTX) is newer than a driver for CUDA 12.4 can translate: update the driver, " in found.line
    assert "use the variant cu117 or cu118, set engine: torch_whisper, or set STT_DEVICE=cpu" in found.line


def test_outside_a_checkout_no_variant_is_named() -> None:
    asked = facts(nvidia=machine("470.199.02", RTX_3090), torch=torch_of("cu126"), device="cuda")
    line = diagnose(asked, Variants()).line
    assert "needs 525.60.13 or newer: update the driver" in line and "variant" not in line
