"""What may go wrong in a run, at a moment drawn from a seed, and what must hold of the site afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

import psutil
import pytest

from snakescribe.audio.decoder import ffmpeg_path
from tests.disks import failing_drive, fill
from tests.server.control_group import control_group
from tests.workflow.runs import PATIENCE, Ended, Site, all_gone, cut, family, finished

OPTIONS = {"model": "tiny.en"}
STARTS, OTHERS, LENGTHS = (0, 5, 10, 15), (21, 26, 31, 37), (3, 4, 5, 6)
"""Seconds: where in the sample a recording begins, where the one that takes its place, and how long both are."""
STAGES = {"inventory": 1.5, "normalise": 1.0, "transcribe": 4.0, "export": 1.5, "tables": 2.0}
"""Steps of a run, and for how many seconds after its beginning a fault may come."""
NAMES = {"recording_id", "path", "path_bytes", "attempt", "batch"}
"""Columns that tell which recording a text is of and which attempt made it."""
DAY = 86400.0


def name(number: int) -> str:
    return f"통화 {number}.wav"


@dataclass
class Case:
    """A site, its fault and what is expected in the end."""

    fault: str
    seed: int
    site: Site
    request: pytest.FixtureRequest
    reference: Site
    random: Random
    expected: dict[str, str]
    """Which recording of the reference each recording's content is, by name."""
    moment: str = ""
    journals: dict[int, IO[bytes]] = field(default_factory=dict)

    @property
    def patch(self) -> pytest.MonkeyPatch:
        found: pytest.MonkeyPatch = self.request.getfixturevalue("monkeypatch")
        return found

    def some_file(self) -> str:
        return self.random.choice(sorted(self.expected))

    def start_until_the_moment(self) -> subprocess.Popen[str]:
        """Start a run and wait for a moment in one of its stages; now and then it has ended by then."""
        process = self.site.start()
        stage = list(STAGES)[self.seed % len(STAGES)]
        self.wait(process, stage)
        return process

    def wait(self, process: subprocess.Popen[str], stage: str) -> None:
        delay = self.random.uniform(0, STAGES[stage])
        logs = self.site.results.log(stage).parent
        while process.poll() is None and not (list(logs.glob(f"{stage}.log")) + list(logs.glob(f"{stage}/*.log"))):
            time.sleep(0.01)
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        self.moment = f"{stage} + {delay:.2f} s" + (", had ended" if process.poll() is not None else "")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep every journal open, so that it can be read when the run has removed it."""
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(0.02):
                for path in self.site.results.journal("b").parent.glob("*.jsonl"):
                    with suppress(FileNotFoundError):
                        file = path.open("rb")
                        if self.journals.setdefault(os.fstat(file.fileno()).st_ino, file) is not file:
                            file.close()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def windows(self) -> Counter[tuple[Any, ...]]:
        """How often the text of each window is in the journals: one that was only in flight is in none."""
        lines = [line for file in self.journals.values() for line in file.read().splitlines(True)]
        entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
        windows = [entry["window"] for entry in entries if "window" in entry]
        return Counter((one["key"], one["track"], one["start"], one["end"]) for one in windows)

    def rows_lost(self) -> int:
        """Recordings whose rows, segments or transcript files are not those of the reference."""
        there, reference = said(self.site), said(self.reference)
        wrong = {path for path in self.expected if there.get(path) != reference[self.expected[path]]}
        for path in self.expected.keys() - wrong:
            files = [self.site.results.transcripts / f"{path}.{kind}" for kind in ("json", "txt", "srt", "vtt")]
            text = there[path][0]["text"].split()
            if not all(file.exists() for file in files) or files[1].read_text(encoding="utf-8").split() != text:
                wrong.add(path)
        return len(wrong | (there.keys() - self.expected.keys()))

    def wrong_entries(self) -> int:
        """Cached texts that the reference's cache does not have under the same key."""
        good = cached(self.reference)
        return sum(good.get(key) != entry for key, entry in cached(self.site).items())

    def cached_failures(self) -> int:
        """Recordings that failed, and of whose content something is cached all the same."""
        known = {key.partition("/")[0] for key in cached(self.site)}
        there = self.site.results.table("recordings", "parquet").exists()
        return sum(row["status"] == "failed" and row["sha256"] in known for row in (self.site.rows() if there else ()))


def said(site: Site) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Row and segments of each recording, without what may differ; nothing if there are no tables."""
    if not site.results.table("segments", "parquet").exists():
        return {}

    def lasting(row: dict[str, Any]) -> dict[str, Any]:
        return {column: value for column, value in row.items() if column not in NAMES}

    segments = site.lasting("segments")
    return {
        row["path"]: (lasting(row), [lasting(one) for one in segments if one["recording_id"] == row["recording_id"]])
        for row in site.lasting("recordings")
    }


def cached(site: Site) -> dict[str, Any]:
    """What the cache says, by content and key, without what made it; of a damaged entry nothing, it counts as none."""
    found = {}
    for path in (site.cache / "snakescribe").glob("??/*/*.json"):
        with suppress(ValueError, FileNotFoundError):
            entry = json.loads(path.read_bytes())
            found[f"{path.parent.name}/{path.name}"] = {
                k: v for k, v in entry.items() if k not in ("provenance", "seal")
            }
    return found


def make(folder: Path, models_root: Path, count: int, files: int, results: Path | None = None) -> Site:
    """Pieces of one sample; Hangul and blanks in every path."""
    site = Site(folder, models_root, OPTIONS | {"batch": {"files": files}}, results)
    for number in range(count):
        cut(models_root / "samples/two_cities.wav", site.recordings / name(number), STARTS[number], LENGTHS[number])
    return site


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for it, whatever its code."""
    output, _ = process.communicate(timeout=PATIENCE)
    return Ended(process.returncode, output)


def signalled(number: int, snakemake: bool = False) -> Callable[[Case], Ended]:
    """Send a signal to the run, or to its Snakemake; whatever it started ends with it."""

    def fault(case: Case) -> Ended:
        process = case.start_until_the_moment()
        if process.poll() is None:
            everyone = family(process)
            if snakemake:
                for one in everyone[1:]:
                    if "snakemake" in one.cmdline():
                        one.send_signal(number)
                        break
            else:
                process.send_signal(number)
            how = ended(process)
            all_gone(everyone)
            return how
        return ended(process)

    return fault


def killed(words: tuple[str, ...], longest: float) -> Callable[[Case], Ended]:
    """Kill a process of the run whose command line ends one word with each of ``words``: once, or again and again."""

    def matching(process: subprocess.Popen[str]) -> list[psutil.Process]:
        found = []
        with suppress(psutil.NoSuchProcess):
            for one in family(process):
                with suppress(psutil.NoSuchProcess):
                    line = one.cmdline()
                    if one.status() != psutil.STATUS_ZOMBIE and all(
                        any(part.endswith(word) for part in line) for word in words
                    ):
                        found.append(one)
        return found

    def fault(case: Case) -> Ended:
        if "-i" in words:
            slow_drive(case)
        process = case.site.start()
        kills = 4 if case.seed % 3 == 2 else 1
        for _ in range(kills):
            delay, met = case.random.uniform(0, longest), False
            while not met and process.poll() is None:
                if matching(process):
                    time.sleep(delay)
                    for one in matching(process)[:1]:
                        one.kill()
                        one.wait()
                        met = True
                        case.moment += f"{', ' if case.moment else ''}{delay:.2f} s"
                    delay /= 2  # it was over sooner
                time.sleep(0.002)
        return ended(process)

    return fault


def slow_drive(case: Case) -> None:
    """An ffmpeg that reads no faster than one listens, so that it can be met at work."""
    wrapper = case.site.folder / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\n[ "$1" = -version ] && exec {ffmpeg_path()} "$@"\nexec {ffmpeg_path()} -re "$@"\n')
    wrapper.chmod(0o755)
    case.patch.setenv("IMAGEIO_FFMPEG_EXE", str(wrapper))


def full_disk(case: Case) -> Ended:
    """Everything of the site lies on the disk that is full, or only the results."""
    disk: Path = case.request.getfixturevalue("mounted")
    count, files = len(case.expected), case.site.options["batch"]["files"]
    if case.seed % 2:
        case.site = make(disk / "site", case.site.models, count, files)
    else:
        case.site = make(case.site.folder, case.site.models, count, files, disk / "결과")
    process = case.start_until_the_moment()
    fill(disk)
    how = ended(process)
    (disk / "filler").unlink()
    return how


def drive_fails(case: Case) -> Ended:
    """From the moment on: what was read before is good."""
    failing, begun = failing_drive(case.site.folder), case.site.folder / "failing"
    wrapper = case.site.folder / "drive"
    wrapper.write_text(f'#!/bin/sh\n[ -e "{begun}" ] && exec "{failing}" "$@"\nexec {ffmpeg_path()} "$@"\n')
    wrapper.chmod(0o755)
    case.patch.setenv("IMAGEIO_FFMPEG_EXE", str(wrapper))
    if case.seed % 2:
        begun.touch()
        process, case.moment = case.site.start(), "from the beginning"
    else:
        process = case.site.start()
        case.wait(process, ("inventory", "normalise", "transcribe")[case.seed % 3])
        begun.touch()
    how = ended(process)
    case.patch.delenv("IMAGEIO_FFMPEG_EXE")
    return how


def replaced(case: Case) -> Ended:
    """By other speech of the same size: renamed over the old one, or written into it."""
    process = case.start_until_the_moment()
    path, number = case.some_file(), 0
    number = next(one for one in range(len(LENGTHS)) if name(one) == path)
    target = case.site.recordings / path
    size = target.stat().st_size
    new = target if case.seed % 2 else case.site.folder / "new.wav"
    cut(case.site.models / "samples/two_cities.wav", new, OTHERS[number], LENGTHS[number])
    if new != target:
        new.replace(target)
    assert target.stat().st_size == size, "only the content tells"
    case.expected[path] = f"other {path}"
    return ended(process)


def renamed_away(whole: bool) -> Callable[[Case], Ended]:
    """One recording or the whole folder, and back before the next run, at times before the end of this one."""

    def fault(case: Case) -> Ended:
        if case.seed % 2:
            slow_drive(case)
        process = case.start_until_the_moment()
        path = case.site.recordings if whole else case.site.recordings / case.some_file()
        away = case.site.folder / "away"
        path.rename(away)
        pause = case.random.uniform(0, 4)
        with suppress(subprocess.TimeoutExpired):
            process.wait(pause if case.seed % 3 else None)
        away.rename(path)
        case.moment += f" for {pause:.1f} s" if case.seed % 3 else " to the end"
        return ended(process)

    return fault


def damaged_cache(case: Case) -> Ended:
    """The cache knows all of it; before the run or in it, entries are cut short, emptied or lose some bits."""
    for path in case.site.recordings.iterdir():
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        known = Path("snakescribe", sha256[:2], sha256)
        shutil.copytree(case.reference.cache / known, case.site.cache / known)

    def damage() -> None:
        for path in sorted((case.site.cache / "snakescribe").glob("??/*/*.json")):
            data = bytearray(path.read_bytes())
            if how == "truncated":
                data = data[: case.random.randrange(1, len(data))]
            elif how == "emptied":
                data.clear()
            else:
                first = data.index(b'"text":"') + 8 if case.random.random() < 0.5 else 0
                for _ in range(3):
                    data[case.random.randrange(first, first + 20 if first else len(data))] ^= 1
            path.write_bytes(data)

    how = ("truncated", "flipped bits", "emptied")[case.seed % 3]
    if case.seed % 2:
        damage()
        finished(case.site.start(), 0)
        case.moment = f"{how}, before"
    else:
        process = case.site.start()
        case.wait(process, ("inventory", "normalise")[case.seed % 4 // 2])
        damage()
        case.moment = f"{how}, {case.moment}"
        finished(process, 0)
    shutil.rmtree(case.site.results.root)
    return case.site.run()


def clock_of_the_results(case: Case) -> Ended:
    """The run is killed, and what it has written is of tomorrow, or of yesterday."""
    how = signalled(signal.SIGKILL)(case)
    shift_times(case, [case.site.results.root, *case.site.results.root.rglob("*")])
    return how


def clock_of_the_recordings(case: Case) -> Ended:
    """While the run works, every recording gets a time of tomorrow, or of yesterday."""
    process = case.start_until_the_moment()
    shift_times(case, list(case.site.recordings.iterdir()))
    return ended(process)


def shift_times(case: Case, paths: list[Path]) -> None:
    by = DAY if case.seed % 2 else -DAY
    case.moment += ", tomorrow" if case.seed % 2 else ", yesterday"
    for path in reversed(paths):
        before = path.lstat()
        os.utime(path, (before.st_atime + by, before.st_mtime + by), follow_symlinks=False)


def cache_removed(case: Case) -> Ended:
    """The transcripts, or what Snakemake has there as well."""
    process = case.start_until_the_moment()
    shutil.rmtree(case.site.cache / ("snakescribe" if case.seed % 2 else ""), ignore_errors=True)
    return ended(process)


def two_at_once(case: Case) -> Ended:
    """The second one, of either command, is refused; the first one goes on."""
    process = case.start_until_the_moment()
    if process.poll() is None:
        second = ended(case.site.start(bare=bool(case.seed % 2)))
        if process.poll() is None:
            assert second.code == 75 and "BusyError: another run works on" in second.said, second.said
            finished(process, 0)
            return second
    return ended(process)


def no_memory(case: Case) -> Ended:
    """Only some MB are left to all processes of the run, for good or for some seconds."""
    with control_group() as group:
        with group.joined():
            process = case.site.start()
        case.wait(process, ("inventory", "normalise", "transcribe", "transcribe")[case.seed % 4])
        more, pause = case.random.uniform(1, 80), case.random.uniform(2, 12)
        with suppress(OSError):  # it has ended
            group.leave_only(int(more * 1e6))
        case.moment += f", {more:.0f} MB for {pause:.0f} s"
        with suppress(subprocess.TimeoutExpired):
            process.wait(pause)
        group.unlimit()
        return ended(process)


FAULTS: dict[str, tuple[Callable[[Case], Ended], set[int]]] = {
    "run killed": (signalled(signal.SIGKILL), {-9, 0}),
    "Snakemake killed": (signalled(signal.SIGKILL, snakemake=True), {10, 0}),
    "transcribe killed": (killed(("bin/snakescribe", "transcribe"), 4.0), {0, 1, 10}),
    "normalise killed": (killed(("bin/snakescribe", "normalise"), 0.8), {0, 10}),
    "ffmpeg killed": (killed(("-i", ".wav"), 2.5), {0, 10}),
    "SIGTERM": (signalled(signal.SIGTERM), {143, 0}),
    "SIGINT": (signalled(signal.SIGINT), {130, 0}),
    "disk full": (full_disk, {4, 0}),
    "drive fails": (drive_fails, {1, 0}),
    "recording replaced": (replaced, {1, 0}),
    "recording away": (renamed_away(whole=False), {1, 0}),
    "folder away": (renamed_away(whole=True), {1, 3, 0}),
    "cache damaged": (damaged_cache, {0}),
    "clock of the results": (clock_of_the_results, {-9, 0}),
    "clock of the recordings": (clock_of_the_recordings, {1, 0}),
    "cache removed": (cache_removed, {0, 10}),
    "two runs at once": (two_at_once, {75, 0}),
    "no memory": (no_memory, {-9, 1, 10, 0}),
}
"""What it is, and the codes that a run may end with then."""
