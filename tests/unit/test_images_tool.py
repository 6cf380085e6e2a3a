"""podman and docker that are not there, or do not answer: what they say themselves, and what we make of it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from snakescribe.cli import main
from snakescribe.errors import ImageError
from snakescribe.images.archive import save
from snakescribe.images.build import look_at_builder
from snakescribe.images.look import container_tools
from snakescribe.images.tool import Tool, find_tool

DOWN = "Cannot connect to the Docker daemon at unix:///nope. Is the docker daemon running?"
CLOSED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (f"""cat <<< '{{"ServerErrors": ["{DOWN}"]}}'""", "its service is not running"),
        (f"echo '{DOWN}' >&2; exit 1", "its service is not running"),
        (f"echo '{CLOSED}' >&2; exit 1", "join the group docker"),
        ("echo 'something new' >&2; exit 1", "something new"),
    ],
)
def test_a_docker_that_does_not_answer(program: Callable[[str, str], None], answer: str, remedy: str) -> None:
    """As 20.10 (which ends with 0) and 28.2 say it."""
    program("docker", answer.replace("cat <<< ", "echo "))
    with pytest.raises(ImageError, match=f"docker does not work here: .*{remedy}"):
        find_tool(None)
    (found,) = container_tools()
    assert found.problem and remedy in found.problem


def test_the_first_that_works(program: Callable[[str, str], None]) -> None:
    with pytest.raises(ImageError, match="there is no docker or podman here"):
        find_tool(None)
    program("podman", "echo 'cannot set up the user namespace' >&2; exit 125")
    program("docker", """[ "$1" = buildx ] && exit 1; echo '{"ServerVersion": "20.10", "DockerRootDir": "/nowhere"}'""")
    assert find_tool(None).name == "docker"
    with pytest.raises(ImageError, match="user namespace"):
        find_tool("podman")
    docker, podman = container_tools()
    assert podman.problem and docker.problem is None
    assert (docker.version, docker.builder, docker.free_gb, docker.gpus) == ("20.10", "its own", None, False)


def test_the_one_that_has_the_image(program: Callable[[str, str], None]) -> None:
    info = '{"ServerVersion": "20.10", "DockerRootDir": "/nowhere"}'
    for name, has in (("docker", "theirs"), ("podman", "mine")):
        program(name, f"""case "$1" in info) echo '{info}';; image) [ "$3" = {has} ];; esac""")
    assert find_tool(None, "mine").name == "podman"
    assert find_tool(None, "theirs").name == find_tool(None, "nowhere").name == find_tool(None).name == "docker"


def test_the_builder_is_looked_at_before_anything_is_sent(
    program: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = f"""case "$1 $2" in
        info*) echo '{{"ServerVersion": "20.10", "DockerRootDir": "{tmp_path}"}}';;
        "image inspect") [ "$3" = here ];;
        *) exit 1;;
        esac"""
    program("docker", answers)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    look_at_builder(Tool("docker"), wheels, "here")
    assert capsys.readouterr().err == f"docker 20.10, builder its own, images in {tmp_path}\n"
    with pytest.raises(ImageError, match=r"^away is not here and cannot be fetched: .*--base$"):
        look_at_builder(Tool("docker"), wheels, "away")
    with (wheels / "large.whl").open("wb") as file:
        file.truncate(4_000_000_000_000)
    with pytest.raises(ImageError, match=rf"GB are free in {tmp_path} and the build takes 52000: make room there"):
        look_at_builder(Tool("docker"), wheels, "here")


def test_an_image_of_others_is_not_asked_to_examine_itself(
    program: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """It might be a server, and never end."""
    program("docker", """case "$1" in info) echo '{"ServerVersion": "20.10"}';; image) echo;; *) exit 3;; esac""")
    for command in (["doctor", "--image", "x"], ["image", "verify", "x"]):
        assert main([*command, "--tool", "docker"]) == ImageError.exit_code
        assert "x is no image of snakescribe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("buildx", "asked", "builder"),
    [("0", None, "BuildKit"), ("1", None, "its own"), ("1", "1", "BuildKit"), ("0", "0", "its own")],
)
def test_which_builder_docker_will_take(
    buildx: str, asked: str | None, builder: str, program: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the clients 20.10 and 26.1 do."""
    monkeypatch.delenv("DOCKER_BUILDKIT", raising=False)
    if asked:
        monkeypatch.setenv("DOCKER_BUILDKIT", asked)
    answer = """echo '{"ServerVersion": "26.1.5", "DockerRootDir": "/nowhere"}'"""
    program("docker", f'[ "$1" = buildx ] && exit {buildx}; {answer}')
    (docker,) = container_tools()
    assert docker.builder == builder


def test_an_archive_of_docker_26_names_its_image_once(program: Callable[[str, str], None], tmp_path: Path) -> None:
    """It is an OCI archive too, and podman would take its name from there: ``docker.io/library/…``."""
    files = {
        "blobs/sha256/aa": b"layer",
        "index.json": b'{"manifests": [{"annotations": {"io.containerd.image.name": "docker.io/library/ours:1"}}]}',
        "manifest.json": b'[{"Config": "blobs/sha256/bb", "RepoTags": ["ours:1"], "Layers": ["blobs/sha256/aa"]}]',
        "oci-layout": b"{}",
        "repositories": b"{}",
    }
    with tarfile.open(tmp_path / "saved.tar", "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    program("docker", f"""[ "$1" = save ] && exec cat '{tmp_path}/saved.tar'; echo 20480""")
    with tarfile.open(save(Tool("docker"), "ours:1", "cpu", tmp_path / "out")) as tar:
        assert tar.getnames() == ["blobs/sha256/aa", "manifest.json"]
        manifest = tar.extractfile("manifest.json")
        assert manifest and json.load(manifest)[0]["RepoTags"] == ["ours:1"]


def test_what_is_here_says_what_it_is() -> None:
    """Those that are installed and work."""
    for tool in container_tools():
        if not tool.problem:
            assert tool.version[0].isdigit() and tool.builder and os.path.isabs(tool.storage)  # noqa: PTH117
