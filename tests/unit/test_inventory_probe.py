"""Examining files in real children: what a header says, and files that are out to do harm."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessPool
from test_inventory_walk import NAMES, nobody, put

from snakescribe.inventory.ledger import FileContent
from snakescribe.inventory.probe import examine, examine_all
from snakescribe.media import ALLOWED_DEMUXERS
from snakescribe.media.raw import EXTENSIONS, RawFormat
from snakescribe.recording import Header


def speak(path: Path, seconds: float = 0.5, rate: int = 8000, channels: int = 1, value: int = 0) -> Path:
    with path.open("wb") as file, wave.open(file) as audio:
        audio.setnchannels(channels)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(struct.pack("<h", value) * int(seconds * rate) * channels)
    return path


def crashing(path: str, hashing: bool, raw: Callable[[str], RawFormat | None] = EXTENSIONS.get) -> FileContent:
    """A library that is brought down by one file, and hung by another."""
    name = Path(path).name
    if name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("hang"):
        time.sleep(600)
    return examine(path, hashing, raw)


def test_a_header_is_read(tmp_path: Path) -> None:
    path = speak(tmp_path / "a.wav", 1.5, 16000, 2)
    status = path.stat()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = FileContent(status.st_size, status.st_mtime_ns, sha256, Header(1.5, "pcm_s16le", 16000, 2, None))
    assert examine(str(path)) == expected
    assert examine(str(path), hashing=False) == expected._replace(sha256="")


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(b".amr")])
def test_any_name_can_be_opened(tmp_path: Path, name: bytes) -> None:
    path = speak(tmp_path / os.fsdecode(name))
    assert examine(str(path)).header.duration == 0.5


def test_a_file_without_a_header_is_as_long_as_its_size_says(tmp_path: Path) -> None:
    expected = Header(10.0, "pcm_mulaw", 8000, 1)
    assert examine(str(put(tmp_path, "a.ULAW", bytes(80_000)))).header == expected
    assert examine(str(put(tmp_path, "a.g729", bytes(10_000)))).header == Header(10.0, "g729", 8000, 1)
    wide = {"ulaw": RawFormat("mulaw", 16_000, 2)}.get
    assert examine(str(put(tmp_path, "b.ulaw", bytes(80_000))), raw=wide).header == Header(2.5, "pcm_mulaw", 16_000, 2)
    speak(tmp_path / "c.ulaw", 1.5, 16_000)
    assert examine(str(tmp_path / "c.ulaw")).header == Header(1.5, "pcm_s16le", 16_000, 1), "it has a header"


def test_no_media(tmp_path: Path) -> None:
    empty = examine(str(put(tmp_path, "empty.wav", b"")))
    assert (empty.sha256, empty.header.duration) == (hashlib.sha256().hexdigest(), None)
    assert empty.header.probe_error
    assert examine(str(put(tmp_path, "text.mp3", b"no audio at all\n" * 99))).header.probe_error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.wav", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n"),
        ("list.mp3", "ffconcat version 1.0\nfile '{}'\n"),
        ("list.ogg", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"),
    ],
)
def test_playlists_are_not_followed(tmp_path: Path, name: str, text: str) -> None:
    secret = speak(tmp_path / "secret.wav")
    found = examine(str(put(tmp_path, name, text.format(secret).encode())))
    assert found.header.probe_error
    assert found.header.duration is None


def test_no_demuxer_that_reads_other_files() -> None:
    dangerous = "hls applehttp dash concat concatf image2 image2pipe sdp rtp rtsp imf lavfi webm_dash_manifest vobsub"
    assert not set(ALLOWED_DEMUXERS.split(",")) & set(dangerous.split())


def test_a_duration_that_cannot_be_is_not_believed(tmp_path: Path) -> None:
    path = speak(tmp_path / "a.wav", 1)
    content = bytearray(path.read_bytes())
    content[24:32] = struct.pack("<II", 1, 1)  # one sample, one byte per second: 16,000 s in 16 kB
    content[32:36] = struct.pack("<HH", 1, 8)
    path.write_bytes(content)
    assert examine(str(path)).header.duration is None


def test_an_unreadable_file_is_a_row(tmp_path: Path) -> None:
    path = speak(tmp_path / "a.wav")
    path.chmod(0)
    with nobody(tmp_path):
        found = examine(str(path))
    assert (found.sha256, found.header.probe_error, found.size) == ("", "Permission denied", path.stat().st_size)


def test_a_crash_a_hang_and_a_missing_file_cost_one_row_each(tmp_path: Path) -> None:
    names = ["a.wav", "crash.wav", "gone.wav", "hang.wav", "z.wav"]
    for name in names:
        if name != "gone.wav":
            speak(tmp_path / name)
    files = [(name.encode(), str(tmp_path / name), 0) for name in names]
    found = dict(examine_all(files, how=crashing, seconds=10))
    assert list(found) == [name.encode() for name in names]
    assert found[b"gone.wav"] is None
    fine, crash, hang, last = (found[name.encode()] for name in names if name != "gone.wav")
    assert fine and crash and hang and last
    assert (fine.header.duration, last.header.duration) == (0.5, 0.5)
    assert (crash.header.duration, hang.header.duration) == (None, None)
    assert crash.sha256 == hang.sha256 == fine.sha256, "they are still known by their content"
    assert crash.header.probe_error and "crashed (exit code -11)" in crash.header.probe_error
    assert hang.header.probe_error and "too long" in hang.header.probe_error


def noted(path: str, hashing: bool) -> FileContent:
    """Examined, with a note of it beside."""
    Path(f"{path}.seen").touch()
    return examine(path, hashing)


def test_hard_links_are_examined_once(tmp_path: Path) -> None:
    for number in range(3):
        speak(tmp_path / f"{number}.wav", value=number)
        for other in range(40):
            os.link(tmp_path / f"{number}.wav", tmp_path / f"{number} {other}.wav")
        os.link(
            tmp_path / f"{number}.wav", tmp_path / f"{number}.ulaw"
        )  # what is in it may be taken for something else
    files = [(os.fsencode(path.name), str(path), path.stat().st_size) for path in sorted(tmp_path.iterdir())]
    found = dict(examine_all(files, how=noted))
    assert list(found) == [key for key, _, _ in files]
    assert all(found[key] == examine(path) for key, path, _ in files)
    assert len(list(tmp_path.glob("*.seen"))) == 6


def test_small_files_go_to_the_children_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question costs more than a small file; a large one goes alone, so that all children have work."""
    asked: list[list[str]] = []
    schedule = ProcessPool.schedule

    def counted(pool: ProcessPool, function: Any, args: Any, **more: Any) -> Any:
        asked.append(args[1])
        return schedule(pool, function, args, **more)

    monkeypatch.setattr(ProcessPool, "schedule", counted)
    files = [(b"%d" % number, str(speak(tmp_path / f"{number}.wav")), 8044) for number in range(100)]
    large = [(b"l%d" % number, str(speak(tmp_path / f"l{number}.wav")), 10_000_000) for number in range(3)]
    assert len(dict(examine_all(files + large))) == 103
    assert list(map(len, asked)) == [16] * 6 + [5, 1, 1]


def test_a_hung_child_whose_parent_was_killed_ends_by_itself() -> None:
    program = (
        "import time; from snakescribe.inventory.probe import _limited;"
        "_limited(lambda path, hashing: time.sleep(60), '', True, -4)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=300).returncode == -signal.SIGALRM
