"""Measure which engine reads fastest here, on your own recordings, and print what to put into the configuration.

Some minutes (two with `base` on two cores of a Zen 4). Every engine that works here reads the same two minutes (the
beginnings of the recordings) with the model and the options of a run, the faster ones twice; then the best one with
half and twice the rows, if there is audio enough to fill them (--seconds). Of engines that are equally fast it is the
one with fewer core-seconds.
`engine: auto` goes by such measurements of other machines. Rows do not change a text; engines do, a little.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.commands.common import asked_options, from_one_on, register_options
from snakescribe.config import load_config
from snakescribe.errors import ConfigError, DeviceError
from snakescribe.models.configured import configured_model
from snakescribe.stopping import ends_tidily

MOST = 36_000
"""Seconds, ten hours: they are held in memory."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    register_options(parser)
    parser.add_argument("--seconds", type=_seconds, default=120, help="of recordings to read (default: 120)")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--cores", type=from_one_on, default=cores, help="threads (default: all cores)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the recommendation here, for --configfile")


def _seconds(text: str) -> float:
    if (seconds := from_one_on(text)) > MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST}")
    return float(seconds)


def run(args: argparse.Namespace) -> int:
    """Measure, tell, recommend."""
    if args.write and (args.write.is_dir() or not os.access(args.write.parent, os.W_OK)):
        raise ConfigError(f"--write: {args.write} cannot be written; give a file in a folder that is there")
    with ends_tidily():
        return _measure(args)


def _measure(args: argparse.Namespace) -> int:
    from snakescribe.speed import Trial, fastest, sample, trials

    config = load_config(asked_options(args), Path.cwd())
    configured_model(config)
    speech = sample(config, args.seconds)
    seconds = sum(len(part) for part in speech) / SAMPLE_BYTES / SAMPLE_RATE
    print(f"{seconds:.0f} s of recordings, model {config.model}, {args.cores} threads", flush=True)
    if (load := os.getloadavg()[0]) > args.cores / 2:
        print(f"this machine is busy (load {load:.1f}): the speeds say less, core-seconds still something")
    print(f"{'engine':<28}{'rows':>6}{'x real time':>13}{'core-s per hour':>17}{'peak MB':>9}", flush=True)

    done: list[Trial] = []
    said = ""

    def begun(name: str) -> None:
        print(f"{name:<28}", end="", flush=True)

    def failed(why: str) -> None:
        nonlocal said
        print(f"  not here: {'as above' if why == said else why}", flush=True)
        said = why

    for trial in trials(config, speech, args.cores, begun, failed):
        done.append(trial)
        per_hour = trial.core_seconds / trial.audio_seconds * 3600
        print(f"{trial.rows:>6}{trial.speed:>13.1f}{per_hour:>17.0f}{trial.peak_mb:>9}", flush=True)
    if not done:
        raise DeviceError("none of these works here, see above; `snakescribe doctor` says what is there")
    best, *equal = fastest(done)
    lines = f"engine: {best.engine}\ncompute_type: {best.compute_type}\n"
    lines += "" if best.usual_rows else f"decoding: {{rows: {best.rows}}}\n"
    print(f"\nthe fastest:\n{lines}", end="")
    for other in equal:
        print(f"as good as equal: {other.engine} {other.compute_type}, {other.rows} rows")
    if args.write:
        args.write.write_text(lines, encoding="utf-8")
    print(f"for config/config.yaml, or with --configfile{f' {args.write}' if args.write else ''}")
    return 0
