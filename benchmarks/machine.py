"""The machine and the software that the figures belong to."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import TypedDict

import psutil

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("Snakefile", "workflow", "profiles/default", "config/config.yaml", "scripts/snakescribe")
"""What ours is made of."""
TELLING = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
"""CPU flags that decide which kernels run."""


class Machine(TypedDict):
    """What a figure depends on."""

    cpu: str
    flags: list[str]
    cores: int
    """Given to every run."""
    memory_gb: int
    system: str


def describe(cores: int) -> Machine:
    """This machine."""
    cpu = _cpuinfo("model name") or platform.processor() or platform.machine()
    model = f"{_cpuinfo('vendor_id')} family {_cpuinfo('cpu family')} model {_cpuinfo('model')}"
    flags = set(_cpuinfo("flags").split())
    return {
        "cpu": f"{cpu} ({model})",
        "flags": [flag for flag in TELLING if flag in flags],
        "cores": cores,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
    }


def packages() -> dict[str, str]:
    """Name -> version of everything importable here, and Python, ffmpeg and ours."""
    found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in importlib.metadata.distributions()}
    first = _output("ffmpeg", "-version").partition("\n")[0]
    own = {"python": platform.python_version(), "ffmpeg": first.removeprefix("ffmpeg version ").partition(" ")[0]}
    return own | dict(sorted(found.items()))


def commit() -> str:
    """Of this checkout; ``-dirty`` when it was changed since."""
    carried = ROOT / ".bench/gpu/commit"  # of benchmarks/gpu.sh, which carries no git
    if carried.exists() and not (ROOT / ".git").exists():
        return carried.read_text().strip()
    return _output("git", "-C", str(ROOT), "describe", "--always", "--dirty").strip() or "no commit"


def sources() -> str:
    """Digest of ours as it is: results of other sources do not mix with these."""
    digest = hashlib.sha256()
    for source in SOURCES:
        path = ROOT / source
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(os.fsencode(file.relative_to(ROOT)) + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _cpuinfo(field: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
