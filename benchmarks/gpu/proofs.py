"""What must hold on a card: it is found, it hears, nothing is done twice, rows say what was used, texts agree."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.common import Row, Run, precisions, read, samples
from benchmarks.score import score
from snakescribe.errors import SnakescribeError

FACTS = "name,driver_version,compute_cap,memory.total,memory.free,clocks.max.sm"
"""Fields of ``nvidia-smi --query-gpu``."""
EACH = 2
"""Recordings that each run finds new, where the folder has enough."""


def facts(run: Run) -> Iterator[Row]:
    """The machine, the doctor's verdict, and the known clip on the device."""
    import torch

    yield Row("Python, torch, its CUDA", f"{platform.python_version()}, {torch.__version__}, {torch.version.cuda}")
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", f"--query-gpu={FACTS}", "--format=csv,noheader"]
        told = subprocess.run(asked, capture_output=True, text=True)
        yield Row(f"nvidia-smi: {FACTS}", (told.stdout or told.stderr).strip(), told.returncode == 0)
    if run.device == "cuda":
        free, total = torch.cuda.mem_get_info()
        yield Row("free memory of the card", f"{free / 1e9:.1f} of {total / 1e9:.1f} GB")
    options = [f"models={run.models}", f"model={run.model}"]
    command = [sys.executable, "-m", "snakescribe", "doctor", "--json", "--device", run.device, "--config", *options]
    said = subprocess.run(command, capture_output=True, text=True)
    if not said.stdout:
        yield Row("doctor", said.stderr[-300:], False)
        return
    verdict = json.loads(said.stdout)
    yield Row("doctor", verdict["line"], said.returncode == 0)
    hearing = verdict["facts"]["hearing"] or {}
    for check in verdict["checks"]:
        if check["name"] in ("device", "engine", "known clip", "versions", "lock"):
            untried = check["name"] == "known clip" and not hearing  # the doctor only warns of it
            yield Row(f"doctor, {check['name']}", check["says"], check["state"] != "bad" and not untried)
    yield Row("the known clip's device", f"{hearing.get('device')}", hearing.get("device") == run.device)


def turns(run: Run) -> Iterator[Row]:
    """The workflow on the CPU, the device and the CPU again over a folder that grows: nothing is read twice.

    Where the device is the CPU, the run in the middle has a store without the form of the first run's engine, so that
    ``auto`` takes another one.
    """
    every = run.recordings(180)[: 3 * EACH]
    each = len(every) // 3
    if not each:
        yield Row("three runs", f"need three recordings of 2 to 60 s, and {run.data} has {len(every)}", False)
        return
    scratch = run.scratch("turns")
    folder, results = scratch / "recordings", scratch / "results"
    before: dict[str, dict[str, Any]] = {}
    others = run.device == "cpu" and (run.models / run.model / "openvino").is_dir()  # it is not carried to a card
    for number, device in enumerate(("cpu", run.device, "cpu")):
        new = every[number * each : (number + 1) * each]
        for one in new:
            target = folder / one.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run.data / one.path, target)
        store = run.models
        if number == 1 and others:
            store = _without(run, str(next(iter(before.values()))["engine"]), scratch / "models")
        options = [f"models={store}", f"model={run.model}", "cache.mode=off"]
        command = [sys.executable, "-m", "snakescribe", "run", "--recordings", str(folder), "--results", str(results)]
        command += ["--device", device, "--cores", str(run.threads), "--config", *options]
        said = subprocess.run(command, capture_output=True, text=True)
        if said.returncode:
            for log in results.glob("logs/snakemake.log"):
                print(log.read_text(encoding="utf-8")[-3000:])
            last = said.stderr.strip().splitlines()[-1:]
            yield Row(f"run {number + 1}, {device}", f"exit code {said.returncode}: {' '.join(last)}", False)
            return
        rows = _rows(results)
        fresh = [row for path, row in rows.items() if path not in before]
        used = sorted(
            {f"{row['device']}, {row['engine']}, {row['compute_type']}, {row['device_name']}" for row in fresh}
        )
        right = all(row["device"] == device and row["status"] == "ok" for row in fresh)
        yield Row(
            f"run {number + 1}, {device}: its {len(new)} new rows say",
            "; ".join(used),
            right and len(fresh) == len(new),
        )
        same = all(rows.get(path) == row for path, row in before.items())
        if before:
            yield Row(f"run {number + 1}: the {len(before)} rows before", "as they were" if same else "changed", same)
        before = rows
    engines = {row["engine"] for row in before.values()}
    if others:
        yield Row("engines in turn", ", ".join(sorted(engines)), len(engines) == 2)


def _rows(results: Path) -> dict[str, dict[str, Any]]:
    import pyarrow.parquet as pq

    return {row["path"]: row for row in pq.read_table(results / "tables/recordings.parquet").to_pylist()}


def _without(run: Run, engine: str, store: Path) -> Path:
    """A store of the same weights without the form of an engine."""
    from snakescribe.engine.engines import ENGINES

    form = ENGINES[engine].form
    entry = json.loads((run.models / run.model / "model.json").read_bytes())
    entry["files"] = {name: sum_ for name, sum_ in entry["files"].items() if name.partition("/")[0] != form}
    for name in entry["files"]:
        target = store / run.model / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(run.models / run.model / name)
    (store / run.model / "model.json").write_text(json.dumps(entry))
    (store / "silero_vad.onnx").symlink_to(run.models / "silero_vad.onnx")
    return store


def texts(run: Run) -> Iterator[Row]:
    """Every engine and precision of the device beside float32 on the CPU: errors, and how many texts differ.

    Two precisions differ in one text of five (docs/decisions/precision-and-engines.md) with as many errors; so the
    errors may not rise by more than a tenth (and three). Without references they are told against the first text.
    """
    limit = run.pick(600, 20)
    recordings = run.recordings(limit)
    speech = {one.path: samples(run.data / one.path) for one in recordings}
    plain = ("torch_whisper", "float32")
    known = read(run.open(device="cpu", engine=plain[0], compute_type=plain[1]), run.config(), speech)
    if not any(known.values()):
        told = f"nothing is heard in {len(recordings)} recordings of 2 s at least and {limit} s together at most"
        yield Row(f"cpu {' '.join(plain)}", told, False)
        return
    errors = score(recordings, known)
    wrong, units = sum(one.total for one in errors.values()), sum(one.units for one in errors.values())
    seconds = sum(one.seconds for one in recordings)
    told, room = f"{wrong} errors in {units} words or characters", max(3, wrong // 10)
    if not units:
        recordings = [replace(one, references=(known[one.path],)) for one in recordings if known[one.path]]
        units = sum(one.units for one in score(recordings, known).values())
        room = max(3, units // 10)
        told = f"no references: its {units} words or characters are taken for them"
    yield Row(f"cpu {' '.join(plain)}", f"{told}, {len(recordings)} recordings of {seconds:.0f} s")
    for engine, kind in precisions():
        if run.device == "cpu" and (engine, kind) == plain:
            continue
        try:
            model = run.open(engine=engine, compute_type=kind)
        except SnakescribeError as error:
            yield Row(f"{run.device} {engine} {kind}", f"not run: {error}")
            continue
        found = read(model, run.config(), speech)
        now = sum(one.total for one in score(recordings, found).values())
        differ = sum(found[path] != text for path, text in known.items())
        good = now <= wrong + room
        told = f"{now} errors, {differ} texts differ"
        yield Row(f"{run.device} {engine} {model.backend.hardware.compute_type}", told, good)
