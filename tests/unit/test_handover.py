"""A run for other programs: read back as they read it, nothing over what is there, nothing that is not."""

from __future__ import annotations

import csv
import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.layout import Results

SPOKEN = row(
    "통화 1/상담 '녹음',\n<1>.wav", segment(0, 2.5, '네,\t"알겠습니다"', "상담원 <1>"), segment(1, 3, "예", "caller")
)
ODD = row(b"\xff test.mp3", segment(0, 0, "끝"))
SILENT, FAILED = row("silent.wav"), row("bad.wav", status="failed")
CHANGED = row("changed.wav", segment(0, 1, "another file"), size=3)
GONE, REMOVED = row("gone.wav", segment(0, 1, "gone")), row("removed.wav", segment(0, 1, "removed"))
BATCHES = {
    "b000001": [row(ODD["path_bytes"], segment(0, 1, "the first attempt")), SPOKEN, SILENT, FAILED, CHANGED],
    "b000002": [ODD | {"attempt": 2}, GONE, REMOVED],
}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A finished run over recordings that are there, but for one."""
    root = tmp_path / "recordings"
    for one in (SPOKEN, ODD, SILENT, FAILED, CHANGED):
        path = root / os.fsdecode(one["path_bytes"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound of " + one["path_bytes"])
    removed = {REMOVED["recording_id"]: {"state": "removed"}}
    return finish(tmp_path / "out", BATCHES, known=removed, recordings=str(root))


def handed(results: Results, kind: str, folder: Path) -> int:
    return main(["handover", "--results", str(results.root), "--as", kind, str(folder)])


def test_label_studio_gets_every_recording_with_its_segments(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handed(results, "label-studio", tmp_path / "tasks") == 0
    assert capsys.readouterr().out == f"{tmp_path}/tasks: 5 recordings\n"
    tasks: list[dict[str, Any]] = json.loads((tmp_path / "tasks/tasks.json").read_text())
    paths = [unquote_to_bytes(task["data"]["audio"].removeprefix("/data/local-files/?d=")) for task in tasks]
    assert paths == [one["path_bytes"] for one in (SPOKEN, SILENT, CHANGED, ODD, GONE)]
    assert all(re.fullmatch(r"[!-~]+", task["data"]["audio"]) for task in tasks)
    (said,) = tasks[0]["predictions"]
    assert [(one["type"], one["value"]) for one in said["result"]] == [
        ("labels", {"start": 0, "end": 2.5, "labels": ["상담원 <1>"]}),
        ("textarea", {"start": 0, "end": 2.5, "text": ['네, "알겠습니다"']}),
        ("labels", {"start": 1, "end": 3, "labels": ["caller"]}),
        ("textarea", {"start": 1, "end": 3, "text": ["예"]}),
    ]
    assert [one["id"] for one in said["result"]] == [f"{SPOKEN['recording_id']}-{n}" for n in (0, 0, 1, 1)]
    assert tasks[1]["predictions"][0]["result"] == []
    assert [one["value"]["end"] for one in tasks[3]["predictions"][0]["result"]] == [0.001, 0.001], (
        "a region one can see"
    )

    interface = ET.parse(tmp_path / "tasks/labels.xml").getroot()
    controls = {one.attrib["name"]: one.tag for one in interface if "toName" in one.attrib}
    assert controls == {"speaker": "Labels", "transcription": "TextArea"}
    used = {one["from_name"] for task in tasks for one in task["predictions"][0]["result"]}
    assert used == controls.keys()
    assert [one.attrib["value"] for one in interface.iter("Label")] == ["상담원 <1>", "caller", "speech"]


def test_an_audiofolder_has_the_recordings_with_text(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "set"
    assert handed(results, "audiofolder", folder) == 0
    left_out = "1 recording without text, 2 recordings whose file is gone or another one now"
    assert capsys.readouterr().out == f"{folder}: 2 recordings; left out: {left_out}\n"
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(one["transcription"], one["path"]) for one in rows] == [
        ('네, "알겠습니다" 예', SPOKEN["path"]),
        ("끝", "\\xff test.mp3"),
    ]
    assert [one["file_name"] for one in rows] == [
        f"audio/{SPOKEN['recording_id']}.wav",
        f"audio/{ODD['recording_id']}.mp3",
    ]
    for one, source in zip(rows, (SPOKEN, ODD), strict=True):
        assert (folder / one["file_name"]).read_bytes() == b"sound of " + source["path_bytes"]
    assert {path.name for path in (folder / "audio").iterdir()} == {Path(one["file_name"]).name for one in rows}


def test_where_links_cannot_be_made_recordings_are_copied(results: Results, tmp_path: Path, mounted: Path) -> None:
    assert handed(results, "audiofolder", tmp_path / "linked") == 0
    linked = tmp_path / f"linked/audio/{ODD['recording_id']}.mp3"
    assert linked.stat().st_nlink == 2
    assert handed(results, "audiofolder", mounted) == 0
    copied = mounted / f"audio/{ODD['recording_id']}.mp3"
    assert copied.stat().st_dev != linked.stat().st_dev
    assert copied.read_bytes() == linked.read_bytes()


def test_a_folder_that_is_not_empty_is_refused(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine/x").write_text("mine")
    for kind in ("label-studio", "audiofolder"):
        assert handed(results, kind, tmp_path / "mine") == 4
        said = f"ResultsError: {tmp_path / 'mine'} is there and not empty; name a new folder"
        assert said in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["x"]
    assert handed(results, "label-studio", tmp_path / "empty") == 0


@pytest.mark.parametrize("kind", ["label-studio", "audiofolder"])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("file", "a file stands where the folder should be; name a new folder"),
        ("file/below/it", "a file stands where the folder should be; name a new folder"),
        ("loop", "a file stands where the folder should be; name a new folder"),
        ("/proc/nowhere", "cannot be written (No such file or directory); name another folder"),
        ("n" * 300, "cannot be written (File name too long); name another folder"),
    ],
)
def test_a_place_that_can_be_no_folder_is_named(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, target: str, said: str
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    assert handed(results, kind, tmp_path / target) == 4
    told = capsys.readouterr().err
    assert told.startswith(f"snakescribe: ResultsError: {tmp_path / target}") and told.endswith(f"{said}\n")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("place", ["transcripts/통화", "tables", "work", "batches/x", ".snakescribe/x", "link"])
def test_a_folder_of_the_results_is_refused(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (results.root / "link").symlink_to(results.transcripts)
    before = sorted(path for path in results.root.rglob("*") if path.is_dir())
    assert handed(results, "audiofolder", results.root / place) == 4
    assert "which is the run's own; name another folder" in capsys.readouterr().err
    assert sorted(path for path in results.root.rglob("*") if path.is_dir()) == before
    assert handed(results, "audiofolder", results.root / "for others") == 0


def test_a_folder_among_the_recordings_is_refused(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handed(results, "audiofolder", tmp_path / "recordings/set") == 4
    assert "lies among the recordings, where it would be transcribed" in capsys.readouterr().err
    assert not (tmp_path / "recordings/set").exists()


def test_a_run_without_text_gives_valid_files(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    results = finish(tmp_path / "out", {"b000001": [FAILED]}, recordings=str(tmp_path / "recordings"))
    assert handed(results, "label-studio", tmp_path / "a") == handed(results, "audiofolder", tmp_path / "b") == 0
    assert json.loads((tmp_path / "a/tasks.json").read_text()) == []
    assert (tmp_path / "b/metadata.csv").read_text() == "file_name,transcription,language,duration,recording_id,path\n"
