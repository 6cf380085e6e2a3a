"""Transcribe a folder of recordings: the whole workflow, with progress, safe to repeat after any crash.

The small form of `snakemake --cores N`: it takes the lock, starts Snakemake, shows hours of audio done with an
estimate, and ends with the exit code of what went wrong. Whatever was finished before a kill is kept.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import get_args

from snakescribe.checkout import ROOT
from snakescribe.cluster import orphans
from snakescribe.commands.common import asked_options, register_options
from snakescribe.config import load_config
from snakescribe.ending import Outcome, tell, written_down
from snakescribe.errors import ConfigError, RecordingError
from snakescribe.estimate import voices_share
from snakescribe.files import die_with_parent, write_atomically
from snakescribe.inventory.walk import ask_for_retry
from snakescribe.keys import options_digest
from snakescribe.layout import Results
from snakescribe.models.configured import configured_model
from snakescribe.transcribe.progress import Progress, audio_done, describe
from snakescribe.workflow import LOCK_FD, prepare_results

Done = Callable[[], tuple[float, float]]
"""Seconds of audio done, and in all."""
REFRESH = 1.0
FIRST_LINE = 5.0
LOG_EVERY = 60.0
GRACE = 2.0
"""Seconds between looks at the progress, before the first line in a log, between others, between a stop and a kill."""
DEFAULT_PROFILE = str(ROOT / "profiles/default")
KEPT_LOGS = 14
"""Of Snakemake, the newest of them included: two weeks of nights."""
CLUSTER_GRACE = 7.0
"""Seconds that jobs on a cluster have to end after a stop."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    register_options(parser)
    parser.add_argument("--cores", type=_cores, metavar="N", help="CPU cores of this machine to use (default: all)")
    parser.add_argument("--profile", metavar="DIR", help="workflow profile, e.g. profiles/slurm")
    parser.add_argument(
        "--orphans",
        choices=get_args(orphans.Treatment),
        default="wait",
        help="jobs that a killed run left on the cluster: wait for them (default), or cancel them",
    )
    parser.add_argument(
        "--on-end",
        metavar="COMMAND|URL",
        help="run a command in a shell when the run has ended, whatever way, or post to an address; it gets run.json",
    )
    parser.add_argument(
        "--retry-failed",
        nargs="*",
        choices=sorted(cls.__name__ for cls in RecordingError.__subclasses__()),
        metavar="CLASS",
        help="try the failed recordings once more: all, or those of some classes (docs/errors.md)",
    )
    parser.add_argument(
        "--snakemake", nargs=argparse.REMAINDER, default=[], metavar="ARG", help="all that follows goes to Snakemake"
    )


def _cores(text: str) -> str:
    if text != "all" and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 1 on nor all")
    return text


def run(args: argparse.Namespace) -> int:
    """Run the workflow and wait for it."""
    config = load_config(asked_options(args), Path.cwd())
    places = (Path(), Path("profiles"), ROOT / "profiles")  # where Snakemake looks; without any it would go on
    if args.profile not in (None, "none") and not any((place / args.profile).exists() for place in places):
        raise ConfigError(f"--profile: there is no {args.profile}; give a folder like profiles/slurm")
    profile = args.profile or DEFAULT_PROFILE
    results = Results(Path(config.results))
    options = options_digest(config, configured_model(config))
    os.environ.pop(LOCK_FD, None)
    lock = prepare_results(results)
    with written_down(results, lock, args.on_end) as outcome:
        orphans.settle(results, args.orphans)
        asked = results.state / "asked.json"
        write_atomically(asked, config.model_dump_json().encode())
        if args.retry_failed is not None:
            ask_for_retry(results, args.retry_failed)
        done = partial(audio_done, results, options, voices_share(config))
        found = _snakemake(args, results, asked, lock, profile, done)
        outcome.code, outcome.failure = found.code, found.failure
    return outcome.code


def _snakemake(
    args: argparse.Namespace, results: Results, asked: Path, lock: int | None, profile: str, done: Done
) -> Outcome:
    """Start it, wait for it, and tell how it ended."""
    log = results.log("snakemake")
    _rotate(log)
    before = _batches(results)
    command = [
        sys.executable,
        "-P",  # a six.py in the folder it is started in is not to be imported
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        *_limits(args.cores, profile),
    ]
    command += ["--configfile", str(asked), "--directory", str(results.root)]
    command += ["--workflow-profile", profile]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *args.snakemake],
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=[lock] if lock is not None else [],
            env=os.environ | {LOCK_FD: str(lock)} | _cache_of_snakemake(results),
            preexec_fn=_as_our_child,
        )
        stopped = _stops(process)
        print(f"log: {log}", file=sys.stderr, flush=True)
        code = _watch(process, done)
    if stopped and code:
        orphans.end(results, CLUSTER_GRACE)
        print("stopped; what is finished is kept, and the same command goes on from there", file=sys.stderr)
        return Outcome(128 + stopped[0], "stopped")
    return tell(code, log, results, nothing_new=bool(before) and before == _batches(results))


def _rotate(log: Path) -> None:
    """Keep the logs of the last runs: ``snakemake.1.log`` is the one before."""
    log.parent.mkdir(exist_ok=True)
    names = [log, *(log.with_name(f"{log.stem}.{number}{log.suffix}") for number in range(1, KEPT_LOGS))]
    for newer, older in reversed(list(pairwise(names))):
        if newer.exists():
            newer.replace(older)
    for own in sorted((log.parents[1] / ".snakemake/log").glob("*.log"))[:-KEPT_LOGS]:
        own.unlink()


def _limits(cores: str | None, profile: str) -> list[str]:
    """What may run at a time. With a cluster `--cores` would hold the jobs there to what this machine has."""
    if profile not in (DEFAULT_PROFILE, "none"):
        from snakemake.cli import get_profile_dir  # as Snakemake finds and reads it, with its templates
        from snakemake.profiles import ProfileConfigFileParser

        if found := get_profile_dir(profile):
            with found[1].open(encoding="utf-8") as stream:
                if ProfileConfigFileParser().parse(stream).get("executor", "local") != "local":
                    return ["--local-cores", cores] if cores else []
    return ["--cores", cores or "all"]


def _cache_of_snakemake(results: Results) -> dict[str, str]:
    """It does not start without a cache folder of its own; where the user can have none (a service), it lies in ours.

    Nothing else follows: that of the transcripts is resolved already.
    """
    try:
        # As platformdirs has it, which Snakemake asks.
        usual = Path(os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.expanduser("~/.cache"))  # noqa: PTH111
        own = usual / "snakemake"
        own.mkdir(parents=True, exist_ok=True)
        if os.access(own, os.W_OK | os.X_OK):
            return {}
    except OSError:
        pass
    return {"XDG_CACHE_HOME": str(results.state / "cache")}


def _batches(results: Results) -> dict[Path, int]:
    """When each batch file was written (nanoseconds)."""
    return {path: path.stat().st_mtime_ns for path in results.batch("b").parent.glob("*.parquet")}


def _as_our_child() -> None:
    """Die with us, and hear an interrupt even when we were started in the background, where it is ignored."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _stops(process: subprocess.Popen[bytes]) -> list[int]:
    """Pass a stop on: Snakemake may tidy up for a moment, then it is killed, and its jobs die with it.

    It would wait for them, up to an hour; but whatever is killed whenever goes on from its journal.

    Returns:
        A list that holds the signals that came.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        process.send_signal(signal.SIGINT)
        Timer(GRACE, process.kill).start()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    return came


def _watch(process: subprocess.Popen[bytes], audio: Done) -> int:
    """Show hours of audio done until Snakemake ends: a live line on a terminal, else a line soon and one a minute."""
    from rich.console import Console

    console = Console(stderr=True)
    first, _ = audio()
    began = time.monotonic()
    due, planned = began + FIRST_LINE, False
    text = "looking at the recordings"
    with console.status(text) as line:
        while True:
            try:
                return process.wait(REFRESH)
            except subprocess.TimeoutExpired:
                pass
            done, total = audio()
            now = time.monotonic()
            if done < first:  # what was finished is done anew
                first, began = done, now - REFRESH
            if total:
                text = describe(Progress(done, total, (done - first) / (now - began)))
            if console.is_terminal:
                line.update(text)
            elif now >= due or (total and not planned):
                print(text, file=sys.stderr, flush=True)
                due, planned = now + LOG_EVERY, bool(total)
