"""How far a run is, in hours of audio: each batch writes a small file, ``snakescribe run`` adds them up."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from snakescribe.config import Config
from snakescribe.config.options import digest
from snakescribe.errors import ResultsError
from snakescribe.files import write_atomically
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.models.store import Prepared
from snakescribe.units import hours


def options_digest(config: Config, prepared: Prepared) -> str:
    """Digest of everything that changes what a batch file says, apart from the recordings themselves."""
    return digest({"model": prepared.identity, "options": config.result_options()})


class Meter:
    """Progress of one batch: a file for the run to read, and a line in the log each minute."""

    def __init__(self, path: Path, options: str) -> None:
        """``options`` is the :func:`options_digest` that the batch is made with."""
        self._path, self._options = path, options
        self._total = self._finished = self._ahead = self._before = 0.0
        self._began = self._logged = self._written = time.monotonic()

    def log(self, line: str) -> None:
        """One line with the time of day on stderr."""
        print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)

    def start(self, seconds: float) -> None:
        """``seconds`` of audio are about to be transcribed."""
        self._total = seconds

    def speech(self, seconds: float) -> None:
        """A window of speech was decoded."""
        self._ahead += seconds
        self._tell()

    def recording(self, seconds: float) -> None:
        """A recording is finished: its audio counts whole."""
        self._finished += seconds
        self._ahead = max(0.0, self._ahead - seconds)  # what is left is of the recordings after it
        self._tell()

    def finish(self) -> None:
        """The batch file is written."""
        self._write(done=None)

    def _tell(self) -> None:
        now = time.monotonic()
        done = min(self._total, self._finished + self._ahead)
        if not self._before:  # the first text of a long recording comes after all of its speech was looked for
            self._before, self._began = done, now
        if now - self._written >= 1.0:
            self._write(round(done, 1))
            self._written = now
        if now - self._logged >= 60.0:
            self.log(describe(Progress(done, self._total, (done - self._before) / (now - self._began or 1.0))))
            self._logged = now

    def _write(self, done: float | None) -> None:
        write_atomically(self._path, json.dumps({"options": self._options, "done": done}).encode())


@dataclass(frozen=True)
class Progress:
    """Seconds of audio done and in all, and the speed in seconds of audio per second."""

    done: float
    total: float
    speed: float


def describe(progress: Progress) -> str:
    """One line for people.

    >>> describe(Progress(done=1800, total=7200, speed=20))
    '30.0 min of 2.00 h of audio, 20.0 × real time, 5 min left'
    """
    left = (progress.total - progress.done) / progress.speed if progress.speed else None
    when = "" if left is None else f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"
    return f"{hours(progress.done)} of {hours(progress.total)} of audio, {progress.speed:.1f} × real time{when}"


def audio_done(results: Results, options: str) -> tuple[float, float]:
    """Seconds of audio done and planned, from the plan and the batches' progress files."""
    try:
        plan = Plan.read(results.plan)
    except ResultsError:
        return 0.0, 0.0
    done = total = 0.0
    for batch in plan.batches:
        total += batch.seconds
        try:
            state = json.loads(results.progress(batch.batch).read_bytes())
        except (OSError, ValueError):
            continue
        if state["options"] == options:
            finished = state["done"] is None
            done += batch.seconds if finished else min(state["done"], batch.seconds)
    return done, total
