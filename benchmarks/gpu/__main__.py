"""Run the proof: ``python -m benchmarks.gpu --device cuda --data FOLDER --models STORE --out FOLDER``.

Every step is a process of its own with a time limit; what fails, crashes or hangs does not keep the next one from
running. Rows go to ``rows.jsonl`` as they are found, then ``table.md`` is made of them, and what the steps printed lies
in ``log.txt``. Exit code 0: everything was proved; 1: something was not, and the table says what; 130: it was stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import machine, records
from benchmarks.gpu import memory, proofs, speed
from benchmarks.gpu.common import Row, Run
from snakescribe.files import die_with_parent


class Step(NamedTuple):
    """One thing to prove or measure."""

    work: Callable[[Run], Iterator[Row]]
    seconds: float
    """That it may take on a card; together they are the eight minutes."""


STEPS = {
    "facts": Step(proofs.facts, 60),
    "turns": Step(proofs.turns, 80),
    "texts": Step(proofs.texts, 80),
    "memory": Step(memory.memory, 40),
    "base": Step(speed.base, 60),
    "turbo": Step(speed.turbo, 60),
    "large-v3": Step(speed.large, 90),
}
PATIENCE = 5
"""Times so long on a CPU, which may be busy."""
STOPPED = "stopped from outside"
LOOK = 0.2
"""Seconds between two looks whether a step has ended."""


def main() -> int:
    """Run all steps, or within one of them what it says."""
    args = _parser().parse_args()
    out, data, models = (path.absolute() for path in (args.out, args.data, args.models))  # steps work elsewhere
    run = Run(args.device, out, data, models, args.model, room=args.room)
    if not run.data.is_dir():
        print(f"{run.data}: there is no such folder; give one of recordings with --data", file=sys.stderr)
        return 2
    if run.device == "cuda" and not args.step and (problem := _no_card()):
        print(f"{problem}; `snakescribe doctor` says more, and --device cpu tries this script", file=sys.stderr)
        return 2
    run.out.mkdir(parents=True, exist_ok=True)
    if args.step:
        for row in STEPS[args.step].work(run):
            _keep(run, args.step, row)
        return 0
    os.chdir(machine.ROOT)  # a step must find benchmarks
    stops: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: stops.append(got))  # an exception is lost where Python ignores them
    for name in ("rows.jsonl", "log.txt"):
        (run.out / name).unlink(missing_ok=True)
    patience = 1 if run.device == "cuda" else PATIENCE
    over = time.monotonic() + 60 * args.minutes * patience
    for name in args.only or STEPS:
        limit = min(STEPS[name].seconds * patience, over - time.monotonic())
        _keep(run, name, _ended(run, name, limit, stops))
        write(run)
        if stops:
            return 130
    failed = [row for row in _rows(run) if row["proved"] is False]
    print(f"{run.out / 'table.md'}: {f'{len(failed)} things are not proved' if failed else 'everything is proved'}")
    return int(bool(failed))


def _no_card() -> str | None:
    """Why torch can use no card here; None if it can."""
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} of {sys.executable} is built without CUDA"
    return None if torch.cuda.is_available() else f"torch for CUDA {torch.version.cuda} finds no card that it can use"


def _ended(run: Run, name: str, limit: float, stops: list[int]) -> Row:
    """Run a step as a process of its own, until it has ended or a signal came."""
    began = time.monotonic()
    if limit <= 0:
        return Row("ended", "not begun: the time was up", False)
    with (
        (run.out / "log.txt").open("ab") as log,
        tempfile.TemporaryDirectory(prefix="scratch-", dir=run.out, ignore_cleanup_errors=True) as room,
    ):
        log.write(f"== {name}\n".encode())
        log.flush()
        told = {"device": run.device, "out": run.out, "data": run.data, "models": run.models, "model": run.model}
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu", "--step", name, "--room", room]
            + [f"--{option}={value}" for option, value in told.items()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        while (code := process.poll()) is None and time.monotonic() - began < limit and not stops:
            time.sleep(LOOK)
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if stops:
        return Row("ended", STOPPED, False)
    if code is None:
        return Row("ended", f"not within {limit:.0f} s; see log.txt", False)
    took = f"{time.monotonic() - began:.1f} s"
    last = (run.out / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
    if code:
        return Row("ended", f"{took}, exit code {code}: {last[:200]}", False)
    if all(row["proved"] is None for row in _rows(run) if row["step"] == name):
        return Row("ended", f"{took}, and proved nothing", False)
    return Row("ended", took, True)


def _rows(run: Run) -> list[records.Row]:
    return records.read_rows(run.out / "rows.jsonl")


def _keep(run: Run, step: str, row: Row) -> None:
    records.append(run.out / "rows.jsonl", {"step": step, **row._asdict()})
    print(f"{step:<9}{ {True: 'yes', False: 'NO', None: ''}[row.proved]:<4}{row.what}: {row.found}", flush=True)


def write(run: Run) -> None:
    """Make the table of all rows so far."""
    rows = _rows(run)
    marks = {True: "yes", False: "**no**", None: ""}
    failed = [_cell(f"- {row['step']}, {row['what']}: {row['found']}") for row in rows if row["proved"] is False]
    lines = [
        f"# The GPU path on `{run.device}`",
        "",
        f"Commit {machine.commit()}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, `benchmarks/gpu.sh run`.",
        "Not a card: this tried the script, and its figures mean nothing." if run.device == "cpu" else "",
        "",
        *(["Not proved:", "", *failed] if failed else ["Everything that has run so far is proved."]),
        "",
        "| step | what | found | proved |",
        "|---|---|---|---|",
        *(f"| {row['step']} | {_cell(row['what'])} | {_cell(row['found'])} | {marks[row['proved']]} |" for row in rows),
    ]
    (run.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, required=True, help="folder for rows.jsonl, table.md and the logs")
    parser.add_argument("--data", type=Path, required=True, help="recordings, best with a manifest.tsv")
    parser.add_argument("--models", type=Path, required=True, help="the model store")
    parser.add_argument("--model", default="base")
    parser.add_argument("--only", nargs="+", choices=STEPS, help="these steps")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything, on a card (default: 8)")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--room", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
