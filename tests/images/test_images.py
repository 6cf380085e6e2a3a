"""Real images: built, proved, saved, broken, mended. Needs podman or docker, and says so where there is none.

`SNAKESCRIBE_BASE_IMAGE` names a base with Python 3.11 (docs/operations/images.md makes one without a hub); about ten
minutes, most of it torch. CI has no container tool: this runs where images are made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakescribe.errors import ImageError
from snakescribe.images.archive import load, save
from snakescribe.images.build import build, reference, variant_named
from snakescribe.images.patch import patch
from snakescribe.images.tool import Tool, find_tool
from snakescribe.images.wheels import collect

BASE = os.environ.get("SNAKESCRIBE_BASE_IMAGE")
BROKEN, MENDED = "localhost/snakescribe-test:broken", "localhost/snakescribe-test:mended"
pytestmark = pytest.mark.skipif(
    not BASE or not (shutil.which("podman") or shutil.which("docker")),
    reason="needs podman or docker, and SNAKESCRIBE_BASE_IMAGE",
)


@pytest.fixture(scope="module")
def tool() -> Tool:
    return find_tool(None)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "wheels"
    names = collect(variant_named("cpu"), folder, None)
    assert any(name.startswith("python_multipart-") for name in names)
    return folder


@pytest.fixture(scope="module")
def image(tool: Tool, wheels: Path, models_root: Path) -> str:
    assert BASE
    return build(tool, "cpu", wheels, models_root, "base", BASE, "none")


def test_it_proves_itself_without_network_and_without_writing(tool: Tool, image: str) -> None:
    said = tool.container(image, ["selftest"], "--read-only", "--env", "STT_DEVICE=cpu", capture=True)
    assert said.splitlines()[-1] == "proved: everything works"
    user = tool.container(image, ["-c", "import os; print(os.getuid())"], "--entrypoint", "python3", capture=True)
    assert user == "10001"


def test_a_second_build_changes_no_layer_of_wheels(tool: Tool, image: str, wheels: Path, models_root: Path) -> None:
    before = _layers(tool, image)
    if tool.name == "podman":
        tool.run("image", "prune", "--force")  # no cached stage
    assert BASE
    again = build(tool, "cpu", wheels, models_root, "base", BASE, "none")
    assert _layers(tool, again)[:2] == before[:2], "base and wheels"


def test_saved_twice_it_is_the_same_file_and_loads(tool: Tool, image: str, tmp_path: Path) -> None:
    first = save(tool, image, "cpu", tmp_path / "one")
    second = save(tool, image, "cpu", tmp_path / "two")
    sums = [path.with_name(f"{path.name}.sha256").read_text() for path in (first, second)]
    assert sums[0] == sums[1]
    assert load(tool, first).endswith(reference("cpu").removeprefix("localhost/"))
    with second.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0\0\0\0")
    with pytest.raises(ImageError, match="damaged"):
        load(tool, second)


@pytest.fixture(scope="module")
def broken(tool: Tool, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The story's image: `python-multipart` is missing, and the container exits at start."""
    folder = tmp_path_factory.mktemp("broken")
    text = f"FROM {image}\nUSER 0\nRUN /opt/venv/bin/python -m pip uninstall --yes python-multipart\nUSER 10001\n"
    (folder / "Containerfile").write_text(text)
    tool.run("build", "--network", "none", "--file", str(folder / "Containerfile"), "--tag", BROKEN, str(folder))
    yield BROKEN
    tool.run("image", "rm", "--force", BROKEN, MENDED)


def test_an_image_without_a_lazily_needed_package_is_found_out_and_mended(
    tool: Tool, broken: str, wheels: Path, tmp_path: Path
) -> None:
    command = [tool.name, "run", "--rm", "--network", "none", broken]
    server = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert server.returncode != 0 and "python-multipart" in server.stderr  # as in the story
    doctor = subprocess.run([*command, "doctor"], capture_output=True, text=True, timeout=120)
    assert doctor.returncode == 8
    assert "python-multipart" in doctor.stdout.splitlines()[0]
    (tmp_path / "mend").mkdir()
    for wheel in wheels.glob("python_multipart-*.whl"):
        shutil.copy2(wheel, tmp_path / "mend")
    patch(tool, broken, tmp_path / "mend", MENDED)
    mended = subprocess.run([*command[:-1], MENDED, "doctor"], capture_output=True, text=True, timeout=120)
    assert mended.returncode == 0, mended.stdout
    settings = [json.loads(tool.run("image", "inspect", name, capture=True))[0]["Config"] for name in (broken, MENDED)]
    assert all(settings[0].get(key) == settings[1].get(key) for key in ("User", "Entrypoint", "Cmd", "WorkingDir"))


def test_a_build_without_proof_is_no_image(
    tool: Tool, image: str, wheels: Path, models_root: Path, tmp_path: Path
) -> None:
    short = tmp_path / "wheels"
    short.mkdir()
    for wheel in wheels.glob("*.whl"):
        if not wheel.name.startswith("python_multipart-"):
            os.link(wheel, short / wheel.name)
    before = tool.run("image", "inspect", "--format", "{{.Id}}", image, capture=True)
    assert BASE
    with pytest.raises(ImageError, match="build"):
        build(tool, "cpu", short, models_root, "base", BASE, "none")
    assert tool.run("image", "inspect", "--format", "{{.Id}}", image, capture=True) == before


def _layers(tool: Tool, image: str) -> list[str]:
    layers: list[str] = json.loads(tool.run("image", "inspect", image, capture=True))[0]["RootFS"]["Layers"]
    return layers
