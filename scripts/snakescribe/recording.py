"""One recording: what its header says, what is set for it alone, and one attempt at transcribing it."""

from __future__ import annotations

import dataclasses
import os

import pydantic

from snakescribe.config.options import Channels


@dataclasses.dataclass(frozen=True)
class Header:
    """What a container's header says about its audio; None where it does not say or could not be probed."""

    duration: float | None = None
    """Seconds."""
    codec: str | None = None
    sample_rate: int | None = None
    """Hz."""
    channels: int | None = None
    probe_error: str | None = None
    """Why probing failed, in one line; normalising is tried all the same."""


@dataclasses.dataclass(frozen=True)
class Overrides:
    """What a sample sheet or a request sets for one recording; None takes the configuration's."""

    language: str | None = None
    prompt: str | None = None
    channel_mode: Channels | None = None


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=pydantic.ConfigDict(extra="forbid"))
class Recording(Overrides, Header):
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
    mtime_ns: int | None = None
    """Of the file when its content was hashed; None for uploads and in manifests of older versions."""
    attempt: int
    """1 for the first time this recording is transcribed, counted up for new content and retries."""

    @property
    def path_bytes(self) -> bytes:
        """The path's bytes as they are on disk."""
        return bytes.fromhex(self.path_hex)

    def source(self, root: str) -> str:
        """Absolute path for opening (``os.fsdecode`` form), ``root`` being the recordings' folder."""
        return os.path.join(root, os.fsdecode(self.path_bytes))  # noqa: PTH118 (bytes that are no text)
