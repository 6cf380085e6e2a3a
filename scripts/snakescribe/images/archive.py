"""An image as one file: saved, checked, loaded, without a hub."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO, cast

from rich import progress
from rich.console import Console

from snakescribe import __version__
from snakescribe.errors import ImageError
from snakescribe.files import atomic_file, write_atomically
from snakescribe.images.tool import Tool
from snakescribe.models.store import sha256

STDERR = Console(stderr=True)
LEVEL = 6
"""Of gzip: torch's libraries get hardly smaller with more."""


def archive_name(variant: str) -> str:
    """The file that :func:`save` writes."""
    return f"snakescribe-{__version__}-{variant}-linux-x86_64.tar.gz"


def save(tool: Tool, image: str, variant: str, folder: Path) -> Path:
    """Write an image as a gzipped docker archive, and its SHA-256 beside it; the same image gives the same bytes.

    Raises:
        ImageError: there is no such image, or the tool failed.
    """
    tool.need(image)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / archive_name(variant)
    command = [tool.name, "save", *tool.archive_format(), image]
    with atomic_file(path) as file, subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        plain = cast(BinaryIO, process.stdout)
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=LEVEL, mtime=0) as packed,
            progress.wrap_file(plain, tool.size(image), description=f"packing {path.name}", console=STDERR) as tar,
        ):
            try:
                _copy(tar, packed, image.removeprefix("localhost/"))
            except tarfile.ReadError:
                raise ImageError(f"`{tool.name} save {image}` ended too early; see what it said above") from None
        if process.wait():
            raise ImageError(f"`{tool.name} save {image}` ended with {process.returncode}; see what it said above")
    write_atomically(path.with_name(f"{path.name}.sha256"), f"{sha256(path)}  {path.name}\n".encode())
    return path


def _copy(tar: IO[bytes], packed: gzip.GzipFile, name: str) -> None:
    """Copy a docker archive; its image is called ``name`` there, which docker and podman then find by the same words.

    podman would write ``localhost/`` before it, and that is another image for docker. What docker 26 adds for readers
    of OCI archives goes: podman would take the name ``docker.io/library/…`` from it, and run an older ``localhost/…``.
    """
    with tarfile.open(fileobj=tar, mode="r|") as old, tarfile.open(fileobj=packed, mode="w|", bufsize=1 << 20) as new:
        for member in old:
            content = old.extractfile(member) if member.isfile() else None
            if member.name == "manifest.json" and content:
                (manifest,) = json.load(content)
                data = json.dumps([manifest | {"RepoTags": [name]}]).encode()
                member.size, content = len(data), io.BytesIO(data)
            elif member.name in {"repositories", "index.json", "oci-layout"}:  # the first is docker's oldest format
                continue
            new.addfile(member, content)


def check(path: Path) -> None:
    """Compare an archive with the sum beside it.

    Raises:
        ImageError: either is missing, or they do not belong together.
    """
    beside = path.with_name(f"{path.name}.sha256")
    if not path.is_file():
        raise ImageError(f"there is no archive {path}; look at the name, or copy it again")
    if not beside.is_file():
        raise ImageError(f"there is no {beside.name} beside the archive; copy it too")
    expected = re.match(r"[0-9a-f]{64}\b", beside.read_text(encoding="utf-8", errors="replace"))
    if not expected:
        raise ImageError(f"{beside.name} holds no SHA-256; copy it again")
    if (found := sha256(path)) != expected[0]:
        raise ImageError(f"{path.name} is damaged: expected sha256 {expected[0]}, found {found}; copy it again")


def load(tool: Tool, path: Path) -> str:
    """Load an archive after checking it; what the tool says is the image's name.

    Raises:
        ImageError: it is damaged, or the tool failed.
    """
    check(path)
    # Unpacked here: podman 4.3 of Debian 12 says "invalid tar header" to gzipped docker archives.
    with (
        gzip.open(path) as packed,
        subprocess.Popen([tool.name, "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        try:
            shutil.copyfileobj(packed, process.stdin, 1 << 20)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ImageError(f"{path.name} is no whole gzipped archive ({error}); make it anew: `image save`") from None
        except BrokenPipeError:  # it gave up; its exit code says so
            pass
        process.stdin.close()
        said = process.stdout.read().decode(errors="replace").strip()
        if process.wait():
            raise ImageError(f"`{tool.name} load` ended with {process.returncode}; see what it said above")
    return said.rpartition(": ")[2]
