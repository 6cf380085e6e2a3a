"""What a second run does again, and what it leaves alone: read off logs, files and tables of real runs.

One finished run on hostile names; every test makes its own change to it and compares with what was before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from runs import Ended, Site, cut, finished, until

FIVE_SECONDS = 5.0
NAMES = [
    b'two words/it\'s "quoted" $HOME `id`; & more.wav',
    b"{braces} {0} %d * ?.wav",
    b"new\nline\tand tab.wav",
    b"-rf.wav",
    "emoji 🎙️.wav".encode(),
    b"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab\xe1\x84\x80\xe1\x85\xb3\xe1\x86\xaf.wav",  # 한글, decomposed
    b"not \xff\xfe utf-8.wav",
    ("가" * 83).encode() + b"xx.wav",  # 255 bytes
]
BROKEN = b"broken.wav"
ADDED = {"tables": 1, "report": 1, "check": 1}
"""What a new batch brings with it."""


@pytest.fixture(scope="module")
def busy() -> dict[str, Ended]:
    """How two more runs ended that were started during the first one."""
    return {}


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    models_root: Path,
    speech: dict[str, Path],
    busy: dict[str, Ended],
) -> Iterator[Site]:
    """A finished run, ``on_error: report``."""
    site = Site(
        tmp_path_factory.mktemp("rerun"),
        models_root,
        {"model": "tiny.en", "on_error": "report", "batch": {"files": 20}, "report": True},
    )
    (site.recordings / "two words").mkdir()
    for number, name in enumerate(NAMES):
        cut(
            speech["two_cities"],
            os.fsencode(site.recordings) + b"/" + name,
            number * FIVE_SECONDS,
            FIVE_SECONDS,
        )
    (site.recordings / os.fsdecode(BROKEN)).write_bytes(b"this is no recording " * 50)
    first = site.start()
    until(site.results.plan.exists, first)
    for bare in (False, True):
        busy["snakemake" if bare else "snakescribe run"] = finished(site.start(bare=bare), 75)
    finished(first, 0)
    yield site


def settled(site: Site, **options: object) -> None:
    """Nothing is left to do with these options."""
    site.run(**options)
    assert not site.jobs()
    assert "Nothing to be done" in site.log()


def test_a_second_run_beside_the_first_is_refused(site: Site, busy: dict[str, Ended]) -> None:
    assert len(busy) == 2
    for ended in busy.values():
        assert "snakescribe: BusyError: another run works on" in ended.said
    assert len(site.rows()) == len(NAMES) + 1, "and the first one went on undisturbed"


def test_every_name_comes_out_as_it_was(site: Site) -> None:
    rows = site.by_path()
    assert set(NAMES) | {BROKEN} <= rows.keys()
    for name in NAMES:
        assert rows[name]["status"] == "ok", rows[name]["error_message"]
        assert rows[name]["path"] == name.decode("utf-8", "backslashreplace")
        plain = os.fsencode(site.results.transcripts) + b"/" + name + b".txt"
        if len(name) < 250:
            assert Path(os.fsdecode(plain)).read_text(encoding="utf-8").split() == rows[name]["text"].split()
    long = [path.name for path in site.results.transcripts.glob("가*.txt")]
    assert len(long) == 1
    assert len(os.fsencode(long[0])) <= 255
    listed = [path for batch in site.batches() for path in site.state(f"exported/{batch}.json")]
    assert len(listed) == len(site.batches())


def test_nothing_to_be_done_a_second_time(site: Site) -> None:
    before = site.state("**/*.parquet")
    settled(site)
    assert site.state("**/*.parquet") == before
    assert "\nnothing new to transcribe; the results so far:\n" in site.run().said


def test_a_failure_that_counts_runs_only_the_check_again(site: Site) -> None:
    for _ in range(2):
        ended = site.run(code=1, on_error="fail")
        assert site.jobs() == {"check": 1}
        assert "broken.wav: UnreadableRecording: " in ended.said
        assert "log: " in ended.said
        assert f"tables: {site.results.root / 'tables'}\ntranscripts: {site.results.transcripts}\n" in ended.said
        assert not (site.results.root / ".snakescribe/checked").exists()
    site.run()
    assert site.jobs() == {"check": 1}


def test_device_and_threads_are_no_reason(site: Site) -> None:
    settled(site, device="cpu")
    site.run("--cores", "1", "--snakemake", "--set-threads", "transcribe=1", "normalise=1")
    assert not site.jobs()


def test_one_file_more_is_one_batch_more(site: Site, speech: dict[str, Path]) -> None:
    before, batches = site.state("batches/*.parquet"), site.batches()
    cut(speech["endgame"], site.recordings / "one more.wav", 0, FIVE_SECONDS)
    assert "nothing new" not in site.run().said
    (new,) = set(site.batches()) - set(batches)
    assert site.jobs() == {"inventory": 1, "normalise": 1, "transcribe": 1, "export": 1} | ADDED
    after = site.state("batches/*.parquet")
    assert after.pop(f"{new}.parquet")
    assert after == before
    row = site.by_path()[b"one more.wav"]
    assert (row["status"], row["batch"], row["attempt"]) == ("ok", new, 1)


def test_other_outputs_are_only_exported(site: Site) -> None:
    before = site.state("batches/*.parquet") | site.state("tables/*")
    site.run(outputs=["txt"])
    assert set(site.jobs()) == {"export", "check"}
    assert site.state("batches/*.parquet") | site.state("tables/*") == before
    left = [path for path in site.results.transcripts.rglob("*") if path.is_file()]
    assert left
    assert {path.suffix for path in left} == {".txt"}
    site.run()
    assert {path.suffix for path in site.results.transcripts.rglob("*.*") if path.is_file()} == {
        ".json",
        ".srt",
        ".txt",
        ".vtt",
    }


def test_subtitles_of_an_older_version_or_of_other_options_are_only_exported(site: Site) -> None:
    before = site.state("batches/*.parquet") | site.state("tables/*")
    listing = site.results.exported(site.batches()[0])
    listing.write_text(listing.read_text().replace('"layout": "2 full"', '"layout": ""'))
    site.run()
    assert site.jobs() == {"export": 1, "check": 1}
    assert '"layout": "2 full"' in listing.read_text()
    site.run(subtitles={"name": "beside"})
    assert set(site.jobs()) == {"export", "check"}
    assert (site.results.transcripts / "-rf.srt").is_file()
    assert not (site.results.transcripts / "-rf.wav.srt").exists()
    site.run()
    assert (site.results.transcripts / "-rf.wav.srt").is_file()
    assert not (site.results.transcripts / "-rf.srt").exists()
    assert site.state("batches/*.parquet") | site.state("tables/*") == before


def test_changed_moved_removed_and_retried(site: Site, speech: dict[str, Path]) -> None:
    folder = site.recordings
    for number, name in enumerate(("changed", "moved", "removed")):
        cut(speech["endgame"], folder / f"{name}.wav", 5 + 4 * number, 4)
    site.run()
    before, batches, rows = site.state("batches/*.parquet"), site.batches(), site.by_path()

    size = (folder / "changed.wav").stat().st_size
    cut(speech["endgame"], folder / "changed.wav", 20, 4)
    assert (folder / "changed.wav").stat().st_size == size, "only the content tells"
    (folder / "moved.wav").rename(folder / "moved away.wav")
    (folder / "removed.wav").unlink()
    site.run("--retry-failed")
    (new,) = set(site.batches()) - set(batches)
    assert site.jobs() == {"inventory": 1, "normalise": 1, "transcribe": 1, "export": 1} | ADDED
    after = site.state("batches/*.parquet")
    assert after.pop(f"{new}.parquet")
    assert after == before

    now = site.by_path()
    changed = now[b"changed.wav"]
    assert (changed["batch"], changed["attempt"], changed["source_state"]) == (new, 2, "present")
    assert changed["text"] != rows[b"changed.wav"]["text"]
    broken = now[BROKEN]
    assert (broken["batch"], broken["attempt"], broken["status"]) == (
        new,
        rows[BROKEN]["attempt"] + 1,
        "failed",
    )
    for gone in (b"moved.wav", b"removed.wav"):
        assert now[gone] == rows[gone] | {"source_state": "removed"}
    moved = now[b"moved away.wav"]
    assert (moved["text"], moved["cached"], moved["batch"]) == (rows[b"moved.wav"]["text"], True, new)
    assert f"{new}: 3 recordings, 1 from the cache" in site.log()
    settled(site)


def test_forgetting(site: Site, speech: dict[str, Path]) -> None:
    cut(speech["two_cities"], site.recordings / "forget me.wav", 40, 4.3)  # the words of no other piece
    cut(speech["endgame"], site.recordings / "forgettable.wav", 12, 4)
    shutil.copy(site.recordings / "-rf.wav", site.recordings / "as -rf.wav")
    site.run()
    rows = site.by_path()
    text = rows[b"forget me.wav"]["text"]
    twin, first = rows[b"as -rf.wav"], rows[b"-rf.wav"]
    assert (twin["text"], twin["duplicate_of"]) == (first["text"], first["recording_id"])
    assert where(site, text) == {
        "cache/*.json",
        "results/batches/*.parquet",
        "results/tables/*.parquet",
        "results/tables/*.tsv",
        *(f"results/transcripts/*{kind}" for kind in (".json", ".srt", ".txt", ".vtt")),
    }

    said = site.tell("forget", "forget me.wav", "--results", str(site.results.root)).said
    assert "4 transcript files removed" in said
    assert "1 contents in the cache removed" in said
    said = site.tell("forget", "--results", str(site.results.root), "--", "-rf.wav").said
    assert "'as -rf.wav' has the same content and stays" in said
    assert not where(site, text)
    settled(site)
    assert site.by_path().keys() == rows.keys() - {b"forget me.wav", b"-rf.wav"}
    assert site.by_path()[b"as -rf.wav"] == twin | {"duplicate_of": None}

    # Both still stand in the manifest of their batch, and both files are still there.
    for batch in {rows[b"forget me.wav"]["batch"], first["batch"]}:
        assert re.search(r'"path": "(forget me|-rf).wav"', site.results.manifest(batch).read_text())
        site.results.batch(batch).unlink()
    site.results.table("recordings", "parquet").unlink()  # which needs them again
    site.run()
    assert site.jobs() == {"normalise": 2, "transcribe": 2, "export": 2} | ADDED
    assert not where(site, text)
    assert site.by_path().keys() == rows.keys() - {b"forget me.wav", b"-rf.wav"}


def where(site: Site, text: str) -> set[str]:
    """Kinds of files under results and cache that hold the text, or a good part of it; compressed ones are read."""
    parts = [text[i : i + 15] for i in range(0, len(text) - 14, 15)]
    assert parts
    found = set()
    for name, top in (("results", site.results.root), ("cache", site.cache)):
        for path in (path for path in top.rglob("*") if path.is_file()):
            data = path.read_bytes()
            if path.suffix == ".parquet":
                data += json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False).encode()
            if any(part.encode() in data for part in parts):
                inner = path.relative_to(top).parts[0] + "/" if name == "results" else ""
                found.add(f"{name}/{inner}*{path.suffix}")
    return found
