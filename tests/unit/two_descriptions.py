"""An MP4 whose one track goes on in another format: two sample descriptions, as editors write that join clips."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + size]
        at += size


def _find(data: bytes, *path: bytes) -> bytes:
    for name in path:
        data = next(content for kind, content in _boxes(data) if kind == name)
    return data


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _table(kind: bytes, *numbers: int) -> bytes:
    return _box(kind, bytes(4), struct.pack(f">{len(numbers)}I", *numbers))


def _put(content: bytes, at: int, *numbers: int) -> bytes:
    return content[:at] + struct.pack(f">{len(numbers)}I", *numbers) + content[at + 4 * len(numbers) :]


def _samples(file: bytes) -> tuple[list[bytes], list[int], bytes, int]:
    """Of an MP4 with one track: its samples, their durations, its sample description, ticks per second."""
    media = _find(file, b"moov", b"trak", b"mdia")
    table = _find(media, b"minf", b"stbl")
    size, count = struct.unpack_from(">II", _find(table, b"stsz"), 4)
    sizes = [size] * count if size else list(struct.unpack_from(f">{count}I", _find(table, b"stsz"), 12))
    runs = list(struct.iter_unpack(">III", _find(table, b"stsc")[8:]))
    durations = [ticks for run, ticks in struct.iter_unpack(">II", _find(table, b"stts")[8:]) for _ in range(run)]
    samples: list[bytes] = []
    for chunk, (at,) in enumerate(struct.iter_unpack(">I", _find(table, b"stco")[8:]), 1):
        for _ in range([run[1] for run in runs if run[0] <= chunk][-1]):
            samples.append(file[at : at + sizes[len(samples)]])
            at += len(samples[-1])
    return samples, durations, _find(table, b"stsd")[8:], struct.unpack_from(">I", _find(media, b"mdhd"), 12)[0]


def two_descriptions(first: bytes, second: bytes) -> bytes:
    """One MP4 of two with one track each; the second's samples follow in a chunk with a description of its own."""
    one, one_long, one_entry, one_scale = _samples(first)
    two, two_long, two_entry, two_scale = _samples(second)
    scale = math.lcm(one_scale, two_scale)
    durations = [ticks * scale // one_scale for ticks in one_long] + [ticks * scale // two_scale for ticks in two_long]
    movie = _find(first, b"moov")
    track, media = _find(movie, b"trak"), _find(movie, b"trak", b"mdia")
    total = sum(durations)

    def header(begin: int) -> bytes:
        table = _box(
            b"stbl",
            _box(b"stsd", bytes(4), struct.pack(">I", 2), one_entry, two_entry),
            _table(b"stts", len(durations), *(number for ticks in durations for number in (1, ticks))),
            _table(b"stsc", 2, 1, len(one), 1, 2, len(two), 2),
            _table(b"stsz", 0, len(one + two), *map(len, one + two)),
            _table(b"stco", 2, begin, begin + sum(map(len, one))),
        )
        information = [_box(kind, box) for kind, box in _boxes(_find(media, b"minf")) if kind != b"stbl"]
        return _box(
            b"moov",
            _box(b"mvhd", _put(_find(movie, b"mvhd"), 12, scale, total)),
            _box(
                b"trak",
                _box(b"tkhd", _put(_find(track, b"tkhd"), 20, total)),
                _box(
                    b"mdia",
                    _box(b"mdhd", _put(_find(media, b"mdhd"), 12, scale, total)),
                    _box(b"hdlr", _find(media, b"hdlr")),
                    _box(b"minf", *information, table),
                ),
            ),
        )

    brand = _box(b"ftyp", _find(first, b"ftyp"))
    return brand + header(len(brand) + len(header(0)) + 8) + _box(b"mdat", *one, *two)
