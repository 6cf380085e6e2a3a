"""MPEG transport streams that were joined: where one begins whose sound has other packet identifiers or another codec.

ffmpeg follows those of the first programme table to the end of the file, and takes what comes afterwards for further
tracks. Pieces of a live stream with advertisements between them, and recordings of two cameras, are such files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from snakescribe.audio.elements import find
from snakescribe.media.magic import TS_PACKETS

_ASSOCIATION = b"\x47\x40\x00"  # the beginning of a packet in which the list of programmes begins
_NEAR = 32  # packets after it in which the programme's own table stands
_AUDIO = frozenset((0x03, 0x04, 0x0F, 0x11, 0x81, 0x87))
"""Stream types: MPEG 1 and 2, AAC, AAC in LATM, AC-3, E-AC-3 (ISO/IEC 13818-1, table 2-34; ATSC A/53)."""

_PRIVATE = 0x06
_DVB_AUDIO = frozenset((0x6A, 0x7A, 0x7B, 0x7C))
"""Descriptors that say what a private stream is: AC-3, E-AC-3, DTS, AAC (ETSI EN 300 468, table 12)."""


def starts(file: BinaryIO, most: int) -> list[int]:
    """Bytes at which other streams of sound take the place of all before, 0 first and so many at most.

    Only of streams with one programme: the tables of several come by turns.

    Raises:
        OSError: the file cannot be read.
    """
    file.seek(0)
    head = file.read(5 * 204)
    found = [0]
    layout = next(((size, mark) for size, mark in TS_PACKETS if set(head[mark::size][:4]) == {0x47}), None)
    if layout is None:
        return found
    size, mark = layout
    known: set[tuple[int, int]] = set()
    for at in find(file, _ASSOCIATION, 0):
        file.seek(at)
        here = _sound(file.read(size * _NEAR), size)
        if here and known and known.isdisjoint(here):
            found.append(at - mark)
            known = here
            if len(found) == most:
                break
        known |= here
    return found


def _sound(packets: bytes, size: int) -> set[tuple[int, int]]:
    """Identifiers and types of the sound of the one programme that is announced in the first of the packets."""
    if packets[size : size + 1] != b"\x47":
        return set()
    programmes = _section(packets[:188], 0)
    entries = [programmes[at : at + 4] for at in range(8, len(programmes) - 3, 4)]
    tables = [entry[2] << 8 & 0x1F00 | entry[3] for entry in entries if entry[:2] != b"\0\0"]
    if len(tables) != 1:
        return set()
    begin = packets.find(bytes((0x47, 0x40 | tables[0] >> 8, tables[0] & 255)), size)
    streams = _section(packets[begin : begin + 188], 2) if begin >= 0 and begin % size == 0 else b""
    found: set[tuple[int, int]] = set()
    at = 12 + (int.from_bytes(streams[10:12], "big") & 0xFFF)
    while at + 5 <= len(streams):
        end = at + 5 + (int.from_bytes(streams[at + 3 : at + 5], "big") & 0xFFF)
        if streams[at] in _AUDIO or (streams[at] == _PRIVATE and _DVB_AUDIO.intersection(_tags(streams[at + 5 : end]))):
            found.add((int.from_bytes(streams[at + 1 : at + 3], "big") & 0x1FFF, streams[at]))
        at = end
    return found


def _tags(descriptors: bytes) -> Iterator[int]:
    at = 0
    while at + 2 <= len(descriptors):
        yield descriptors[at]
        at += 2 + descriptors[at + 1]


def _section(packet: bytes, table: int) -> bytes:
    """The section that begins in a packet, without its checksum; nothing if it is of another kind."""
    if len(packet) < 188 or packet[3] & 0x30 != 0x10:  # an adaptation field comes first
        return b""
    section = packet[5 + packet[4] :]
    if len(section) < 12 or section[0] != table:
        return b""
    return section[: max(0, (int.from_bytes(section[1:3], "big") & 0xFFF) - 1)]
