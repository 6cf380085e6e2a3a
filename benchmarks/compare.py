"""Ours and the peers by turns over one folder; every run's texts are kept and scored by the report."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import records
from benchmarks.bench import Bench, Options
from benchmarks.folder import BenchmarkError
from benchmarks.measure import Usage, measured
from benchmarks.peer import PEERS
from benchmarks.weights import Weights, prepare

KIND = "compare"
OURS = "ours"
"""The variant that the peers are compared with."""


@dataclass(frozen=True)
class System:
    """One competitor in one version."""

    name: str
    version: str
    options: Options
    state: str


def variants() -> dict[str, Options]:
    """Ours, by name."""
    named: dict[str, Options] = yaml.safe_load(Path(__file__).with_name("variants.yaml").read_text(encoding="utf-8"))
    return named


def systems(bench: Bench, only: Sequence[str]) -> list[System]:
    """All of them, or those named in ``only``.

    Raises:
        BenchmarkError: a name is unknown.
    """
    named = variants()
    names = only or [OURS, *PEERS, *(name for name in named if name != OURS)]
    if unknown := set(names) - set(PEERS) - set(named):
        known = ", ".join(map(repr, [*PEERS, *named]))
        raise BenchmarkError(f"no system is called {unknown.pop()!r}; there are: {known}")
    found = []
    for name in names:
        version = _version(name) if name in PEERS else bench.our_version
        options = named.get(name, {})
        found.append(System(name, version, options, bench.state(name, version, options)))
    return found


def _version(peer: str) -> str:
    package = PEERS[peer].package
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise BenchmarkError(f"{package} is not installed; `make .venv/.bench` installs the peers") from None


def run(bench: Bench, rounds: int, only: Sequence[str]) -> int:
    """Run what has not been run yet; returns how many runs failed."""
    everyone = {system.name: system for system in systems(bench, only)}
    states = {name: system.state for name, system in everyone.items()}
    ahead = records.pending(records.read_rows(bench.raw), KIND, states, rounds)
    if not ahead:
        print("compare: all of it has been measured already")
    peers = any(name in PEERS for _, name in ahead)
    weights = prepare(bench.store, bench.model, bench.work / "weights") if peers else None
    failed = 0
    for number, name in ahead:
        system = everyone[name]
        heard = Path("heard") / f"{system.state}-{number}.jsonl"
        out = bench.work / heard
        out.parent.mkdir(parents=True, exist_ok=True)
        if weights and name in PEERS:
            usage = _run_peer(bench, name, weights, out)
        else:
            usage, rows = _run_ours(bench, system.options)
            out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        if usage.exit_code:
            failed += 1
            _tell(bench.work / "last.log")
        more = {"version": system.version, "options": system.options, "heard": str(heard)}
        bench.keep(KIND, name, system.state, number, usage, **more)
    return failed


def _run_ours(bench: Bench, options: Options) -> tuple[Usage, list[dict[str, str]]]:
    """Over a sheet, since the folder may hold more than its manifest names; the ids are the rows' numbers."""
    sheet, listed = bench.work / "recordings.csv", bench.folder.recordings
    with sheet.open("w", encoding="utf-8", newline="") as file:
        named = ((number, bench.folder.root / recording.path) for number, recording in enumerate(listed))
        csv.writer(file).writerows([("id", "path"), *named])
    usage, rows = bench.run_ours(sheet, options)
    return usage, [row | {"path": listed[int(row["recording_id"])].path} for row in rows]


def _run_peer(bench: Bench, name: str, weights: Weights, out: Path) -> Usage:
    names = bench.work / "recordings.json"
    names.write_text(json.dumps([recording.path for recording in bench.folder.recordings]), encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.peer", name, "--threads", str(bench.cores)]
    command += [
        "--weights",
        str(getattr(weights, PEERS[name].weights)),
        *([] if weights.multilingual else ["--english"]),
    ]
    command += ["--recordings", str(names), "--root", str(bench.folder.root), "--out", str(out)]
    return measured(command, bench.affinity, bench.work / "last.log", bench.peer_environ)


def _tell(log: Path) -> None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    print("\n".join(f"    {line}" for line in lines[-10:]), file=sys.stderr)


def texts(bench: Bench, row: records.Row) -> dict[str, str]:
    """Path -> what was heard in one run."""
    lines = (bench.work / row["heard"]).read_text(encoding="utf-8").split("\n")
    return {heard["path"]: heard["text"] for heard in map(json.loads, filter(None, lines))}
