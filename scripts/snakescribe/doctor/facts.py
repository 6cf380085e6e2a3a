"""What the doctor found, as it is; judging it is the business of :mod:`snakescribe.doctor.diagnose`."""

from __future__ import annotations

from typing import Literal

from snakescribe.records import Frozen


class Container(Frozen):
    """Where we run, as far as GPUs are concerned."""

    kind: Literal["docker", "podman", "apptainer", "kubernetes"] | None = None
    nvidia_visible: str | None = None
    """``NVIDIA_VISIBLE_DEVICES``, by which NVIDIA's container runtime is asked for GPUs."""
    cuda_visible: str | None = None
    """``CUDA_VISIBLE_DEVICES``, by which CUDA itself hides GPUs."""


class Package(Frozen):
    """A distribution that is needed or locked."""

    name: str
    installed: str | None
    declared: str | None = None
    """What pyproject.toml asks for, e.g. ``>=2.7``; None if only the lock names it."""
    suits: bool = True
    """Whether the installed version is a declared one."""
    locked: str | None = None
    """The lock's version."""
    broken: str | None = None
    """What importing it said, if that failed."""


class Ffmpeg(Frozen):
    """The ffmpeg that would be used."""

    path: str | None
    version: str | None = None
    lacks: tuple[str, ...] = ()
    """Decoders, demuxers and filters that it was built without."""
    problem: str | None = None
    """Why it cannot be run, or why it did not decode the known clip."""


class Gpu(Frozen):
    """One GPU."""

    name: str
    capability: str
    """Compute capability, e.g. ``8.6``."""


class Nvidia(Frozen):
    """What the driver says, asked without torch."""

    driver: str | None = None
    """Version of the kernel's driver, e.g. ``470.199.02``."""
    cuda: str | None = None
    """The highest CUDA it supports, as it says itself; None where only its version is known."""
    gpus: tuple[Gpu, ...] = ()
    device_files: int = 0
    """``/dev/nvidia0`` and so on (on WSL ``/dev/dxg``)."""
    problem: str | None = None
    """Why NVML gave no answer."""


class Torch(Frozen):
    """The torch that is installed."""

    version: str | None = None
    cuda: str | None = None
    """Toolkit it was built with; None for a CPU build."""
    archs: tuple[str, ...] = ()
    """Architectures it has code for, as torch names them (``sm_86``)."""
    gpus: int = 0
    """That it can use."""
    problem: str | None = None
    """What it said when a GPU was tried."""


class CTranslate2(Frozen):
    """The CTranslate2 that is installed."""

    version: str | None = None
    gpus: int = 0
    """That it sees."""
    has_cublas: bool = False
    """The cuBLAS that it loads can be loaded."""


class Folder(Frozen):
    """A folder that is written."""

    option: str
    path: str
    free_gb: float
    writable: bool


class ContainerTool(Frozen):
    """podman or docker of this machine."""

    name: str
    problem: str | None = None
    """Why it does not work, and what to do; nothing else is known then."""
    version: str = ""
    builder: str = ""
    storage: str = ""
    """Folder of its images."""
    free_gb: float | None = None
    """There; None when it cannot be asked (docker on another machine)."""
    cgroup: int = 2
    memory_limits: bool = True
    """`--memory` works."""
    rootless: bool = False
    gpus: bool = False
    """It can give GPUs to containers: NVIDIA's toolkit is installed for it."""


class Hearing(Frozen):
    """The known clip, transcribed."""

    text: str | None = None
    engine: str = ""
    device: str = ""
    device_name: str = ""
    compute_type: str = ""
    seconds: float = 0.0
    problem: str | None = None
    error: str | None = None
    """Class of the failure, if it is one of ours."""


class Facts(Frozen):
    """Everything that was looked at."""

    snakescribe: str
    python: str
    python_needed: str = ">=3.11"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """As asked for, ``STT_DEVICE`` applied."""
    engine: str = "auto"
    model: str = "base"
    container: Container = Container()
    packages: tuple[Package, ...] = ()
    ffmpeg: Ffmpeg = Ffmpeg(path=None)
    nvidia: Nvidia = Nvidia()
    torch: Torch = Torch()
    ctranslate2: CTranslate2 = CTranslate2()
    weights: tuple[str, ...] = ()
    """What is wrong with the weights."""
    folders: tuple[Folder, ...] = ()
    container_tools: tuple[ContainerTool, ...] = ()
    hearing: Hearing | None = None
    """None when there was no use in trying."""
