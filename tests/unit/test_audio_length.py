"""All of a recording is heard, whatever its header says; what cannot be is told in seconds."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from audio_files import Samples, ffmpeg, normalise_one, tone, write_wav
from two_descriptions import two_descriptions

from snakescribe.audio.parts import MOST_PARTS, parts_of
from snakescribe.audio.report import FfmpegReport
from tests.disks import failing_drive

RATE = 16_000


@pytest.fixture(scope="module")
def voices(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``a.wav`` (6 s) and ``b.wav`` (5 s), real speech, 16 kHz mono."""
    root = tmp_path_factory.mktemp("voices")
    for name, source, start, seconds in (("a", "beckett", "0", "6"), ("b", "two_cities", "10", "5")):
        sample = str(models_root / f"samples/{source}.wav")
        ffmpeg("-ss", start, "-i", sample, "-t", seconds, "-ac", "1", "-ar", str(RATE), str(root / f"{name}.wav"))
    return root


def make(voices: Path, name: str, *options: str) -> bytes:
    """The voice ``name[0]`` as the file ``name``."""
    ffmpeg("-i", str(voices / f"{name[0]}.wav"), *options, str(voices / name))
    return (voices / name).read_bytes()


def heard(root: Path, name: str, **audio: object) -> list[Samples]:
    """The samples of a file that has no flag."""
    entry, tracks = normalise_one(root, name, root / "out", **audio)
    assert (entry.error_message, entry.flags) == (None, ())
    assert entry.decoded and entry.decoded.missing_seconds == 0
    assert all(end - start < 0.1 for start, end in entry.decoded.clock_gaps)  # of WMA, whose sound begins late
    return tracks


def same(one: Samples, other: Samples) -> bool:
    """Whether both are one recording, but for a codec's and a resampler's errors."""
    length = min(len(one), len(other))
    return bool(np.corrcoef(one[:length], other[:length])[0, 1] > 0.98)


OPUS, OPUS2 = ("-c:a", "libopus"), ("-ac", "2", "-c:a", "libopus")
FRAGMENTS = ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000")
VORBIS2 = ("-ac", "2", "-ar", "44100", "-c:a", "libvorbis")
AC3 = ("-c:a", "ac3", "-ar", "48000")
DVB = (*AC3, "-mpegts_flags", "system_b")
JOINED: dict[str, tuple[str, tuple[str, ...], str, tuple[str, ...]]] = {
    "mono, stereo.opus": ("a1.opus", OPUS, "b1.opus", OPUS2),
    "stereo, mono.opus": ("a2.opus", OPUS2, "b2.opus", OPUS),
    "the same.opus": ("a3.opus", OPUS, "b3.opus", OPUS),
    "opus, vorbis.ogg": ("a4.opus", OPUS, "b4.ogg", VORBIS2),
    "the same.flac": ("a5.flac", (), "b5.flac", ()),
    "other rate.flac": ("a6.flac", (), "b6.flac", ("-ac", "2", "-ar", "44100")),
    "the same.wav": ("a7.wav", (), "b7.wav", ()),
    "other rate.wav": ("a8.wav", (), "b8.wav", ("-ac", "2", "-ar", "44100")),
    "other rate.m4a": ("a9.m4a", (), "b9.m4a", ("-ac", "2", "-ar", "44100")),
    "fragmented.mp4": ("a10.mp4", FRAGMENTS, "b10.mp4", FRAGMENTS),
    "the same.mov": ("a11.mov", (), "b11.mov", ()),
    "vorbis.mka": ("a12.mka", ("-c:a", "libvorbis"), "b12.mka", VORBIS2),
    "live.webm": ("a13.webm", (*OPUS, "-live", "1"), "b13.webm", (*OPUS2, "-live", "1")),
    "other rate.wma": ("a14.wma", (), "b14.wma", ("-ac", "2", "-ar", "44100")),
    "other rate.aiff": ("a15.aiff", (), "b15.aiff", ("-ac", "2", "-ar", "44100")),
    "the same.caf": ("a16.caf", (), "b16.caf", ()),
    "the same.w64": ("a17.w64", (), "b17.w64", ()),
    "the same.flv": ("a19.flv", ("-c:a", "aac"), "b19.flv", ("-c:a", "aac")),
    "other identifier.ts": ("a20.ts", ("-c:a", "aac"), "b20.ts", ("-c:a", "aac", "-streamid", "0:900")),
    "other codec.ts": ("a21.ts", ("-c:a", "aac"), "b21.ts", ("-c:a", "mp2")),
    "dvb.ts": ("a22.ts", (*DVB, "-streamid", "0:900"), "b22.ts", DVB),
    "disc.m2ts": ("a23.m2ts", AC3, "b23.m2ts", (*AC3, "-streamid", "0:900")),
    "other rate.au": ("a18.au", (), "b18.au", ("-ac", "2", "-ar", "44100")),
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_files_are_heard_one_after_the_other(voices: Path, name: str) -> None:
    """The sound is that of each file for itself, to the sample; mixed, and split into as many as the widest has."""
    first, options, second, others = JOINED[name]
    contents = [make(voices, first, *options), make(voices, second, *others)]
    (voices / name).write_bytes(b"".join(contents))
    apart = [heard(voices, part)[0] for part in (first, second)]
    (mixed,) = heard(voices, name)
    assert len(mixed) == pytest.approx(11 * RATE, abs=0.25 * RATE)  # AAC and WMA pad
    assert np.array_equal(mixed, np.concatenate(apart))
    split = heard(voices, name, channels="split")
    assert len(split) == (2 if "-ac" in options + others else 1)
    assert same(split[0], mixed)


BROKEN_JOINS = [
    ("cut.m4a", ("-movflags", "faststart"), True, b""),
    ("cut.mka", OPUS, True, b""),
    ("cut.aiff", (), True, b""),
    ("cut.caf", (), True, b""),
    ("cut.wma", (), True, b""),
    ("padded.m4a", (), False, bytes(512)),
    ("junk.mov", (), False, b"x" * 333),
]


@pytest.mark.parametrize(("name", "options", "cut", "between"), BROKEN_JOINS)
def test_joined_files_of_which_the_first_leads_nowhere(
    voices: Path, name: str, options: tuple[str, ...], cut: bool, between: bytes
) -> None:
    """By its sizes the second one does not begin where it does; both are heard all the same."""
    first, second = make(voices, f"a{name}", *options), make(voices, f"b{name}", *options)
    (voices / name).write_bytes((first[: len(first) * 2 // 3] if cut else first) + between + second)
    entry, (found,) = normalise_one(voices, name, voices / "out")
    (plain,) = heard(voices, f"b{name}")
    assert np.array_equal(found[-len(plain) :], plain)
    assert len(found) / RATE == pytest.approx(9 if cut else 11, abs=0.8)
    assert cut or not entry.flags


@pytest.mark.parametrize("size", [2**64 - 1, 2**63 - 1, 2**62])
def test_a_size_beyond_every_file(voices: Path, tmp_path: Path, size: int) -> None:
    """It is only wrong: the run goes on, and no drive is blamed."""
    box = make(voices, "a size.mp4") + struct.pack(">I4sQ", 1, b"free", size) + bytes(50)
    sizes = b"ds64" + struct.pack("<IQQQI", 28, size, size, size // 2, 0)
    segment = make(voices, "a size.mka").replace(b"\x18\x53\x80\x67\x01", b"\x18\x53\x80\x67\x01\x7f\xff", 1)
    rf64 = riff(tone(440, 6).tobytes(), 0xFFFFFFFF, before=sizes, magic=b"RF64")
    for name, content in (("a.mp4", box), ("a.wav", rf64), ("a.mka", segment)):
        (tmp_path / name).write_bytes(content)
        entry, _ = normalise_one(tmp_path, name, tmp_path / "out")
        assert "drive" not in (entry.error_message or "")
        assert name != "a.mp4" or (entry.duration, entry.flags) == (pytest.approx(6, abs=0.1), ())


def test_a_cut_header_is_not_the_drive(voices: Path, tmp_path: Path) -> None:
    """Of Matroska ffmpeg says the same as of a drive that fails."""
    attached = ("-attach", str(voices / "a.wav"), "-metadata:s:t", "mimetype=application/octet-stream")
    (tmp_path / "a.mka").write_bytes(make(voices, "attached.mka", *attached)[:30_000])
    entry, _ = normalise_one(tmp_path, "a.mka", tmp_path / "out")
    assert entry.error_message and "drive" not in entry.error_message and "damaged" in entry.error_message


CHANGED = {
    "rate and channels.aac": ("c1.aac", "adts", "aac"),
    "rate and channels.mp3": ("c2.mp3", "mp3", "libmp3lame"),
    "rate and channels.ts": ("c3.ts", "mpegts", "aac"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_stream_that_changes_has_all_its_sound_and_no_gaps(voices: Path, name: str) -> None:
    """Ffmpeg goes on by itself; its time stamps still count by the former rate, and are not believed."""
    part, form, codec = CHANGED[name]
    one = make(voices, f"a{part}", "-ac", "1", "-ar", "22050", "-c:a", codec, "-f", form)
    two = make(voices, f"b{part}", "-ac", "2", "-ar", "44100", "-c:a", codec, "-f", form)
    (voices / name).write_bytes(one + two)
    (mixed,) = heard(voices, name)
    assert len(mixed) == pytest.approx(11 * RATE, abs=0.3 * RATE)


AAC, ALAC = ("-c:a", "aac", "-ar", "22050"), ("-c:a", "alac")
GOES_ON = {
    "rate and channels": (AAC, ("-c:a", "aac", "-ar", "44100", "-ac", "2"), 11),
    "the same": (AAC, AAC, 11),
    "opus": (OPUS, OPUS2, 11),
    "another codec": (AAC, ("-c:a", "ac3", "-ar", "48000"), 6),
    "lossless": (ALAC, (*ALAC, "-ac", "2"), 6),
}


@pytest.mark.parametrize("name", GOES_ON)
def test_an_mp4_that_goes_on_in_another_format_is_heard_or_incomplete(voices: Path, tmp_path: Path, name: str) -> None:
    """Two sample descriptions in one track: what ffmpeg does not follow is counted as missing."""
    one, two, seconds = GOES_ON[name]
    (tmp_path / "a.mp4").write_bytes(
        two_descriptions(make(voices, f"a {name}.mp4", *one), make(voices, f"b {name}.mp4", *two))
    )
    entry, _ = normalise_one(tmp_path, "a.mp4", tmp_path / "out")
    assert entry.duration == pytest.approx(seconds, abs=0.2) and entry.decoded
    assert entry.flags == (("incomplete",) if seconds < 11 else ())
    assert entry.decoded.missing_seconds == pytest.approx(11 - seconds, abs=0.1)


def riff(
    pcm: bytes, size: int, before: bytes = b"", after: bytes = b"", magic: bytes = b"RIFF", riff: int = 0
) -> bytes:
    """A WAV file, 16 kHz mono s16, whose header says ``size``."""
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return magic + struct.pack("<I", riff) + b"WAVE" + before + fmt + b"data" + struct.pack("<I", size) + pcm + after


LIST = b"LIST" + struct.pack("<I", 4000) + b"INFO" + b"\x55\x66" * 1998
HEADERS: dict[str, tuple[int, bytes]] = {
    "stale": (2 * 2 * RATE, b""),
    "never finalised": (0, b""),
    "streamed": (0xFFFFFFFF, b""),
    "list": (6 * 2 * RATE, LIST),
    "id3": (6 * 2 * RATE, b"id3 " + struct.pack("<I", 40_000) + b"ID3" + bytes(39_997)),
    "cut list": (6 * 2 * RATE, b"LIST" + struct.pack("<I", 90_000) + b"INFO" + b"\x55\x66" * 30_000),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_wav_is_read_to_the_end_of_its_sound(voices: Path, name: str) -> None:
    """Whatever its header says; what follows as a chunk is no sound."""
    (plain,) = heard(voices, "a.wav")
    size, after = HEADERS[name]
    (voices / f"{name}.wav").write_bytes(riff(plain.tobytes(), size, after=after))
    (found,) = heard(voices, f"{name}.wav")
    assert np.array_equal(found, plain)


@pytest.mark.parametrize(("codec", "kind", "bits"), [("s16", 1, 16), ("s24", 1, 24), ("f32", 3, 32)])
def test_a_big_endian_wav(voices: Path, tmp_path: Path, codec: str, kind: int, bits: int) -> None:
    """RIFX: ffmpeg reads the header, and gives noise (-c:a says what is in it); one that is cut says so."""
    samples = make(voices, "a.be", "-f", f"{codec}be", "-c:a", f"pcm_{codec}be")
    fmt = struct.pack(">HHIIHH", kind, 1, RATE, RATE * bits // 8, bits // 8, bits)
    body = b"WAVEfmt " + struct.pack(">I", len(fmt)) + fmt + b"data" + struct.pack(">I", len(samples)) + samples
    whole = b"RIFX" + struct.pack(">I", len(body)) + body
    (tmp_path / "a.wav").write_bytes(whole)
    (plain,), (found,) = heard(voices, "a.wav"), heard(tmp_path, "a.wav")
    assert len(found) == len(plain) and np.abs(found.astype(int) - plain).max() <= 1
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    entry, _ = normalise_one(tmp_path, "cut.wav", tmp_path / "out")
    assert entry.flags == ("truncated",)


def test_a_second_data_chunk_is_said(voices: Path) -> None:
    """There may be only one, and ffmpeg would give the last one alone."""
    (plain,) = heard(voices, "a.wav")
    pcm, list_ = plain.tobytes(), b"LIST" + struct.pack("<I", 4) + b"INFO"
    half = len(pcm) // 2
    (voices / "again.wav").write_bytes(
        riff(pcm[:half], half, after=list_ + b"data" + struct.pack("<I", half) + pcm[half:])
    )
    entry, (found,) = normalise_one(voices, "again.wav", voices / "out")
    assert entry.flags == ("incomplete",) and np.array_equal(found, plain[: len(plain) // 2])


def test_a_wav_beyond_4_gb_ends_before_its_last_chunk(tmp_path: Path) -> None:
    """Its 32 bits hold the size modulo 2**32."""
    path = tmp_path / "a.wav"
    begin = riff(b"", 1000)
    with path.open("wb") as file:
        file.write(begin)
        file.seek(len(begin) + 1000 + (1 << 32))
        file.write(LIST)
    (part,) = parts_of(str(path))
    assert (part.start, part.end, part.ignore_length) == (0, len(begin) + 1000 + (1 << 32), True)


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_a_cut_rf64_says_so(tmp_path: Path, magic: bytes) -> None:
    """Its true size is in the chunk ds64."""
    pcm = tone(440, 6).tobytes()
    sizes = b"ds64" + struct.pack("<IQQQI", 28, len(pcm) + 80, len(pcm), len(pcm) // 2, 0)
    whole = riff(pcm, 0xFFFFFFFF, before=sizes, magic=magic, riff=0xFFFFFFFF)
    (tmp_path / "whole.wav").write_bytes(whole)
    assert len(heard(tmp_path, "whole.wav")[0]) == 6 * RATE
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    entry, _ = normalise_one(tmp_path, "cut.wav", tmp_path / "out")
    assert entry.flags == ("truncated",)
    assert entry.decoded and entry.decoded.missing_seconds == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("name", ["a.mka", "a.opus"])
def test_damage_in_the_middle_is_incomplete(voices: Path, tmp_path: Path, name: str) -> None:
    """The sound behind it keeps its place, and the row has the seconds that are missing."""
    pages = () if name == "a.mka" else ("-page_duration", "200000")
    whole = make(voices, name, "-c:a", "libopus", "-b:a", "12k", *pages)
    middle = len(whole) // 2
    (tmp_path / name).write_bytes(whole[:middle] + bytes(3000) + whole[middle + 3000 :])
    entry, _ = normalise_one(tmp_path, name, tmp_path / "out")
    assert entry.flags == ("incomplete",) and entry.duration == pytest.approx(6, abs=0.1)
    assert entry.decoded and 1.0 < entry.decoded.missing_seconds < 5.0
    entry, tracks = normalise_one(tmp_path, name, tmp_path / "out", truncated="fail")
    assert entry.error_class == "TruncatedRecording" and not tracks
    assert entry.error_message and "part of the file cannot be decoded" in entry.error_message


def test_damage_at_the_start_is_incomplete(voices: Path, tmp_path: Path) -> None:
    """Ffmpeg leaves the first page out, and begins its clock behind it, as that of a piece of a live stream does."""
    whole = bytearray(make(voices, "as.opus", *OPUS, "-page_duration", "2000000"))
    first = whole.index(b"OggS", whole.index(b"OpusTags"))
    whole[first + 300] ^= 1
    (tmp_path / "a.opus").write_bytes(whole)
    entry, _ = normalise_one(tmp_path, "a.opus", tmp_path / "out")
    assert entry.flags == ("incomplete",)
    assert entry.decoded and entry.decoded.missing_seconds == pytest.approx(2, abs=0.1)


def test_many_links_are_bounded(voices: Path, tmp_path: Path) -> None:
    """A file of more links than are read one by one is a row in bounded time, and says that something is missing."""
    links = [
        make(voices, name, "-t", "0.1", "-b:a", "6k", *how) for name, how in (("am.opus", OPUS), ("bm.opus", OPUS2))
    ]
    (tmp_path / "a.opus").write_bytes(b"".join(links) * 5000)
    assert len(parts_of(str(tmp_path / "a.opus"))) == 1 < MOST_PARTS
    began = time.monotonic()
    entry, _ = normalise_one(tmp_path, "a.opus", tmp_path / "out")
    assert entry.flags == ("incomplete",) and time.monotonic() - began < 60


@pytest.mark.parametrize("name", ["many.flac", "many.m4a", "many.wav", "many.webm"])
def test_more_parts_than_are_read(voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The first ones are heard, and the row says that it is not all."""
    monkeypatch.setattr("snakescribe.audio.parts.MOST_PARTS", 3)
    short = make(voices, f"a{name}", "-t", "0.5")
    for count, flags in ((3, ()), (4, ("incomplete",))):
        (tmp_path / name).write_bytes(short * count)
        entry, _ = normalise_one(tmp_path, name, tmp_path / "out")
        assert entry.flags == flags and entry.duration == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("name", ["a.flac", "a.mka", "a.opus", "a.au"])
def test_a_drive_that_fails_is_a_failure(
    voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Never half a text: the row names the drive and says to run again."""
    make(voices, name, *(OPUS if name == "a.opus" else ()))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(failing_drive(tmp_path)))
    entry, tracks = normalise_one(voices, name, tmp_path / "out")
    assert entry.error_class == "DriveFailure" and not tracks
    assert entry.error_message and "drive or network share failed" in entry.error_message
    assert "Input/output error" in entry.error_message and "run again" in entry.error_message


def test_a_wav_that_counts_little_more_is_left(tmp_path: Path) -> None:
    """A few bytes of padding are no sound."""
    write_wav(tmp_path / "a.wav", tone(440, 2))
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(bytes(range(256)) * 4)
    assert len(heard(tmp_path, "a.wav")[0]) == 2 * RATE


@pytest.mark.parametrize(
    "line",
    [b"[in#0/ogg @ 0x5] [error] Error during demuxing: Input/output error", b"[error] file:/x: Input/output error"],
)
def test_each_ffmpeg_names_a_drive_that_fails(line: bytes) -> None:
    """The first is said by 9.0, the second by 5.1."""
    report = FfmpegReport(b"/x")
    report.line(line)
    assert report.drive_error == "Input/output error"
