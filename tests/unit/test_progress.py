"""The progress of one batch: it never goes back, and its estimate does not count what happens only once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from finished import finish, row

from snakescribe.commands import run
from snakescribe.layout import Results
from snakescribe.transcribe import progress
from snakescribe.transcribe.progress import Meter, audio_done


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


def test_what_is_done_anew_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One batch of two is finished; it is begun anew while we look, or its file is gone before."""
    results = finish(tmp_path, {"b000001": [row("1.wav")], "b000002": [row("2.wav")]})
    first, second = (results.progress(batch) for batch in ("b000001", "b000002"))
    first.parent.mkdir()
    first.write_text('{"options": "o", "done": null}')
    assert audio_done(results, "o") == (60.0, 120.0)
    for name, value in (("REFRESH", 0.1), ("FIRST_LINE", 0.0), ("LOG_EVERY", 0.0)):
        monkeypatch.setattr(run, name, value)
    anew = """
import sys, time
for done in (0, 12):
    time.sleep(0.5)
    open(sys.argv[1], "w").write('{"options": "o", "done": %d}' % done)
time.sleep(1)
"""
    with subprocess.Popen([sys.executable, "-c", anew, str(first)]) as process:
        assert run._watch(process, partial(audio_done, results, "o")) == 0
    said = capsys.readouterr().err
    assert "-" not in said and "\n0 s of 2.0 min of audio\n" in said
    assert re.search(r"\n12 s of 2\.0 min of audio, \d+\.\d × real time, \d+ s left\n", said)

    first.write_text('{"options": "o", "done": null}')
    second.write_text('{"options": "o", "done": null}')
    results.batch("b000002").unlink()
    assert audio_done(results, "o") == (60.0, 120.0)


def test_a_log_has_its_first_line_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is known, and once more when the recordings are."""
    monkeypatch.setattr(run, "REFRESH", 0.1)
    monkeypatch.setattr(run, "FIRST_LINE", 0.3)
    plan = "import sys, time, shutil; time.sleep(1); shutil.copy(*sys.argv[1:]); time.sleep(1)"
    made = finish(tmp_path / "made", {"b000001": [row("1.wav")]}).plan
    results = Results(tmp_path / "out")
    results.plan.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", plan, str(made), str(results.plan)]) as process:
        assert run._watch(process, partial(audio_done, results, "")) == 0
    assert capsys.readouterr().err.splitlines() == ["looking at the recordings", "0 s of 1.0 min of audio"]
