"""Real images: built, proved, saved, broken, mended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakescribe.cli import main
from snakescribe.errors import ImageError
from snakescribe.images import bundle
from snakescribe.images.archive import load, save
from snakescribe.images.build import build, reference
from snakescribe.images.patch import patch
from snakescribe.images.tool import Tool

BROKEN, MENDED = "localhost/snakescribe-test:broken", "localhost/snakescribe-test:mended"


def test_it_proves_itself_without_network_and_without_writing(tool: Tool, image: str) -> None:
    said = tool.container(image, ["selftest"], "--read-only", "--env", "STT_DEVICE=cpu", capture=True)
    assert said.splitlines()[-1] == "proved: everything works"
    user = tool.container(image, ["-c", "import os; print(os.getuid())"], "--entrypoint", "python3", capture=True)
    assert user == "10001"


@pytest.mark.slow
def test_a_second_build_changes_no_layer_of_wheels(
    tool: Tool, image: str, base: str, wheels: Path, models_root: Path
) -> None:
    before = _layers(tool, image)
    if tool.name == "podman":
        tool.run("image", "prune", "--force")  # no cached stage
    again = build(tool, "cpu", wheels, models_root, "base", base, "none")
    assert _layers(tool, again)[:2] == before[:2], "base and wheels"


@pytest.mark.slow
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
    assert server.returncode == 8 and "python-multipart" in server.stderr  # as in the story
    doctor = subprocess.run([*command, "doctor"], capture_output=True, text=True, timeout=120)
    assert doctor.returncode == 8
    assert "python-multipart" in doctor.stdout.splitlines()[0]
    assert main(["doctor", "--image", broken, "--device", "cpu", "--tool", tool.name]) == 8
    (tmp_path / "mend").mkdir()
    for wheel in wheels.glob("python_multipart-*.whl"):
        shutil.copy2(wheel, tmp_path / "mend")
    patch(tool, broken, tmp_path / "mend", MENDED)
    mended = subprocess.run([*command[:-1], MENDED, "doctor"], capture_output=True, text=True, timeout=120)
    assert mended.returncode == 0, mended.stdout
    settings = [json.loads(tool.run("image", "inspect", name, capture=True))[0]["Config"] for name in (broken, MENDED)]
    assert all(settings[0].get(key) == settings[1].get(key) for key in ("User", "Entrypoint", "Cmd", "WorkingDir"))


@pytest.mark.slow
def test_a_build_without_proof_is_no_image(
    tool: Tool, image: str, base: str, wheels: Path, models_root: Path, tmp_path: Path
) -> None:
    short = tmp_path / "wheels"
    short.mkdir()
    for wheel in wheels.glob("*.whl"):
        if not wheel.name.startswith("python_multipart-"):
            os.link(wheel, short / wheel.name)
    before = tool.run("image", "inspect", "--format", "{{.Id}}", image, capture=True)
    with pytest.raises(ImageError, match="build"):
        build(tool, "cpu", short, models_root, "base", base, "none")
    assert tool.run("image", "inspect", "--format", "{{.Id}}", image, capture=True) == before


def _layers(tool: Tool, image: str) -> list[str]:
    layers: list[str] = json.loads(tool.run("image", "inspect", image, capture=True))[0]["RootFS"]["Layers"]
    return layers


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("apptainer"), reason="needs apptainer")
def test_a_bundle_installs_itself_where_there_is_no_network(
    tool: Tool, image: str, models_root: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "묶음"
    bundle.create(tool, "cpu", models_root, "base", folder, sif=True)
    bundle.verify(folder)
    tool.run("image", "rm", "--force", image)
    for name in (tool.name, "apptainer"):
        command = ["unshare", "--net", "sh", str(folder / "install.sh"), "--tool", name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "proved: everything works" in done.stdout
        assert "the server" in done.stdout and "a folder of recordings" in done.stdout
