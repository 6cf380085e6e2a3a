"""Which texts we wrote ourselves, so that a file that a person has corrected is told apart.

``exported/ID.sha256`` has a line ``SHA256  RECORDING_ID.KIND`` for every text that was ever rendered in a batch. A
line is there before its file is: of what a killed export wrote, nothing is taken for somebody's work. Snakemake
does not know this file; it would put the older version back when an export fails.

Where there is no record (an older version kept none), or an empty one (a crash of the machine, a full disk), what was
written is what the rows say: see :func:`snakescribe.formats.export.record_unrecorded`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from snakescribe.files import write_atomically

_LINE = re.compile(r"^([0-9a-f]{64})  (.+)\.(\w+)\n", re.MULTILINE)
"""A line that a kill has cut short does not match."""


class Digests:
    """The record of one batch, with what other batches know about its recordings."""

    def __init__(self, path: Path, others: Iterable[Path] = ()) -> None:
        self._path = path
        self._known: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for one in (path, *others):
            for digest, recording_id, kind in _LINE.findall(_text(one)):
                self._known[recording_id, kind].add(digest)

    def known(self, recording_id: str, kind: str) -> set[str]:
        """SHA-256 (hex) of all that was ever written for a recording in a format."""
        return self._known[recording_id, kind]

    def know(self, recording_id: str, texts: Mapping[str, bytes]) -> list[str]:
        """Know texts of a recording, by format, without taking them down; the lines that were not known yet."""
        lines = []
        for kind, data in texts.items():
            digest, known = sha256(data), self.known(recording_id, kind)
            if digest not in known:
                known.add(digest)
                lines.append(f"{digest}  {recording_id}.{kind}\n")
        return lines

    def remember(self, recording_id: str, texts: Mapping[str, bytes]) -> None:
        """Take down what is about to be written, by format; on the disk when this returns."""
        lines = self.know(recording_id, texts)
        if lines:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            torn = not f"\n{_text(self._path)}".endswith("\n")
            with self._path.open("ab") as file:
                file.write("".join(["\n" * torn, *lines]).encode())
                file.flush()
                os.fsync(file.fileno())


def recorded(path: Path) -> bool:
    """Whether anything stands in a batch's record."""
    return path.exists() and path.stat().st_size > 0


def record_anew(path: Path, texts: Iterable[tuple[str, Mapping[str, bytes]]]) -> None:
    """Write a batch's record from the texts of its recordings by format, whole or not at all."""
    digests = Digests(path)
    lines = [line for recording_id, some in texts for line in digests.know(recording_id, some)]
    if lines:
        write_atomically(path, "".join(lines).encode())


def forget_digests(path: Path, recording_id: str) -> None:
    """Take a recording out of a batch's record, and whatever cannot be read."""
    text = _text(path)
    stay = "".join(line[0] for line in _LINE.finditer(text) if line[2] != recording_id)
    if stay != text:
        write_atomically(path, stay.encode())


def sha256(data: bytes) -> str:
    """The digest in hex."""
    return hashlib.sha256(data).hexdigest()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
