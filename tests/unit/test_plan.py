"""``snakescribe plan``: what it says about time comes from what was measured here, if anything was."""

from __future__ import annotations

from pathlib import Path

import pytest
from audio_files import tone, write_wav
from finished import finish, row

from snakescribe.cli import main
from snakescribe.tables.write import write_tables


def test_the_speed_is_the_median_of_what_this_model_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    write_wav(tmp_path / "in/new.wav", tone(440, 1))
    asked = ["plan", "--recordings", str(tmp_path / "in"), "--results", str(tmp_path / "out")]
    assert main([*asked, "--config", "model=base"]) == 0
    assert "basis: no measurement yet, assuming" in capsys.readouterr().out
    seconds = {"1.wav": 6.0, "2.wav": 12.0, "3.wav": 600.0}
    rows = [row(path, wall_seconds=wall) for path, wall in seconds.items()]
    rows += [row("known.wav", wall_seconds=0.6, cached=True), row("small.wav", wall_seconds=0.6, model="small")]
    write_tables(finish(tmp_path / "out", {"b000001": [*rows, row("failed.wav", status="failed")]}))
    assert main([*asked, "--config", "model=base"]) == 0
    assert "basis: 0.200 s per second of audio, median of 3 recordings done;" in capsys.readouterr().out
