"""A file system without room, and a drive that fails."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from snakescribe.audio.decoder import ffmpeg_path

_FAILING_DRIVE = '''#!{python}
"""ffmpeg, whose file lies in the memory of a child that has only its first half: reading on is a real EIO."""
import ctypes, os, signal, sys

arguments = sys.argv[1:]
if "-i" in arguments:
    name = arguments.index("-i") + 1
    data = open(arguments[name].removeprefix("file:"), "rb").read()
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    size, kept = len(data) // 4096 * 4096 + 8192, len(data) // 2 // 4096 * 4096
    start = libc.mmap(None, ctypes.c_size_t(size), 3, 0x22, -1, ctypes.c_long(0))
    ctypes.memmove(start, data, kept)
    libc.munmap(ctypes.c_void_p(start + kept), ctypes.c_size_t(size - kept))
    child = os.fork()
    if child == 0:
        libc.prctl(1, signal.SIGKILL)
        os.closerange(0, 20)
        signal.pause()
    arguments[name] = f"subfile,,start,{{start}},end,{{start + len(data)}},,:file:/proc/{{child}}/mem"
    arguments[arguments.index("-protocol_whitelist") + 1] += ",subfile"
os.execv("{ffmpeg}", ["ffmpeg", *arguments])
'''


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


def failing_drive(folder: Path) -> Path:
    """An ffmpeg (``IMAGEIO_FFMPEG_EXE``) for which every drive fails in the middle of the file."""
    wrapper = folder / "ffmpeg"
    wrapper.write_text(_FAILING_DRIVE.format(python=sys.executable, ffmpeg=ffmpeg_path()))
    wrapper.chmod(0o755)
    return wrapper
