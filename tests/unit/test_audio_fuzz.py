"""Headers that lie: mutations of the headers of real files, each a row, none silently short."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from audio_files import describe, ffmpeg, normalise
from test_audio_containers import STREAMED, WHOLE, WRITABLE

from snakescribe.audio.samples import NormalisedRecording

HEADER = 2048
"""Bytes of a header that are mutated; of containers with their index at the end those as well."""
VALUES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SHARE = 0.9
"""Of the plain file's audio; less of it needs a flag or a reason."""


def mutated(content: bytes, dice: random.Random) -> bytes:
    """Some fields of a header (sizes, counts, time stamps, flags) set to what breaks readers."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        width = dice.choice((1, 1, 2, 4, 4, 8))
        where = dice.randrange(min(HEADER, len(data) - width))
        if dice.random() < 0.3:
            where = len(data) - width - where
        old = int.from_bytes(data[where : where + width], "big")
        new = dice.choice(
            (dice.choice(VALUES), old ^ (1 << dice.randrange(8 * width)), old + 1, old - 1, 2 * old, old // 2)
        )
        data[where : where + width] = (new % (1 << (8 * width))).to_bytes(width, dice.choice(("big", "little")))
    return bytes(data)


@pytest.fixture(scope="module")
def headers(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """About 40 files of one recording (10 s), by kind."""
    root, speech = tmp_path_factory.mktemp("headers"), models_root / "samples/beckett.wav"
    for kind in WRITABLE:
        ffmpeg("-i", str(speech), *WHOLE[kind], str(root / f"whole.{kind}"))
    for kind, options in STREAMED.items():
        ffmpeg("-i", str(speech), *options, "pipe:1", output=root / f"live.{kind}")
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


def _mutations(headers: dict[str, bytes], count: int) -> Iterator[tuple[str, bytes]]:
    kinds = list(headers)
    for seed in range(count):
        kind = kinds[seed % len(kinds)]
        yield f"{seed}.{kind}", mutated(headers[kind], random.Random(seed))


@pytest.mark.parametrize("count", [80, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_header_that_lies_is_a_row(headers: dict[str, bytes], tmp_path: Path, count: int) -> None:
    """No crash, no hang, no row missing, and no less audio than the plain file has without a word about it."""
    for name, content in _mutations(headers, count):
        (tmp_path / name).write_bytes(content)
    names = sorted(path.name for path in tmp_path.iterdir())
    entries, _ = normalise(tmp_path, [describe(name, tmp_path) for name in names], tmp_path / "out")
    assert len(entries) == count
    for name, content in headers.items():
        (tmp_path / name).write_bytes(content)
    plain, _ = normalise(tmp_path, [describe(name, tmp_path) for name in headers], tmp_path / "out")
    rates = {name: _rate(entry) for name, entry in zip(headers, plain, strict=True)}
    silent = {
        name: (entry.duration, entry.flags)
        for name, entry in zip(names, entries, strict=True)
        if entry.error_class is None
        and not {"truncated", "incomplete"} & {*entry.flags}
        and (entry.duration or 0) < SHARE * 9.98
        and _rate(entry) == rates[name.partition(".")[2]]  # of a wrong rate or number of channels nobody can know
    }
    assert silent == {}


def _rate(entry: NormalisedRecording) -> tuple[int | None, int | None] | None:
    return (entry.decoded.sample_rate, entry.decoded.channels) if entry.decoded else None
