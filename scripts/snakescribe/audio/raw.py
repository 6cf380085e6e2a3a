"""A file without a header, or with one that misleads ffmpeg: it is told what is in it, or gets a plain copy."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from snakescribe.audio.truncation import drive_failed
from snakescribe.audio.wave import big_endian_codec
from snakescribe.config.options import AudioOptions
from snakescribe.errors import TooLong
from snakescribe.media.magic import has_header, head_of
from snakescribe.media.raw import UNSAID, extension
from snakescribe.recording import Recording

_ILBC = b"#!iLBC30\n"
_G723_FRAMES = {0: 24, 1: 20, 2: 4}
"""Bytes of a G.723.1 frame at 6.3 and 5.3 kbit/s and of one of silence, by its first two bits (RFC 3551, 4.5.3)."""
_TIME = 4
"""Bytes of a time in front of the size of each frame, in Asterisk's ``.g723`` (``formats/format_g723.c``)."""


@contextlib.contextmanager
def readable(
    recording: Recording, source: str, audio: AudioOptions, folder: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file for ffmpeg, and the options to read it with; none for nearly every file that has a header.

    Args:
        recording: its path's extension says what is in it.
        source: absolute path, as ``os.fsdecode`` gives it.
        audio: what else extensions mean, and how long a recording may be.
        folder: for a copy, gone afterwards.

    Raises:
        TooLong: by its size, which says all about its length.
        UnreadableRecording: the drive failed.
    """
    raw = audio.raw_format(extension(recording.path))
    try:
        head = head_of(source)
    except OSError as error:
        raise drive_failed(error.strerror or str(error)) from None
    if raw is None or has_header(head):
        codec = big_endian_codec(head)
        yield source, {"c:a": codec} if codec else {}
        return
    if raw.seconds(recording.size) > audio.max_hours * 3600:
        raise TooLong(f"longer than {audio.max_hours:g} hours; raise audio.max_hours or cut the recording")
    rewritten = raw.codec == "ilbc" or (raw.codec == "g723" and _framed(head))
    if not rewritten:
        yield source, raw.reading
        return
    with open(source, "rb") as file, tempfile.NamedTemporaryFile(dir=folder, suffix=f".{raw.codec}") as plain:
        if raw.codec == "ilbc":
            plain.write(_ILBC)
            shutil.copyfileobj(file, plain, 1 << 20)
        else:
            _unframe(file, plain.file)
        plain.flush()
        yield plain.name, raw.reading


def how_to_say(recording: Recording, audio: AudioOptions) -> str | None:
    """What is missing to read a file without a header, if that is what it is."""
    kind = extension(recording.path)
    if audio.raw_format(kind) or kind not in UNSAID:
        return None
    return f"the file has no header; say what is in it, like audio.raw: {{{kind}: {UNSAID[kind]}}}"


def _framed(head: bytes) -> bool:
    """Whether every frame at the beginning says its size twice: in front of it, and in its first two bits."""
    at = 0
    while at + _TIME + 3 <= len(head):
        size, first = int.from_bytes(head[at + _TIME : at + _TIME + 2], "big"), head[at + _TIME + 2]
        if _G723_FRAMES.get(first & 3) != size:
            return False
        at += _TIME + 2 + size
    return at > 0


def _unframe(file: BinaryIO, plain: Any) -> None:
    """Leave the times and sizes out, up to the first frame that is none."""
    while len(start := file.read(_TIME + 2)) == _TIME + 2:
        size = int.from_bytes(start[_TIME:], "big")
        if size not in _G723_FRAMES.values():
            return
        plain.write(file.read(size))
