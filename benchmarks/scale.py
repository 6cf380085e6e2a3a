"""Does an hour of audio cost the same whatever it is cut into? Ours on many short and few long recordings.

Two series over speech of one language cut from the folder's own recordings, every recording different: 1 s to 1 h each
with the same total, and 10, 100 and 1,000 recordings of one length. The second says what one more recording costs once
all is loaded.
"""

from __future__ import annotations

import shutil
import subprocess
import wave
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import records
from benchmarks.bench import Bench
from benchmarks.folder import BenchmarkError, Folder

KIND = "scale"
RATE = 16_000
LENGTHS = (1.0, 10.0, 60.0, 600.0, 3600.0)
COUNTS = (10, 100, 1000)
LENGTH_OF_COUNTS = (1.0, 10.0)
"""Least and most seconds of each recording where their number is what changes."""
SHIFT = 4_801
"""Samples by which each further pass over the speech begins later, so that no recording repeats an earlier one."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Point:
    """Recordings of one length."""

    series: str
    """``length`` or ``count``."""
    count: int
    seconds: float
    """Of each."""

    @property
    def name(self) -> str:
        """For people, and to find its runs again."""
        return f"{self.series}: {self.count} × {self.seconds:g} s"


def points(hours: float) -> list[Point]:
    """Both series, none of them longer than ``hours`` in total.

    >>> [point.name for point in points(0.02)][:3]
    ['length: 72 × 1 s', 'length: 7 × 10 s', 'length: 1 × 60 s']
    """
    total = hours * 3600
    lengths = [Point("length", int(total // seconds), seconds) for seconds in LENGTHS if seconds <= total]
    each = round(min(LENGTH_OF_COUNTS[1], max(LENGTH_OF_COUNTS[0], total / COUNTS[-1])), 3)
    return lengths + [Point("count", count, each) for count in COUNTS if count * each <= total]


def run(bench: Bench, hours: float, rounds: int) -> int:
    """Run what has not been run yet; returns how many runs failed."""
    named = {point.name: point for point in points(hours)}
    states = {name: bench.state(name, bench.our_version, {}) for name in named}
    ahead = records.pending(records.read_rows(bench.raw), KIND, states, rounds)
    speech = read_speech(bench.folder) if ahead else np.zeros(0, np.int16)
    failed = 0
    for number, name in ahead:
        point = named[name]
        recordings = bench.work / "scale"
        shutil.rmtree(recordings, ignore_errors=True)
        cut(speech, point, recordings)
        usage, heard = bench.run_ours(recordings, {})
        shutil.rmtree(recordings)
        failed += usage.exit_code != 0
        more = {"series": point.series, "count": point.count, "seconds": point.seconds, "rows": len(heard)}
        bench.keep(KIND, name, states[name], number, usage, version=bench.our_version, **more)
    return failed


def read_speech(folder: Folder) -> Samples:
    """Recordings that have a reference, of the language that most is spoken in, one after the other, 16 kHz mono.

    One language, since a recording has one unless ``language: mixed`` is asked for: read as another, most of it would
    be doubtful, and long recordings would seem dear for that alone.
    """
    spoken: Counter[str] = Counter()
    for recording in folder.recordings:
        spoken[recording.language] += round(recording.seconds) if recording.references else 0
    language = spoken.most_common(1)[0][0]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i"]
    sound = ["-f", "s16le", "-ac", "1", "-ar", str(RATE), "-"]
    parts = []
    for recording in folder.recordings:
        if recording.references and recording.language == language:
            run = subprocess.run([*command, str(folder.root / recording.path), *sound], capture_output=True)
            parts.append(np.frombuffer(run.stdout[: len(run.stdout) // 2 * 2], np.int16))
    speech = np.concatenate(parts)
    if len(speech) < RATE:
        raise BenchmarkError(f"{folder.root}: ffmpeg decodes less than a second of its speech")
    return speech


def cut(speech: Samples, point: Point, folder: Path) -> None:
    """Write the recordings of ``point`` as WAV, going over ``speech`` as often as it takes."""
    folder.mkdir(parents=True)
    length = round(point.seconds * RATE)
    for number in range(point.count):
        start = number * length
        start += start // len(speech) * SHIFT
        samples = speech.take(np.arange(start, start + length), mode="wrap")
        with wave.open(str(folder / f"{number:05d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.astype("<i2").tobytes())
