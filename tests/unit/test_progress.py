"""The progress of one batch: it never goes back, and its estimate does not count what happens only once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snakescribe.transcribe import progress
from snakescribe.transcribe.progress import Meter


class Clock:
    """Stands still until it is told to go on."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_it_never_goes_back(tmp_path: Path, clock: Clock) -> None:
    """Windows of three recordings of 10 s with 6 s of speech each are read together, then the recordings end."""
    meter, told = Meter(tmp_path / "progress", "options"), []
    meter.start(30.0)
    for step in [6.0] * 3:
        clock.now += 2
        meter.window_decoded(step)
        told.append(json.loads((tmp_path / "progress").read_bytes())["done"])
    for _ in range(3):
        clock.now += 2
        meter.recording_finished(10.0)
        told.append(json.loads((tmp_path / "progress").read_bytes())["done"])
    assert told == sorted(told) and told[2] == 18.0 and told[-1] == 30.0


def test_the_estimate_leaves_out_what_came_before_the_first_text(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = Meter(tmp_path / "progress", "options")
    meter.start(36_000.0)
    clock.now += 240  # ten hours are listened to
    meter.window_decoded(20.0)
    clock.now += 61
    meter.window_decoded(1220.0)
    assert "20.7 min of 10.00 h of audio, 20.0 × real time, 29 min left" in capsys.readouterr().err
