"""What the header of a WAV file (RIFF, RF64, BW64, RIFX) says of its samples, as far as it can be believed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, Literal

MAGIC = (b"RIFF", b"RF64", b"BW64")
BIG_ENDIAN = b"RIFX"
"""As MAGIC, with all numbers and samples in the other order of bytes (old Macintosh, SGI and Amiga programs)."""
STREAMED = 0x7FFFF000
"""A data size from here on, or 0, was written before the length was known."""

_MOST_CHUNKS = 1000
_BIG_ENDIAN = {(1, bits): f"pcm_s{bits}be" for bits in (16, 24, 32)} | {
    (3, bits): f"pcm_f{bits}be" for bits in (32, 64)
}
_KNOWN = {b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"cue ", b"fact", b"PEAK", b"smpl", b"inst", b"_PMX", b"axml"}
_KNOWN |= {b"JUNK", b"junk", b"FLLR", b"PAD ", b"chna", b"afsp", b"DISP", b"data"}
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")


@dataclass(frozen=True)
class WaveHeader:
    """Where the samples are."""

    begin: int
    """Byte of the file at which they begin."""
    size: int | None
    """Their bytes; None when the header does not know."""
    bytes_per_second: int

    @classmethod
    def read(cls, file: BinaryIO, at: int = 0) -> WaveHeader | None:
        """The header at ``at``; None when there is none, or no samples follow."""
        if not is_wave(file, at):
            return None
        file.seek(at)
        order: Literal["big", "little"] = "big" if file.read(4) == BIG_ENDIAN else "little"
        file.seek(at + 12)
        rate, long = 0, None
        for _ in range(_MOST_CHUNKS):
            head = file.read(8)
            if len(head) < 8:
                return None
            name, size = head[:4], int.from_bytes(head[4:], order)
            begin = file.tell()
            if name == b"data":
                if long is not None and size == 0xFFFFFFFF:
                    return cls(begin, long, rate)
                return cls(begin, size if 0 < size < STREAMED or (size and long) else None, rate)
            if name == b"fmt ":
                rate = int.from_bytes(file.read(12)[8:], order)
            elif name == b"ds64":  # EBU Tech 3306: sizes of the file and of the samples, 64 bits each
                long = int.from_bytes(file.read(16)[8:], "little") or None
            file.seek(begin + size + size % 2)
        return None


def is_wave(file: BinaryIO, at: int) -> bool:
    """Whether a WAV file begins there."""
    file.seek(at)
    head = file.read(20)
    return head[:4] in (*MAGIC, BIG_ENDIAN) and head[8:12] == b"WAVE" and head[12:16].isascii() and len(head) == 20


def big_endian_codec(head: bytes) -> str | None:
    r"""Ffmpeg's decoder for a RIFX file, whose samples it takes for little-endian ones; by the file's first bytes.

    >>> big_endian_codec(b"RIFX\0\0\0\x24WAVEfmt \0\0\0\x10" + bytes.fromhex("00010001 00003e80 00007d00 00020010"))
    'pcm_s16be'
    """
    if not head.startswith(BIG_ENDIAN) or (at := head.find(b"fmt ")) < 0:
        return None
    tag, bits = int.from_bytes(head[at + 8 : at + 10], "big"), int.from_bytes(head[at + 22 : at + 24], "big")
    return _BIG_ENDIAN.get((tag, bits))


def data_again(file: BinaryIO, at: int) -> bool:
    """Whether chunks follow, and among them a second one of samples, which ffmpeg takes for the only one."""
    for place in (at + at % 2, at):
        for _ in range(_MOST_CHUNKS):
            file.seek(place)
            head = file.read(8)
            if head.startswith(b"data") and len(head) == 8:
                return True
            if len(head) < 8 or not (head[:4].isascii() and head[:4].decode().isprintable()):
                break
            length = int.from_bytes(head[4:], "little")
            place += 8 + length + length % 2
    return False


def trailing_chunks(file: BinaryIO, at: int) -> bool:
    """Whether what follows are chunks or tags up to the end of the file, not sound."""
    size = file.seek(0, os.SEEK_END)
    for begin in {at + at % 2, at}:
        place = begin
        for _ in range(_MOST_CHUNKS):
            file.seek(place)
            head = file.read(11)
            if place > begin and len(head) < 8:
                return True
            name, length = head[:4], int.from_bytes(head[4:8], "little")
            if head.startswith(_TAGS) or (name in _KNOWN and place + 8 + length > size):
                return True
            if len(head) < 8 or not (name.isascii() and name.decode().isprintable()) or place + 8 + length > size:
                break
            place += 8 + length + length % 2
    return False
