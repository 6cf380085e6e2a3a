"""The story's own ground: what the pages say, word for word, with a real docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakescribe.images.archive import check
from snakescribe.images.build import reference
from snakescribe.images.tool import Tool

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.name: path for path in (ROOT / "docs/operations").glob("*.md")}
SAID = "ever tried"
"""Words of the sample that any model hears."""


def commands(page: str) -> list[str]:
    """Every command of a page's shell blocks, a here-document and continued lines with it, without its comment."""
    found: list[str] = []
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGES[page].read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for match in re.finditer(r"(?:[^\n]*<< 'END'\n.*?\nEND|(?:[^\n]*\\\n)*[^\n]+)", block, re.DOTALL):
            command = match[0] if "<<" in match[0] else re.sub(r"\s+#.*", "", match[0])
            if command.strip():
                found.append(command)
    return found


def said(page: str, begin: str) -> str:
    """The command of a page that begins like this."""
    (command,) = [command for command in commands(page) if command.startswith(begin)]
    return command


def run(command: str, cwd: Path, code: int = 0, **instead: str) -> str:
    """Run a page's command in a shell, with other words in the place of some; what it printed."""
    for old, new in instead.items():
        assert old in command, command
        command = command.replace(old, new)
    paths = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    script = command.replace(".venv/bin/snakescribe", "snakescribe")
    done = subprocess.run(
        ["bash", "-euc", script], cwd=cwd, env=os.environ | {"PATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == code, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shipped(docker: Tool | None, image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image saved, removed and loaded again; where its archive is."""
    if docker is None:
        pytest.skip("needs docker")
    folder = tmp_path_factory.mktemp("shipped")
    run(said("images.md", "docker save"), folder)
    run(said("images.md", "docker rmi"), folder)
    assert not docker.there(image)
    assert f"Loaded image: {reference('cpu')}" in run(said("images.md", "docker load"), folder)
    return folder / "snakescribe.tar.gz"


@pytest.fixture
def server(docker: Tool, shipped: Path, tmp_path: Path) -> Iterator[str]:
    """A container of the loaded image, as the page starts it; its name."""
    run(said("images.md", "docker run --detach"), tmp_path)
    yield "snakescribe"
    subprocess.run(["docker", "rm", "--force", "--volumes", "snakescribe"], check=True)
    subprocess.run(["docker", "volume", "rm", "snakescribe"], check=True)


def test_a_recording_is_posted_to_the_server(docker: Tool, server: str, models_root: Path, tmp_path: Path) -> None:
    recording = models_root / "samples/beckett.wav"
    while (state := docker.run("inspect", "--format", "{{.State.Health.Status}}", server, capture=True)) == "starting":
        time.sleep(1)
    assert state == "healthy"
    text = run(said("images.md", "curl"), tmp_path, **{"call.mp3": str(recording)})
    assert SAID in json.loads(text[text.index("{") : text.rindex("}") + 1])["text"].lower()
    docker.run("stop", server)
    assert (
        docker.run("inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", server, capture=True) == "0 false"
    )


def test_a_folder_is_transcribed_inside(shipped: Path, models_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir(mode=0o755)
    shutil.copy2(models_root / "samples/beckett.wav", folder / "통화 1.wav")
    run("mkdir -p results", tmp_path)
    run(said("images.md", "docker run --rm --network none"), tmp_path, **{"/my/recordings": str(folder)})
    assert SAID in (tmp_path / "results/transcripts/통화 1.wav.txt").read_text().lower()


def test_podman_reads_what_docker_wrote(shipped: Path, tmp_path: Path) -> None:
    """Under the same name; unpacked, since podman 4.3 does not read it gzipped."""
    if not shutil.which("podman"):
        pytest.skip("needs podman")
    run("gzip --decompress --stdout snakescribe.tar.gz | podman load", shipped.parent)
    assert "snakescribe 0." in run(f"podman run --rm --network none {reference('cpu')} --version", tmp_path)
    subprocess.run(["podman", "rmi", "--force", reference("cpu")], check=True)


@pytest.fixture(scope="module")
def story(docker: Tool | None, shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The story's image, and a container of it that has exited at start."""
    folder = tmp_path_factory.mktemp("story")
    lines = (f"FROM {reference('cpu')}", "USER 0", "RUN pip uninstall --yes python-multipart", "USER 10001:10001")
    (folder / "Dockerfile").write_text("\n".join(lines))
    run("docker build --network none --tag old:tag . && docker create --name exited old:tag", folder)
    said = run("docker start --attach exited", folder, code=10)
    assert "python-multipart" in said
    yield "old:tag", "exited"
    run("docker rm --force exited && docker rmi --force old:tag old:mended", folder)


def test_the_storys_image_is_mended_by_the_page(story: tuple[str, str], wheels: Path, tmp_path: Path) -> None:
    """By the command, and by hand without snakescribe; the same user, command and health check."""
    image, _ = story
    mine = tmp_path / "wheels"
    mine.mkdir()
    shutil.copy2(next(wheels.glob("python_multipart-*.whl")), mine)
    names = {"OLD:TAG": image}
    verdict = run(said("mend-an-image.md", ".venv/bin/snakescribe doctor") + " --tool docker", tmp_path, 8, **names)
    assert "python-multipart is missing" in verdict.splitlines()[0]
    how = [
        said("mend-an-image.md", ".venv/bin/snakescribe image patch") + " --tool docker",
        "\n".join([said("mend-an-image.md", "cat > Containerfile"), said("mend-an-image.md", "docker build")]),
    ]
    for command in how:
        run(command, tmp_path, **(names | {"OLD:mended": "old:mended"}))
        assert run("docker run --rm old:mended doctor", tmp_path).startswith("ready: ")
        one, two = (
            json.loads(run(f"docker image inspect {name}", tmp_path))[0]["Config"] for name in (image, "old:mended")
        )
        assert all(one[key] == two[key] for key in ("User", "Entrypoint", "Cmd", "Healthcheck", "WorkingDir"))


def test_the_exited_container_is_mended_by_docker_cp(story: tuple[str, str], wheels: Path, tmp_path: Path) -> None:
    """The emergency route: the wheel unpacked, copied into site-packages, started, kept by a commit."""
    shutil.copy2(next(wheels.glob("python_multipart-*.whl")), tmp_path)
    for begin in ("python3 -m zipfile", "docker cp", "docker start", "docker commit"):
        run(said("mend-an-image.md", begin), tmp_path, **({"EXITED": "exited"} if "docker" in begin else {}))
    assert run("docker run --rm old:rescued doctor", tmp_path).startswith("ready: ")
    run("docker rmi --force old:rescued", tmp_path)


ELSEWHERE = {
    "debootstrap": ".ci/containers/prepare",
    "tar -C rootfs": ".ci/containers/prepare",
    "sudo .ci/containers/prepare": ".ci/run",
    ".venv/bin/pytest tests/images": "this is it",
    ".venv/bin/snakescribe image wheels": "tests/images/conftest.py",
    ".venv/bin/snakescribe image build": "tests/images/conftest.py",
    ".venv/bin/snakescribe image verify": "tests/images/test_images.py",
    ".venv/bin/snakescribe bundle": "tests/images/test_images.py, slow",
    "sh install.sh": "tests/images/test_images.py, slow",
    ".venv/bin/snakemake --cores all --sdm apptainer": "tests/images/test_apptainer.py",
    "pip download": "needs an index",
    "docker run --rm --gpus all": "needs a GPU",
    "mkdir -p results": "here",
}
"""Commands of the two pages that are run by something else, or cannot be run where there is no such thing."""


@pytest.mark.parametrize("page", ["images.md", "mend-an-image.md"])
def test_no_command_of_the_page_is_never_run(page: str) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    run_here = re.findall(rf'said\("{page}", "([^"]+)"', text) + re.findall(
        r'"(docker [a-z]+|python3 -m zipfile)"', text
    )
    for command in commands(page):
        assert command.startswith((*run_here, *ELSEWHERE)), command


@pytest.mark.slow
def test_the_archive_of_image_save_is_for_both(docker: Tool | None, shipped: Path, tmp_path: Path) -> None:
    """Its sum stands beside it, its image has no host in its name."""
    run(".venv/bin/snakescribe image save --tool docker --out DIR", tmp_path)
    (archive,) = (tmp_path / "DIR").glob("*.tar.gz")
    check(archive)
    assert reference("cpu") in run(f".venv/bin/snakescribe image load --tool docker {archive}", tmp_path)
