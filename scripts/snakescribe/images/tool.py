"""docker or podman, whichever works here: the few commands of theirs that we use."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snakescribe.errors import ImageError

TOOLS = ("docker", "podman")


@dataclass(frozen=True)
class Tool:
    """One of the two; their command lines are the same for what we need."""

    name: str

    def run(self, *arguments: str, capture: bool = False) -> str:
        """Run a command of it; its output is shown, or captured and returned.

        Raises:
            ImageError: it failed.
        """
        command = [self.name, *arguments]
        try:
            done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE if capture else None)
        except subprocess.CalledProcessError as error:
            shown = " ".join(arguments[: 2 if arguments[0] == "image" else 1])
            raise ImageError(f"`{self.name} {shown}` ended with {error.returncode}; see what it said above") from None
        return done.stdout.strip() if capture else ""

    def info(self) -> dict[str, Any]:
        """What it says of itself and of its service.

        Raises:
            ImageError: it does not work here, and what to do about it.
        """
        template = "{{json .}}" if self.name == "docker" else "json"
        done = subprocess.run([self.name, "info", "--format", template], capture_output=True, text=True)
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            found = {}
        said = " ".join(found.get("ServerErrors") or [done.stderr])  # docker 20 ends with 0 all the same
        if done.returncode or found.get("ServerErrors"):
            raise ImageError(f"{self.name} does not work here: {_remedy(' '.join(said.split()))}")
        return found

    def there(self, image: str) -> bool:
        """Whether it has this image."""
        command = [self.name, "image", "inspect", image]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def need(self, image: str) -> None:
        """Refuse to go on without an image.

        Raises:
            ImageError: it is not here.
        """
        if not self.there(image):
            raise ImageError(f"{self.name} has no image {image}; `{self.name} images` lists what it has")

    def need_ours(self, image: str) -> None:
        """Refuse to go on without an image made by us, or made from one of ours.

        Raises:
            ImageError: it is not here, or anybody's: what it would do with our commands, nobody knows.
        """
        self.need(image)
        label = '{{index .Config.Labels "snakescribe.variant"}}'
        if not self.run("image", "inspect", "--format", label, image, capture=True):
            raise ImageError(
                f"{image} is no image of snakescribe, only those examine themselves; start it and read its log"
            )

    def size(self, image: str) -> int:
        """Bytes of an image, unpacked."""
        return int(self.run("image", "inspect", "--format", "{{.Size}}", image, capture=True))

    def container(self, image: str, arguments: Sequence[str], *options: str, capture: bool = False) -> str:
        """Run a command in a container that is removed afterwards, without network."""
        return self.run("run", "--rm", "--network", "none", *options, image, *arguments, capture=capture)

    def exit_code(self, image: str, arguments: Sequence[str], *options: str) -> int:
        """Run a command as :meth:`container` does, and give its exit code."""
        command = [self.name, "run", "--rm", "--network", "none", *options, image, *arguments]
        return subprocess.run(command).returncode

    def archive_format(self) -> list[str]:
        """Options of ``save`` for an archive that docker, podman and Apptainer read."""
        return ["--format", "docker-archive"] if self.name == "podman" else []

    def gpus(self) -> list[str]:
        """Options that let a container see all GPUs."""
        return ["--gpus", "all"] if self.name == "docker" else ["--device", "nvidia.com/gpu=all"]


def _remedy(said: str) -> str:
    """What it said, and what to do about it."""
    if "permission denied" in said:
        return "this user may not use its service; join the group docker and log in again, or use sudo"
    if "Cannot connect" in said or "Is the docker daemon running" in said:
        return "its service is not running (systemctl start docker), or DOCKER_HOST names another one"
    return said[:200]


def find_tool(asked: str | None, image: str | None = None) -> Tool:
    """The one asked for, else the first that works and has an image, else the first that works.

    Raises:
        ImageError: none works.
    """
    problem: ImageError | None = None
    working = []
    for name in (asked,) if asked else TOOLS:
        if shutil.which(name):
            try:
                Tool(name).info()
                working.append(Tool(name))
            except ImageError as error:
                problem = problem or error
    if not working:
        raise problem or ImageError(f"there is no {asked or 'docker or podman'} here; install one (apt install podman)")
    return next((tool for tool in working if image and tool.there(image)), working[0])
