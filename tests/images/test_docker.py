"""The story's own ground: what the pages say, word for word, with a real docker."""

from __future__ import annotations

import json
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
from tests.pages import PAGES, ROOT, commands, run, said

SAID = "ever tried"
"""Words of the sample that any model hears."""


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


def test_a_stop_is_heard_from_the_first_moment(docker: Tool, shipped: Path) -> None:
    """Before Python is there, while it imports, and the exit code of a command is that of the container."""
    for moment in (0, 0.05, 0.2, 0.5):
        docker.run("run", "--detach", "--name", "early", reference("cpu"))
        try:
            time.sleep(moment)
            docker.run("stop", "--time", "60", "early")
            assert docker.run("inspect", "--format", "{{.State.ExitCode}}", "early", capture=True) in ("143", "0")
        finally:
            docker.run("rm", "--force", "--volumes", "early")
    wrong = subprocess.run(["docker", "run", "--rm", reference("cpu"), "serve", "--port", "no"], capture_output=True)
    assert wrong.returncode == 2


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
    said = run("docker start --attach exited", folder, code=8)
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


def test_the_server_of_the_service_page(shipped: Path, tmp_path: Path) -> None:
    """In the foreground there, behind us here."""
    begin = "docker run --rm -p 8003:8003"
    run(said("service.md", begin), tmp_path, **{"--rm": "--rm --detach --name service"})
    run("curl -sS --retry 60 --retry-all-errors --retry-delay 1 --fail http://127.0.0.1:8003/readyz", tmp_path)
    waiting = subprocess.Popen(["docker", "wait", "service"], stdout=subprocess.PIPE, text=True)
    run("docker stop service", tmp_path)
    assert waiting.communicate()[0].strip() == "0"


def test_compose(shipped: Path, models_root: Path, tmp_path: Path) -> None:
    """The server up, an upload, and down; the batch of a night as cron would call it. By compose 1 or 2."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    if not (plugin or shutil.which("docker-compose")):
        pytest.skip("needs docker-compose")
    program = {"docker compose": "docker compose" if plugin else "docker-compose"}
    key = said("service.md", "export SNAKESCRIBE_API_KEY")
    begin = "docker compose --file containers/compose.yaml --profile cpu"

    def compose(action: str, **instead: str) -> str:
        return run(f"{key}; {said('service.md', f'{begin} {action}')}", ROOT, **program, **instead)

    compose("up")
    try:
        run("curl -sS --retry 60 --retry-all-errors --retry-delay 1 --fail http://127.0.0.1:8003/readyz", tmp_path)
        recording = str(models_root / "samples/beckett.wav")
        assert SAID in run(said("images.md", "curl"), tmp_path, **{"call.mp3": recording}).lower()
        assert "readyz" in compose("logs", **{" --follow": ""})
        compose("stop")
        calls, texts = tmp_path / "calls", tmp_path / "texts"
        calls.mkdir(mode=0o755)
        texts.mkdir()
        shutil.copy2(recording, calls / "통화 1.wav")
        line = next(line for line in PAGES["service.md"].read_text().splitlines() if line.startswith("0 22 * * * "))
        places = {"/srv/calls": str(calls), "/srv/texts": str(texts), "/opt/snakescribe": str(ROOT)}
        run(line.removeprefix("0 22 * * * "), tmp_path, **program, **places)
        assert SAID in (texts / "transcripts/통화 1.wav.txt").read_text().lower()
    finally:
        run(f"{begin} --profile batch down --volumes", ROOT, **program)


ELSEWHERE = {
    "debootstrap": ".ci/containers/prepare",
    "tar -C rootfs": ".ci/containers/prepare",
    "sudo .ci/containers/prepare": ".ci/run",
    "make ": ".ci/run",
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
    "export ": "here",
    "chmod -R a+rX /opt": "writes into /opt and /etc",
    "mkdir -p /etc": "writes into /etc",
    "(umask 077": "writes into /etc",
    "cp /opt/snakescribe": "writes into /etc",
    "systemctl": "needs systemd",
    "useradd": "needs systemd",
    "journalctl": "needs systemd",
    "curl -sSf --retry": "needs systemd",
}
"""Commands of the pages that are run by something else, or cannot be run where there is no such thing."""


@pytest.mark.parametrize("page", PAGES)
def test_no_command_of_the_page_is_never_run(page: str) -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in (Path(__file__), *(ROOT / "tests/workflow").glob("*.py"))
    )
    begun = re.findall(r'"((?:\.venv/bin/|docker |python3 -m zipfile|cat > |curl)[^"]*)"', text)
    begun += [
        f"docker compose --file containers/compose.yaml --profile cpu {action}"
        for action in re.findall(r'compose\("(\w+)"', text)
    ]
    for command in commands(page):
        assert command.startswith((*begun, *ELSEWHERE)), command


@pytest.mark.slow
def test_the_archive_of_image_save_is_for_both(docker: Tool | None, shipped: Path, tmp_path: Path) -> None:
    """Its sum stands beside it, its image has no host in its name."""
    run(".venv/bin/snakescribe image save --tool docker --out DIR", tmp_path)
    (archive,) = (tmp_path / "DIR").glob("*.tar.gz")
    check(archive)
    assert reference("cpu") in run(f".venv/bin/snakescribe image load --tool docker {archive}", tmp_path)
