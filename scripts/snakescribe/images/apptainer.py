"""The Apptainer image: made from ours, without a hub."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from snakescribe.errors import ImageError
from snakescribe.images.tool import Tool

QUICKLY = "-comp gzip -Xcompression-level 1"
"""Of mksquashfs: half the minutes, and a tenth more bytes than its level 9."""


def convert(tool: Tool, image: str, path: Path) -> None:
    """Write an image of podman or docker as ``path``, a ``.sif``; beside it there must be room for the image unpacked.

    Raises:
        ImageError: there is no such image, no Apptainer here, or one of the tools failed.
    """
    if not shutil.which("apptainer"):
        raise ImageError("a .sif needs apptainer here; install it, or leave --sif out")
    tool.need(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".sif-") as scratch:
        archive, made = Path(scratch) / "image.tar", Path(scratch) / "image.sif"
        tool.run("save", *tool.archive_format(), "--output", str(archive), image)
        # Its cache would keep every layer of an archive that nobody builds from again.
        options = ["--disable-cache", "--mksquashfs-args", QUICKLY]
        command = ["apptainer", "build", *options, str(made), f"docker-archive:{archive}"]
        done = subprocess.run(command)
        if done.returncode:
            raise ImageError(f"`apptainer build` ended with {done.returncode}; see what it said above")
        made.replace(path)
