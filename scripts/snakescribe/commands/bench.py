"""Measure which engine reads fastest here, on your own recordings, and print what to put into the configuration.

Two to five minutes. Every engine that works here reads the same two minutes of speech (the beginnings of the
recordings) with the model and the options of a run, and the fastest one again with half and twice the rows.
`engine: auto` goes by such measurements of other machines. Rows do not change a text; engines do, a little.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.commands.common import asked_options, register_options
from snakescribe.config import load_config
from snakescribe.errors import DeviceError
from snakescribe.models.configured import configured_model


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    register_options(parser)
    parser.add_argument("--seconds", type=float, default=120, help="of speech to read (default: 120)")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), help="threads (default: all cores)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the recommendation here, for --configfile")


def run(args: argparse.Namespace) -> int:
    """Measure, tell, recommend."""
    from snakescribe.speed import Trial, sample, trials

    config = load_config(asked_options(args), Path.cwd())
    configured_model(config)
    speech = sample(config, args.seconds)
    seconds = sum(len(part) for part in speech) / SAMPLE_BYTES / SAMPLE_RATE
    print(f"{seconds:.0f} s of speech, model {config.model}, {args.cores} threads", flush=True)
    print(f"{'engine':<24}{'rows':>6}{'x real time':>13}{'core-s per hour':>17}{'peak MB':>9}", flush=True)

    def failed(name: str, why: str) -> None:
        print(f"{name:<24}  {why}", file=sys.stderr, flush=True)

    done: list[Trial] = []
    for trial in trials(config, speech, args.cores, failed):
        done.append(trial)
        per_hour = trial.core_seconds / trial.audio_seconds * 3600
        name = f"{trial.engine} {trial.compute_type}"
        print(f"{name:<24}{trial.rows:>6}{trial.speed:>13.1f}{per_hour:>17.0f}{trial.peak_mb:>9}", flush=True)
    if not done:
        raise DeviceError("no engine works here; `snakescribe doctor` says why")
    best = max(done, key=lambda trial: trial.speed)
    lines = f"engine: {best.engine}\ncompute_type: {best.compute_type}\ndecoding: {{rows: {best.rows}}}\n"
    print(f"\nthe fastest:\n{lines}", end="")
    if args.write:
        args.write.write_text(lines, encoding="utf-8")
    return 0
