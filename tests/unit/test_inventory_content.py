"""Names that do not say what is in a file: its content is looked at once, and what is no recording is named."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from audio_files import ffmpeg, tone, write_wav
from test_inventory_probe import speak
from test_inventory_take import manifests
from test_inventory_walk import configured, put

from snakescribe.config import load_config
from snakescribe.errors import InputError
from snakescribe.inventory.take import take
from snakescribe.inventory.walk import digest, walk


def test_what_others_do_not_name_is_taken_by_its_content(models_root: Path, tmp_path: Path) -> None:
    speech, folder = str(models_root / "samples/beckett.wav"), tmp_path / "in"
    folder.mkdir()
    made = {
        "noextension": ["-f", "wav"],
        "call.wav.1": ["-f", "wav", "-c:a", "pcm_mulaw"],
        "camcorder.mod": ["-f", "mpeg", "-c:a", "mp2"],
        "stream.dump": ["-f", "mpegts", "-c:a", "aac"],
        "bare.mp3 (2)": ["-f", "mp3", "-write_xing", "0", "-id3v2_version", "0"],
        "raw frames": ["-f", "adts", "-c:a", "aac"],
        "tape.ac": ["-f", "ac3"],
        "layer.two": ["-f", "mp2"],
        "film": ["-f", "mp4", "-c:a", "aac"],
        "note.x": ["-f", "webm", "-c:a", "libopus"],
    }
    for name, options in made.items():
        ffmpeg("-i", speech, *options, str(folder / name))
    config = configured(tmp_path)
    taken = take(config)
    entries = manifests(config)["b000001"]
    assert {entry.path for entry in entries} == made.keys()
    assert all(entry.codec and entry.duration and 8 < entry.duration < 12 for entry in entries)
    assert (taken.plan.skipped, taken.plan.passed_over) == ({}, {})


def test_the_rest_is_counted_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    speak(put(folder, "a.wav"))
    for name in ("b.pdf", "b.PDF", "c.txt", ".hidden", "a.wav.part", "._a.wav"):
        put(folder, name)
    put(folder, "sub/tracker.mod", b"song" * 300)
    put(folder, "odd\nname.ulaw2", os.urandom(5000))
    put(folder, "photo.raw", b"II" + bytes(5000))
    put(folder, "README", b"ID3? no, only text")  # begins like a tag, and cannot be read
    put(folder, "picture", b"\0\0\0\x18ftypheic" + bytes(5000))
    config = configured(tmp_path)
    plan = take(config).plan
    assert plan.recordings == 1
    assert plan.passed_over == {"": 2, ".mod": 1, ".pdf": 2, ".raw": 1, ".txt": 1, ".ulaw2": 1}
    named = ("README", "b.PDF", "b.pdf", "c.txt", "odd\\nname.ulaw2", "photo.raw", "picture", "sub/tracker.mod")
    assert plan.passed_names == named
    assert plan.skipped == {"hidden": 2, "temporary": 1, "not audio": 8}
    assert list(plan.passed_over_notes()) == [
        "left alone: 2 hidden, 1 temporary",
        "8 other files, taken for no recordings: 2 without extension, 2 .pdf, 1 .mod, 1 .raw, 1 .txt, 1 .ulaw2"
        f" ({', '.join(named)})",
        "  .raw: if it is sound, say what is in it by audio.raw (docs/formats.md)",
    ]
    assert take(config).plan == plan

    other = configured(tmp_path, audio={"raw": {"raw": {"codec": "s16le", "rate": 8000}}})
    assert digest(other, walk(other)) != digest(config, walk(config)), "so that the inventory is taken again"
    plan = take(other).plan
    assert (plan.recordings, plan.passed_over.get(".raw")) == (2, None)


def test_a_file_is_looked_into_once(tmp_path: Path) -> None:
    speak(put(tmp_path / "in", "a.wav"))
    unknown = put(tmp_path / "in", "b.what")
    config = configured(tmp_path)
    take(config)
    opened: list[object] = []
    watching = True
    sys.addaudithook(lambda event, args: opened.append(args[0]) if watching and event == "open" else None)
    take(config)
    assert os.fsencode(unknown) not in opened
    speak(unknown)  # it is something else now
    assert take(config).plan.recordings == 2
    watching = False
    assert os.fsencode(unknown) in opened


def test_only_files_that_are_no_recordings(tmp_path: Path) -> None:
    put(tmp_path / "in", "README")
    with pytest.raises(InputError, match="holds no recordings \\(1 names seen: 1 not audio\\)"):
        take(configured(tmp_path))


def test_a_file_in_a_sheet_is_a_recording_whatever_is_in_it(tmp_path: Path) -> None:
    put(tmp_path, "b.what")
    put(tmp_path, "sheet.csv", b"path\nb.what\n")
    assert take(configured(tmp_path, recordings="sheet.csv")).plan.recordings == 1


def test_twenty_thousand_unknown_names(tmp_path: Path) -> None:
    """They are read into once, a few bytes each, and cost the next look no more than recordings do."""
    folder = tmp_path / "in"
    speak(put(folder, "a.wav"))
    for number in range(100):
        put(folder, f"{number}.1", b"\x7fELF" + bytes(200))
    for number in range(200):
        (folder / f"more {number}").mkdir()
        for other in range(100):
            os.link(folder / f"{other}.1", folder / f"more {number}/{other}.1")
    config = configured(tmp_path)
    began = time.process_time()
    plan = take(config).plan
    first = time.process_time()
    assert plan.passed_over == {".1": 20_100}
    take(config)
    again = time.process_time()
    digest(config, walk(config))
    walked = time.process_time()
    print(f"first {first - began:.2f} s, again {again - first:.2f} s, a parse {walked - again:.2f} s")
    assert again - first < 4 * (walked - again) + 0.5


def test_what_comes_later_and_what_waits_is_named(tmp_path: Path) -> None:
    """A document among known recordings has the inventory taken again; a file that is being written is named."""
    (tmp_path / "in").mkdir()
    write_wav(tmp_path / "in/new.wav", tone(440, 1))
    config = load_config({"recordings": "in", "results": "out", "settle": 3600}, tmp_path)
    before = digest(config, walk(config))
    (tmp_path / "in/letter.txt").write_text("no recording")
    assert digest(config, walk(config)) != before
    os.utime(tmp_path / "in/new.wav", (0, 0))
    write_wav(tmp_path / "in/late.wav", tone(440, 1))
    notes = list(take(config).plan.passed_over_notes())
    assert notes[0] == "left alone: 1 unsettled (late.wav), taken when nobody writes to them any more"
    assert notes[1].endswith("(letter.txt)")
