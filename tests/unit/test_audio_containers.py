"""Real speech in every container and codec that the ffmpeg at hand can write: whole, cut short, streamed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from audio_files import WRITER, describe, ffmpeg, normalise, normalise_one, write_wav

from snakescribe.audio.samples import NormalisedRecording

WHOLE: dict[str, list[str]] = {
    "wav": [],
    "alaw.wav": ["-c:a", "pcm_alaw", "-ar", "8000"],
    "adpcm.wav": ["-c:a", "adpcm_ima_wav"],
    "gsm.wav": ["-c:a", "libgsm_ms", "-ar", "8000", "-ac", "1"],
    "float.wav": ["-c:a", "pcm_f32le"],
    "w64": [],
    "aiff": [],
    "au": [],
    "caf": ["-c:a", "pcm_s16le"],
    "flac": [],
    "mp3": [],
    "bare.mp3": ["-write_xing", "0"],
    "m4a": [],
    "faststart.m4a": ["-movflags", "+faststart"],
    "fragments.mp4": ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
    "alac.m4a": ["-c:a", "alac"],
    "mov": ["-c:a", "aac", "-movflags", "+faststart"],
    "3gp": ["-c:a", "aac", "-movflags", "+faststart"],
    "ogg": ["-c:a", "libvorbis"],
    "opus": ["-c:a", "libopus"],
    "flac.ogg": ["-c:a", "flac"],
    "mkv": ["-c:a", "libopus"],
    "mka": ["-c:a", "flac"],
    "webm": ["-c:a", "libopus"],
    "aac": [],
    "amr": ["-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1"],
    "gsm": ["-c:a", "libgsm", "-ar", "8000", "-ac", "1"],
    "g722": ["-c:a", "g722", "-ar", "16000", "-ac", "1"],
    "wma": ["-c:a", "wmav2"],
    "ac3": [],
    "mp2": [],
    "avi": ["-c:a", "mp3"],
    "ts": ["-c:a", "aac"],
    "flv": ["-c:a", "aac"],
    "tta": [],
    "wv": [],
}
ENCODERS = set(subprocess.run([WRITER, "-encoders"], capture_output=True, text=True, check=True).stdout.split())
WRITABLE = [kind for kind, options in WHOLE.items() if not options or options[0] != "-c:a" or options[1] in ENCODERS]
"""Builds of ffmpeg differ in what they can write (GSM, AMR); what this one cannot is not tried."""
UNKNOWABLE = {"bare.mp3", "ts", "g722", "gsm", "amr", "wma", "ac3", "mp2"}
"""Cut short, these say so nowhere, or only by chance (see the docstring of ``truncation``)."""
INDEX_AT_THE_END = {"m4a", "alac.m4a"}
STREAMED: dict[str, list[str]] = {
    "wav": ["-f", "wav"],
    "au": ["-f", "au"],
    "caf": ["-f", "caf", "-c:a", "pcm_s16le"],
    "flac": ["-f", "flac"],
    "mp3": ["-f", "mp3"],
    "mkv": ["-f", "matroska", "-c:a", "libopus"],
    "webm": ["-f", "webm", "-c:a", "libopus"],
    "ogg": ["-f", "ogg", "-c:a", "libopus"],
    "mp4": ["-f", "mp4", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
    "ts": ["-f", "mpegts", "-c:a", "aac"],
    "flv": ["-f", "flv", "-c:a", "aac"],
}

Entries = dict[str, NormalisedRecording]


@pytest.fixture(scope="module")
def made(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Entries:
    """``whole.KIND``, ``cut.KIND`` (half of the bytes), ``live.KIND``; some missing: no such encoder."""
    root, speech = tmp_path_factory.mktemp("containers"), models_root / "samples/beckett.wav"
    names = []
    for kind, options in WHOLE.items():
        if kind not in WRITABLE:
            continue
        ffmpeg("-i", str(speech), *options, str(root / f"whole.{kind}"))
        content = (root / f"whole.{kind}").read_bytes()
        (root / f"cut.{kind}").write_bytes(content[: len(content) // 2])
        names += [f"whole.{kind}", f"cut.{kind}"]
    for kind, options in STREAMED.items():
        ffmpeg("-i", str(speech), *options, "pipe:1", output=root / f"live.{kind}")
        names.append(f"live.{kind}")
    entries, _ = normalise(root, [describe(name, root) for name in names], root / "out")
    return dict(zip(names, entries, strict=True))


@pytest.mark.parametrize("kind", WRITABLE)
def test_whole_files_keep_their_length(made: Entries, kind: str) -> None:
    """9.98 s of speech come out of every container, without a flag."""
    entry = made[f"whole.{kind}"]
    assert (entry.error_message, entry.flags) == (None, ())
    assert entry.duration == pytest.approx(made["whole.wav"].duration, abs=0.15)


@pytest.mark.parametrize("kind", WRITABLE)
def test_cut_files_keep_what_is_left_and_say_so(made: Entries, kind: str) -> None:
    """Half of the bytes give about half of the text and a flag, wherever that can be known."""
    entry = made[f"cut.{kind}"]
    if kind in INDEX_AT_THE_END:
        assert entry.error_class == "UnreadableRecording"
        assert entry.error_message and "never finished, or is only the beginning" in entry.error_message
        return
    assert entry.error_message is None
    assert entry.duration is not None and 3.0 < entry.duration < 6.5
    if kind not in UNKNOWABLE:
        assert entry.flags == ("truncated",)


@pytest.mark.parametrize("kind", STREAMED)
def test_streamed_files_are_not_taken_for_cut_ones(made: Entries, kind: str) -> None:
    """A length that was never written is not a length that is missing."""
    entry = made[f"live.{kind}"]
    assert (entry.error_message, entry.flags) == (None, ())
    assert entry.duration == pytest.approx(made["whole.wav"].duration, abs=0.15)


def test_cut_ogg_within_a_page_header(models_root: Path, tmp_path: Path) -> None:
    """The last page may be cut before its size is told."""
    ffmpeg("-i", str(models_root / "samples/beckett.wav"), "-c:a", "libopus", str(tmp_path / "a.opus"))
    content = (tmp_path / "a.opus").read_bytes()
    last = content.rindex(b"OggS")
    (tmp_path / "a.opus").write_bytes(content[: last + 10])
    assert normalise_one(tmp_path, "a.opus", tmp_path / "out")[0].flags == ("truncated",)
    (tmp_path / "b.opus").write_bytes(content[:last])  # ends with a whole page: many writers do so
    assert normalise_one(tmp_path, "b.opus", tmp_path / "out")[0].flags == ()


@pytest.mark.parametrize(("missing", "flags"), [(0.4, ()), (0.6, ("truncated",))])
def test_half_a_second_may_be_missing(tmp_path: Path, missing: float, flags: tuple[str, ...]) -> None:
    """Sloppy headers are no cut."""
    write_wav(tmp_path / "a.wav", np.zeros(160_000, np.int16))
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: len(content) - round(missing * 32_000)])
    assert normalise_one(tmp_path, "a.wav", tmp_path / "out")[0].flags == flags


def test_truncated_fail(tmp_path: Path) -> None:
    """``audio.truncated: fail`` makes a row that says where it ends and what to do."""
    write_wav(tmp_path / "a.wav", np.zeros(160_000, np.int16))
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:32_044])
    entry, tracks = normalise_one(tmp_path, "a.wav", tmp_path / "out", truncated="fail")
    assert entry.error_class == "TruncatedRecording" and entry.duration is None and not tracks
    assert entry.error_message and "after 1.0 seconds" in entry.error_message
    assert (tmp_path / "out/b1.pcm").stat().st_size == 0


def test_a_video_longer_than_its_sound_is_not_cut(models_root: Path, tmp_path: Path) -> None:
    """The container's duration is the picture's."""
    picture = ["-f", "lavfi", "-t", "15", "-i", "color=s=16x16:r=5"]
    for name in ("a.mp4", "a.mkv"):
        sound = ["-i", str(models_root / "samples/beckett.wav")]
        ffmpeg(*picture, *sound, "-c:v", "mpeg4", "-c:a", "aac", str(tmp_path / name))
        entry, _ = normalise_one(tmp_path, name, tmp_path / "out")
        assert entry.flags == () and entry.duration == pytest.approx(9.98, abs=0.1)
