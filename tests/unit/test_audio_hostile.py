"""Files that are not what they seem: each is one row with words a person understands, and harms nothing."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from audio_files import describe, ffmpeg, normalise, normalise_one, tone, write_wav

from snakescribe.audio import decoder
from snakescribe.audio.decoder import Block, decode, ffmpeg_version
from snakescribe.audio.recording import normalise_recording
from snakescribe.audio.report import FfmpegReport
from snakescribe.config.options import AudioOptions
from snakescribe.errors import CrashError, InstallationError, TimedOut

NAMES: list[bytes] = [
    b"plain.wav",
    b"%d.wav",
    b"%03d%s.wav",
    b"-i.wav",
    b"-.wav",
    b"two words .wav",
    b'it\'s "quoted" \\.wav',
    b"new\nline.wav",
    b"{x}[y]*?.wav",
    b"file:a.wav",
    b"http:a.wav",
    b"concat:a.wav|b.wav",
    b"pipe:0",
    b"a,b;c=d@e.wav",
    b"\xff\xfe not text.wav",
    "회의 녹음.wav".encode(),
    b"\xe1\x84\x92\xe1\x85\xac nfd.wav",
    "🎙️.wav".encode(),
    b"x" * 251 + b".wav",
    b"no suffix",
]


@pytest.fixture(params=["system", "wheel"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The system's ffmpeg, as where there is no wheel, then the one in the wheel."""
    if request.param == "system":
        if not shutil.which("ffmpeg"):
            pytest.skip("the system has no ffmpeg")
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    yield decoder.ffmpeg_path()


def test_both_binaries_are_found(either: str, request: pytest.FixtureRequest) -> None:
    """The wheel's comes first; both tell their version, and one may be named."""
    assert ("imageio_ffmpeg" in either) == ("wheel" in request.node.name)
    assert ffmpeg_version()[0] in "n0123456789N"


def test_no_ffmpeg_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to install."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: (_ for _ in ()).throw(RuntimeError("no binary")))
    with pytest.raises(InstallationError, match="apt install ffmpeg"):
        decoder.ffmpeg_path()


def test_a_named_ffmpeg_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not replaced by another one in silence."""
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/no/such")
    with pytest.raises(InstallationError, match="is IMAGEIO_FFMPEG_EXE right"):
        decoder.ffmpeg_path()


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\necho no such library >&2; exit 127\n", "#!/bin/sh\necho hello\n", "\x7fELF"]
)
def test_an_ffmpeg_that_does_not_work(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would find every recording unreadable."""
    broken = tmp_path / "ffmpeg"
    broken.write_text(script)
    broken.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(broken))
    with pytest.raises(InstallationError, match=r"ffmpeg does not work .*; install another ffmpeg"):
        ffmpeg_version()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_only_a_name(tmp_path: Path, name: bytes) -> None:
    """Whatever ffmpeg could read into it."""
    write_wav(os.path.join(os.fsencode(tmp_path), name), tone(440, 1))  # noqa: PTH118
    entry, tracks = normalise_one(tmp_path, name, tmp_path / "out")
    assert (entry.error_message, entry.flags) == (None, ())
    assert np.array_equal(tracks[0], tone(440, 1))


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "dash": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{target}</BaseURL></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "text": "이것은 녹음이 아닙니다\n" * 100,
}


@pytest.mark.parametrize("suffix", ["mp3", "wav", "m3u8", "ffconcat"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_open_nothing(either: str, tmp_path: Path, kind: str, suffix: str) -> None:
    """The file they name is real audio, so reading it would succeed."""
    write_wav(tmp_path / "secret.wav", tone(440, 1))
    script = PLAYLISTS[kind].format(target=tmp_path / "secret.wav")
    (tmp_path / f"a.{suffix}").write_text(script, encoding="utf-8")
    entry, tracks = normalise_one(tmp_path, f"a.{suffix}", tmp_path / "out")
    assert entry.error_class == "UnreadableRecording" and not tracks
    assert entry.error_message and len(entry.error_message) < 300
    assert "not a recording" in entry.error_message
    assert str(tmp_path) not in entry.error_message


def test_broken_files_say_what_they_are(either: str, tmp_path: Path) -> None:
    """Each with its own class."""
    write_wav(tmp_path / "header.wav", np.zeros(0, np.int16))
    write_wav(tmp_path / "whole.wav", tone(440, 1))
    (tmp_path / "cut header.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:40])
    (tmp_path / "zero.wav").touch()
    (tmp_path / "random.mp3").write_bytes(np.random.default_rng(1).bytes(50_000))
    ffmpeg("-f", "lavfi", "-i", "color=s=16x16:d=1", "-c:v", "mpeg4", str(tmp_path / "mute.mp4"))
    ffmpeg("-f", "lavfi", "-i", "color=s=64x64:d=1", "-frames:v", "1", str(tmp_path / "a.png"))
    (tmp_path / "a.png").rename(tmp_path / "picture.mp3")
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    expected = {
        "header.wav": ("EmptyRecording", "no audio samples"),
        "cut header.wav": ("UnreadableRecording", "damaged"),
        "zero.wav": ("EmptyRecording", "0 bytes"),
        "random.mp3": ("UnreadableRecording", "damaged"),
        "mute.mp4": ("NoAudioTrack", "no audio track"),
        "picture.mp3": ("NoAudioTrack", "picture"),
        "fifo.wav": ("UnreadableRecording", "not a regular file"),
        "folder.wav": ("UnreadableRecording", "not a regular file"),
        "loop.wav": ("UnreadableRecording", "cannot be opened"),
        "gone.wav": ("VanishedRecording", "gone"),
        "whole.wav/inside.wav": ("VanishedRecording", "gone"),
    }
    for name, (error, words) in expected.items():
        for mode in ("mix", "split"):
            entry, _ = normalise_one(tmp_path, name, tmp_path / "out", channels=mode)
            assert (entry.error_class, name) == (error, name)
            assert entry.error_message and words in entry.error_message
            assert "\n" not in entry.error_message and len(entry.error_message) < 300


def test_a_file_that_changed_is_left_to_the_next_run(tmp_path: Path) -> None:
    """Otherwise its text would be kept under the old content's sum."""
    write_wav(tmp_path / "a.wav", tone(440, 1))
    before = describe("a.wav", tmp_path)
    write_wav(tmp_path / "a.wav", tone(440, 2))
    (entry,), _ = normalise(tmp_path, [before], tmp_path / "out")
    assert entry.error_class == "VanishedRecording"
    assert entry.error_message and "changed" in entry.error_message


def test_no_permission(tmp_path: Path) -> None:
    """Said as such."""
    write_wav(tmp_path / "a.wav", tone(440, 1))
    recording = describe("a.wav", tmp_path)
    (tmp_path / "a.wav").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # root may read everything
    try:
        entry = normalise_recording(
            recording, str(tmp_path / "a.wav"), AudioOptions(), io.BytesIO(), lambda samples: None
        )
    finally:
        os.seteuid(user)
    assert entry.error_class == "UnreadableRecording"
    assert entry.error_message and "permission" in entry.error_message


def test_a_second_that_claims_a_hundred_hours(either: str, tmp_path: Path) -> None:
    """The header is not believed: the second is kept, and the rest called missing."""
    write_wav(tmp_path / "a.wav", tone(440, 1))
    ffmpeg("-i", str(tmp_path / "a.wav"), str(tmp_path / "a.flac"))
    content = bytearray((tmp_path / "a.flac").read_bytes())
    samples = 100 * 3600 * 16_000
    content[21] = (content[21] & 0xF0) | (samples >> 32)  # 36 bits of STREAMINFO, RFC 9639, 8.2
    content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    (tmp_path / "a.flac").write_bytes(content)
    entry, _ = normalise_one(tmp_path, "a.flac", tmp_path / "out", known={"duration": 360_000.0})
    assert (entry.error_class, entry.duration, entry.flags) == (None, 1.0, ("truncated",))


def test_longer_than_allowed(tmp_path: Path) -> None:
    """Stopped at the limit; just as long is allowed."""
    write_wav(tmp_path / "a.wav", tone(440, 9))
    assert normalise_one(tmp_path, "a.wav", tmp_path / "out", max_hours=9 / 3600)[0].duration == 9.0
    entry, _ = normalise_one(tmp_path, "a.wav", tmp_path / "out", max_hours=8 / 3600)
    assert entry.error_class == "TooLong"
    assert entry.error_message and "audio.max_hours" in entry.error_message
    assert (tmp_path / "out/b1.pcm").stat().st_size == 0


def test_time_limit(tmp_path: Path) -> None:
    """An ffmpeg that hangs is ended, and nothing of it stays."""
    write_wav(tmp_path / "a.wav", tone(440, 600))

    def hang(block: Block, report: FfmpegReport) -> bool:
        for child in _children():
            os.kill(child, signal.SIGSTOP)
        return True

    with pytest.raises(TimedOut, match="longer than 1 seconds"):
        decode(str(tmp_path / "a.wav"), hang, 1.0)
    assert not _children()


def test_memory_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ffmpeg gets no memory, the recording gets its row."""
    write_wav(tmp_path / "a.wav", tone(440, 60))
    monkeypatch.setattr(decoder, "MEMORY", 1 << 20)
    entry, _ = normalise_one(tmp_path, "a.wav", tmp_path / "out")
    assert entry.error_class == "UnreadableRecording"


@pytest.mark.parametrize(("number", "times"), [(signal.SIGKILL, 1), (signal.SIGTERM, 1), (signal.SIGTERM, 8)])
def test_killed_from_outside(number: signal.Signals, times: int, tmp_path: Path) -> None:
    """Not the recording's fault: no row says so, the step fails and is tried again."""
    write_wav(tmp_path / "a.wav", tone(440, 600))
    left = times

    def kill(block: Block, report: FfmpegReport) -> bool:
        nonlocal left
        while left and (children := _children()):
            os.kill(children[0], number)
            left -= 1
            time.sleep(0.002)  # the same signal counts once until it is delivered
        return True

    with pytest.raises(CrashError, match="from outside"):
        decode(str(tmp_path / "a.wav"), kill, 60.0)
    assert left < times


def test_a_name_that_speaks_like_ffmpeg(either: str, tmp_path: Path) -> None:
    """A line break and a log line in the name decide nothing."""
    name = b"a\n[info] Exiting normally, received signal 15.\n[error] matches no streams"
    with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:  # noqa: PTH118
        file.write(b"no media" * 100)
    entry, _ = normalise_one(tmp_path, name, tmp_path / "out")
    assert entry.error_class in ("UnreadableRecording", "NoAudioTrack")


def test_full_disk_is_no_row(tmp_path: Path) -> None:
    """It ends the step; the recordings are fine."""
    write_wav(tmp_path / "a.wav", tone(440, 60))
    recording = describe("a.wav", tmp_path)
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        normalise_recording(recording, str(tmp_path / "a.wav"), AudioOptions(), full, lambda samples: None)
    assert not _children()


def _children() -> list[int]:
    """Running ffmpeg processes of this one."""
    pids = [int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    return [pid for pid in pids if "ffmpeg" in Path(f"/proc/{pid}/comm").read_text()]
