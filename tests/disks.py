"""A file system without room."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def fill(folder: Path, leave: int = 0) -> None:
    """Take up all room but ``leave`` bytes."""
    (folder / "filler").unlink(missing_ok=True)
    if leave:
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize
        with (folder / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - leave)
        return
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        try:
            while file.write(bytes(512)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
