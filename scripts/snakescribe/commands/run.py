"""Transcribe a folder of recordings: the whole workflow, with progress, safe to repeat after any crash.

The small form of `snakemake --cores N`: it takes the lock, starts Snakemake, shows hours of audio done with an
estimate, and ends with the exit code of what went wrong. Whatever was finished before a kill is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from snakescribe.config import load_config
from snakescribe.config.load import merged, read_options
from snakescribe.errors import ConfigError, FailedRecordings
from snakescribe.files import die_with_parent, disk_full, write_atomically
from snakescribe.layout import Results
from snakescribe.models.store import Store
from snakescribe.progress import Progress, audio_done, describe, options_digest
from snakescribe.workflow import LOCK_FD, prepare_results

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: Snakefile, workflow/, config/, profiles/."""
REFRESH = 1.0
LOG_EVERY = 60.0
"""Seconds between looks at the progress, and between lines in a log."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--recordings", metavar="PATH", help="folder or CSV/TSV sheet (option `recordings`)")
    parser.add_argument("--results", metavar="DIR", help="where everything is written (option `results`)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="option `device`")
    parser.add_argument("--cores", default="all", metavar="N", help="CPU cores to use (default: all)")
    parser.add_argument("--configfile", type=Path, metavar="FILE", help="options over those of config/config.yaml")
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        default=[],
        metavar="OPTION=VALUE",
        help="single options, e.g. model=small language=ko",
    )
    parser.add_argument("--profile", metavar="DIR", help="workflow profile, e.g. profiles/slurm")
    parser.add_argument("--retry-failed", action="store_true", help="try the failed recordings once more")
    parser.add_argument("--snakemake", nargs=argparse.REMAINDER, default=[], help="all that follows goes to Snakemake")


def run(args: argparse.Namespace) -> int:
    """Run the workflow and wait for it."""
    values = _asked(args)
    config = load_config(values, Path.cwd())
    results = Results(Path(config.results))
    options = options_digest(config, Store(Path(config.models or "")).resolve(config.model))
    os.environ.pop(LOCK_FD, None)
    lock = prepare_results(results)
    asked = results.state / "asked.json"
    write_atomically(asked, config.model_dump_json().encode())
    if args.retry_failed:
        _count_retry(results)
    log = results.root / "logs/snakemake.log"
    log.parent.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--cores",
        args.cores,
    ]
    command += ["--configfile", str(asked), "--directory", str(results.root)]
    command += ["--workflow-profile", args.profile or str(ROOT / "profiles/default")]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *args.snakemake],
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=[lock] if lock is not None else [],
            env=os.environ | {LOCK_FD: str(lock)},
            preexec_fn=die_with_parent,
        )
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        code = _watch(process, results, options)
    return _tell(code, log, results)


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    """config/config.yaml, then ``--configfile``, then single options, groups merged key by key."""
    values = read_options(ROOT / "config/config.yaml")
    if args.configfile:
        values = merged(values, read_options(args.configfile))
    for item in args.config:
        name, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(f"--config {item}: expected OPTION=VALUE, e.g. model=small")
        values = merged(values, {name: yaml.safe_load(text)})
    single = {name: getattr(args, name) for name in ("recordings", "results", "device")}
    return merged(values, {name: value for name, value in single.items() if value is not None})


def _count_retry(results: Results) -> None:
    try:
        count = int(results.retry_counter.read_text())
    except (OSError, ValueError):
        count = 0
    write_atomically(results.retry_counter, str(count + 1).encode())


def _watch(process: subprocess.Popen[bytes], results: Results, options: str) -> int:
    """Show hours of audio done until Snakemake ends: a live line on a terminal, a line a minute elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    first, _ = audio_done(results, options)
    began = logged = time.monotonic()
    with console.status("looking at the recordings") as line:
        while True:
            try:
                return process.wait(REFRESH)
            except subprocess.TimeoutExpired:
                pass
            except KeyboardInterrupt:
                return process.wait()  # the terminal has told Snakemake too
            done, total = audio_done(results, options)
            if not total:
                continue
            now = time.monotonic()
            text = describe(Progress(done, total, (done - first) / (now - began)))
            if console.is_terminal:
                line.update(text)
            elif now - logged >= LOG_EVERY:
                print(text, file=sys.stderr, flush=True)
                logged = now


def _tell(code: int, log: Path, results: Results) -> int:
    """Say how it ended; the exit code is that of the worst failure a step has left."""
    failures = _left_behind(results)
    if code == 0:
        print((results.root / "check.txt").read_text(encoding="utf-8").rstrip(), file=sys.stderr)
        print(f"tables: {results.root / 'tables'}\ntranscripts: {results.transcripts}", file=sys.stderr)
        return 0
    if any(failure["class"] == FailedRecordings.__name__ for failure in failures):
        # Everything is done and some recordings failed: the check step has named them.
        print((results.root / "logs/check.log").read_text(encoding="utf-8").rstrip(), file=sys.stderr)
    elif failures:
        for message in dict.fromkeys(f"{failure['class']}: {failure['message']}" for failure in failures):
            print(f"snakescribe: {message}", file=sys.stderr)
    else:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if any(os.strerror(errno.ENOSPC) in line for line in lines) or not _room(results):
            raise disk_full(results.root)  # so full that neither a step nor Snakemake could say so
        own = [line for line in lines if line.startswith("snakescribe: ")]
        print("\n".join(own or lines[-15:]), file=sys.stderr)
    print(f"log: {log}", file=sys.stderr)
    return max((int(failure["exit_code"]) for failure in failures), default=code)


def _left_behind(results: Results) -> list[Mapping[str, Any]]:
    """What steps wrote about their failures; a note that a full disk has cut short is none."""
    failures = []
    for path in sorted(results.failures.glob("*.json")):
        with contextlib.suppress(ValueError):
            failures.append(json.loads(path.read_bytes()))
    return failures


def _room(results: Results) -> bool:
    """Whether another 64 kB can be written."""
    probe = results.state / "room"
    try:
        write_atomically(probe, bytes(1 << 16))
        probe.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True
