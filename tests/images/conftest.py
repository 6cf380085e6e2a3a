"""The image that these tests share: built once, from wheels, with a real podman or docker.

`SNAKESCRIBE_BASE_IMAGE` names a base with Python 3.11 (docs/operations/images.md makes one without a hub). CI has one,
and Apptainer (`.ci/containers/prepare`), and fails if a test here is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakescribe.errors import ImageError
from snakescribe.images.apptainer import convert
from snakescribe.images.build import build, variant_named
from snakescribe.images.tool import Tool, find_tool
from snakescribe.images.wheels import collect

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def base() -> str:
    """The image that ours is built on."""
    name = os.environ.get("SNAKESCRIBE_BASE_IMAGE")
    if not name or not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("needs podman or docker, and SNAKESCRIBE_BASE_IMAGE")
    return name


@pytest.fixture(scope="session")
def tool(base: str, docker: Tool | None) -> Tool:
    """Docker with its own old builder, which understands the least; else podman."""
    return docker or find_tool("podman")


@pytest.fixture(scope="session")
def docker(base: str) -> Iterator[Tool | None]:
    """Docker with a service that answers, if need be one of our own (as root; no systemd is needed); None without."""
    daemon = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    found = Tool("docker")
    if shutil.which("docker") and _answers(found):
        yield found
    elif not (shutil.which("docker") and daemon and os.getuid() == 0):
        yield None
    else:
        with (
            tempfile.TemporaryDirectory(prefix="docker-", dir=_images()) as folder,
            tempfile.TemporaryDirectory() as own,
        ):
            host = f"unix://{own}/socket"  # a short name: 108 bytes are the most
            places = ["--data-root", f"{folder}/data", "--exec-root", f"{own}/exec", "--pidfile", f"{own}/pid"]
            command = [daemon, *places, "--host", host, "--storage-driver", "overlay2"]
            with (
                (Path(folder) / "log").open("wb") as log,
                pytest.MonkeyPatch.context() as patch,
                subprocess.Popen(command, stdout=log, stderr=log) as process,
            ):
                patch.setenv("DOCKER_HOST", host)
                patch.setenv("DOCKER_BUILDKIT", "0")
                while not _answers(found):
                    assert process.poll() is None, (Path(folder) / "log").read_text()
                    time.sleep(0.2)
                if not found.there(base) and shutil.which("podman"):
                    with subprocess.Popen(["podman", "save", base], stdout=subprocess.PIPE) as saved:
                        subprocess.run(["docker", "load"], stdin=saved.stdout, check=True)
                yield found
                process.terminate()


def _images() -> Path:
    folder = ROOT / ".images"
    folder.mkdir(exist_ok=True)
    return folder


def _answers(tool: Tool) -> bool:
    try:
        tool.info()
    except ImageError:
        return False
    return True


@pytest.fixture(scope="session")
def wheels(base: str) -> Path:
    """Every wheel of the CPU variant, where `snakescribe image wheels` puts them."""
    folder = ROOT / ".images/cpu/wheels"
    names = collect(variant_named("cpu"), folder, None)
    assert any(name.startswith("python_multipart-") for name in names)
    return folder


@pytest.fixture(scope="session")
def image(tool: Tool, base: str, wheels: Path, models_root: Path) -> str:
    """The CPU image, which has proved itself while it was built."""
    return build(tool, "cpu", wheels, models_root, "base", base, "none")


@pytest.fixture(scope="session")
def sif(tool: Tool, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same for Apptainer; more than a gigabyte, so it does not stay."""
    if not shutil.which("apptainer"):
        pytest.skip("needs apptainer")
    path = tmp_path_factory.mktemp("sif") / "snakescribe.sif"
    convert(tool, image, path)
    yield path
    path.unlink()
