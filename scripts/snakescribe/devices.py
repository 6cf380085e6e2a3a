"""Which processor does the work: asked for CUDA means CUDA or a clear error, never a silent CPU run."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from snakescribe.errors import DeviceError

BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Instruction sets that multiply bfloat16: AVX512-BF16, AMX, Arm's BF16."""


@dataclass(frozen=True)
class Device:
    """A processor that is really there."""

    kind: str
    """``cpu`` or ``cuda``."""
    name: str
    index: int = 0
    """Of the GPU among the visible ones."""
    driver: str | None = None
    """Highest CUDA version the driver supports, e.g. ``12.4``."""


@dataclass(frozen=True)
class Gpus:
    """What the NVIDIA driver itself says, asked without torch."""

    driver: str | None
    """Highest CUDA version it supports; None without a driver."""
    count: int
    problem: str | None
    """Why CUDA cannot be used, in a few words; None when it can."""


def ask_driver() -> Gpus:
    """Ask ``libcuda`` for its version and the number of GPUs (driver API, present with every driver)."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Gpus(None, 0, "no NVIDIA driver is installed or visible (libcuda.so.1 not found)")
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    code = cuda.cuInit(0)
    if code:
        return Gpus(driver, 0, f"the NVIDIA driver (CUDA {driver}) does not start (cuInit error {code})")
    cuda.cuDeviceGetCount(ctypes.byref(count))
    problem = None if count.value else f"the NVIDIA driver (CUDA {driver}) shows no GPU to this process"
    return Gpus(driver, count.value, problem)


def resolve(asked: str) -> Device:
    """The device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DeviceError: CUDA was asked for and cannot be had, with the reason.
    """
    if asked == "cpu":
        return cpu()
    gpus = ask_driver()
    problem = gpus.problem or _torch_problem(gpus)
    if problem is None:
        import torch

        return Device("cuda", torch.cuda.get_device_name(0), 0, gpus.driver)
    if asked == "cuda":
        raise _no_cuda(problem)
    return cpu()


def expect(asked: str) -> None:
    """See whether there is a GPU if ``cuda`` is asked for, in a moment and without torch.

    Raises:
        DeviceError: there is none.
    """
    problem = ask_driver().problem if asked == "cuda" else None
    if problem:
        raise _no_cuda(problem)


def cpu() -> Device:
    """The processor, by its own name."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return Device("cpu", found[1].strip() if found else platform.machine())


def cpu_features() -> frozenset[str]:
    """Instruction sets of this processor, as Linux names them: ``avx512_vnni``, ``amx_bf16``, ``bf16`` (Arm) …"""
    try:
        found = re.search(r"(?:flags|Features)\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        return frozenset()
    return frozenset(found[1].split() if found else ())


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 by itself."""
    return bool(BFLOAT16 & cpu_features())


def lease_gpu(count: int) -> tuple[int, TextIO]:
    """Wait for a GPU of our own: ``--cores 8`` must not put eight models on one card.

    Snakemake hands no index to a job, so jobs of one machine agree by a lock file per GPU; the kernel frees it
    when the process ends, however it ends.

    Returns:
        The GPU's index among the visible ones, and the open lock file (keep it).
    """
    folder = Path(tempfile.gettempdir()) / f"snakescribe-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = visible if len(visible) == count and all(visible) else [str(i) for i in range(count)]
    while True:
        for index, name in enumerate(names):
            lock = (folder / re.sub(r"\W", "_", name)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
            else:
                return index, lock
        time.sleep(1.0)


def _no_cuda(problem: str) -> DeviceError:
    ways = "use device: cpu, or mend the driver"
    if os.environ.get("SNAKESCRIBE_VARIANT"):  # in our image
        ways = "start the container with --gpus all (podman: --device nvidia.com/gpu=all), or with STT_DEVICE=cpu"
    return DeviceError(f"device cuda was asked for, but {problem}; {ways}")


def _torch_problem(gpus: Gpus) -> str | None:
    import torch

    if torch.version.cuda is None:
        return "this torch is a CPU build; install the build for CUDA (docs/usage.md, Set-up)"
    if gpus.driver and _version(gpus.driver) < _version(torch.version.cuda.split(".")[0] + ".0"):
        return f"the driver supports CUDA {gpus.driver} and this torch needs {torch.version.cuda}"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} cannot use the driver (CUDA {gpus.driver})"
    return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
