"""What a failed step leaves for the run, and for its own next try."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakescribe.checkout import CALLER
from snakescribe.cli import main
from snakescribe.errors import CrashError, ResultsError
from snakescribe.failures import in_vain, leave_note, notes_left
from snakescribe.layout import Results

STEP = ["transcribe", "--config", "missing.json", "--batch", "b000001"]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    """A results folder in which a run is going on; we are in it."""
    results = Results(tmp_path)
    results.failures.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return results


def test_a_step_that_can_only_fail_again_is_not_tried(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CALLER, "of another version, which only a step that works would notice")
    leave_note(ResultsError("the journal is damaged"), results, "transcribe-b000001")
    assert main(STEP) == 4
    assert capsys.readouterr().err == "snakescribe: ResultsError: the journal is damaged\n"
    assert main([*STEP[:-1], "b000002"]) == 8, "another batch is another step"


def test_what_crashed_is_tried_again(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CALLER, "0")
    leave_note(CrashError("ffmpeg was killed"), results, "normalise-b000001")
    assert len(notes_left(results)) == 1 and in_vain(results, "normalise-b000001") is None


def test_a_person_is_never_told_of_an_earlier_failure(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    for wanted in ("one.wav", "two.wav"):
        assert main(["forget", wanted]) == 4
        assert "no run in" in capsys.readouterr().err
    assert not notes_left(results)
