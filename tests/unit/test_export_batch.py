"""Export: the right files, nothing twice, nothing left behind, nothing of another batch touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pysubs2
import pytest
import webvtt
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.files import hold_lock
from snakescribe.formats.export import Written, export_again, export_batch
from snakescribe.formats.listing import Listing
from snakescribe.formats.registry import FORMATS

B1, B2 = "b000001", "b000002"


def files(results: Any) -> set[str]:
    return {str(p.relative_to(results.transcripts)) for p in results.transcripts.rglob("*") if p.is_file()}


def listed(results: Any, batch: str) -> set[str]:
    return {os.fsdecode(name) for name in Listing.read(results.exported(batch)).files}


def test_a_spoken_a_silent_and_a_failed_recording(tmp_path: Path) -> None:
    rows = [
        row("a/x.mp3", segment(0, 2, "네, 알겠습니다.")),
        row("silent.wav"),
        row("bad.wav", status="failed"),
    ]
    results = finish(tmp_path, {B1: rows})
    assert export_batch(results, FORMATS, B1) == Written(written=2 * len(FORMATS) + 1)
    spoken = {f"a/x.mp3.{one.suffix}" for one in FORMATS.values()}
    silent = {f"silent.wav.{one.suffix}" for one in FORMATS.values()}
    assert files(results) == spoken | silent | {"bad.wav.json"}
    assert [e.text for e in pysubs2.load(str(results.transcripts / "a/x.mp3.srt"))] == ["네, 알겠습니다."]
    assert webvtt.read(str(results.transcripts / "a/x.mp3.vtt"))[0].text == "네, 알겠습니다."
    assert (results.transcripts / "a/x.mp3.txt").read_text() == "네, 알겠습니다.\n"
    assert (results.transcripts / "silent.wav.txt").read_bytes() == b""
    assert webvtt.read(str(results.transcripts / "silent.wav.vtt")).captions == []
    failed = json.loads((results.transcripts / "bad.wav.json").read_text())
    assert (failed["status"], failed["error_class"]) == ("failed", "UnreadableRecording")


def test_a_second_export_writes_nothing(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "네"))]})
    export_batch(results, FORMATS, B1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert export_batch(results, FORMATS, B1) == Written(kept=len(FORMATS))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before


def test_formats_that_are_no_longer_wanted_go(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "네")), row("bad.wav", status="failed")]})
    export_batch(results, FORMATS, B1)
    (results.transcripts / "notes.txt").write_text("mine")
    assert export_batch(results, ["srt"], B1) == Written(kept=1, removed=len(FORMATS))
    assert files(results) == {"x.mp3.srt", "notes.txt"}
    assert listed(results, B1) == {"x.mp3.srt"}


def test_an_older_batch_leaves_the_files_of_the_newer_alone(tmp_path: Path) -> None:
    again = row("x.mp3", segment(0, 2, "둘째"), attempt=2)
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "첫째")), row("y.mp3")], B2: [again]})
    export_batch(results, ["txt"], B2)
    export_batch(results, ["txt"], B1)
    assert (results.transcripts / "x.mp3.txt").read_text() == "둘째\n"
    assert listed(results, B1) == {"y.mp3.txt"}


def test_a_recording_that_fails_the_second_time_loses_its_text(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "첫째"))]})
    export_batch(results, FORMATS, B1)
    results.ledger.unlink()
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "첫째"))], B2: [row("x.mp3", status="failed")]})
    export_batch(results, FORMATS, B2)
    assert files(results) == {"x.mp3.json"}


def test_a_forgotten_recording_loses_its_files(tmp_path: Path) -> None:
    rows = [row("x.mp3", segment(0, 2, "네")), row("y.mp3", segment(0, 2, "네"))]
    results = finish(tmp_path, {B1: rows})
    export_batch(results, ["txt"], B1)
    results.ledger.unlink()
    results = finish(tmp_path, {B1: rows}, known={rows[0]["recording_id"]: {"forgotten": True}})
    export_batch(results, ["txt"], B1)
    assert files(results) == {"y.mp3.txt"}


NAMES = [
    b"sp ace/'q' \"d\" {x}.wav",
    b"new\nline.wav",
    b"-rf.wav",
    b"\xff\xfe.wav",
    ("가" * 83 + ".wav").encode(),
    b"../outside.wav",
    b"/abs/x.wav",
    b"x.mp3",
    b"x.mp3.json/y.mp3",
]


def test_hostile_names_come_out_as_they_were_and_stay_inside(tmp_path: Path) -> None:
    results = finish(tmp_path / "out", {B1: [row(name, segment(0, 1, "네")) for name in NAMES]})
    export_batch(results, FORMATS, B1)
    found = {os.fsencode(p.relative_to(results.transcripts)) for p in results.transcripts.rglob("*") if p.is_file()}
    assert len(found) == len(NAMES) * len(FORMATS)
    assert {name + b".srt" for name in NAMES[:4]} <= found
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert set(Listing.read(results.exported(B1)).files) == found
    written = json.loads(results.exported(B1).read_text())["files"]
    assert {"hex": (b"\xff\xfe.wav.srt").hex()} in written


def test_missing_mends_what_was_deleted_and_only_that(tmp_path: Path) -> None:
    batches = {B1: [row("x.mp3", segment(0, 2, "네"))], B2: [row("y.mp3", segment(0, 2, "네"))]}
    results = finish(tmp_path, batches)
    export_batch(results, ["srt", "txt"], B1)
    (results.transcripts / "x.mp3.txt").unlink()
    before = results.exported(B1).stat().st_mtime_ns
    assert export_again(results, ["srt", "txt"]) == Written(kept=1, written=1)
    assert files(results) == {
        "x.mp3.srt",
        "x.mp3.txt",
    }  # b000002 was never exported: the run is not there yet
    assert results.exported(B1).stat().st_mtime_ns == before  # or Snakemake would redo what depends on it


@pytest.mark.parametrize("how", ["results", "configfile"])
def test_the_command(tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    results = finish(tmp_path / "out", {B1: [row("x.mp3", segment(0, 2, "네"))]}, outputs=["vtt"])
    mine = tmp_path / "my.yaml"
    mine.write_text(f"results: '{results.root}'\noutputs: [json]\n")
    assert main(["export", "--config", str(results.config), "--batch", B1]) == 0
    assert files(results) == {"x.mp3.vtt"}
    (results.transcripts / "x.mp3.vtt").unlink()
    given = {"results": results.root, "configfile": mine}[how]
    assert main(["export", "--missing", "--config", str(results.config)]) == 2
    assert main(["export", "--missing", f"--{how}", str(given)]) == 0
    assert files(results) == {"x.mp3.vtt"}
    assert capsys.readouterr().err.splitlines()[-1] == "export: 1 file written, 0 kept, 0 removed"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"files": [1]}'])
def test_a_damaged_listing_is_said(tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "네"))]})
    results.exported(B1).parent.mkdir()
    results.exported(B1).write_text(damage)
    assert main(["export", "--missing", "--results", str(tmp_path)]) == 4
    assert (
        f"ResultsError: {results.exported(B1)} is damaged; delete it and {results.state / 'checked'}, and run again"
        in capsys.readouterr().err
    )


def test_somebodys_folder_in_the_way_of_an_unwanted_format_is_left(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "네"))]})
    (results.transcripts / "x.mp3.vtt/mine").mkdir(parents=True)
    assert export_batch(results, ["txt"], B1) == Written(written=1)


def test_a_run_at_work_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "네"))]})
    lock = hold_lock(results.lock, "")
    assert main(["export", "--force", "--results", str(tmp_path)]) == 75
    assert f"BusyError: another run works on {tmp_path}; wait" in capsys.readouterr().err
    os.close(lock)


def test_a_folder_without_a_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--missing", "--results", str(tmp_path)]) == 4
    assert f"no run in {tmp_path}; give its folder with --results" in capsys.readouterr().err


def test_a_run_that_was_stopped_before_its_plan_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finish(tmp_path, {B1: [row("x.mp3", segment(0, 2, "네"))]})
    results.plan.unlink()
    for command in (["export", "--missing"], ["forget", "x.mp3"]):
        assert main([*command, "--results", str(tmp_path)]) == 4
        assert f"the run in {tmp_path} was stopped or failed at its beginning; finish it" in capsys.readouterr().err
