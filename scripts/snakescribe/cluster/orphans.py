"""Jobs of a run whose Snakemake has died. They go on by themselves, hold their batches and write their logs.

Snakemake's plug-in names all jobs of a run alike, and writes that name into Snakemake's own log; we keep where it is.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from snakescribe.cluster.slurm import Job, active, cancel
from snakescribe.errors import ClusterError, ConfigError
from snakescribe.files import write_atomically
from snakescribe.layout import Results
from snakescribe.units import counted

Treatment = Literal["wait", "cancel"]
ORPHANS = "SNAKESCRIBE_ORPHANS"
"""Environment variable: what plain Snakemake does with them; ``snakescribe run --orphans`` is the same."""
_LOOK_EVERY = 5.0
_TELL_EVERY = 60.0
_KILL_WAIT = 60.0
"""Seconds; Slurm itself kills 30 s (``KillWait``) after it has asked a job to end."""


def remember(results: Results, logs: Sequence[str]) -> None:
    """Keep where Snakemake writes the name of this run's jobs."""
    write_atomically(results.cluster, "\n".join(map(os.path.abspath, logs)).encode())


def run_id(results: Results) -> str | None:
    """The name of the jobs of the last run on a cluster; None if it submitted none."""
    try:
        logs = results.cluster.read_text(encoding="utf-8").splitlines()
        text = "".join(Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    except OSError:
        return None
    found = re.findall(r"SLURM run ID: (\S+)", text)
    return found[-1] if found else None


def settle(results: Results, how: str) -> None:
    """Before a run: wait for the jobs that the last one left, or cancel them; so that no batch is worked on twice.

    Raises:
        ClusterError: Slurm does not answer, or jobs cannot be cancelled.
        ConfigError: ``how`` is no :data:`Treatment`.
    """
    if how not in get_args(Treatment):
        raise ConfigError(f"{ORPHANS} is {how!r}; set it to wait or cancel")
    run = run_id(results)
    if run is None or not (left := active(run)):
        return
    _say(f"{_named(left)} of the last run still there; {'waiting for' if how == 'wait' else 'cancelling'} them")
    if how == "cancel":
        if left := cancel(run, _KILL_WAIT):
            raise ClusterError(f"{_named(left)} cannot be cancelled; look at them with squeue, and try again")
        return
    told = time.monotonic()
    while left := active(run):
        time.sleep(_LOOK_EVERY)
        if time.monotonic() - told >= _TELL_EVERY:
            _say(f"waiting for {_named(left)}; {ORPHANS}=cancel, or --orphans cancel, would end them")
            told = time.monotonic()


def end(results: Results, patience: float) -> None:
    """After a stop: cancel this run's jobs, wait at most ``patience`` seconds, and say what is left."""
    run = run_id(results)
    try:
        if run is None:
            return
        if left := cancel(run, patience):
            _say(f"cancelled, and not yet ended: {_named(left)}; Slurm kills them soon, the next run looks after them")
        else:
            _say("its jobs on the cluster are cancelled")
    except ClusterError as error:
        _say(f"{error}; its jobs may go on, the next run looks after them")


def _named(jobs: Sequence[Job]) -> str:
    first = ", ".join(f"{job.id} {job.state} {job.what}" for job in jobs[:3])
    return f"{counted(len(jobs), 'job')} on the cluster ({first}{', …' * (len(jobs) > 3)})"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
