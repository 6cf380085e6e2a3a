"""Small file habits shared by every step: atomic writes, private files, locks that the kernel releases."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import getpass
import os
import re
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from snakescribe.errors import BusyError, ResultsError

Record = TypeVar("Record", bound=BaseModel)

_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may be loaded

HALF_WRITTEN = re.compile(r"\.[0-9a-f]{16}\.part")
"""Names of what a killed :func:`atomic_file` leaves behind."""


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under ``path`` complete (written beside it, synced, renamed) or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # pids are not unique: pods of a cluster share a folder
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder in which nobody writes now."""
    for left in folder.iterdir():
        if HALF_WRITTEN.fullmatch(left.name):
            left.unlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` with :func:`atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def read_record(path: Path, kind: type[Record], remedy: str) -> Record:
    """Read a JSON file that holds one record.

    Args:
        path: the file.
        kind: the record's type.
        remedy: what is to be done about a bad file, in the imperative: it ends the message.

    Raises:
        ResultsError: the file is missing, damaged, or written by another version of snakescribe.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}; {remedy}") from None
    except ValidationError as error:
        raise ResultsError(
            f"{path} is damaged, or written by another version of snakescribe ({first_problem(error)}); {remedy}"
        ) from None


def first_problem(error: ValidationError) -> str:
    """What is wrong with a record, in a few words."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def hold_lock(path: Path, busy: str, name: str = "") -> int:
    """Take an exclusive lock for the life of this process; returns the open descriptor.

    The kernel drops it however the process ends, so a killed run leaves nothing to clean.

    Args:
        path: of the lock file.
        busy: what to tell when somebody else holds it; with a ``name`` it goes on after what theirs is called.
        name: of what takes the lock, "a run" for example.

    Raises:
        BusyError: somebody else holds it (message ``busy``, and who).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        theirs, _, holder = os.pread(descriptor, 500, 0).decode(errors="replace").rpartition("\n")
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            busy = f"{theirs or 'another run'} {busy}" if name else busy
            raise BusyError(f"{busy} ({holder})" if holder else busy) from None
        raise
    with suppress(OSError):  # a full disk is told by who has something to lose
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{name}\n{_ourselves()}".encode(), 0)
    return descriptor


def _ourselves() -> str:
    """For whoever finds our lock."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, in a container
        user = f"user {os.getuid()}"
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    return f"process {os.getpid()} of {user} on {socket.gethostname()}, since {now}"


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, so that ``kill -9`` leaves no orphan writing."""
    pr_set_pdeathsig = 1  # linux/prctl.h
    parent = os.getppid()
    if hasattr(_LIBC, "prctl"):
        _LIBC.prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def disk_full(path: object, why: str = "") -> ResultsError:
    """What to tell the user about a full disk; ``path`` is what was written, if it is known."""
    where = f" ({path})" if path else ""
    return ResultsError(f"the disk is full{where}{why}; free some space and run again: nothing finished is lost")


def see_room(folder: Path, size: float) -> None:
    """Look whether ``size`` bytes can be written in ``folder``, before hours of work end in a full disk.

    Raises:
        ResultsError: they cannot.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise disk_full(folder, f": {free / 1e6:,.1f} MB are free, {size / 1e6:,.1f} MB are needed")


def disk_error(error: OSError) -> ResultsError | None:
    """What to tell the user about a full, read-only or forbidden disk, or names in the way; None for other failures."""
    name = error.filename2 or error.filename  # of a file that was to be renamed, the new name
    where = f" ({name})" if name else ""
    mount = "mount a folder there that belongs to the container's user (--volume, --user)"
    elsewhere = mount if "SNAKESCRIBE_VARIANT" in os.environ else "choose another folder with --results"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return disk_full(name)
        case errno.EROFS:
            return ResultsError(f"the file system is read-only{where}; {elsewhere}")
        case errno.EACCES | errno.EPERM:
            return ResultsError(f"no permission to write{where}; {elsewhere}")
        case errno.ENAMETOOLONG:
            return ResultsError(f"a name is too long{where}; choose a shorter one")
        case errno.EISDIR:
            return ResultsError(f"a folder stands where a file should be{where}; move it away and run again")
        case errno.EEXIST | errno.ENOTDIR:
            return ResultsError(f"a file stands where a folder should be{where}; move it away and run again")
    return None
