"""A batch manifest: the recordings of one job, written once by the inventory and never changed."""

from __future__ import annotations

import os
from pathlib import Path

from snakescribe.config.options import Channels
from snakescribe.files import read_record, write_atomically
from snakescribe.records import Frozen


class Recording(Frozen):
    """One attempt at one recording, with everything about it that can change its text."""

    recording_id: str
    """Key in every table: the sheet's ``id``, or 16 hex digits of the SHA-256 of the path's bytes."""
    path: str
    """Relative to the recordings folder (as written in a sheet); bytes that are not UTF-8 as ``\\xNN``."""
    path_hex: str
    """The path's bytes as they are on disk, in hex."""
    sha256: str
    """Of the file's content; empty when it could not be read."""
    size: int
    """Bytes."""
    attempt: int
    """1 for the first time this recording is transcribed, counted up for new content and retries."""
    duration: float | None = None
    """Seconds by the container's header; None when it does not say or could not be probed."""
    codec: str | None = None
    sample_rate: int | None = None
    """Hz."""
    channels: int | None = None
    probe_error: str | None = None
    """Why probing failed, in one line; normalising is tried all the same."""
    language: str | None = None
    prompt: str | None = None
    channel_mode: Channels | None = None
    """Per-recording overrides from a sheet; None takes the config's."""

    @property
    def path_bytes(self) -> bytes:
        """The path's bytes as they are on disk."""
        return bytes.fromhex(self.path_hex)

    def source(self, root: str) -> str:
        """Absolute path for opening (``os.fsdecode`` form), ``root`` being the recordings' folder."""
        return os.path.join(root, os.fsdecode(self.path_bytes))  # noqa: PTH118 (bytes that are no text)


class Manifest(Frozen):
    """The recordings of one batch, in the order they appear in the tables."""

    batch: str
    recordings: tuple[Recording, ...]

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest written by :meth:`write`.

        Raises:
            ResultsError: it is missing, damaged or of another version.
        """
        return read_record(path, cls, "delete it and run again: it is made from the ledger")

    def write(self, path: Path) -> None:
        """Write atomically; a manifest that exists already is left alone."""
        if not path.exists():
            write_atomically(path, self.model_dump_json(indent=1).encode())
