"""The benchmark's commands: ``python -m benchmarks VERB …``; README.md explains them, ``make bench`` runs all."""

from __future__ import annotations

import argparse
import os
import signal
import site
import sys
from pathlib import Path

from benchmarks import machine
from snakescribe.commands.common import from_one_on

ROOT = machine.ROOT
VERBS = {
    "compare": "ours and the peers by turns over the folder",
    "encoder": "the encoder beside the machine's matrix product",
    "scale": "ours on many short and few long recordings",
    "report": "write docs/benchmarks.md from what has been measured",
    "all": "one after the other",
}


def main() -> int:
    """Run one verb; a stopped benchmark goes on where it was when the same command is given again."""
    args = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what runs is ended too
    os.chdir(ROOT)  # `python -m benchmarks.peer` must find itself
    site.addsitedir(str(args.packages))
    from benchmarks import compare, encoder, report, scale
    from benchmarks.bench import Bench, ensure_ffmpeg
    from benchmarks.folder import BenchmarkError, read_folder
    from snakescribe.errors import SnakescribeError
    from snakescribe.files import hold_lock
    from snakescribe.models import Store

    try:
        args.work.mkdir(parents=True, exist_ok=True)
        if args.verb != "report":  # which reads only, as it may meanwhile
            busy = f"another benchmark works in {args.work}; wait for its end, or give another folder with --work"
            hold_lock(args.work / "lock", busy)
        ensure_ffmpeg(args.work)
        bench = Bench(args.work, read_folder(args.data), Store(args.models), args.model, args.cores, args.packages)
        failed = 0
        if args.verb != "report":
            bench.note_software()
        if args.verb in ("compare", "all"):
            failed += compare.run(bench, args.rounds, args.only)
        if args.verb in ("encoder", "all"):
            failed += encoder.run(bench)
        if args.verb in ("scale", "all") and args.hours:
            failed += scale.run(bench, args.hours, args.scale_rounds)
        if args.verb in ("report", "all"):
            report.write(bench, args.target)
            print(args.target)
    except (BenchmarkError, SnakescribeError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    if failed:
        print(f"benchmarks: {failed} runs failed; the same command tries them again", file=sys.stderr)
    return int(failed > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="\n".join(f"{name:<9}{text}" for name, text in VERBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    path = _absolute
    models = os.environ.get("SNAKESCRIBE_MODELS") or ".models"
    usual_cores = len(os.sched_getaffinity(0))
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--data", type=path, default=path(".models/samples"), help="folder with a manifest.tsv")
    parser.add_argument("--model", default="base")
    parser.add_argument("--models", type=path, default=path(models), help="the model store")
    parser.add_argument("--cores", type=from_one_on, default=usual_cores, help="cores of every run (default: all)")
    parser.add_argument("--rounds", type=from_one_on, default=3, help="runs of every system (default: 3)")
    parser.add_argument("--only", nargs="+", default=[], metavar="SYSTEM", help="peers or names of variants.yaml")
    parser.add_argument("--hours", type=float, default=1.0, help="audio of each scale point (default: 1); 0: no scale")
    parser.add_argument("--scale-rounds", type=from_one_on, default=1, help="runs of every scale point (default: 1)")
    parser.add_argument("--work", type=path, default=path(".bench"), help="measurements, texts and the peers' weights")
    parser.add_argument("--packages", type=path, default=path(".venv/bench"), help="packages that only peers need")
    parser.add_argument("--target", type=path, default=path("docs/benchmarks.md"), help="what the report writes")
    return parser


def _absolute(path: str) -> Path:
    return Path(path).absolute()


if __name__ == "__main__":
    sys.exit(main())
