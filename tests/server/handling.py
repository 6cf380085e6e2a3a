"""What tests do to servers and recordings: hold the engine still, follow jobs, make clips of any length."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from snakescribe import known_clip
from tests.server.serving import PATIENCE, Served
from tests.unit.audio_files import Samples, write_wav
from tests.unit.engine_run import read_wav

Place = tuple[str, int, int, int]
"""A window, as journals name it."""


def until(happened: Callable[[], Any], what: object = "") -> Any:
    """What ``happened`` returns, once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < deadline, what or happened
        time.sleep(0.05)
    return found


@contextmanager
def held(served: Served) -> Iterator[None]:
    """The engine does nothing meanwhile: whatever is asked of it stays where it is."""
    pid = served.engine_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # the test has killed it
            os.kill(pid, signal.SIGCONT)


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descendants(pid: int) -> set[int]:
    """Processes that a process started, and theirs."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, listed.splitlines())}
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def decoded(served: Served) -> list[float]:
    """Seconds of the recordings (not the known clip) that wait for the engine or will in a moment, shortest first."""
    sizes = []
    for path in (served.state / "work").glob("[0-9]*.pcm"):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sorted(round(size / 32_000, 1) for size in sizes if size != 2 * known_clip.SAMPLES)


def leftovers(served: Served) -> list[str]:
    """Files of recordings: uploads, samples, and what the engine's journal has heard."""
    folders = (served.state / "uploads", served.state / "work")
    files = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    journal = served.state / "engine.jsonl"
    return files + [f"{journal.stat().st_size} bytes of {journal}"] * (journal.stat().st_size > 0)


def windows(lines: str) -> set[Place]:
    """Windows whose text a journal has."""
    found = (json.loads(line).get("window") for line in lines.splitlines() if line.endswith("}"))
    return {(window["key"], window["track"], window["start"], window["end"]) for window in found if window}


class Watch:
    """Follows a journal, also when it is written anew."""

    def __init__(self, path: Path) -> None:
        self._path, self._files, self._stopped = path, [path.open(encoding="utf-8")], threading.Event()
        self._files[0].seek(0, os.SEEK_END)
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        while not self._stopped.wait(0.02):
            if self._path.stat().st_ino != os.fstat(self._files[-1].fileno()).st_ino:
                self._files.append(self._path.open(encoding="utf-8"))

    def begun(self) -> list[Place]:
        """Windows that the model saw since then."""
        self._stopped.set()
        self._thread.join()
        records = [json.loads(line) for file in self._files for line in file.read().splitlines()]
        for file in self._files:
            file.close()
        return [(key, track, a, b) for record in records for key, track, a, b in record.get("begun", ())]


class Clips:
    """Recordings of any length, no two alike, from the samples of the model store."""

    def __init__(self, models_root: Path, folder: Path) -> None:
        parts = [read_wav(models_root / f"samples/{name}.wav") for name in ("beckett", "endgame_nagg_nell")]
        self._said = np.concatenate(parts)
        self._folder = folder
        self._made = 0

    def make(self, seconds: float = 9.5, name: str | None = None) -> Path:
        """One that begins with Beckett's line."""
        self._made += 1
        count = round(seconds * 16_000)
        samples: Samples = np.resize(self._said, count).copy()
        samples[-1] = self._made
        path = self._folder / (name or f"clip {self._made}.wav")
        write_wav(path, samples)
        return path


def queue(served: Served, source: Path, **fields: Any) -> dict[str, Any]:
    """A job that was taken."""
    with source.open("rb") as file:
        answer = served.http.post("/v1/jobs", files={"file": (source.name, file)}, data=fields)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    found: dict[str, Any] = answer.json()
    return found


def job(served: Served, known: dict[str, Any]) -> dict[str, Any]:
    """How a job stands now."""
    answer = served.http.get(f"/v1/jobs/{known['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(served: Served, known: dict[str, Any]) -> dict[str, Any]:
    """A job, once it has ended."""
    until(lambda: job(served, known)["state"] not in ("queued", "running"), known)
    return job(served, known)
