"""Real runs of the workflow on small pieces of real speech, and what can be read off them afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import wave
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from snakescribe.layout import Results

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0
"""Seconds after which a run hangs: it ends much sooner, however busy the machine is."""
TIMES = ("wall_seconds", "real_time_factor", "finished_at", "cached")
"""Columns that tell how a text was made, not what it is."""


def cut(source: Path, target: Path | bytes, start: float, seconds: float) -> None:
    """Write a piece of a WAV file."""
    with wave.open(str(source)) as whole:
        rate = whole.getframerate()
        whole.setpos(int(start * rate))
        frames = whole.readframes(int(seconds * rate))
        with open(target, "wb") as file, wave.open(file, "wb") as piece:
            piece.setparams(whole.getparams())
            piece.writeframes(frames)


@dataclass
class Ended:
    """How a command ended."""

    code: int
    said: str
    """Its standard output and standard error."""


@dataclass
class Site:
    """A folder of recordings with its results and a cache of its own."""

    folder: Path
    models: Path
    options: dict[str, Any] = field(default_factory=dict)
    """Over the defaults, in every run."""
    results_folder: Path | None = None

    def __post_init__(self) -> None:
        """Names that a careless quote would break."""
        self.recordings = self.folder / "녹음 파일"
        self.recordings.mkdir(parents=True, exist_ok=True)
        self.results = Results(self.results_folder or self.folder / "결과 folder")
        self.cache = self.folder / "cache"

    @property
    def env(self) -> dict[str, str]:
        """The environment of every command."""
        return os.environ | {
            "SNAKESCRIBE_MODELS": str(self.models),
            "XDG_CACHE_HOME": str(self.cache),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def command(self, bare: bool = False, **options: Any) -> list[str]:
        """``snakescribe run``, or plain ``snakemake``, with options over the site's own."""
        where = {"recordings": str(self.recordings), "results": str(self.results.root)}
        asked = where | {"report": False} | self.options | options  # three core-seconds a run; test_rerun has it
        pairs = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in asked.items()]
        if bare:
            return [
                sys.executable,
                "-m",
                "snakemake",
                "-s",
                str(ROOT / "Snakefile"),
                "--cores",
                "2",
                "--config",
                *pairs,
            ]
        return [sys.executable, "-m", "snakescribe.cli", "run", "--config", *pairs]

    def start(self, *more: str, bare: bool = False, **options: Any) -> subprocess.Popen[str]:
        """Start a run in a process group of its own."""
        return subprocess.Popen(
            [*self.command(bare, **options), *more],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="surrogateescape",
            start_new_session=True,
        )

    def run(self, *more: str, bare: bool = False, code: int = 0, **options: Any) -> Ended:
        """Run to the end; the exit code must be ``code``."""
        return finished(self.start(*more, bare=bare, **options), code)

    def tell(self, *arguments: str | bytes, code: int = 0) -> Ended:
        """Another command of ``snakescribe``, e.g. ``forget``."""
        done = subprocess.run(
            [sys.executable, "-m", "snakescribe.cli", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
        )
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == code, said
        return Ended(done.returncode, said)

    def rows(self, table: str = "recordings") -> list[dict[str, Any]]:
        """A table, in its order."""
        rows: list[dict[str, Any]] = pq.read_table(self.results.table(table, "parquet")).to_pylist()
        return rows

    def by_path(self) -> dict[bytes, dict[str, Any]]:
        """The recordings table by the paths' bytes."""
        return {row["path_bytes"]: row for row in self.rows()}

    def lasting(self, table: str) -> list[dict[str, Any]]:
        """A table without what differs between two runs that say the same."""
        return [{name: value for name, value in row.items() if name not in TIMES} for row in self.rows(table)]

    def log(self) -> str:
        """What Snakemake and the steps said in the last ``snakescribe run``."""
        return (self.results.root / "logs/snakemake.log").read_text(encoding="utf-8", errors="replace")

    def jobs(self) -> Counter[str]:
        """Which rules the last ``snakescribe run`` ran, and how often (``all`` left out)."""
        ran = re.findall(r"^local(?:rule|checkpoint) (\w+):$", self.log(), re.MULTILINE)
        return Counter(rule for rule in ran if rule != "all")

    def state(self, pattern: str) -> dict[str, tuple[int, int, int]]:
        """Inode, modification time and size of files: equal means never touched."""
        found = sorted(self.results.root.glob(pattern))
        return {path.name: (s.st_ino, s.st_mtime_ns, s.st_size) for path in found for s in [path.stat()]}

    def batches(self) -> list[str]:
        """Every batch with a manifest."""
        return sorted(path.stem for path in self.results.manifest("x").parent.glob("*.json"))


def finished(process: subprocess.Popen[str], code: int) -> Ended:
    """Wait for a run and see that it ended with ``code``."""
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, f"exit code {process.returncode}, not {code}:\n{said}"
    return Ended(process.returncode, said)


def until(true: Callable[[], object], process: subprocess.Popen[str], every: float = 0.005) -> None:
    """Wait, looking ``every`` so many seconds, until something is true; the run must not end before."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, f"the run ended before the moment came:\n{process.communicate()[0]}"
        assert time.monotonic() < end, "the moment never came"
        time.sleep(every)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """A run and all its descendants."""
    top = psutil.Process(process.pid)
    return [top, *top.children(recursive=True)]


def all_gone(processes: list[psutil.Process]) -> None:
    """Nothing of them stays alive."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    alive = [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not alive, f"still alive: {[one.cmdline() for one in alive]}"


def journal(path: Path) -> tuple[int, list[tuple[Any, ...]]]:
    """Languages found, and the windows finished, in a journal; a line cut short does not count."""
    data = path.read_bytes() if path.exists() else b""
    entries: list[Mapping[str, Any]] = [json.loads(line) for line in data.splitlines(True) if line.endswith(b"\n")]
    windows = [e["window"] for e in entries if "window" in e]
    places = [(w["key"], w["track"], w["start"], w["end"]) for w in windows]
    return sum("language" in e for e in entries), places
