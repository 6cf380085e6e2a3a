"""A file of our own that is damaged, or of another version: its name and what to do, and doing that mends the run."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from runs import Site

from snakescribe.layout import Results

BATCH = "b000001"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, models_root: Path) -> Site:
    """A finished run over a recording that nobody can read: no model is loaded."""
    site = Site(tmp_path_factory.mktemp("damaged"), models_root, {"model": "tiny.en", "on_error": "report"})
    (site.recordings / "junk.wav").write_bytes(b"no media" * 100)
    site.run()
    return site


def refused(site: Site, path: Path, *command: str) -> str:
    """The step says in one line which file it is, and what to do; without a traceback."""
    said = site.tell(*command, code=4).said
    (line,) = [line for line in said.splitlines() if line.startswith("snakescribe: ")]
    assert "Traceback" not in said
    assert line.startswith(f"snakescribe: ResultsError: {path}")
    return line


def unfinished(site: Site) -> None:
    """As if the batch had been begun and not finished: one that is finished is not read again."""
    site.results.progress(BATCH).unlink(missing_ok=True)


def step(site: Site, name: str, *more: str) -> tuple[str, ...]:
    return (name, "--config", str(site.results.config), *more)


def test_the_plan(done: Site) -> None:
    plan, table = done.results.plan, done.results.table("recordings", "parquet")
    for damaged in (b'{"batches": [', b'{"schema_version": 2}', b"\xff"):
        plan.write_bytes(damaged)
        said = done.run(code=4).said
        assert f"ResultsError: {plan} is damaged, or written by another version of snakescribe (" in said
        assert f"delete it and {table}, and run again" in said
        assert "Traceback" not in said
    refused(done, plan, *step(done, "tables"))
    refused(done, plan, "export", "--missing", "--results", str(done.results.root))
    plan.unlink()
    table.unlink()
    done.run()
    assert plan.exists()


def test_a_manifest(done: Site) -> None:
    manifest = done.results.manifest(BATCH)
    manifest.write_text(manifest.read_text().replace('"attempt"', '"tries"'))
    line = refused(done, manifest, *step(done, "normalise", "--batch", BATCH))
    assert "delete it and run again" in line
    manifest.unlink()
    done.run()
    assert '"attempt"' in manifest.read_text()


def test_an_index_of_samples(done: Site) -> None:
    index = done.results.samples_index(BATCH)
    done.tell(*step(done, "normalise", "--batch", BATCH))
    index.write_bytes(index.read_bytes()[:-20])
    unfinished(done)
    assert "delete it and run again" in refused(done, index, *step(done, "transcribe", "--batch", BATCH))
    index.unlink()
    done.tell(*step(done, "normalise", "--batch", BATCH))
    done.tell(*step(done, "transcribe", "--batch", BATCH))


def test_a_line_of_a_journal(done: Site) -> None:
    """What the other lines say is kept."""
    journal = done.results.journal(BATCH)
    good = '{"language": {"key": "k", "language": "ko", "probability": 0.9}}\n'
    unfinished(done)
    journal.write_text(good + '{"window": {"key": "k", "tra\n' + good)
    line = refused(done, journal, *step(done, "transcribe", "--batch", BATCH))
    assert f"{journal}, line 2, is damaged" in line
    assert "delete this line and start again: what the other lines say is kept" in line
    assert journal.read_text().count(good) == 2
    journal.unlink()


def test_the_list_of_what_was_exported(done: Site) -> None:
    exported = done.results.exported(BATCH)
    exported.write_text('{"batch": "b000001"}')
    line = refused(done, exported, "export", "--missing", "--results", str(done.results.root))
    checked = done.results.state / "checked"
    assert f"delete it and {checked}, and run again" in line
    exported.unlink()
    checked.unlink()
    done.run()
    assert exported.exists()


def test_the_resolved_options(done: Site) -> None:
    done.results.config.write_text('{"recordings": "relative"}')
    assert "start the run again" in refused(done, done.results.config, *step(done, "tables"))
    done.run()


@pytest.mark.parametrize("page", [False, True], ids=["row", "page"])
def test_the_ledger(done: Site, tmp_path: Path, page: bool) -> None:
    site = copied(done, tmp_path)
    (site.recordings / "a.wav").write_bytes(b"no media either")
    site.run()
    if page:
        data = bytearray(site.results.ledger.read_bytes())
        data[4096:] = b"\x55" * (len(data) - 4096)
        site.results.ledger.write_bytes(data)
    else:
        with sqlite3.connect(site.results.ledger) as ledger:
            ledger.execute("UPDATE recordings SET extras = 'no JSON', path = 7")
    for command in (("tables",), ("export", "--batch", BATCH), ("inventory",)):
        line = refused(site, site.results.ledger, *step(site, *command))
        assert "or move the whole folder that it lies in away and run again" in line
    (site.recordings / "b.wav").write_bytes(b"nor this")  # so that a run has something to do
    said = site.run(code=4).said
    assert said.count(f"ResultsError: {site.results.ledger}: ") == 1 and "Traceback" not in said
    site.results.ledger.parent.rename(tmp_path / "away")
    site.run()
    assert site.by_path().keys() == {b"a.wav", b"b.wav", b"junk.wav"}


@pytest.mark.parametrize("folder", [True, False], ids=["a folder for a file", "a file for a folder"])
def test_what_stands_in_the_way_of_a_transcript(done: Site, tmp_path: Path, folder: bool) -> None:
    """Another kind of thing than it should be: it is somebody's, and stays."""
    site = copied(done, tmp_path)
    where = site.results.transcripts / "junk.wav.json"
    where.unlink()
    if folder:
        where.mkdir()
        told = f"a folder stands where a file should be ({where}); move it away and run again"
    else:
        where = where.parent
        where.rmdir()
        where.write_text("mine")
        told = f"a file stands where a folder should be ({where}); move it away and run again"
    assert f"ResultsError: {told}" in site.tell(*step(site, "export", "--batch", BATCH), code=4).said
    assert f"ResultsError: {told}" in site.tell("export", "--missing", "--results", str(site.results.root), code=4).said
    assert where.exists()


def test_results_of_a_clock_that_was_ahead(done: Site, tmp_path: Path) -> None:
    """What is made now is newer than what was made tomorrow."""
    site = copied(done, tmp_path)
    site.results.batch(BATCH).unlink()
    for path in site.results.root.rglob("*"):
        os.utime(path, (time.time() + 86400,) * 2)
    site.run()
    assert site.jobs()["transcribe"] == site.jobs()["tables"] == 1
    assert "nothing new" in site.run().said and not site.jobs()


def copied(site: Site, folder: Path) -> Site:
    """The finished run once more, to be damaged alone."""
    shutil.copytree(site.folder, folder, dirs_exist_ok=True)
    copy = replace(site, folder=folder)
    copy.results.config.write_text(copy.results.config.read_text().replace(str(site.folder), str(folder)))
    return copy


def test_a_ledger_of_another_version(done: Site, tmp_path: Path) -> None:
    results = Results(tmp_path / "other")
    shutil.copytree(done.results.root, results.root)
    with sqlite3.connect(results.ledger) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    (done.recordings / "more.wav").write_bytes(b"no media either")  # so that the inventory has something to do
    said = done.run(results=str(results.root), code=4).said
    found = re.findall(r"^snakescribe: (.*)$", said, re.MULTILINE)
    assert len(found) == 1
    assert found[0].startswith(f"ResultsError: {results.ledger}: written by another version of snakescribe (schema 99")
