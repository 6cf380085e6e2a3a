"""Transcripts that a person has corrected: kept whatever changes, with the new text beside them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.formats.corrected import notes
from snakescribe.formats.export import Written, export_batch, record_unrecorded
from snakescribe.formats.registry import FORMATS
from snakescribe.layout import Results
from snakescribe.tables.batch import read_batch

B1, B2 = "b000001", "b000002"
MINE = "1\n00:00:00,000 --> 00:00:02,000\n내가 고쳤다\n\n"


BESIDE = "1 transcript was corrected by hand and kept; the new text is beside it as NAME.new.EXT"
UNWANTED = "1 transcript was corrected by hand and kept, though in a format that is no longer in `outputs`"


def said(text: str, path: str = "x.mp3") -> dict[str, Any]:
    return row(path, segment(0, 2, text))


def again(results: Results, batches: Mapping[str, Sequence[Mapping[str, Any]]], **known: Any) -> None:
    """The batches as they are after another run in the same folder; transcripts and what is known of them stay."""
    results.ledger.unlink()
    finish(results.root, batches, **known)


def texts(results: Results) -> dict[str, str]:
    """What stands in every transcript file."""
    top = results.transcripts
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Exported as SRT and text, and the SRT corrected."""
    results = finish(tmp_path, {B1: [said("첫째")]}, outputs=["srt", "txt"])
    export_batch(results, ["srt", "txt"], B1)
    (results.transcripts / "x.mp3.srt").write_text(MINE)
    return results


def test_other_outputs_leave_it(results: Results) -> None:
    assert export_batch(results, ["srt", "vtt"], B1) == Written(written=2, removed=1, corrected=1)
    now = texts(results)
    assert now.keys() == {"x.mp3.srt", "x.mp3.new.srt", "x.mp3.vtt"}
    assert now["x.mp3.srt"] == MINE
    assert "첫째" in now["x.mp3.new.srt"]
    assert export_batch(results, ["srt", "vtt"], B1) == Written(kept=2, corrected=1), "a second time, nothing"


def test_its_format_may_leave_the_outputs(results: Results) -> None:
    assert export_batch(results, ["txt"], B1) == Written(kept=1, corrected=1)
    assert texts(results)["x.mp3.srt"] == MINE
    assert list(notes(results)) == [UNWANTED]
    again(results, {B1: [row("x.mp3", status="failed")]})
    export_batch(results, FORMATS, B1)
    assert texts(results).keys() == {"x.mp3.srt", "x.mp3.json"}, "even when there is no text any more"


def test_another_model_puts_its_text_beside_it(results: Results) -> None:
    for text in ("zwei", "drei"):
        again(results, {B1: [said(text)]})
        export_batch(results, ["srt", "txt"], B1)
        now = texts(results)
        assert now.keys() == {"x.mp3.srt", "x.mp3.new.srt", "x.mp3.txt"}
        assert (now["x.mp3.srt"], now["x.mp3.txt"]) == (MINE, f"{text}\n")
        assert text in now["x.mp3.new.srt"]
    assert list(notes(results)) == [BESIDE]


def test_a_new_attempt_in_another_batch_knows_what_the_first_wrote(results: Results) -> None:
    batches = {B1: [said("첫째")], B2: [said("둘째") | {"attempt": 2}]}
    again(results, batches)
    for batch in (B1, B2):  # the old one first: it must not forget what it wrote
        export_batch(results, ["srt", "txt"], batch)
    now = texts(results)
    assert (now["x.mp3.srt"], now["x.mp3.txt"]) == (MINE, "둘째\n")
    assert "둘째" in now["x.mp3.new.srt"]


def test_taking_the_new_text_over_ends_it(results: Results) -> None:
    export_batch(results, ["srt"], B1)
    (results.transcripts / "x.mp3.new.srt").replace(results.transcripts / "x.mp3.srt")
    assert list(notes(results)) == []
    again(results, {B1: [said("zwei")]})
    assert export_batch(results, ["srt"], B1) == Written(written=1)
    assert texts(results).keys() == {"x.mp3.srt"}


def test_deleting_it_brings_ours_back(results: Results) -> None:
    export_batch(results, ["srt"], B1)
    (results.transcripts / "x.mp3.srt").unlink()
    assert main(["export", "--missing", "--results", str(results.root)]) == 0
    now = texts(results)
    assert now.keys() == {"x.mp3.srt", "x.mp3.txt"}
    assert "첫째" in now["x.mp3.srt"]


def test_a_correction_of_the_new_text_is_kept_too(results: Results) -> None:
    export_batch(results, ["srt"], B1)
    (results.transcripts / "x.mp3.new.srt").write_text("auch von mir")
    again(results, {B1: [said("zwei")]})
    export_batch(results, ["srt"], B1)
    export_batch(results, ["txt"], B1)
    assert texts(results) == {"x.mp3.srt": MINE, "x.mp3.new.srt": "auch von mir", "x.mp3.txt": "zwei\n"}


def test_only_the_content_counts(results: Results) -> None:
    text = results.transcripts / "x.mp3.txt"
    text.write_text(text.read_text())
    again(results, {B1: [said("zwei")]})
    assert export_batch(results, ["txt"], B1) == Written(written=1, corrected=1)
    assert texts(results)["x.mp3.txt"] == "zwei\n"


def test_force_replaces_it(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    export_batch(results, ["srt", "txt"], B1)
    assert main(["export", "--force", "--results", str(results.root)]) == 0
    assert "export: 1 file written, 1 kept, 1 removed" in capsys.readouterr().err
    now = texts(results)
    assert now.keys() == {"x.mp3.srt", "x.mp3.txt"}
    assert "첫째" in now["x.mp3.srt"]
    again(results, {B1: [said("zwei")]}, outputs=["srt"])
    export_batch(results, ["srt"], B1)
    assert "zwei" in texts(results)["x.mp3.srt"], "and is ours again"


def test_a_link_to_a_share_that_is_away_stays(results: Results) -> None:
    """What it leads to may be somebody's own."""
    link = results.transcripts / "x.mp3.srt"
    link.unlink()
    link.symlink_to("/share/that is away/x.srt")
    assert export_batch(results, ["srt", "txt"], B1) == Written(kept=1, written=1, corrected=1)
    assert link.is_symlink() and "x.mp3.new.srt" in texts(results)
    assert export_batch(results, ["srt", "txt"], B1, force=True).corrected == 0
    assert "첫째" in link.read_text()


def test_force_takes_nothing_whose_format_is_not_wanted(results: Results) -> None:
    export_batch(results, ["txt"], B1)
    again(results, {B1: [said("첫째")]}, outputs=["txt"])
    assert main(["export", "--force", "--results", str(results.root)]) == 0
    assert texts(results)["x.mp3.srt"] == MINE


def test_a_forgotten_recording_loses_corrected_files_too(results: Results) -> None:
    export_batch(results, ["srt"], B1)
    again(results, {B1: [said("첫째")]}, known={said("")["recording_id"]: {"forgotten": True}})
    export_batch(results, ["srt"], B1)
    assert texts(results) == {}


def test_a_listing_of_an_older_version(results: Results) -> None:
    """It has no digests: what would be written now is ours, everything else is kept."""
    for kind in ("json", "txt"):
        export_batch(results, [kind, "srt"], B1)
        results.digests(B1).unlink()
        results.exported(B1).write_text(json.dumps({"batch": B1, "files": [f"x.mp3.{kind}", "x.mp3.srt"]}))
    assert export_batch(results, ["srt"], B1) == Written(removed=1, kept=1, corrected=1)
    assert texts(results).keys() == {"x.mp3.srt", "x.mp3.new.srt"}
    assert texts(results)["x.mp3.srt"] == MINE


@pytest.mark.parametrize("emptied", [False, True], ids=["none", "empty"])
def test_a_record_that_is_lost_is_made_from_the_rows(results: Results, emptied: bool) -> None:
    """An older version kept none, and a crash of the machine can empty it: what is untouched is no correction."""
    lose(results, emptied)
    record_unrecorded(results, B1, read_batch(results.batch(B1)))
    again(results, {B1: [said("zwei")]})
    assert export_batch(results, ["srt", "txt"], B1) == Written(written=2, corrected=1)
    assert (texts(results)["x.mp3.srt"], texts(results)["x.mp3.txt"]) == (MINE, "zwei\n")


@pytest.mark.parametrize("emptied", [False, True], ids=["none", "empty"])
def test_so_it_is_when_the_recording_has_another_batch_now(results: Results, emptied: bool) -> None:
    lose(results, emptied)
    again(results, {B1: [said("첫째")], B2: [said("둘째") | {"attempt": 2}]})
    assert export_batch(results, ["srt", "txt"], B2) == Written(written=2, corrected=1)
    assert (texts(results)["x.mp3.srt"], texts(results)["x.mp3.txt"]) == (MINE, "둘째\n")


def lose(results: Results, emptied: bool) -> None:
    """The record of what was written."""
    results.digests(B1).unlink()
    if emptied:
        results.digests(B1).touch()


KILLED = """
import os, signal, sys
from pathlib import Path
from snakescribe import files
from snakescribe.formats import export
from snakescribe.layout import Results

written = []

def then_die(path, data):
    files.write_atomically(path, data)
    written.append(path)
    if len(written) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

export.write_atomically = then_die
export.export_batch(Results(Path(sys.argv[1])), ["srt", "txt"], "b000001")
"""


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_what_a_killed_export_wrote_is_not_taken_for_a_correction(tmp_path: Path, writes: int) -> None:
    results = finish(tmp_path, {B1: [said("eins"), said("eins", "y.mp3")]})
    export_batch(results, ["srt", "txt"], B1)
    listing = results.exported(B1).read_bytes()
    again(results, {B1: [said("zwei"), said("zwei", "y.mp3")]})
    dead = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(writes)], check=False)
    assert dead.returncode == -signal.SIGKILL
    results.exported(B1).write_bytes(listing)  # as Snakemake does when a job fails that updates its output
    with results.digests(B1).open("a") as torn:
        torn.write("0123")

    again(results, {B1: [said("drei"), said("drei", "y.mp3")]})
    export_batch(results, ["srt", "txt"], B1)
    now = texts(results)
    assert now.keys() == {f"{name}.mp3.{kind}" for name in "xy" for kind in ("srt", "txt")}
    assert all("drei" in text for text in now.values())
    again(results, {B1: [said("vier"), said("vier", "y.mp3")]})
    assert export_batch(results, ["srt", "txt"], B1) == Written(written=4), "nor is what came after the torn line"


def test_a_corrected_file_of_another_tool_is_kept_as_any(tmp_path: Path) -> None:
    wanted = ["audacity", "docx", "openai"]
    results = finish(tmp_path, {B1: [said("첫째")]}, outputs=wanted)
    assert export_batch(results, wanted, B1) == Written(written=3)
    names = ("x.mp3.labels.txt", "x.mp3.docx", "x.mp3.openai.json")
    for name in names:
        (results.transcripts / name).write_bytes(b"mine")
    again(results, {B1: [said("zwei")]}, outputs=wanted)
    assert export_batch(results, wanted, B1) == Written(written=3, corrected=3)
    new = {"x.mp3.new.labels.txt", "x.mp3.new.docx", "x.mp3.new.openai.json"}
    assert {path.name for path in results.transcripts.iterdir()} == {*names, *new}
    assert "zwei" in (results.transcripts / "x.mp3.new.labels.txt").read_text()
    assert list(notes(results)) == [
        "3 transcripts were corrected by hand and kept; the new text is beside them as NAME.new.EXT"
    ]
    assert main(["export", "--force", "--results", str(tmp_path)]) == 0
    assert {path.name for path in results.transcripts.iterdir()} == set(names)
