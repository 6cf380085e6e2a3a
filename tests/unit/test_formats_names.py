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

from snakescribe.formats.names import (
    STEM_MAX,
    every_name,
    every_stem,
    new_name,
    rivals,
    short_stem,
    transcript_name,
    transcript_stem,
)
from snakescribe.formats.registry import FORMATS


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
        b"x" * (STEM_MAX - 4) + b".wav",
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
    assert made.decode() == "가" * 74 + "~" + identity(path)
    assert len(made) + len(".new.openai.json") <= 255


def test_a_recording_called_like_a_new_text_does_not_stand_in_its_way() -> None:
    assert new_name(b"x.mp3.srt") == b"x.mp3.new.srt"
    assert stem(b"x.mp3.new") == b"x.mp3.new~" + identity(b"x.mp3.new").encode()
    assert stem(b"x.mp3.new.srt") == b"x.mp3.new.srt"


def test_a_suffix_of_two_parts_stays_whole() -> None:
    assert transcript_name(b"x.mp3", "audacity") == b"x.mp3.labels.txt"
    assert new_name(b"x.mp3.labels.txt") == b"x.mp3.new.labels.txt"
    assert new_name(b"x.mp3.openai.json") == b"x.mp3.new.openai.json"
    for name in (b"x.mp3.labels", b"x.mp3.timed", b"x.mp3.openai"):  # would have the files of x.mp3
        assert stem(name) == name + b"~" + identity(name).encode()


def test_a_path_too_deep_to_be_mirrored_is_gathered_elsewhere() -> None:
    path = b"/".join([b"d" * 200] * 12) + b"/x.wav"
    assert stem(path) == b"~long/x.wav~" + identity(path).encode()


def test_a_folder_called_like_a_transcript_does_not_stand_in_its_way(tmp_path: Path) -> None:
    paths = (b"x.mp3", b"x.mp3.srt/y.mp3", b"x.mp3.new.srt/y.mp3")
    for path in paths:
        for name in every_name(stem(path)):
            target = tmp_path / os.fsdecode(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("")
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == len(paths) * 2 * len(FORMATS)


ODD = [b"", b".", b"..", b"~root", b"~up", b"~here", b"~long", b"x.mp3", b"x.mp3.srt", b"x", b"x~1", b"\xff"]
ODD += [b"x.mp3~" + identity(b"x.mp3").encode(), b"x.srt~" + identity(b"x.srt").encode(), b"x.srt"]
ODD += [b"x.labels", b"x.mp3.timed", b"x.mp3.openai", b"x.mp3.new.labels", b"x.mp3.labels.new", b"x.mp3.labels.txt"]
ODD += [b"x.new", b"x.mp3.new", b"x.mp3.new.srt", b"x.new~" + identity(b"x.new").encode(), b".new"]


def test_no_two_odd_recordings_share_a_file() -> None:
    paths = [b"/".join(parts) for n in (1, 2, 3) for parts in product(ODD, repeat=n)]
    keys = [(path, identity(path)) for path in paths] + [(path, "1") for path in paths[:1]]
    files = {name for key in keys for name in every_name(transcript_stem(*key))}
    assert len(files) == len(keys) * 2 * len(FORMATS)
    folders = {file[:i] for file in files for i in range(len(file)) if file[i : i + 1] == b"/"}
    assert not files & folders


def test_no_two_odd_recordings_share_a_file_beside_them() -> None:
    """Each has its full names, and the short ones for its subtitles where nobody else lays claim to them."""
    parts = [*ODD, b"x.mkv", b"x.mp3.mkv", b"x.srt.mkv", b"x.new.mkv", b"y.mkv", b"x~1.mkv", b".mkv"]
    paths = [b"/".join(some) for n in (1, 2) for some in product(parts, repeat=n)]
    own = {identity(path): path for path in paths}
    shared = rivals(own, [(key, path, "") for key, path in own.items()])
    short = {key: short_stem(path, key) for key, path in own.items() if key not in shared}
    files = [name for key, path in own.items() for name in every_name(transcript_stem(path, key))]
    files += [name for stem in short.values() if stem for name in every_name(stem, short=True)]
    assert short[identity(b"y.mkv")] == b"y" and identity(b"x.mkv") in shared
    assert len(files) == len(set(files))


names = st.binary(min_size=1, max_size=255).map(lambda b: b.replace(b"\0", b"0").replace(b"/", b"|"))
names |= (
    st.tuples(names, st.sampled_from([b"", b".new", b".new.srt", b".json", b".labels"]))
    .map(b"".join)
    .map(lambda b: b[-255:])
)
ids = st.from_regex(r"[^\W_][\w.-]{0,20}", fullmatch=True)


@given(st.lists(names | st.sampled_from(ODD), min_size=1, max_size=20), st.none() | ids)
def test_any_path_gives_names_that_a_file_system_takes(parts: list[bytes], own: str | None) -> None:
    path = b"/".join(parts)
    made = transcript_stem(path, own or identity(path))
    assert len(made) <= 2400
    for name in every_name(made):
        for part in name.split(b"/"):
            assert 1 <= len(part) <= 255
            assert part not in (b".", b"..")


@given(st.lists(names, min_size=2, max_size=2, unique=True), ids, ids)
def test_different_recordings_have_different_names(parts: list[bytes], one: str, two: str) -> None:
    first, second = parts
    keys = [(first, identity(first)), (second, identity(second)), (first, one), (first, two)]
    files = {name for key in set(keys) for name in every_name(transcript_stem(*key))}
    assert len(files) == len(set(keys)) * 2 * len(FORMATS)


@pytest.mark.parametrize(
    ("path", "former"), [(b"talk.new", b"talk.new"), (b"l" * 248, b"l" * 248), (b"x.mp3", b"x.mp3")]
)
def test_what_an_earlier_version_wrote_is_known_by_name(path: bytes, former: bytes) -> None:
    key = hashlib.sha256(path).hexdigest()[:16]
    assert every_stem(path, key) == {former, transcript_stem(path, key)}
