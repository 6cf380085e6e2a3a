"""What every part of a benchmark shares: where things are, one run of ours, and the row that a run leaves."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import machine, records
from benchmarks.folder import Folder
from benchmarks.measure import Usage, measured
from snakescribe.models import Store

SOFTWARE = "software"
"""Kind of the rows that hold versions instead of a measurement."""
Options = Mapping[str, Any]
"""Options of ours that differ from the defaults, e.g. ``{"decoding.beam_size": 1}``."""


@dataclass(frozen=True)
class Bench:
    """One benchmark in its work folder."""

    work: Path
    folder: Folder
    store: Store
    model: str
    cores: int
    packages: Path
    """What only the peers need (requirements/bench.txt); ours never sees it."""

    @property
    def raw(self) -> Path:
        """Every measurement, a JSON object per line."""
        return self.work / "raw.jsonl"

    @cached_property
    def setting(self) -> dict[str, Any]:
        """What must be the same for figures to be compared."""
        return {"machine": machine.describe(self.cores), "model": self.model, "data": self.folder.digest}

    @cached_property
    def our_version(self) -> str:
        """Of the sources as they are when the benchmark starts."""
        return machine.sources()

    def state(self, name: str, version: str, options: object) -> str:
        """Digest of all that a measurement depends on: when it changes, the run is done again."""
        return records.digest([name, version, options, self.setting])

    def note_software(self) -> None:
        """Leave a row with the versions of everything, unless the last such row says the same."""
        software = machine.packages() | {"commit": machine.commit()}
        noted = [row for row in records.read_rows(self.raw) if row["kind"] == SOFTWARE]
        if not noted or noted[-1]["software"] != software:
            records.append(self.raw, {"kind": SOFTWARE, "date": _now(), "software": software})

    def keep(self, kind: str, name: str, state: str, number: int, usage: Usage, **more: object) -> None:
        """Append a row."""
        row = {"kind": kind, "name": name, "state": state, "round": number, "date": _now(), "setting": self.setting}
        records.append(self.raw, row | asdict(usage) | more)
        told = f"{usage.wall_s:8.1f} s wall {usage.cpu_s:8.1f} core-s {usage.peak_mb:6.0f} MB"
        print(
            f"{kind} {number + 1}  {name:<40} {told}" + (f"  FAILED: {usage.exit_code}" if usage.exit_code else ""),
            flush=True,
        )

    def run_ours(self, recordings: Path, options: Options) -> tuple[Usage, list[dict[str, str]]]:
        """The whole of ours, Snakemake included, into fresh results without a cache, over a folder or a sheet.

        Returns usage, and rows with recording_id, path, text and language.
        """
        results = self.work / "results"
        shutil.rmtree(results, ignore_errors=True)
        asked = {"on_error": "report", "cache": {"mode": "off"}, "models": str(self.store.root), "model": self.model}
        # JSON is YAML, which is what --config reads.
        config = [f"{name}={json.dumps(value)}" for name, value in (asked | dict(options)).items()]
        command = [sys.executable, "-m", "snakescribe", "run", "--recordings", str(recordings)]
        command += ["--results", str(results), "--device", "cpu", "--cores", str(self.cores), "--config", *config]
        usage = measured(command, self.affinity, self.work / "last.log")
        rows = _texts(results) if usage.exit_code == 0 else []
        shutil.rmtree(results, ignore_errors=True)
        return usage, rows

    @cached_property
    def affinity(self) -> list[int]:
        """The cores every run is held to, the same for all."""
        return sorted(os.sched_getaffinity(0))[: self.cores]

    @cached_property
    def peer_environ(self) -> dict[str, str]:
        """Environment of a peer: its packages, and an ffmpeg that is called so."""
        shared = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(self.packages), *([shared] if shared else [])])
        return os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _texts(results: Path) -> list[dict[str, str]]:
    import pyarrow.parquet as pq

    table = pq.read_table(results / "tables/recordings.parquet", columns=["recording_id", "path", "text", "language"])
    return [{name: value or "" for name, value in row.items()} for row in table.to_pylist()]


def ensure_ffmpeg(folder: Path) -> None:
    """Put an ``ffmpeg`` on PATH if there is none: peers call it by that name."""
    if shutil.which("ffmpeg"):
        return
    import imageio_ffmpeg

    link = folder / "bin/ffmpeg"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    os.environ["PATH"] = os.pathsep.join([str(link.parent), os.environ.get("PATH", "")])
