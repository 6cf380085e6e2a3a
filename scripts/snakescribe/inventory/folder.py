"""The names below a folder: which are recordings, which may be, and which are passed over and why. No file is opened.

A name with an extension of sound or video is a recording. One with an extension of a document is none. All others
(``call.wav.1``, no extension) may be: what is in them is looked at when the inventory is taken.
"""

from __future__ import annotations

import bisect
import os
import stat
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from snakescribe.inventory.sheet import Row
from snakescribe.media import DOCUMENTS, EXTENSIONS

_UNFINISHED = b".part .partial .tmp .temp .crdownload .filepart .download .opdownload .swp .!ut .!qb .aria2"
_PARTIAL = frozenset(_UNFINISHED.split())

HIDDEN, TEMPORARY, UNSETTLED = "hidden", "temporary", "unsettled"
NOT_AUDIO, NOT_A_FILE, UNREADABLE = "not audio", "not a file", "unreadable folders"
SHOWN = 20
"""Files passed over, or waiting, that are named."""
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
    sure: bool = True
    """A recording by its name, or because a sheet names it; otherwise its content has to tell."""


class PassedOver:
    """Files that are no recordings."""

    def __init__(self) -> None:
        self.extensions: Counter[str] = Counter()
        """How many there are of each, with the dot; of files without one under the empty text."""
        self.names: list[bytes] = []
        """The first few, sorted."""

    def add(self, path: bytes) -> None:
        """Count a file, and remember its name if it is one of the first."""
        self.extensions[printable(extension(path))] += 1
        bisect.insort(self.names, path)
        del self.names[SHOWN:]


def search(
    top: bytes, outside: Iterable[str] = (), more: Iterable[str] = ()
) -> tuple[list[FoundFile], Counter[str], PassedOver]:
    """Every recording below ``top`` and everything that may be one, what was passed over by reason, and which files.

    Symbolic links are followed; a folder reached twice (a loop, a second link) is read once, under its real
    path when that lies inside.

    Args:
        top: an existing folder.
        outside: folders of our own that are left out wherever they are met.
        more: extensions of recordings, beyond the usual ones.

    Raises:
        OSError: ``top`` itself cannot be read.
    """
    here = _Search(top, EXTENSIONS | {os.fsencode(extension) for extension in more})
    visited = {_identity(folder) for folder in (top, *map(os.fsencode, outside))} - {None}
    here.read(b"")
    while here.folders or here.links:
        # Real folders first: a link added later must not give old files new paths.
        if not here.folders:
            here.links.sort(reverse=True)
        folder = (here.folders or here.links).pop()
        identity = _identity(os.path.join(top, folder))  # noqa: PTH118 (bytes)
        if identity in visited:
            continue
        if identity:
            visited.add(identity)
        try:
            here.read(folder)
        except OSError:
            here.skipped[UNREADABLE] += 1
    return here.found, here.skipped, here.passed


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


def printable(name: bytes) -> str:
    """A hostile name for people: bytes that are not UTF-8, and control characters, as escapes."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _identity(folder: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)  # noqa: PTH116 (bytes)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Search:
    """What was met so far below a folder."""

    def __init__(self, top: bytes, extensions: frozenset[bytes]) -> None:
        self._top, self._extensions = top, extensions
        self.folders: list[bytes] = []
        self.links: list[bytes] = []
        self.found: list[FoundFile] = []
        self.skipped: Counter[str] = Counter()
        self.passed = PassedOver()

    def read(self, folder: bytes) -> None:
        with os.scandir(os.path.join(self._top, folder)) as names:  # noqa: PTH118
            for item in names:
                name = item.name
                path = os.path.join(folder, name)  # noqa: PTH118
                if is_hidden(name):
                    self.skipped[HIDDEN] += 1
                elif is_temporary(name):
                    self.skipped[TEMPORARY] += 1
                elif item.is_dir(follow_symlinks=False):
                    self.folders.append(path)
                elif _leads_to_folder(item):
                    self.links.append(path)
                else:
                    self._take(item, path)

    def _take(self, item: os.DirEntry[bytes], path: bytes) -> None:
        kind = extension(item.name)[1:]
        if kind in DOCUMENTS and kind not in self._extensions:
            self.skipped[NOT_AUDIO] += 1
            self.passed.add(path)
        elif entry := _entry(item, path, kind in self._extensions):
            self.found.append(entry)
        else:
            self.skipped[NOT_A_FILE] += 1


def _leads_to_folder(link: os.DirEntry[bytes]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # a link to itself, or to where we may not look
        return False


def _entry(item: os.DirEntry[bytes], path: bytes, sure: bool) -> FoundFile | None:
    try:
        status = item.stat()
    except OSError:  # a dangling link, or gone since
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return FoundFile(path, status.st_size, status.st_mtime_ns, True, sure=sure)
