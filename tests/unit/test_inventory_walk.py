"""The look that opens nothing: which names are taken, which are not, and what is said when none are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snakescribe.config import Config, load_config
from snakescribe.errors import InputError
from snakescribe.inventory.take import take
from snakescribe.inventory.walk import digest, recordings_root, walk

NAMES = [
    b"two words.wav",
    b'it\'s "quoted" $HOME `id`; & more.mp3',
    b"{braces} {0} %d * ?.flac",
    b"new\nline\tand tab.ogg",
    b"-rf.wav",
    "emoji 🎙️.opus".encode(),
    b"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab\xe1\x84\x80\xe1\x85\xb3\xe1\x86\xaf.m4a",  # 한글, decomposed
    "한글.m4a".encode(),
    b"not \xff\xfe utf-8.amr",
    ("가" * 83).encode() + b"xx.wav",  # 255 bytes
    b"a:b\\n.WEBM",
    b"x.wav",
    b"x.mp3",
]


def configured(tmp_path: Path, **options: object) -> Config:
    values = {"recordings": "in", "results": "out", **options}
    return load_config(values, tmp_path, {"HOME": str(tmp_path)})


def put(folder: Path, name: bytes | str, content: bytes = b"x", age: float = 3600) -> Path:
    path = folder / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Root may read everything; nobody may not (but reaches ``folder`` here: pytest's own are 0700)."""
    if os.geteuid() != 0:
        yield
        return
    closed = [path for path in (folder, *folder.parents) if stat.S_IMODE(path.stat().st_mode) == 0o700]
    for path in closed:
        path.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path in closed:
            path.chmod(0o700)


def test_every_name_is_found_as_it_was(tmp_path: Path) -> None:
    for name in NAMES:
        put(tmp_path / "in", name)
        put(tmp_path / "in", b"sub {\xff}/" + name)
    found = walk(configured(tmp_path)).entries
    assert [entry.path for entry in found] == sorted(NAMES + [b"sub {\xff}/" + name for name in NAMES])


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in (
        "a.wav",
        "B.WAV",
        "film.mkv",
        ".hidden.wav",
        ".folder/x.wav",
        "~$a.wav",
        "a.wav~",
        "a.wav.part",
    ):
        put(folder, name)
    for name in ("b.mp3.crdownload", "notes.txt", "wav", "a.wav.TMP", "list.m3u8"):
        put(folder, name)
    os.mkfifo(folder / "pipe.wav")
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    (folder / "itself.wav").symlink_to("itself.wav")
    walked = walk(configured(tmp_path))
    assert [entry.path for entry in walked.entries if entry.sure] == [b"B.WAV", b"a.wav", b"film.mkv"]
    assert [entry.path for entry in walked.entries if not entry.sure] == [b"wav"], "its content will tell"
    assert walked.skipped == {"hidden": 2, "temporary": 5, "not audio": 2, "not a file": 3}
    assert (walked.passed.extensions, walked.passed.names) == ({".txt": 1, ".m3u8": 1}, [b"list.m3u8", b"notes.txt"])


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path / "in", "real/a.wav")
    put(tmp_path, "elsewhere/deep/b.wav")
    put(tmp_path, "elsewhere/c.wav")
    (tmp_path / "in/real/up").symlink_to("../..", target_is_directory=True)
    (tmp_path / "in/real/loop").symlink_to("..", target_is_directory=True)
    (tmp_path / "in/0 again").symlink_to("real", target_is_directory=True)  # sorts before the real one
    (tmp_path / "in/outside").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "in/d.wav").symlink_to(tmp_path / "elsewhere/c.wav")
    paths = [entry.path for entry in walk(configured(tmp_path, results="/nowhere")).entries]
    assert paths == [b"d.wav", b"outside/c.wav", b"outside/deep/b.wav", b"real/a.wav"]


def test_our_own_folders_inside_are_left_out(tmp_path: Path) -> None:
    put(tmp_path / "in", "a.wav")
    for own in ("out", "models", "cache"):
        put(tmp_path / "in" / own, "b.wav")
    config = configured(tmp_path, results="in/out", models="in/models", cache={"path": "in/cache"})
    walked = walk(config)
    assert [entry.path for entry in walked.entries] == [b"a.wav"]


def test_no_file_is_opened(tmp_path: Path) -> None:
    put(tmp_path / "in", "a.wav")
    opened: list[object] = []
    watching = True
    sys.addaudithook(lambda event, args: opened.append(args[0]) if watching and event == "open" else None)
    walk(configured(tmp_path))
    watching = False
    assert opened == []


def test_the_snakefile_imports_nothing_heavy() -> None:
    program = (
        "import sys, snakescribe.workflow;"
        "print([m for m in ('torch', 'pandas', 'pyarrow', 'av', 'pebble', 'numpy', 'ffmpeg') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_twenty_thousand_files_are_walked_hardly_slower_than_looked_at(tmp_path: Path) -> None:
    for number in range(200):
        put(tmp_path / "in", f"{number % 7}/{number}.wav")
    for number in range(100):
        (tmp_path / f"in/link{number}").mkdir()
        for other in range(200):
            os.link(tmp_path / f"in/{other % 7}/{other}.wav", tmp_path / f"in/link{number}/{other}.wav")
    config = configured(tmp_path)
    start = time.process_time()
    for folder, _, names in os.walk(tmp_path / "in"):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 (as fast as can be)
    looked = time.process_time()
    walked = walk(config)
    digest(config, walked)
    assert len(walked.entries) == 20_200
    assert time.process_time() - looked < 20 * (looked - start)


def test_settling(tmp_path: Path) -> None:
    put(tmp_path / "in", "old.wav", age=100)
    put(tmp_path / "in", "fresh.wav", age=1)
    put(tmp_path / "in", "future.wav", age=-3600)

    def settled(config: Config) -> list[bytes]:
        return [entry.path for entry in walk(config).entries if entry.settled]

    assert settled(configured(tmp_path)) == [b"fresh.wav", b"future.wav", b"old.wav"]
    config = configured(tmp_path, settle=60)
    assert settled(config) == [b"old.wav"]
    first = digest(config, walk(config))
    assert take(config).plan.skipped == {"unsettled": 2}
    assert settled(config) == [b"future.wav", b"old.wav"], "two looks agree"
    assert digest(config, walk(config)) != first, "so that the checkpoint runs again"
    put(tmp_path / "in", "future.wav", content=b"grown", age=-3600)
    assert settled(config) == [b"old.wav"], "it is being written after all"
    put(tmp_path / "in", "fresh.wav", age=61)
    assert settled(config) == [b"fresh.wav", b"old.wav"]


def test_only_unsettled_files_are_no_error(tmp_path: Path) -> None:
    put(tmp_path / "in", "future.wav", age=-3600)
    config = configured(tmp_path, settle=60)
    assert take(config).plan.recordings == 0
    assert take(config).plan.recordings == 1


def test_the_digest_sees_what_the_inventory_depends_on(tmp_path: Path) -> None:
    path = put(tmp_path / "in", "a.wav")

    def now(**options: object) -> str:
        config = configured(tmp_path, **options)
        return digest(config, walk(config))

    first = now()
    assert now(device="cpu", model="tiny") == first
    seen = {first, now(batch={"files": 1}), now(batch={"minutes": 1.0}), now(settle=1)}
    os.utime(path, (1, 1))
    seen.add(now())
    put(tmp_path / "in", "a.wav", content=b"xy")
    seen.add(now())
    put(tmp_path / "in", "b.wav")
    seen.add(now())
    put(tmp_path / "out", ".snakescribe/retries", b"1")
    seen.add(now())
    assert len(seen) == 8
    sheet = put(tmp_path, "sheet.csv", b"path,who\nin/a.wav,me\n")
    seen.add(now(recordings="sheet.csv"))
    sheet.write_bytes(sheet.read_bytes() + b"\n")
    seen.add(now(recordings="sheet.csv"))
    assert len(seen) == 10


def test_roots(tmp_path: Path) -> None:
    assert recordings_root(configured(tmp_path)) == str(tmp_path / "in")
    assert recordings_root(configured(tmp_path, recordings="lists/a.CSV")) == str(tmp_path / "lists")


def refusal(config: Config) -> str:
    with pytest.raises(InputError) as caught:
        walk(config)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    assert "does not exist" in refusal(configured(tmp_path))
    put(tmp_path, "call.wav")
    assert "neither a folder nor" in refusal(configured(tmp_path, recordings="call.wav"))
    (tmp_path / "in").mkdir()
    assert "it is empty" in refusal(configured(tmp_path))
    assert "also the results folder" in refusal(configured(tmp_path, results="in"))
    for name in ("notes.txt", "b.txt", ".c.wav"):
        put(tmp_path / "in", name)
    assert "3 names seen: 1 hidden, 2 not audio" in refusal(configured(tmp_path))


def test_unreadable_folders(tmp_path: Path) -> None:
    put(tmp_path / "in", "a.wav")
    put(tmp_path / "in", "locked/b.wav")
    (tmp_path / "in/locked").chmod(0)
    with nobody(tmp_path):
        walked = walk(configured(tmp_path))
        assert [entry.path for entry in walked.entries] == [b"a.wav"]
        assert walked.skipped == {"unreadable folders": 1}
    (tmp_path / "in/locked").chmod(0o700)
    (tmp_path / "in").chmod(0)
    with nobody(tmp_path):
        assert "cannot be read (Permission denied)" in refusal(configured(tmp_path))
    (tmp_path / "in").chmod(0o700)


def test_a_folder_emptied_later_is_no_error(tmp_path: Path) -> None:
    put(tmp_path / "in", "a.wav")
    config = configured(tmp_path)
    take(config)
    (tmp_path / "in/a.wav").unlink()
    assert take(config).plan.removed == 1
