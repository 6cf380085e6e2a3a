"""Containers whose elements say their own size: where the next file begins in several that were joined.

Only headers are read, so a film of many gigabytes costs nothing. Where the sizes lead nowhere (a stream that was
recorded as it came, a file that is cut before the next one, bytes between two files), the next header is looked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

_MOST = 1 << 18  # elements: a fragmented MP4 has two for every second or so
_HEAD = 64
_PADDING = 4096  # bytes after the last element; more of them may be the rest of a file that an element ran into
_BLOCK = 1 << 20
_SEGMENT = 1 << 16  # bytes of a segment that hold its header and its first fragment's
_EBML = b"\x1a\x45\xdf\xa3"
_TOP = (_EBML, b"\x18\x53\x80\x67", b"\xec", b"\xbf")
"""What may stand beside each other in Matroska (RFC 9559): header, segment, padding, checksum."""
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"

Element = tuple[bytes, int | None]
"""Its name, and its bytes with its header; None when it does not say."""


def starts(file: BinaryIO, most: int) -> list[int]:
    """Bytes at which a whole file of the first one's kind begins, 0 first and so many at most; only 0 for other kinds.

    Raises:
        OSError: the file cannot be read.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    kind = _kind(file.read(_HEAD))
    if kind is None:
        return [0]
    element, first, complete = kind
    found: list[int] = []
    at = last = 0
    whole = True
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(_HEAD)
        if len(head) < 8:
            break
        name, size = element(head)
        if name == first and whole:
            found.append(at)
            last = at
            if len(found) == most:
                break
            whole = first == complete
        whole |= name == complete
        if size and size >= 8 and at + size <= end:
            last, at = at, at + size
        elif (next_ := _next_header(file, first, (last if end - at > _PADDING else at) + 1)) is not None:
            last = at = next_
            whole = True
        else:
            break
    return found if len(found) > 1 and not _one_stream(file, found) else [0]


def _one_stream(file: BinaryIO, found: list[int]) -> bool:
    """Whether they are segments of one MP4 with its header before each: ffmpeg keeps their clock, and so their gaps."""
    headers: set[bytes] = set()
    times: list[int] = []
    for at in found:
        file.seek(at)
        head = file.read(_SEGMENT)
        movie = head.find(b"moov")
        time = head.find(b"tfdt", head.find(b"moof", movie))  # of the first fragment, ISO/IEC 14496-12, 8.8.12
        if movie < 4 or time < 0 or len(head) < time + 16:
            return False
        headers.add(head[: movie - 4 + int.from_bytes(head[movie - 4 : movie], "big")])
        times.append(int.from_bytes(head[time + 8 : time + (16 if head[time + 4] else 12)], "big"))
    return len(headers) == 1 and all(earlier < later for earlier, later in pairwise(times))


_MAGIC = {b"ftyp": (b"ftyp", 4), b"AIF": (b"FORM", 0)}
"""Bytes to look for, and how far into the file they are, where that is not the element that begins it."""


def _next_header(file: BinaryIO, first: bytes, start: int) -> int | None:
    """Where the next file of the kind begins; of Sun's there is too little to know it by."""
    magic, before = _MAGIC.get(first, (first, 0))
    for at in find(file, magic, start + before) if first != b".snd" else ():
        file.seek(at - before)
        head = file.read(_HEAD)
        kind = _kind(head)
        if kind and kind[1] == first and _beyond_chance(first, head):
            return at - before
    return None


def _beyond_chance(first: bytes, head: bytes) -> bool:
    """Whether more than four bytes say that a file begins here."""
    if first == b"ftyp":
        return head[:2] == b"\0\0" and head[8:12].isascii() and head[8:12].decode().isprintable()
    if first == _EBML:
        return b"\x42\x82" in head and (b"matroska" in head or b"webm" in head)  # the element DocType
    return first != b"caff" or head[4:8] == b"\0\1\0\0"


def _kind(head: bytes) -> tuple[Callable[[bytes], Element], bytes, bytes] | None:
    """How to read an element, the one that begins a file, and the one that it cannot do without."""
    if head[4:8] == b"ftyp":
        return _box, b"ftyp", b"moov"
    if head.startswith(_EBML):
        return _ebml, _EBML, _EBML
    if head.startswith(_ASF):
        return _asf, _ASF, _ASF
    if head.startswith(_W64):
        return _wave64, _W64, _W64
    if head.startswith(b"FORM") and head[8:11] == b"AIF":
        return _form, b"AIF", b"AIF"
    if head.startswith(b"caff"):
        return _core_audio, b"caff", b"caff"
    if head.startswith(b".snd"):
        return _sun, b".snd", b".snd"
    return None


def _box(head: bytes) -> Element:
    """ISO/IEC 14496-12; QuickTime's atoms."""
    size = int.from_bytes(head[:4], "big")
    return head[4:8], (int.from_bytes(head[8:16], "big") if size == 1 else size) or None


def _ebml(head: bytes) -> Element:
    """RFC 8794: both numbers have as many bytes as the first one's leading zeros say, and one more."""
    name = 9 - head[0].bit_length()
    long = 9 - head[min(name, 7)].bit_length()
    if name > 4 or long > 8:
        return b"", None
    mask = (1 << 7 * long) - 1
    size = int.from_bytes(head[name : name + long], "big") & mask
    return head[:name], None if size == mask or head[:name] not in _TOP else name + long + size


def _asf(head: bytes) -> Element:
    """Advanced Systems Format, 2.1: a GUID and a size."""
    return head[:16], int.from_bytes(head[16:24], "little") or None


def _wave64(head: bytes) -> Element:
    return head[:16], -(-int.from_bytes(head[16:24], "little") // 8) * 8 or None


def _form(head: bytes) -> Element:
    """EA IFF 85."""
    size = int.from_bytes(head[4:8], "big")
    return head[8:11], 8 + size + size % 2 if head.startswith(b"FORM") and size else None


def _core_audio(head: bytes) -> Element:
    if head.startswith(b"caff"):
        return b"caff", 8
    size = int.from_bytes(head[4:12], "big", signed=True)
    return head[:4], 12 + size if size >= 0 else None


def core_audio_is_cut(path: Path, start: int, end: int | None) -> bool:
    """Whether a chunk of a CAF file (Apple's Core Audio Format 1.0) is longer than what is there of the file."""
    with path.open("rb") as file:
        end = end or file.seek(0, os.SEEK_END)
        for _ in range(_MOST):
            file.seek(start)
            size = _core_audio(file.read(_HEAD))[1]
            if not size or start + size >= end:
                return size is not None and start + size > end
            start += size
    return False


def _sun(head: bytes) -> Element:
    begin, size = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
    return head[:4], begin + size if head.startswith(b".snd") and size < 0xFFFFFFFF else None


def find(file: BinaryIO, needle: bytes, start: int) -> Iterator[int]:
    """Every place of ``needle``; read, not mapped: a drive that fails would end this process by a signal."""
    tail, at = b"", start
    while True:
        file.seek(at + len(tail))
        block = tail + file.read(_BLOCK)
        if len(block) == len(tail):
            return
        found = block.find(needle)
        while found >= 0:
            yield at + found
            found = block.find(needle, found + 1)
        keep = min(len(block), len(needle) - 1)
        at += len(block) - keep
        tail = block[len(block) - keep :]
