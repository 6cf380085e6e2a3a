"""What podman and docker of this machine can do for us: for the doctor, and before an image is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from snakescribe.doctor.facts import ContainerTool
from snakescribe.errors import ImageError
from snakescribe.images.tool import TOOLS, Tool

CDI = ("/etc/cdi", "/var/run/cdi")
"""Folders in which podman finds descriptions of GPUs (Container Device Interface)."""


def container_tools() -> tuple[ContainerTool, ...]:
    """Those that are installed."""
    return tuple(look(Tool(name)) for name in TOOLS if shutil.which(name))


def look(tool: Tool) -> ContainerTool:
    """What it says of itself; ``problem`` if it does not work."""
    try:
        info = tool.info()
    except ImageError as error:
        return ContainerTool(name=tool.name, problem=str(error))
    return _docker(info) if tool.name == "docker" else _podman(info)


def _docker(info: dict[str, Any]) -> ContainerTool:
    buildx = subprocess.run(["docker", "buildx", "version"], capture_output=True).returncode == 0
    asked = os.environ.get("DOCKER_BUILDKIT", str(buildx))  # clients before 23 have BuildKit without buildx, if asked
    root = str(info["DockerRootDir"])
    return ContainerTool(
        name="docker",
        version=str(info["ServerVersion"]),
        builder="BuildKit" if asked.lower() in {"1", "true"} else "its own",
        storage=root,
        free_gb=_free_gb(root),
        cgroup=int(info.get("CgroupVersion") or 1),
        memory_limits=bool(info.get("MemoryLimit")),
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or ()),
        gpus="nvidia" in info.get("Runtimes", {}) or bool(shutil.which("nvidia-container-runtime-hook")),
    )


def _podman(info: dict[str, Any]) -> ContainerTool:
    host, root = info["host"], str(info["store"]["graphRoot"])
    return ContainerTool(
        name="podman",
        version=str(info["version"]["Version"]),
        builder=f"buildah {host['buildahVersion']}",
        storage=root,
        free_gb=_free_gb(root),
        cgroup=int(str(host["cgroupVersion"]).strip("v")),
        memory_limits="memory" in host["cgroupControllers"],
        rootless=bool(host["security"]["rootless"]),
        gpus=any(True for folder in CDI for _ in Path(folder).glob("nvidia*")),
    )


def _free_gb(folder: str) -> float | None:
    with suppress(OSError):
        return shutil.disk_usage(folder).free / 1e9
    return None
