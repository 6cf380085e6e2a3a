"""The ledger: what the other steps ask of it, and opening it after a crash, read-only, or damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from test_inventory_walk import nobody

from snakescribe.errors import ResultsError
from snakescribe.inventory.ledger import Current, FileContent, Known, Ledger
from snakescribe.recording import Header, Recording


def recording(key: str, sha256: str, attempt: int, path: bytes = b"not \xff.wav") -> Recording:
    text = path.decode("utf-8", "backslashreplace")
    return Recording(recording_id=key, path=text, path_hex=path.hex(), sha256=sha256, size=1, attempt=attempt)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Recording ``k`` was in b000001 and is in b000002 now; ``m`` is its twin."""
    path = tmp_path / "out put/한글/ledger.sqlite"
    known = Known(b"not \xff.wav", "s2", "f", "present", None, "말", '{"who": "나"}', 2, "b000002")
    twin = known._replace(path=b"m.wav", duplicate_of="k", reference=None, extras="{}", attempt=1)
    first = recording("k", "s1", 1)
    second = recording("k", "s2", 2)
    third = recording("m", "s2", 1, b"m.wav")
    with Ledger.open(path) as ledger:
        ledger.commit({"k": known}, [("b000001", 0, 1.5, first)], [], 0)
        ledger.commit({"k": known, "m": twin}, [("b000002", 1, 2.5, second), ("b000002", 0, 3.0, third)], [], 3)
    return path


def test_what_the_other_steps_ask(filled: Path) -> None:
    with Ledger.open(filled, readonly=True) as ledger:
        assert ledger.current("b000001") == {}
        assert ledger.current("b000002") == {
            "k": Current("present", None, "말", {"who": "나"}),
            "m": Current("present", "k", None, {}),
        }
        assert ledger.batch_of("k") == "b000002"
        assert ledger.batch_of("x") is None
        assert [entry.recording_id for entry in ledger.manifest("b000002").recordings] == ["m", "k"]
        planned = [(batch.batch, batch.recordings, batch.seconds) for batch in ledger.planned()]
        assert planned == [("b000002", 2, 5.5)]
        assert (ledger.batches(), ledger.last_batch(), ledger.retries_done()) == (
            ["b000001", "b000002"],
            2,
            3,
        )


@pytest.mark.parametrize("text", ["k", "not \udcff.wav", r"not \xff.wav"])
def test_finding_by_id_path_or_table_path(filled: Path, text: str) -> None:
    with Ledger.open(filled, readonly=True) as ledger:
        (found,) = ledger.find(text)
        assert ledger.find("nothing") == []
    assert (found.recording_id, found.path) == ("k", r"not \xff.wav")
    assert (found.sha256, found.batches) == (("s1", "s2"), ("b000001", "b000002"))


def test_forgetting(filled: Path) -> None:
    with Ledger.open(filled) as ledger:
        ledger.forget(["k"])
    with Ledger.open(filled, readonly=True) as ledger:
        assert list(ledger.current("b000002")) == ["m"]
        assert ledger.batch_of("k") is None
        assert ledger.find("k")[0].batches == ("b000001", "b000002"), "so that forgetting can be done again"
    assert "말".encode() not in filled.read_bytes(), "the reference text is gone from the file itself"


def test_a_million_batches_stay_in_order(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l") as ledger:
        for number in (999_999, 1_000_000):
            entry = recording(f"k{number}", "s", 1)
            ledger.commit({}, [(f"b{number:06d}", 0, 1.0, entry)], [], 0)
        assert ledger.last_batch() == 1_000_000
        assert ledger.batches() == ["b999999", "b1000000"]


def test_read_only_makes_no_file_and_needs_no_permission(tmp_path: Path, filled: Path) -> None:
    with pytest.raises(ResultsError, match="unable to open"):
        Ledger.open(tmp_path / "none", readonly=True)
    assert not (tmp_path / "none").exists()
    folder = tmp_path / "shared"
    folder.mkdir()
    shutil.copy(filled, folder / "l")
    (folder / "l").chmod(0o444)
    folder.chmod(0o555)
    with nobody(tmp_path), Ledger.open(folder / "l", readonly=True) as ledger:
        assert ledger.count() == 2
    with nobody(tmp_path), pytest.raises(ResultsError, match="readonly"), Ledger.open(folder / "l") as ledger:
        ledger.forget(["k"])


def test_a_writer_killed_in_the_middle_is_rolled_back(tmp_path: Path, filled: Path) -> None:
    writer = sqlite3.connect(filled)
    writer.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
    writer.executemany(
        "INSERT INTO files VALUES (?, 1, 1, 's', 1, 'c', 1, 1, NULL)", ((b"%d" % n,) for n in range(5000))
    )
    broken = tmp_path / "broken"
    shutil.copy(filled, broken)
    shutil.copy(f"{filled}-journal", tmp_path / "broken-journal")
    writer.close()
    assert broken.stat().st_size > 100_000
    with Ledger.open(broken, readonly=True) as ledger:
        assert list(ledger.contents()) == []
        assert ledger.count() == 2


def test_what_is_no_ledger_is_said(tmp_path: Path, filled: Path) -> None:
    (tmp_path / "text").write_text("no database " * 100)
    with pytest.raises(ResultsError, match="may be damaged"):
        Ledger.open(tmp_path / "text")
    (tmp_path / "empty").touch()
    for readonly in (True, False):
        with pytest.raises(ResultsError, match="empty: it is empty, and so damaged; restore it, or move"):
            Ledger.open(tmp_path / "empty", readonly)
    assert (tmp_path / "empty").stat().st_size == 0
    db = sqlite3.connect(filled)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ResultsError, match=r"another version of snakescribe \(schema 99"):
        Ledger.open(filled, readonly=True)


DAMAGED = [
    ("recordings", "path = 7"),
    ("recordings", "extras = 'no JSON'"),
    ("recordings", "state = 'lost'"),
    ("recordings", "batch = '../../elsewhere'"),
    ("recordings", "attempt = 'x'"),
    ("attempts", "batch = 'x'"),
    ("attempts", "recording_id = recording_id || 'x'"),
    ("attempts", "recording = x'ff'"),
    ("attempts", "recording_id = recording_id || x'ff'"),
    ("files", "size = 'x'"),
    ("looks", "mtime_ns = 'x'"),
    ("meta", "value = 'x'"),
]


@pytest.mark.parametrize(("table", "damage"), DAMAGED, ids=[" ".join(one) for one in DAMAGED])
def test_a_damaged_row_is_said(filled: Path, table: str, damage: str) -> None:
    """Whoever reads it: nothing that is not of its column's type leaves the ledger."""
    with Ledger.open(filled) as ledger:
        ledger.add_contents([(b"m.wav", FileContent(1, 2, "s2"))])
        ledger.commit({}, [], [(b"m.wav", 1, 2)], 3)
    with sqlite3.connect(filled) as db:
        db.execute(f"UPDATE {table} SET {damage}")
    reads: list[Callable[[Ledger], object]] = [
        lambda ledger: [ledger.current(batch) for batch in ("b000001", "b000002")],
        lambda ledger: [ledger.manifest(batch) for batch in ledger.batches()],
        lambda ledger: ledger.find("m.wav"),
        lambda ledger: ledger.find("elsewhere.wav"),
        lambda ledger: (list(ledger.contents()), ledger.looks(), list(ledger.everything())),
        lambda ledger: (ledger.planned(), ledger.last_batch(), ledger.retries_done(), ledger.earlier("b000002")),
    ]
    said = []
    for read in reads:
        try:
            with Ledger.open(filled, readonly=True) as ledger:
                read(ledger)
        except ResultsError as error:
            said.append(str(error))
    assert said and all(one.startswith(f"{filled}: ") and "\n" not in one for one in said)


def test_a_damaged_schema_is_said(filled: Path) -> None:
    """SQLite's message about it quotes bytes that are no text, which the sqlite3 module cannot read."""
    data = filled.read_bytes()
    filled.write_bytes(data.replace(b"CREATE TABLE looks (", b"CREATE TABLE l\xef\xef\x00ks ("))
    with pytest.raises(
        ResultsError, match=r"ledger.sqlite: .*; it may be damaged; restore it, or move the whole folder"
    ):
        Ledger.open(filled)


def test_a_recording_of_another_version_is_said(filled: Path) -> None:
    with sqlite3.connect(filled) as db:
        db.execute("UPDATE attempts SET recording = json_set(recording, '$.mood', 'new in version 9')")
    with Ledger.open(filled, readonly=True) as ledger:
        (batch, *_) = ledger.batches()
        with pytest.raises(ResultsError, match=r"ledger.* of another version of snakescribe \(mood: Unexpected"):
            ledger.manifest(batch)


def test_attempts_read_as_they_always_stood(filled: Path) -> None:
    names = "recording_id path path_hex sha256 size mtime_ns attempt duration codec sample_rate channels probe_error"
    with sqlite3.connect(filled) as db:
        (text,) = db.execute("SELECT recording FROM attempts WHERE batch = 'b000001'").fetchone()
    assert json.loads(text).keys() == {*names.split(), "language", "prompt", "channel_mode"}


def test_contents_come_back(tmp_path: Path) -> None:
    content = FileContent(1, 2**62, "s", Header(1.5, "mp3", 8000, 2, None))
    with Ledger.open(tmp_path / "l") as ledger:
        ledger.add_contents([(b"\xff", content), (b"b", FileContent(1, 2, ""))])
        ledger.add_contents([(b"b", FileContent(1, 3, "", Header(probe_error="Permission denied")))])
    with Ledger.open(tmp_path / "l", readonly=True) as ledger:
        assert dict(ledger.contents()) == {
            b"\xff": content,
            b"b": FileContent(1, 3, "", Header(probe_error="Permission denied")),
        }


def test_a_name_from_macos_is_found_as_it_is_typed_elsewhere(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "상담/요약.wav")
    known = Known(decomposed.encode(), "s", "f", "present", None, None, "{}", 1, "b000001")
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.commit({"k": known}, [("b000001", 0, 1.0, recording("k", "s", 1, decomposed.encode()))], [], 0)
        assert [found.recording_id for found in ledger.find("상담/요약.wav")] == ["k"]
