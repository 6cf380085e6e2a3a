"""Machines that the doctor's tests invent: what the probes would have said there."""

from __future__ import annotations

from typing import Any

from snakescribe.doctor.cuda import Variants, driver_cuda, load_variants
from snakescribe.doctor.facts import Container, CTranslate2, Facts, Ffmpeg, Folder, Gpu, Hearing, Nvidia, Package, Torch
from snakescribe.known_clip import TEXT

VARIANTS: Variants = load_variants()
RTX_3090 = Gpu(name="NVIDIA GeForce RTX 3090", capability="8.6")
A100 = Gpu(name="NVIDIA A100-SXM4-80GB", capability="8.0")
H100 = Gpu(name="NVIDIA H100 80GB HBM3", capability="9.0")
P100 = Gpu(name="Tesla P100-PCIE-16GB", capability="6.0")
K80 = Gpu(name="Tesla K80", capability="3.7")
L4 = Gpu(name="NVIDIA L4", capability="8.9")
M60 = Gpu(name="Tesla M60", capability="5.2")
RTX_5090 = Gpu(name="NVIDIA GeForce RTX 5090", capability="12.0")

CU121 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
"""Of torch 2.5 with CUDA 12.1."""
CPU_TORCH = Torch(version="2.13.0+cpu")


def machine(driver: str, *gpus: Gpu) -> Nvidia:
    """A machine with a driver that works."""
    return Nvidia(driver=driver, cuda=driver_cuda(driver), gpus=gpus, device_files=len(gpus))


def torch_of(variant: str, gpus: int = 0, problem: str | None = None) -> Torch:
    """The torch in one of our images."""
    build = VARIANTS.variants[variant]
    archs = [f"sm_{capability.replace('.', '')}" for capability in build.capabilities]
    archs += [f"compute_{build.ptx.replace('.', '')}"] if build.ptx else []
    return Torch(version=build.torch, cuda=build.cuda, archs=tuple(archs), gpus=gpus, problem=problem)


def facts(**changes: Any) -> Facts:
    """A container where all is well on the CPU, but for ``changes``."""
    well = {
        "snakescribe": "0.1.0",
        "python": "3.11.7",
        "device": "auto",
        "container": Container(kind="docker"),
        "packages": (Package(name="torch", installed="2.13.0+cpu", declared=">=2.7", locked="2.13.0"),),
        "ffmpeg": Ffmpeg(path="/usr/bin/ffmpeg", version="5.1.9"),
        "torch": CPU_TORCH,
        "ctranslate2": CTranslate2(version="4.8.5"),
        "folders": (Folder(option="results", path="/r", free_gb=50, writable=True),),
        "hearing": heard(),
    }
    return Facts.model_validate(well | changes)


def heard(text: str | None = TEXT, device: str = "cpu", engine: str = "ctranslate2", **more: Any) -> Hearing:
    """The known clip, transcribed."""
    known = {"device_name": "some processor", "compute_type": "int8_float32", "seconds": 0.5}
    return Hearing.model_validate({"text": text, "device": device, "engine": engine} | known | more)
