"""Times are those of a media player: late tracks, gaps and odd time stamps of every container."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio_files import Samples, describe, ffmpeg, normalise, normalise_one, write_wav

from snakescribe.audio.clock import Clock, copy_with_holes
from snakescribe.audio.report import FfmpegReport
from snakescribe.audio.samples import DecodedTrack, NormalisedRecording

LATE = 2.5
"""Seconds that the sound begins after the picture."""
NEAR = 0.1
"""Seconds that a word may be off; the priming of AAC at 16 kHz is 0.064 of them."""


@pytest.fixture(scope="session")
def words(beckett: Samples) -> tuple[Samples, Samples]:
    """Three seconds of speech, and three others."""
    return beckett[:48_000], beckett[80_000:128_000]


@pytest.fixture
def folder(tmp_path: Path, words: tuple[Samples, Samples]) -> Path:
    """``one.wav`` and ``both.wav``, one after the other."""
    write_wav(tmp_path / "one.wav", words[0])
    write_wav(tmp_path / "both.wav", np.concatenate(words))
    return tmp_path


def where(sound: Samples, words: Samples) -> float:
    """Second of the sound at which the words begin."""
    size = 1 << (len(sound) + len(words)).bit_length()
    spectrum = np.fft.rfft(sound.astype(float), size) * np.conj(np.fft.rfft(words.astype(float), size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)))
    return (lag - size if lag > size - len(words) else lag) / 16_000


def heard(root: Path, name: str, **audio: Any) -> tuple[NormalisedRecording, DecodedTrack, list[Samples]]:
    entry, samples = normalise_one(root, name, root / "out", **audio)
    assert entry.decoded, entry.error_message
    return entry, entry.decoded, samples


PICTURE = ("-f", "lavfi", "-t", "7", "-i", "color=s=32x32:r=5")
LARGER = ("-f", "lavfi", "-t", "7", "-i", "color=s=176x144:r=25")


@pytest.mark.parametrize(
    ("name", "picture", "options"),
    [
        ("a.mp4", PICTURE, "-c:v mpeg4 -c:a aac"),
        ("fragments.mp4", PICTURE, "-c:v mpeg4 -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof"),
        ("a.mov", PICTURE, "-c:v mpeg4 -c:a pcm_s16le"),
        ("a.mkv", PICTURE, "-c:v mpeg4 -c:a libopus"),
        ("a.webm", PICTURE, "-c:v libvpx -c:a libvorbis -ar 48000"),
        ("a.ts", LARGER, "-c:v mpeg2video -c:a aac -output_ts_offset 95440"),
        ("between.ts", LARGER, "-c:v mpeg2video -c:a mp2 -output_ts_offset 95442.7"),
        ("a.m2ts", LARGER, "-c:v mpeg2video -c:a ac3 -ar 48000"),
        ("a.mpg", LARGER, "-c:v mpeg2video -c:a mp2"),
        ("a.vob", LARGER, "-c:v mpeg2video -c:a ac3 -ar 48000"),
        ("a.flv", PICTURE, "-c:v flv -c:a libmp3lame -ar 44100"),
        ("a.wmv", PICTURE, "-c:v wmv2 -c:a wmav2"),
        ("a.ogv", PICTURE, "-c:v libtheora -c:a libvorbis -ar 48000"),
    ],
)
def test_sound_later_than_the_picture(
    folder: Path, words: tuple[Samples, Samples], name: str, picture: tuple[str, ...], options: str
) -> None:
    """Silence stands for what a player shows without sound; the clock of MPEG-TS begins anywhere, and wraps."""
    inputs = (*picture, "-itsoffset", str(LATE), "-i", str(folder / "one.wav"), "-map", "0:v", "-map", "1:a")
    ffmpeg(*inputs, *options.split(), str(folder / name))
    entry, track, (sound,) = heard(folder, name)
    assert abs(where(sound, words[0]) - LATE) < NEAR
    late = track.start_offset or track.clock_gaps[0][1]  # fragments: the first packet is at 0
    assert abs(late - LATE) < NEAR
    assert entry.duration == pytest.approx(LATE + 3, abs=NEAR)
    assert not entry.flags


def test_sound_later_than_the_picture_in_avi(folder: Path, words: tuple[Samples, Samples]) -> None:
    """Its header says so (``dwStart``), which no writer here can set."""
    ffmpeg(*PICTURE, "-i", str(folder / "one.wav"), "-c:v", "mpeg4", "-c:a", "pcm_s16le", str(folder / "a.avi"))
    data = bytearray((folder / "a.avi").read_bytes())
    at = data.index(b"auds")
    scale, rate = struct.unpack_from("<II", data, at + 20)
    struct.pack_into("<I", data, at + 28, round(LATE * rate / scale))
    (folder / "a.avi").write_bytes(data)
    assert abs(where(heard(folder, "a.avi")[2][0], words[0]) - LATE) < NEAR


@pytest.mark.parametrize(
    ("name", "codec", "gap", "options"),
    [
        ("a.mkv", "libopus", 15, ""),
        ("aac.mkv", "aac", 5, ""),
        ("a.webm", "libopus", 0.3, ""),
        ("a.mp4", "aac", 5, ""),
        ("fragments.mp4", "aac", 5, "-movflags empty_moov+default_base_moof -frag_duration 500000"),
        ("a.ts", "mp2", 15, ""),
        ("aac.ts", "aac", 60, ""),
        ("a.mpg", "mp2", 15, ""),
        ("a.flv", "aac", 15, ""),
        ("a.wma", "wmav2", 5, ""),
        ("a.opus", "libopus", 15, "-page_duration 20000"),
        ("a.ogg", "libvorbis", 5, "-page_duration 20000"),
    ],
)
def test_a_gap(folder: Path, words: tuple[Samples, Samples], name: str, codec: str, gap: float, options: str) -> None:
    """Packets are missing, or a microphone was muted: what is said afterwards keeps its place."""
    make_gap(folder, codec, gap)
    ffmpeg("-i", str(folder / "gap.mkv"), "-c", "copy", *options.split(), str(folder / name))
    entry, track, (sound,) = heard(folder, name)
    assert abs(where(sound, words[0])) < NEAR
    assert abs(where(sound, words[1]) - 3 - gap) < NEAR
    ((start, end),) = track.clock_gaps
    assert abs(start - 3) < NEAR and abs(end - 3 - gap) < NEAR
    assert not np.any(sound[round(start * 16_000) + 200 : round(end * 16_000) - 200])
    assert entry.duration == pytest.approx(6 + gap, abs=NEAR + 0.05)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mka", "aac"), ("a.webm", "libopus"), ("a.opus", "libopus"), ("a.wma", "wmav2")]
)
def test_a_clock_that_does_not_begin_at_zero(
    folder: Path, words: tuple[Samples, Samples], name: str, codec: str
) -> None:
    """Cut out of a live stream: what went before it is not missing."""
    late = ("-itsoffset", "3600", "-i", str(folder / "both.wav"), "-c:a", codec)
    ffmpeg(*late, "-copyts", "-avoid_negative_ts", "disabled", str(folder / name))
    entry, track, (sound,) = heard(folder, name)
    assert (entry.flags, track.missing_seconds) == ((), 0)
    assert entry.duration == pytest.approx(6, abs=NEAR) and abs(where(sound, words[1]) - 3) < NEAR


def test_segments_that_each_have_their_header(folder: Path, words: tuple[Samples, Samples]) -> None:
    """Pieces of HLS or DASH with the same ``moov`` before each: their clocks go on, over one that is missing, too."""
    pieces = ("-c:a", "aac", "-f", "hls", "-hls_time", "1", "-hls_segment_type", "fmp4", "-hls_list_size", "0")
    ffmpeg(
        "-i", str(folder / "both.wav"), *pieces, "-hls_segment_filename", str(folder / "%d.m4s"), str(folder / "a.m3u8")
    )
    head = (folder / "init.mp4").read_bytes()
    segments = sorted(folder.glob("*.m4s"), key=lambda path: int(path.stem))
    for missing in (None, 4):
        kept = [segment for number, segment in enumerate(segments) if number != missing]
        (folder / "a.mp4").write_bytes(b"".join(head + segment.read_bytes() for segment in kept))
        entry, track, (sound,) = heard(folder, "a.mp4")
        assert (entry.flags, track.missing_seconds) == ((), 0) and len(segments) >= 6
        assert entry.duration == pytest.approx(6, abs=NEAR) and abs(where(sound, words[0])) < NEAR
        assert len(track.clock_gaps) == (missing is not None)
        assert missing or abs(where(sound, words[1]) - 3) < NEAR


def make_gap(folder: Path, codec: str, gap: float) -> None:
    """``gap.mkv``: the time stamps jump in the middle of ``both.wav``."""
    rate = "16000" if codec in ("aac", "pcm_s16le") else "48000"
    source, target = folder / "both.mkv", folder / "gap.mkv"
    if codec == "wmav2":  # Matroska loses what it needs
        source, target = source.with_suffix(".wma"), target.with_suffix(".mkv")
    ffmpeg("-i", str(folder / "both.wav"), "-c:a", codec, "-ar", rate, str(source))
    jump = "+".join(["{0}", f"gte({{0}}*TB,3)*{gap}/TB"])
    stamps = f"setts=pts='{jump.format('PTS')}':dts='{jump.format('DTS')}'"
    ffmpeg("-i", str(source), "-c", "copy", "-bsf:a", stamps, str(target))


@pytest.mark.parametrize("name", "a.m4a a.mka a.aac a.mp3 a.opus a.ogg a.ac3 a.wma a.webm a.ts a.caf a.flac".split())
def test_what_begins_at_once(folder: Path, words: tuple[Samples, Samples], name: str) -> None:
    """An encoder's delay, negative time stamps and the like move nothing."""
    codec = {"a.webm": ["-c:a", "libopus"], "a.caf": ["-c:a", "alac"]}.get(name, [])
    ffmpeg("-i", str(folder / "one.wav"), *codec, str(folder / name))
    entry, track, (sound,) = heard(folder, name)
    assert abs(where(sound, words[0])) < NEAR
    assert track.start_offset < NEAR and not track.clock_gaps
    assert entry.duration == pytest.approx(3, abs=NEAR)


def boxes(data: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    while start < end:
        size, name = struct.unpack_from(">I4s", data, start)
        yield start, size, name
        start += size


def find(data: bytes | bytearray, *path: bytes) -> list[int]:
    """Where the boxes of a path begin."""
    start, end, found = 0, len(data), []
    for name in path:
        at, size = next((at, size) for at, size, box in boxes(data, start, end) if box == name)
        found.append(at)
        start, end = at + 8, at + size
    return found


def write_edits(path: Path, edits: list[tuple[float, float]]) -> None:
    """Replace the edit list of a MOV with its header at the end: seconds, and where they begin in the media."""
    data = bytearray(path.read_bytes())
    movie = struct.unpack_from(">I", data, find(data, b"moov", b"mvhd")[-1] + 20)[0]
    media = struct.unpack_from(">I", data, find(data, b"moov", b"trak", b"mdia", b"mdhd")[-1] + 20)[0]
    entries = b"".join(struct.pack(">IiI", round(seconds * movie), round(at * media), 1 << 16) for seconds, at in edits)
    edts = struct.pack(">I4sI4sII", 24 + len(entries), b"edts", 16 + len(entries), b"elst", 0, len(edits)) + entries
    *above, at = find(data, b"moov", b"trak", b"edts")
    old = struct.unpack_from(">I", data, at)[0]
    data[at : at + old] = edts
    for box in above:
        struct.pack_into(">I", data, box, struct.unpack_from(">I", data, box)[0] + len(edts) - old)
    path.write_bytes(data)


def test_edit_lists(folder: Path, words: tuple[Samples, Samples]) -> None:
    """Their order counts, and what they leave out is not heard (to a frame of AAC, 64 ms)."""
    ffmpeg("-i", str(folder / "both.wav"), "-c:a", "aac", str(folder / "a.mov"))
    write_edits(folder / "a.mov", [(3, 3.064), (3, 0.064)])
    _, track, (sound,) = heard(folder, "a.mov")
    assert abs(where(sound, words[0]) - 3) < NEAR and abs(where(sound, words[1])) < NEAR
    assert not track.clock_gaps and not track.start_offset
    write_edits(folder / "a.mov", [(3, 3.064)])
    entry, _, (sound,) = heard(folder, "a.mov")
    assert abs(where(sound, words[1])) < NEAR and entry.duration == pytest.approx(3, abs=NEAR)


def stamped(folder: Path, pts: str, name: str) -> str:
    """``both.wav`` as Opus with other time stamps."""
    ffmpeg("-i", str(folder / "both.wav"), "-c:a", "libopus", "-ar", "48000", str(folder / "both.mkv"))
    stamps = f"setts=pts='{pts}':dts='{pts}'"
    ffmpeg("-i", str(folder / "both.mkv"), "-c", "copy", "-bsf:a", stamps, str(folder / name))
    return name


@pytest.mark.parametrize(
    ("name", "pts"),
    [
        ("jitter.mkv", "PTS+0.02*sin(N*N)/TB"),
        ("held up.mkv", "PTS+between(N,20,29)*(0.3-0.03*(N-20))/TB"),
        ("slow clock.mkv", "PTS*0.98"),
        ("back.nut", "PTS-gte(PTS*TB,3)*1.5/TB"),
    ],
)
def test_time_stamps_that_mean_nothing(folder: Path, words: tuple[Samples, Samples], name: str, pts: str) -> None:
    """Not a sample is put in or lost for them."""
    stamped(folder, "PTS", "plain.mkv")
    _, _, (plain,) = heard(folder, "plain.mkv")
    stamped(folder, pts, name)
    _, track, (sound,) = heard(folder, name)
    assert not track.clock_gaps
    assert np.array_equal(sound[:95_000], plain[:95_000]) and len(sound) >= len(plain)  # NUT keeps the padding


def test_a_fast_clock_is_followed_in_steps(folder: Path, words: tuple[Samples, Samples]) -> None:
    """Nothing is stretched: the sound between two silences is what it was."""
    stamped(folder, "PTS", "plain.mkv")
    _, _, (plain,) = heard(folder, "plain.mkv")
    _, track, (sound,) = heard(folder, stamped(folder, "PTS*1.02", "fast.mkv"))
    assert track.clock_gaps
    silent = np.zeros(len(sound), bool)
    for start, end in track.clock_gaps:
        assert end - start < 2 * NEAR
        silent[round(start * 16_000) : round(end * 16_000)] = True
    kept = sound[~silent]
    assert abs(len(kept) - len(plain)) <= 16 * len(track.clock_gaps)
    assert len(sound) / len(plain) == pytest.approx(1.02, abs=NEAR / 6)


def test_clocks_of_a_joined_stream(folder: Path, words: tuple[Samples, Samples]) -> None:
    """Recordings of two days in one file: the clock begins anew, forwards or backwards, and nothing is lost."""
    for number, (sound, begin) in enumerate(zip(words, (50_000, 100), strict=True)):
        write_wav(folder / "part.wav", sound)
        ffmpeg(
            "-i", str(folder / "part.wav"), "-c:a", "mp2", "-output_ts_offset", str(begin), str(folder / f"{number}.ts")
        )
    for first, second in ((0, 1), (1, 0)):
        both = (folder / f"{first}.ts").read_bytes() + (folder / f"{second}.ts").read_bytes()
        (folder / "both.ts").write_bytes(both)
        entry, _, (sound,) = heard(folder, "both.ts")
        assert abs(where(sound, words[first])) < NEAR and abs(where(sound, words[second]) - 3) < NEAR
        assert entry.duration == pytest.approx(6, abs=NEAR)


def test_the_clock_wraps(folder: Path, words: tuple[Samples, Samples]) -> None:
    """After 2^33 ticks of 90 kHz, 26.5 hours."""
    ffmpeg("-i", str(folder / "both.wav"), "-c:a", "mp2", "-output_ts_offset", "95440.7", str(folder / "a.ts"))
    _, track, (sound,) = heard(folder, "a.ts")
    assert abs(where(sound, words[1]) - 3) < NEAR and not track.clock_gaps and not track.start_offset


def test_a_higher_rate_in_the_middle(folder: Path, words: tuple[Samples, Samples]) -> None:
    """Every frame looks late then, because ffmpeg counts on with the old rate."""
    for number, (sound, options) in enumerate(zip(words, ("-ac 1 -ar 22050", "-ac 2 -ar 44100"), strict=True)):
        write_wav(folder / "part.wav", sound)
        begin = ["-output_ts_offset", str(3.1 * number)]
        ffmpeg("-i", str(folder / "part.wav"), *options.split(), "-c:a", "aac", *begin, str(folder / f"{number}.ts"))
    (folder / "both.ts").write_bytes((folder / "0.ts").read_bytes() + (folder / "1.ts").read_bytes())
    entry, track, (sound,) = heard(folder, "both.ts")
    assert abs(where(sound, words[1]) - 3.1) < NEAR and not track.clock_gaps
    assert entry.duration == pytest.approx(6.1, abs=NEAR)


@pytest.mark.parametrize(
    "audio", [{"channels": "split"}, {"loudness": -20.0}, {"channels": "split", "loudness": -20.0}]
)
def test_gaps_of_every_channel(folder: Path, words: tuple[Samples, Samples], audio: dict[str, Any]) -> None:
    """And of what ``loudnorm`` made, whose output has another length of frames."""
    write_wav(folder / "both.wav", np.concatenate(words), np.concatenate(words) // 2)
    make_gap(folder, "libopus", 5)
    entry, track, channels = heard(folder, "gap.mkv", **audio)
    assert len(channels) == (2 if "channels" in audio else 1) and len(track.clock_gaps) == 1
    for sound in channels:
        assert len(sound) == round((entry.duration or 0) * 16_000)
        assert abs(where(sound, words[0])) < NEAR and abs(where(sound, words[1]) - 8) < NEAR


def test_a_long_gap_takes_no_room(folder: Path) -> None:
    """Two hours of silence lie on disk as a hole, also behind another recording."""
    make_gap(folder, "libopus", 7200)
    recordings = [describe(name, folder) for name in ("one.wav", "gap.mkv", "both.wav")]
    entries, samples = normalise(folder, recordings, folder / "out")
    assert [round(entry.duration or 0) for entry in entries] == [3, 7206, 6]
    assert (folder / "out" / "b1.pcm").stat().st_blocks * 512 < 3_000_000
    last = entries[2].tracks[0]
    assert np.any(samples[last.offset : last.offset + last.samples])


def test_the_limit_counts_the_clock(folder: Path) -> None:
    """One gap, many gaps, and a sound that begins in a year."""
    make_gap(folder, "libopus", 100)
    many = stamped(folder, "PTS*20", "many.mkv")
    year = "-itsoffset 31536000 -i".split()
    ffmpeg(
        *PICTURE,
        *year,
        str(folder / "one.wav"),
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-c:v",
        "mpeg4",
        str(folder / "year.mkv"),
    )
    for name in ("gap.mkv", many, "year.mkv"):
        entry, _ = normalise_one(folder, name, folder / "out", max_hours=0.02)
        assert entry.error_class == "TooLong", name
    assert heard(folder, "gap.mkv", max_hours=0.03)[0].duration == pytest.approx(106, abs=NEAR)


def test_a_year_in_the_middle_is_a_new_clock(folder: Path, words: tuple[Samples, Samples]) -> None:
    """No jump of more than 30 hours is believed (by ffmpeg); the words after it follow at once."""
    make_gap(folder, "libopus", 31_536_000)
    _, _, (sound,) = heard(folder, "gap.mkv")
    assert abs(where(sound, words[1]) - 3) < NEAR


def test_the_table_lists_the_longest_gaps(folder: Path) -> None:
    """A hostile file may have a million."""
    silence = ["-f", "lavfi", "-t", "15", "-i", "sine=500:r=8000", "-af", "asetnsamples=80", "-c:a", "pcm_mulaw"]
    ffmpeg(*silence, "-bsf:a", "setts=pts='PTS*8+gte(N,700)*10':dts='PTS*8+gte(N,700)*10'", str(folder / "a.mkv"))
    _, track, _ = heard(folder, "a.mkv")
    assert len(track.clock_gaps) == 1000
    assert any(end - start > 0.07 for start, end in track.clock_gaps)


def test_what_is_no_gap() -> None:
    """Time stamps that come back, and what follows after the end of the sound (ffmpeg 5.1)."""
    assert Clock.of([(-8000, 0.0), (5.0, 5.2), (5.3, 5.1)]).gaps == ()
    assert Clock.of([(-8000, 0.0), (5.0, 9.2), (9.3, 9.1)]).gaps == ((5.0, pytest.approx(9.0)),)
    assert Clock.of([(-8000, 0.0), (5.0, 7.0), (9.0, 8.0)]).gaps == ((5.0, 7.0),)
    assert Clock.of([(-8000, 0.0), (10.0, 99.0)], sound=10.0).gaps == ()
    assert Clock.of([(-8000, float("nan")), (10.0, 12.0)]).gaps == ((10.0, 12.0),)


def test_how_older_versions_say_it() -> None:
    """Version 5.1 prints numbers without a name in front."""
    report = FfmpegReport(b"/a")
    for line in (b"[info] -8000.000000", b"[info] 2.5000", b"[Eval @ 0x7f] [info] 5.000000", b"[info] 9.000000"):
        report.line(line)
    assert report.clock(0, 10.0) == Clock(2.5, ((5.0, 9.0),))


def test_holes_are_silence(tmp_path: Path) -> None:
    """A copy is the same to the byte, its length included."""
    data = bytes(600_000) + b"sound" + bytes(600_000)
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb") as source, (tmp_path / "b").open("wb") as target:
        copy_with_holes(source, target)
        target.truncate()
    assert (tmp_path / "b").read_bytes() == data
