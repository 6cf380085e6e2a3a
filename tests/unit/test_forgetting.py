"""Forgetting a recording: its text leaves every file, others stay, and a second time goes on from the first."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.config import Config, read_resolved
from snakescribe.engine.journal import Journal, WindowText
from snakescribe.errors import CrashError
from snakescribe.evaluation.evaluate import judged
from snakescribe.evaluation.kept import read_kept, write_counts
from snakescribe.files import hold_lock
from snakescribe.formats.digests import Digests
from snakescribe.formats.export import export_batch
from snakescribe.formats.listing import Listing
from snakescribe.inventory.ledger import Ledger, still_wanted
from snakescribe.keys import content_key, transcript_key
from snakescribe.layout import Results
from snakescribe.models.store import Store
from snakescribe.report.page import write_page
from snakescribe.tables.write import write_tables
from snakescribe.transcribe.cache import Cache, CachedTranscript
from snakescribe.transcribe.provenance import Provenance
from snakescribe.transcript import Segment, Transcript

SECRET = "das bleibt unter uns"
PATH = b"a b/not \xff {x}.wav"
KEPT = "das darf jeder wissen"


def entry(text: str) -> CachedTranscript:
    """What the cache holds about a recording."""
    said = Segment(**segment(0, 2, text))
    transcript = Transcript(duration=2, speech_seconds=2, language="de", language_probability=1.0, segments=(said,))
    made: dict[str, Any] = dict.fromkeys(("model", "model_sha256", "engine", "versions", "device"), "x")
    made |= {"device_name": "x", "driver": None, "compute_type": "x", "options_hash": "x", "wall_seconds": 1}
    return CachedTranscript(transcript=transcript, provenance=Provenance(**made, finished_at="2026-01-02T03:04:05Z"))


@pytest.fixture
def filled(tmp_path: Path, models_root: Path) -> tuple[Results, Config]:
    """A finished folder in which the recording has two attempts, and all that killed runs leave behind."""
    old = row(PATH, segment(0, 2, f"{SECRET} 1"), sha256="ab" * 32)
    new = row(PATH, segment(0, 2, f"{SECRET} 2"), sha256="cd" * 32, attempt=2)
    other, more = row("other.wav", segment(0, 2, KEPT)), row("more.wav", segment(0, 2, KEPT))
    options = {
        "model": "tiny.en",
        "models": str(models_root),
        "cache": {"path": str(tmp_path / "cache")},
        "outputs": ["json", "txt", "srt", "vtt"],
    }
    results = finish(tmp_path / "out", {"b000001": [old, other], "b000002": [new, more]}, **options)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        for batch in ledger.batches():
            ledger.manifest(batch).write(results.manifest(batch))
            export_batch(results, ["json", "txt", "srt", "vtt"], batch)
    (results.transcripts / os.fsdecode(PATH + b".srt")).write_text(f"{SECRET}, but well spelled")
    export_batch(results, ["json", "txt", "srt", "vtt"], "b000002")
    assert (results.transcripts / os.fsdecode(PATH + b".new.srt")).exists()
    Digests(results.digests("b000001")).remember(old["recording_id"], {"txt": f"{SECRET} 1\n".encode()})
    write_tables(results)
    config = read_resolved(results.config)
    write_page(results, config)
    own, other_line = (judged({**one, "path": "x"}, f"{one['text']}\n\tmore", file="x.txt") for one in (new, other))
    for path in (results.evaluation, results.evaluation_corrected):
        write_counts(path, [own, other_line])
    with results.evaluation.open("a") as file:
        file.write(f"what somebody wrote there: {SECRET}\n")
    cache, prepared = Cache(config), Store(models_root).resolve("tiny.en")
    journal = Journal(results.journal("b000002"))
    with Ledger.open(results.ledger, readonly=True) as ledger:
        for recording in ledger.manifest("b000002").recordings:
            mine = recording.path_bytes == PATH
            key = transcript_key(config, prepared, recording)
            text = SECRET if mine else KEPT
            cache.put(recording.sha256, key, entry(text))
            said = (Segment(**segment(0, 2, text)),)
            window = WindowText(key=content_key(recording, key), track=0, start=0, end=9, segments=said, wall_seconds=1)
            with journal.in_flight([window.place]):
                journal.add([window])
    with results.journal("b000002").open("a") as file:
        file.write(json.dumps({"window": {"key": "of other options", "text": SECRET}}) + "\n")
        file.write(f'{{"window": "damaged {SECRET}\n{SECRET[:9]}')  # and one cut short by a kill
    leftovers = [
        results.samples("b000002"),
        results.samples("b000001").with_name(".b000001.pcm.parts") / "0",
        results.root / ".snakemake/backups/exported/b000002.json",
        results.root.with_name("outer") / ".snakemake/backups/results/exported/b000002.json",
        results.table("recordings", "tsv").with_name(".0123456789abcdef.part"),
        results.transcripts / "a b/.00000000000000ff.part",
    ]
    results.elsewhere.parent.mkdir(exist_ok=True)
    results.elsewhere.write_text("../outer/.snakemake/backups/results")  # used as a module there
    for path in leftovers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
    return results, config


def said(top: Path) -> str:
    """All that can be read in a folder, Parquet and what the report packs included."""
    texts = []
    for path in (path for path in top.rglob("*") if path.is_file()):
        texts.append(path.read_bytes().decode(errors="replace"))
        if path.suffix == ".parquet":
            texts.append(str(pq.read_table(path).to_pylist()))
        if path.suffix == ".html":
            packed = re.findall(r'id="(?:index|block-\d+)">([\w+/=]+)<', texts[-1])
            texts += [gzip.decompress(base64.b64decode(block)).decode() for block in packed]
    return "\n".join(texts)


def files(results: Results) -> dict[str, int]:
    """Modification times of what Snakemake looks at."""
    names = ("batches/*", "exported/*.json", "tables/*.parquet", "tables/*.tsv", "inventory/plan.json")
    return {str(path): path.stat().st_mtime_ns for name in names for path in results.root.glob(name)}


@pytest.mark.parametrize("by", ["path", "id"])
def test_its_text_is_nowhere_and_the_rest_is_as_it_was(filled: tuple[Results, Config], by: str) -> None:
    results, config = filled
    cache = Path(config.cache.path)
    assert SECRET in said(results.root)
    assert SECRET in said(cache)
    before = files(results)
    key = row(PATH)["recording_id"]
    assert {key in results.digests(batch).read_text() for batch in ("b000001", "b000002")} == {True}
    name = r"a b/not \xff {x}.wav" if by == "path" else key

    assert main(["forget", name, "--results", str(results.root)]) == 0
    assert SECRET not in said(results.root)
    assert SECRET not in said(results.root.with_name("outer"))
    assert SECRET not in said(cache)
    assert SECRET[:9].encode() not in results.journal("b000002").read_bytes()
    assert files(results) == before, "Snakemake finds nothing to do"
    assert list(results.root.rglob("*.part")) == []
    digests = [results.digests(batch).read_text() for batch in ("b000001", "b000002")]
    assert not any(key in text for text in digests), "whoever guesses what was said must not be told so"
    assert [len(text.splitlines()) for text in digests] == [4, 4]

    for path in (results.evaluation, results.evaluation_corrected):
        assert read_kept(path) == {row("other.wav")["recording_id"]: (f"{KEPT}\n\tmore", False)}
    journal = Journal(results.journal("b000002"))
    assert [window.segments[0].text for window in journal.windows.values()] == [KEPT]
    assert len(list(cache.rglob("*.json"))) == 1
    assert [r["path"] for r in pq.read_table(results.table("recordings", "parquet")).to_pylist()] == [
        "other.wav",
        "more.wav",
    ]
    assert sorted(path.name for path in results.transcripts.rglob("*.txt")) == [
        "more.wav.txt",
        "other.wav.txt",
    ]
    listings = [Listing.read(results.exported(batch)) for batch in ("b000001", "b000002")]
    names = [os.fsdecode(name) for listing in listings for name in listing.files]
    assert len(names) == 8
    assert all((results.transcripts / name).is_file() for name in names)
    assert not any(listing.corrected for listing in listings)
    assert [r.path for r in still_wanted(results, "b000002").recordings] == ["more.wav"]


def test_a_second_time_finishes_what_a_kill_left(
    filled: tuple[Results, Config], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, _ = filled
    for name in ("_table_rows", "_transcripts", "_batch_rows", "_journal_lines"):
        with monkeypatch.context() as patch:
            patch.setattr(f"snakescribe.forgetting.{name}", lambda *_: 1 / 0)
            assert main(["forget", row(PATH)["recording_id"], "--results", str(results.root)]) == CrashError.exit_code
    assert main(["forget", row(PATH)["recording_id"], "--results", str(results.root)]) == 0
    assert SECRET not in said(results.root)
    capsys.readouterr()
    assert main(["forget", row(PATH)["recording_id"], "--results", str(results.root)]) == 0
    assert "nothing left to remove" in capsys.readouterr().out


def test_while_batches_are_missing_the_tables_go(filled: tuple[Results, Config]) -> None:
    results, _ = filled
    results.batch("b000001").unlink()
    assert main(["forget", row(PATH)["recording_id"], "--results", str(results.root)]) == 0
    assert not list(results.table("recordings", "tsv").parent.iterdir())
    assert SECRET not in said(results.root)


def test_of_two_copies_the_other_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = {"sha256": "ab" * 32}
    first, second, third = (row(name, segment(0, 2, SECRET), **same) for name in ("1.wav", "2.wav", "3.wav"))
    twin = {"duplicate_of": first["recording_id"]}
    results = finish(
        tmp_path,
        {"b000001": [first, second, third]},
        known={r["recording_id"]: twin for r in (second, third)},
        cache={"path": str(tmp_path / "cache")},
    )
    write_tables(results)
    assert main(["forget", "1.wav", "--results", str(tmp_path)]) == 0
    assert "'2.wav' has the same content and stays" in capsys.readouterr().out
    left = pq.read_table(results.table("recordings", "parquet"), columns=["path", "duplicate_of"]).to_pylist()
    assert left == [
        {"path": "2.wav", "duplicate_of": None},
        {"path": "3.wav", "duplicate_of": second["recording_id"]},
    ]


def test_what_cannot_be_forgotten_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (row("x.wav", segment(0, 1, "x"), recording_id=key) for key in ("left", "right"))
    results = finish(tmp_path / "out", {"b000001": [one, two]})
    asked = ["--results", str(results.root)]
    assert main(["forget", "y.wav", *asked]) == 3
    assert "InputError: no recording 'y.wav'" in capsys.readouterr().err
    assert main(["forget", "x.wav", *asked]) == 3
    assert "give an id of theirs: left, right" in capsys.readouterr().err
    assert main(["forget", "x.wav", "--results", str(tmp_path / "none")]) == 4
    lock = hold_lock(results.lock, "")
    assert main(["forget", "left", *asked]) == 75
    assert "BusyError: another run works on" in capsys.readouterr().err
    os.close(lock)
