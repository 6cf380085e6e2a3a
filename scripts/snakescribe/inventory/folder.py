"""The names below a folder: which are recordings, and which are passed over and why. No file is opened."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from snakescribe.inventory.sheet import Row
from snakescribe.media import EXTENSIONS

_UNFINISHED = b".part .partial .tmp .temp .crdownload .filepart .download .opdownload .swp .!ut .!qb .aria2"
_PARTIAL = frozenset(_UNFINISHED.split())

HIDDEN, TEMPORARY, UNSETTLED = "hidden", "temporary", "unsettled"
NOT_AUDIO, NOT_A_FILE, UNREADABLE = "not audio", "not a file", "unreadable folders"
REASONS = (HIDDEN, TEMPORARY, UNSETTLED, NOT_AUDIO, NOT_A_FILE, UNREADABLE)


class FoundFile(NamedTuple):
    """One file to be taken, as ``stat`` sees it."""

    path: bytes
    """Relative to :attr:`Walk.root`; a sheet may name absolute ones."""
    size: int
    mtime_ns: int
    settled: bool
    """Left alone long enough (``settle``) to be complete."""
    row: Row | None = None


def search(top: bytes, outside: Iterable[str] = ()) -> tuple[list[FoundFile], Counter[str]]:
    """Every recording below ``top``, and how many names were passed over by reason.

    Symbolic links are followed; a folder reached twice (a loop, a second link) is read once, under its real
    path when that lies inside.

    Args:
        top: an existing folder.
        outside: folders of our own that are left out wherever they are met.

    Raises:
        OSError: ``top`` itself cannot be read.
    """
    found: list[FoundFile] = []
    skipped: Counter[str] = Counter()
    visited = {_identity(folder) for folder in (top, *map(os.fsencode, outside))} - {None}
    folders: list[bytes] = []
    links: list[bytes] = []
    _read_folder(top, b"", folders, links, found, skipped)
    while folders or links:
        # Real folders first: a link added later must not give old files new paths.
        if not folders:
            links.sort(reverse=True)
        folder = (folders or links).pop()
        identity = _identity(os.path.join(top, folder))  # noqa: PTH118 (bytes)
        if identity in visited:
            continue
        if identity:
            visited.add(identity)
        try:
            _read_folder(top, folder, folders, links, found, skipped)
        except OSError:
            skipped[UNREADABLE] += 1
    return found, skipped


def is_hidden(name: bytes) -> bool:
    """Names that people hide, and that programs put beside files.

    >>> is_hidden(b".wav"), is_hidden(b"._call.wav"), is_hidden(b"a.wav")
    (True, True, False)
    """
    return name.startswith(b".")


def is_temporary(name: bytes) -> bool:
    """Names of editors' and browsers' unfinished files.

    >>> [is_temporary(name) for name in (b"~$call.wav", b"call.wav~", b"call.wav.Part", b"call.wav")]
    [True, True, True, False]
    """
    return name.startswith(b"~") or name.endswith(b"~") or extension(name) in _PARTIAL


def extension(name: bytes) -> bytes:
    """The lower-case extension with its dot, or nothing."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (bytes)


def _identity(folder: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)  # noqa: PTH116 (bytes)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _read_folder(
    top: bytes,
    folder: bytes,
    folders: list[bytes],
    links: list[bytes],
    found: list[FoundFile],
    skipped: Counter[str],
) -> None:
    with os.scandir(os.path.join(top, folder)) as names:  # noqa: PTH118
        for item in names:
            name = item.name
            path = os.path.join(folder, name)  # noqa: PTH118
            if is_hidden(name):
                skipped[HIDDEN] += 1
            elif is_temporary(name):
                skipped[TEMPORARY] += 1
            elif item.is_dir(follow_symlinks=False):
                folders.append(path)
            elif _leads_to_folder(item):
                links.append(path)
            elif extension(name) not in EXTENSIONS:
                skipped[NOT_AUDIO] += 1
            else:
                entry = _entry(item, path)
                if entry:
                    found.append(entry)
                else:
                    skipped[NOT_A_FILE] += 1


def _leads_to_folder(link: os.DirEntry[bytes]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # a link to itself, or to where we may not look
        return False


def _entry(item: os.DirEntry[bytes], path: bytes) -> FoundFile | None:
    try:
        status = item.stat()
    except OSError:  # a dangling link, or gone since
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return FoundFile(path, status.st_size, status.st_mtime_ns, True)
