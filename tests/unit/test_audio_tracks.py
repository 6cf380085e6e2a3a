"""Files with several audio tracks: which one is heard, and what the table says of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio_files import Samples, configure, describe, ffmpeg, normalise_one, tone, write_wav

from snakescribe.audio.normalise import normalise_batch
from snakescribe.audio.report import AudioStream
from snakescribe.audio.samples import DecodedTrack, NormalisedRecording, open_samples
from snakescribe.audio.tracks import track_names, wanted_tracks
from snakescribe.config import load_config
from snakescribe.errors import NoAudioTrack
from snakescribe.inventory.manifest import Manifest
from snakescribe.vad.anybody import speech_finder

SILENCE = ("-f", "lavfi", "-t", "4", "-i", "anullsrc=r=48000:cl=stereo")
BEEP = ("-f", "lavfi", "-t", "4", "-i", "sine=1000:r=48000")
HISS = ("-f", "lavfi", "-t", "4", "-i", "anoisesrc=a=0.05:r=48000")
SURROUND = ("-f", "lavfi", "-t", "4", "-i", "anullsrc=r=48000:cl=5.1")


def listened(root: Path, name: str, models: Path, **audio: Any) -> tuple[NormalisedRecording, list[Samples]]:
    """As a run does it: voice activity says whether somebody speaks."""
    (root / "out").mkdir(exist_ok=True)
    samples = root / "out" / "b1.pcm"
    (entry,) = normalise_batch(
        Manifest(batch="b1", recordings=(describe(name, root),)),
        configure(root, **audio),
        samples,
        root / "out" / "b1.json",
        skip=lambda recording: False,
        jobs=1,
        log=lambda line: None,
        speaks=speech_finder(load_config({"recordings": str(root), "models": str(models)}, root, {})),
    ).recordings
    sound = open_samples(samples)
    return entry, [sound[track.offset : track.offset + track.samples] for track in entry.tracks]


def tracks(entry: NormalisedRecording) -> tuple[str | None, int | None, int | None, int | None, int]:
    """Codec, rate, channels, which, of how many."""
    track = entry.decoded
    assert isinstance(track, DecodedTrack), entry.error_message
    return track.codec, track.sample_rate, track.channels, track.audio_track, track.audio_tracks


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A short German mono track, then a longer English stereo one, which is the default."""
    write_wav(tmp_path / "de.wav", tone(300, 1))
    write_wav(tmp_path / "en.wav", tone(1000, 2, rate=48_000), tone(1000, 2, rate=48_000), rate=48_000)
    inputs = ("-i", str(tmp_path / "de.wav"), "-i", str(tmp_path / "en.wav"), "-map", "0:a", "-map", "1:a")
    says = ("-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=통역")
    marks = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    ffmpeg(*inputs, "-c:a:0", "flac", "-c:a:1", "pcm_s16le", *says, *marks, str(tmp_path / "two.mkv"))
    return tmp_path


@pytest.mark.parametrize(
    ("track", "number", "seconds"),
    [("default", 2, 2), ("first", 1, 1), (1, 1, 1), (2, 2, 2), ("de", 1, 1), ("en", 2, 2)],
)
def test_one_of_two(two: Path, track: str | int, number: int, seconds: int) -> None:
    """The table describes the track that was decoded."""
    entry, _ = normalise_one(two, "two.mkv", two / "out", track=track)
    assert entry.duration == pytest.approx(seconds, abs=0.01)
    assert tracks(entry) == (("flac", 16_000, 1, 1, 2) if number == 1 else ("pcm_s16le", 48_000, 2, 2, 2))


@pytest.mark.parametrize("track", ["ko", 3])
def test_a_track_that_is_not_there(two: Path, track: str | int) -> None:
    """The reason names those that are."""
    entry, _ = normalise_one(two, "two.mkv", two / "out", track=track)
    assert entry.error_class == "NoAudioTrack" and "1 (ger), 2 (eng, 통역)" in (entry.error_message or "")


def test_all_tracks(two: Path) -> None:
    """A channel each, named by title or language; ``channels`` is of no effect."""
    entry, (german, english) = normalise_one(two, "two.mkv", two / "out", track="all", channels="split")
    assert [track.channel for track in entry.tracks] == ["ger", "통역"]
    assert len(german) == 16_000 and len(english) == 32_000 and entry.duration == 2.0
    assert np.abs(german).max() > 10_000 and np.abs(english).max() > 10_000
    assert tracks(entry)[3:] == (None, 2)


def test_one_track_of_unknown_language_is_heard_whichever_is_asked_for(tmp_path: Path) -> None:
    """In a folder of films there are calls too; ``all`` of one track is split as ever."""
    write_wav(tmp_path / "a.wav", tone(300, 1), tone(700, 1))
    for track in ("ko", "all"):
        entry, sides = normalise_one(tmp_path, "a.wav", tmp_path / "out", track=track, channels="split")
        assert tracks(entry) == ("pcm_s16le", 16_000, 2, 1, 1)
        assert [span.channel for span in entry.tracks] == ["left", "right"] and len(sides) == 2


def test_the_layout_is_of_the_same_track(tmp_path: Path) -> None:
    """``split`` of a mono track is one channel, whatever a second track has."""
    write_wav(tmp_path / "a.wav", tone(300, 4))
    maps = ("-map", "0:a", "-map", "1:a", "-c:a:0", "flac", "-c:a:1", "ac3")
    ffmpeg("-i", str(tmp_path / "a.wav"), *SURROUND, *maps, str(tmp_path / "a.mkv"))
    entry, samples = normalise_one(
        tmp_path, "a.mkv", tmp_path / "out", {"channels": 6}, channels="split", track="first"
    )
    assert len(samples) == 1 and entry.tracks[0].channel is None
    assert tracks(entry) == ("flac", 16_000, 1, 1, 2)


@pytest.mark.parametrize("first", [SILENCE, BEEP, HISS, SURROUND])
def test_a_default_on_which_nobody_speaks_gives_way(
    tmp_path: Path, models_root: Path, beckett: Samples, first: tuple[str, ...]
) -> None:
    """Cameras put silence or a test tone there."""
    write_wav(tmp_path / "a.wav", beckett[:64_000])
    maps = ("-map", "0:a", "-map", "1:a", "-c:a", "aac", "-disposition:a:0", "default", "-disposition:a:1", "0")
    ffmpeg(*first, "-i", str(tmp_path / "a.wav"), *maps, str(tmp_path / "a.mkv"))
    entry, (sound,) = listened(tmp_path, "a.mkv", models_root)
    assert entry.flags == ("other_track",) and tracks(entry) == ("aac", 16_000, 1, 2, 2)
    assert np.abs(sound).max() > 3000
    entry, _ = listened(tmp_path, "a.mkv", models_root, track="first")
    assert entry.flags == () and tracks(entry)[3:] == (1, 2)


def test_where_nobody_speaks_at_all_the_default_stays(tmp_path: Path, models_root: Path) -> None:
    """It is empty, not failed."""
    ffmpeg(*SILENCE, *BEEP, "-map", "0:a", "-map", "1:a", "-c:a", "aac", str(tmp_path / "a.mp4"))
    entry, (sound,) = listened(tmp_path, "a.mp4", models_root)
    assert entry.flags == () and tracks(entry)[3:] == (1, 2) and not sound.any()


def make_unknown(path: Path, track: int) -> None:
    """Turn an AAC track of a MOV into one that nobody can decode (an iPhone's spatial audio)."""
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(track + 1):
        at = data.index(b"stsd", at + 1)
    at = data.index(b"mp4a", at)
    data[at : at + 4] = b"apac"
    at = data.index(b"esds", at)
    data[at : at + 4] = b"free"
    path.write_bytes(data)


@pytest.mark.parametrize("unknown", [0, 1])
@pytest.mark.parametrize("track", ["default", "first", "all"])
def test_a_track_that_nobody_can_decode(tmp_path: Path, unknown: int, track: str) -> None:
    """The other one is heard, and described."""
    write_wav(tmp_path / "a.wav", tone(300, 4))
    ffmpeg("-i", str(tmp_path / "a.wav"), "-map", "0:a", "-map", "0:a", "-c:a", "aac", str(tmp_path / "a.mov"))
    make_unknown(tmp_path / "a.mov", unknown)
    entry, (sound,) = normalise_one(tmp_path, "a.mov", tmp_path / "out", track=track)
    assert tracks(entry) == ("aac", 16_000, 1, 2 - unknown, 2)
    assert np.abs(sound).max() > 10_000
    entry, _ = normalise_one(tmp_path, "a.mov", tmp_path / "out", track=unknown + 1)
    assert entry.error_class == "NoAudioTrack"


def test_a_silent_track_beside_one_that_nobody_can_decode(tmp_path: Path, models_root: Path) -> None:
    """The one that cannot be decoded is passed over, not the recording's failure; the third one has the voice."""
    speech = str(models_root / "samples/beckett.wav")
    for name, more in (("two", ()), ("three", ("-map", "1:a"))):
        maps = ("-map", "0:a", "-map", "1:a", *more, "-c:a", "aac")
        ffmpeg(*SILENCE, "-i", speech, *maps, str(tmp_path / f"{name}.mov"))
        make_unknown(tmp_path / f"{name}.mov", 1)
    entry, (sound,) = listened(tmp_path, "two.mov", models_root)
    assert (entry.error_message, entry.flags, np.abs(sound).max()) == (None, (), 0)
    entry, (sound,) = listened(tmp_path, "three.mov", models_root)
    assert (entry.flags, tracks(entry)[3:]) == (("other_track",), (3, 3)) and np.abs(sound).max() > 5_000


def test_ten_thousand_tracks(tmp_path: Path) -> None:
    """Refused at once, with a reason."""
    write_wav(tmp_path / "a.wav", tone(300, 1))
    ffmpeg("-i", str(tmp_path / "a.wav"), "-c:a", "aac", str(tmp_path / "a.mov"))
    data = (tmp_path / "a.mov").read_bytes()
    moov, trak = data.index(b"moov") - 4, data.index(b"trak") - 4
    (size,) = struct.unpack_from(">I", data, trak)
    inside = data[moov + 8 : trak] + data[trak : trak + size] * 10_000 + data[trak + size :]
    (tmp_path / "a.mov").write_bytes(data[:moov] + struct.pack(">I4s", len(inside) + 8, b"moov") + inside)
    entry, _ = normalise_one(tmp_path, "a.mov", tmp_path / "out")
    assert entry.error_class == "UnreadableRecording" and "streams" in (entry.error_message or "")
    assert entry.wall_seconds < 10


def test_a_commentary_is_not_the_default(tmp_path: Path) -> None:
    """Unless the file says so: where no track is marked, players take the first one that is no description either."""
    inputs = ("-f", "lavfi", "-t", "1", "-i", "sine=1000", "-f", "lavfi", "-t", "1", "-i", "sine=300")
    for marks, number in (
        (("visual_impaired", "0"), 2),
        (("comment", "0"), 2),
        (("default+comment", "0"), 1),
        (("default", "default"), 1),
        (("comment", "comment"), 1),
        (("hearing_impaired", "0"), 1),
    ):
        how = [part for track, mark in enumerate(marks) for part in (f"-disposition:a:{track}", mark)]
        ffmpeg(*inputs, "-map", "0", "-map", "1", "-c:a", "flac", *how, str(tmp_path / "a.mkv"))
        assert tracks(normalise_one(tmp_path, "a.mkv", tmp_path / "out")[0])[3] == number


def test_which_tracks_are_wanted() -> None:
    """A codec without a name is never taken; names of channels are unique."""
    streams = [
        AudioStream("none", default=True),
        AudioStream("aac", language="ger"),
        AudioStream("aac", language="ger"),
    ]
    assert wanted_tracks(streams, "default") == wanted_tracks(streams, "first") == wanted_tracks(streams, "de") == [1]
    assert wanted_tracks(streams, "all") == [1, 2] and wanted_tracks(streams, "all", {1}) == [2]
    with pytest.raises(NoAudioTrack):
        wanted_tracks(streams, 1)
    assert wanted_tracks([AudioStream("none")], "default") == [0]
    assert track_names([1, 2], streams[1:]) == ["ger", "ger (3)"]
    assert len(wanted_tracks([AudioStream("aac")] * 1000, "all")) == 64
