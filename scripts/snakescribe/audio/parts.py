"""The parts of a file that is several files one after the other, each with a header of its own.

Joined files are common, and in Ogg legal ("chained", RFC 3533), but ffmpeg goes by the first header alone: it stops at
its end or at a part with other parameters, or reads a header as sound. So each part gets a run of its own. (Of MP3,
AAC, AC-3, AMR, AVI and most MPEG streams ffmpeg reads all by itself.)
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import BinaryIO

from snakescribe.audio import transport
from snakescribe.audio.elements import find, starts
from snakescribe.audio.wave import MAGIC, WaveHeader, data_again, is_wave, trailing_chunks

MOST_PARTS = 1000
"""That are read: a day of a radio station has some 400 pieces. Of Ogg with more, one run reads what it can."""


@dataclass(frozen=True)
class Part:
    """Bytes of a file that one run of ffmpeg reads."""

    start: int = 0
    end: int | None = None
    """None is the end of the file."""
    ignore_length: bool = False
    """A WAV header says less than there is."""
    more: bool = False
    """More sound follows that is not read."""

    def url(self, name: str) -> str:
        """For ffmpeg, of a file that is called ``name`` in its words."""
        if self.start == 0 and self.end is None:
            return name
        return f"subfile,,start,{self.start},end,{self.end or 0},,:{name}"


WHOLE = Part()


def parts_of(source: str) -> list[Part]:
    """All parts, in their order; one that is the whole file for everything else.

    Raises:
        OSError: the file cannot be read.
    """
    with open(source, "rb") as file:
        magic = file.read(4)
        if magic in MAGIC:
            return _wave_parts(file)
        if magic == b"OggS":
            found = _ogg_links(file)
            if len(found) > MOST_PARTS:
                return [WHOLE]
        elif magic == b"fLaC":
            found = list(islice((at for at in find(file, b"fLaC", 0) if _is_flac(file, at)), MOST_PARTS + 1))
        elif magic == b"FLV\x01":
            found = list(islice((at for at in find(file, b"FLV\x01", 0) if _is_flash(file, at)), MOST_PARTS + 1))
        else:
            found = starts(file, MOST_PARTS + 1)
            if len(found) < 2:
                found = transport.starts(file, MOST_PARTS + 1)
        if len(found) < 2:
            return [WHOLE]
        parts = [Part(at, end) for at, end in pairwise([0, *found[1:], file.seek(0, os.SEEK_END)])]
        if len(parts) > MOST_PARTS:
            parts[MOST_PARTS - 1 :] = [replace(parts[MOST_PARTS - 1], more=True)]
        return parts


def _is_flac(file: BinaryIO, at: int) -> bool:
    """Whether the block of stream information follows, which is always the first and of 34 bytes (RFC 9639)."""
    file.seek(at + 4)
    return file.read(4) in (b"\0\0\0\x22", b"\x80\0\0\x22")


def _is_flash(file: BinaryIO, at: int) -> bool:
    """Whether the header's own length and the size of no tag before it follow (Adobe's specification, annex E)."""
    file.seek(at + 5)
    return file.read(8) == b"\0\0\0\x09\0\0\0\0"


def _ogg_links(file: BinaryIO) -> list[int]:
    """Where pages begin a stream that do not directly follow such a page: a link may have several streams."""
    links: list[int] = []
    end = -1
    for at in find(file, b"OggS\0\x02", 0):
        if at != end:
            links.append(at)
            if len(links) > MOST_PARTS:
                break
        file.seek(at + 26)
        sizes = file.read(256)
        count = sizes[0] if sizes else 0
        end = at + 27 + count + sum(sizes[1 : 1 + count])
    return links


def _wave_parts(file: BinaryIO) -> list[Part]:
    size = file.seek(0, os.SEEK_END)
    parts: list[Part] = []
    at: int | None = 0
    while at is not None and len(parts) < MOST_PARTS:
        header = WaveHeader.read(file, at)
        if header is None:
            break
        stop = min(size, header.begin + (header.size or 0))
        after = next((end for end in (stop + stop % 2, stop) if is_wave(file, end)), None)
        more = after is None and size - stop > header.bytes_per_second and not trailing_chunks(file, stop)
        if more:  # than the header says, or it says nothing
            after = next((found - 8 for found in find(file, b"WAVE", stop) if is_wave(file, found - 8)), None)
        again = bool(header.size) and after is None and size - stop > header.bytes_per_second and data_again(file, stop)
        end = stop if again else after
        if more and after is None and header.size:
            end = _wrapped_end(file, stop, size)
        parts.append(Part(at, end, ignore_length=more and header.size is not None, more=again))
        at = after
    if parts and at is not None:  # the rest has no header that can be read, or there are too many
        parts[-1] = Part(parts[-1].start, None, parts[-1].ignore_length, more=len(parts) == MOST_PARTS)
    return parts or [WHOLE]


def _wrapped_end(file: BinaryIO, stop: int, size: int) -> int | None:
    """Where the sound ends when the 32 bits of its size were too few and chunks follow it."""
    return next((end for end in range(stop + (1 << 32), size, 1 << 32) if trailing_chunks(file, end)), None)
