"""What nobody needs any more is named, and goes only when it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from finished import finish, row, segment
from test_forgetting import entry

from snakescribe.cli import main
from snakescribe.config import read_resolved
from snakescribe.formats.export import export_batch
from snakescribe.inventory.ledger import Ledger
from snakescribe.layout import Results
from snakescribe.tables.batch import read_batch
from snakescribe.tables.write import write_tables
from snakescribe.transcribe.cache import Cache

OLD = 100 * 86_400


@pytest.fixture
def results(tmp_path: Path, models_root: Path) -> Results:
    """Two recordings, one of them gone; of cache, journals and logs an old file and a new one each."""
    rows = [row(f"{name}.wav", segment(0, 2, "네"), sha256=name * 64) for name in "ab"]
    gone = {rows[0]["recording_id"]: {"state": "removed"}}
    options = {"model": "tiny.en", "models": str(models_root), "cache": {"path": str(tmp_path / "cache")}}
    results = finish(tmp_path / "out", {"b000001": rows}, known=gone, **options)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        ledger.manifest("b000001").write(results.manifest("b000001"))
    export_batch(results, ["txt"], "b000001")
    write_tables(results)
    cache = Cache(read_resolved(results.config))
    for sha256 in ("a" * 64, "b" * 64):
        cache.put(sha256, "k", entry("네"))
    for batch in ("b000001", "b000002"):
        places = (results.journal(batch), results.progress(batch), results.log("normalise", batch))
        for path in (*places, results.benchmark(batch)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    old = [path for path in tmp_path.rglob("*") if path.stem == "b000002" or path.parent.name == "a" * 64]
    assert len(old) == 5
    for path in old:
        os.utime(path, (path.stat().st_mtime - OLD,) * 2)
    return results


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_without_yes_it_only_says_so(results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(tmp_path)
    assert main(["prune", "--results", str(results.root), "--gone"]) == 0
    said = capsys.readouterr().out
    for line in (
        "1 transcripts in the cache",
        "1 journals of batches that never went on",
        "2 logs",
        "0 half-written",
        "1 recording that left",
        "a.wav",
    ):
        assert line in said
    assert files(tmp_path) == before


def test_what_is_old_goes_and_what_is_gone_only_if_asked(results: Results, tmp_path: Path) -> None:
    before = files(tmp_path).keys()
    main(["prune", "--results", str(results.root), "--yes"])
    lost = {path.relative_to(tmp_path).parts[:2] for path in before - files(tmp_path).keys()}
    assert lost == {("cache", "aa"), ("out", "journal"), ("out", "logs"), ("out", "benchmarks")}
    assert len(list(read_batch(results.batch("b000001")))) == 2
    assert results.progress("b000002").exists(), "it says which batches are done"

    Cache(read_resolved(results.config)).put("a" * 64, "k", entry("네"))
    main(["prune", "--results", str(results.root), "--yes", "--gone", "--days", "0.5"])
    assert [path.parent.name for path in (tmp_path / "cache").rglob("*.json")] == ["b" * 64]
    assert [one["path"] for one in read_batch(results.batch("b000001"))] == ["b.wav"]
    assert [path.name for path in results.transcripts.iterdir()] == ["b.wav.txt"]
    assert "a.wav" not in results.table("recordings", "tsv").read_text()
    with Ledger.open(results.ledger, readonly=True) as ledger:
        assert not ledger.gone()
        known = {entry.path: entry for entry in ledger.recordings().values()}
    assert known[b"a.wav"].forgotten and known[b"a.wav"].sha256 == known[b"a.wav"].fingerprint == ""
    assert known[b"b.wav"].sha256 == "b" * 64


def test_a_drive_that_is_not_mounted_is_no_reason(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(results.ledger) as ledger:
        ledger.commit({key: one._replace(state="removed") for key, one in ledger.recordings().items()}, [], [], 0)
    assert main(["prune", "--results", str(results.root), "--yes", "--gone"]) == 4
    assert "is its drive mounted?" in capsys.readouterr().err
    assert len(list(read_batch(results.batch("b000001")))) == 2
