"""How far a run is, in hours of audio: each batch writes a small file, ``snakescribe run`` adds them up."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from snakescribe.errors import ResultsError
from snakescribe.files import write_atomically
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.units import hours


@dataclass(frozen=True)
class Progress:
    """Seconds of audio done and in all, and the speed in seconds of audio per second."""

    done: float
    total: float
    speed: float


def describe(progress: Progress) -> str:
    """One line for people.

    >>> describe(Progress(done=1200, total=7200, speed=20))
    '20.0 min of 2.00 h of audio, 20.0 × real time, 5 min left'
    >>> describe(Progress(done=0, total=38, speed=0))
    '0 s of 38 s of audio'
    """
    left = (progress.total - progress.done) / progress.speed if progress.speed else None
    when = "" if left is None else f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"
    speed = f", {progress.speed:.1f} × real time" if progress.speed else ""
    return f"{hours(progress.done)} of {hours(progress.total)} of audio{speed}{when}"


class Meter:
    """Progress of one batch: a file for the run to read, and a line in the log each minute.

    Windows of many recordings are decoded together, so speech counts when its window is decoded; when a recording is
    finished, all of its audio counts, silence too.
    """

    def __init__(self, path: Path, options: str) -> None:
        """``options`` is the :func:`snakescribe.keys.options_digest` that the batch is made with."""
        self._path, self._options = path, options
        self._total = self._finished = self._decoded = 0.0
        """Seconds of audio: of the batch, of its finished recordings, of windows decoded of those that are not."""
        self._first = 0.0
        """Seconds done when the first window was decoded (:attr:`_began`): the speed is counted from there, because
        all of a long recording is searched for speech before its first window."""
        self._began = self._logged = self._written = time.monotonic()

    def log(self, line: str) -> None:
        """One line with the time of day on stderr."""
        print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)

    def start(self, seconds: float) -> None:
        """``seconds`` of audio are about to be transcribed."""
        self._total = seconds

    def window_decoded(self, seconds: float) -> None:
        """A window with so much speech was decoded."""
        self._decoded += seconds
        self._report()

    def recording_finished(self, seconds: float) -> None:
        """A recording that lasts so long is finished."""
        self._finished += seconds
        self._decoded = max(0.0, self._decoded - seconds)  # what remains is of the recordings after it
        self._report()

    def finish(self) -> None:
        """The batch file is written."""
        self._write(done=None)

    def _report(self) -> None:
        now = time.monotonic()
        done = min(self._total, self._finished + self._decoded)
        if not self._first:
            self._first, self._began = done, now
        if now - self._written >= 1.0:
            self._write(round(done, 1))
            self._written = now
        if now - self._logged >= 60.0:
            self.log(describe(Progress(done, self._total, (done - self._first) / (now - self._began or 1.0))))
            self._logged = now

    def _write(self, done: float | None) -> None:
        """``done`` is in seconds of audio, None for all."""
        write_atomically(self._path, json.dumps({"options": self._options, "done": done}).encode())


def finished_with(results: Results, batch: str) -> str | None:
    """The options digest that a batch file was finished with; None if the batch was not finished since it was begun."""
    state = _state(results, batch)
    return state.get("options") if state and state.get("done") is None else None


def _state(results: Results, batch: str) -> dict[str, Any] | None:
    return _read(results.progress(batch))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def audio_done(results: Results, options: str, voices: float = 0.0) -> tuple[float, float]:
    """Seconds of audio done and planned, from the plan and the batches' progress files.

    With ``voices``, what telling voices apart costs beside transcribing: audio is done when both have heard it.
    """
    try:
        plan = Plan.read(results.plan)
    except ResultsError:
        return 0.0, 0.0
    done = total = 0.0
    for batch in plan.batches:
        total += batch.seconds
        state = _state(results, batch.batch)
        if state and state.get("options") == options:
            so_far = state.get("done")
            if so_far is None:  # finished, but what was made may be gone since, and is to be made anew
                so_far = batch.seconds if results.batch(batch.batch).exists() else 0.0
            done += min(so_far, batch.seconds)
        if voices:
            done += voices * _heard(results, batch.batch, batch.seconds)
    return done / (1 + voices), total


def _heard(results: Results, batch: str, seconds: float) -> float:
    """Seconds of a batch whose voices are known."""
    if results.voices(batch).exists():
        return seconds
    state = _read(results.voices_progress(batch)) or {}
    return min(float(state.get("done") or 0.0), seconds)
