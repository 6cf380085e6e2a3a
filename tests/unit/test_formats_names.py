"""Names of transcript files: mirrored where possible, never outside, never shared."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.formats.names import FORMATS, transcript_stem


def identity(path: bytes) -> str:
    return hashlib.sha256(path).hexdigest()[:16]


def stem(path: bytes) -> bytes:
    return transcript_stem(path, identity(path))


@pytest.mark.parametrize(
    "path",
    [
        b"x.mp3",
        b"a/b c/x.mp3",
        b"-x.wav",
        b"{sample} 'q' \"d\".wav",
        b"new\nline.wav",
        "녹음/통화 1.m4a".encode(),
        unicodedata.normalize("NFD", "한글.wav").encode(),
        "🎙.wav".encode(),
        b"\xff\xfe.wav",
        b"RECORD~1.WAV",
        b"x" * 246 + b".wav",
        b"d" * 255 + b"/x.wav",
    ],
)
def test_an_ordinary_path_is_mirrored(path: bytes) -> None:
    assert stem(path) == path


def test_neighbours_with_the_same_stem_do_not_meet() -> None:
    assert len({stem(path) for path in (b"a/x.mp3", b"b/x.mp3", b"x.wav", b"x.mp3")}) == 4


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/data/x.mp3", b"~root/data/x.mp3"),
        (b"../other/x.mp3", b"~up/other/x.mp3"),
        (b"./x.mp3", b"~here/x.mp3"),
    ],
)
def test_paths_of_a_sheet_stay_inside(path: bytes, expected: bytes) -> None:
    assert stem(path) == expected


def test_an_id_of_the_sheet_is_in_the_name() -> None:
    assert transcript_stem(b"a/x.mp3", "caller-1") == b"a/x.mp3~caller-1"
    assert transcript_stem(b"a/x.mp3", "통화_2") == "a/x.mp3~통화_2".encode()


def test_a_name_too_long_for_a_suffix_is_cut_between_characters() -> None:
    path = ("가" * 83 + "ab.wav").encode()
    assert len(path) == 255
    made = stem(path)
    assert made.decode() == "가" * 77 + "~" + identity(path)
    assert len(made) + len(".json") <= 255


def test_a_path_too_deep_to_be_mirrored_is_gathered_elsewhere() -> None:
    path = b"/".join([b"d" * 200] * 12) + b"/x.wav"
    assert stem(path) == b"~long/x.wav~" + identity(path).encode()


def test_a_folder_called_like_a_transcript_does_not_stand_in_its_way(tmp_path: Path) -> None:
    for path in (b"x.mp3", b"x.mp3.srt/y.mp3"):
        for kind in FORMATS:
            target = tmp_path / os.fsdecode(stem(path) + b"." + kind.encode())
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("")
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 2 * len(FORMATS)


ODD = [b"", b".", b"..", b"~root", b"~up", b"~here", b"~long", b"x.mp3", b"x.mp3.srt", b"x", b"x~1", b"\xff"]
ODD += [b"x.mp3~" + identity(b"x.mp3").encode(), b"x.srt~" + identity(b"x.srt").encode(), b"x.srt"]


def test_no_two_odd_recordings_share_a_file() -> None:
    paths = [b"/".join(parts) for n in (1, 2, 3) for parts in product(ODD, repeat=n)]
    keys = [(path, identity(path)) for path in paths] + [(path, "1") for path in paths[:1]]
    files = {transcript_stem(*key) + b"." + kind.encode() for key in keys for kind in FORMATS}
    assert len(files) == len(keys) * len(FORMATS)
    folders = {file[:i] for file in files for i in range(len(file)) if file[i : i + 1] == b"/"}
    assert not files & folders


names = st.binary(min_size=1, max_size=255).map(lambda b: b.replace(b"\0", b"0").replace(b"/", b"|"))
ids = st.from_regex(r"[^\W_][\w.-]{0,20}", fullmatch=True)


@given(st.lists(names | st.sampled_from(ODD), min_size=1, max_size=20), st.none() | ids)
def test_any_path_gives_names_that_a_file_system_takes(parts: list[bytes], own: str | None) -> None:
    path = b"/".join(parts)
    made = transcript_stem(path, own or identity(path))
    assert len(made) <= 2400
    for part in (made + b".json").split(b"/"):
        assert 1 <= len(part) <= 255
        assert part not in (b".", b"..")


@given(st.lists(names, min_size=2, max_size=2, unique=True), ids, ids)
def test_different_recordings_have_different_names(parts: list[bytes], one: str, two: str) -> None:
    first, second = parts
    assert stem(first) != stem(second)
    if one != two:
        assert transcript_stem(first, one) != transcript_stem(first, two)
    assert transcript_stem(first, one) != stem(second)
