"""What Slurm says of itself and of a run's jobs. Submitting, polling and trying again is Snakemake's business.

Seen with Slurm 22.05.8 and Snakemake's plug-in 2.8.0; why each is needed: docs/decisions/cluster.md.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from shutil import which

from snakescribe.errors import ClusterError

LONGEST_POLL = 180.0
"""Seconds: the plug-in looks at its jobs more and more seldom, in the end this often."""
_MARGIN = 20.0
_PATIENCE = 60.0
"""Seconds after which a command of Slurm's does not answer."""


@dataclass(frozen=True)
class Job:
    """A job of ours that has not ended."""

    id: str
    state: str
    """As ``squeue`` has it: ``PENDING``, ``RUNNING``, ``COMPLETING`` …"""
    what: str
    """Rule or group, and batch."""


def status_command() -> str:
    """How Snakemake is to ask for the states of its jobs; for the profile, so it ends the process if nothing will do.

    ``squeue``, if Slurm remembers a job for longer than the longest pause between two looks: it tells every end,
    with and without accounting. Else ``sacct``, which needs accounting and never tells of a job that was cancelled.

    Raises:
        SystemExit: Snakemake would wait for ever, or no job could start; the one line has been printed.
    """
    from snakescribe.failures import report

    try:
        if not which("scontrol") or not (settings := _settings()):
            return "squeue"  # a dry run, far from any cluster; or jobs cannot be submitted, and sbatch will say why
        if os.environ.get("SLURM_CONF") and not _settings(without="SLURM_CONF"):
            raise ClusterError(
                f"this Slurm is found by SLURM_CONF={os.environ['SLURM_CONF']} alone, which Snakemake's plug-in takes"
                " from its jobs; ask for /etc/slurm/slurm.conf (a link is enough) on every node"
            )
        return choose(settings)
    except ClusterError as error:
        raise SystemExit(report(error)) from None


def choose(settings: Mapping[str, str]) -> str:
    """``squeue`` or ``sacct``, for the settings of a cluster.

    Raises:
        ClusterError: neither tells how jobs end.
    """
    age = seconds(settings.get("MinJobAge", "0"))
    if age >= LONGEST_POLL + _MARGIN:
        return "squeue"
    if settings.get("AccountingStorageType", "").endswith("slurmdbd"):
        return "sacct"
    raise ClusterError(
        f"this Slurm forgets jobs {age:.0f} s after their end (MinJobAge) and keeps no accounts: Snakemake would wait"
        " for them for ever; ask for MinJobAge=300, or for slurmdbd"
    )


def refusal(log: str) -> ClusterError | None:
    """What Slurm said to a job that it did not take, in Snakemake's log; None if it took all."""
    found = re.search(r"SLURM sbatch failed\. The error message was '(.*?)'\.\n", log, re.DOTALL)
    if not found:
        return None
    said = " ".join(found[1].split())
    where = "under default-resources of a profile of your own (profiles/README.md)"
    return ClusterError(f"Slurm refuses jobs: {said}; account, partition and limits stand {where}")


def parse(text: str) -> dict[str, str]:
    """The lines ``Name = value`` of ``scontrol show config``."""
    return {name: value.strip() for name, value in re.findall(r"^(\w+)\s*=(.*)$", text, re.MULTILINE)}


def seconds(text: str) -> float:
    """Of ``300 sec``, ``300``, ``5 min`` or ``1h``; 0 of anything else."""
    match = re.match(r"(\d+)\s*(s|m|h|)", text.strip())
    return int(match[1]) * {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]] if match else 0.0


def active(run: str) -> list[Job]:
    """Jobs of a run (Snakemake's "SLURM run ID", their name) that wait or work.

    Raises:
        ClusterError: Slurm does not answer.
    """
    lines = _ask("squeue", "--noheader", "--name", run, "--format", "%i|%T|%k").splitlines()
    return [Job(*line.split("|", 2)) for line in lines if line.count("|") >= 2]


def cancel(run: str, patience: float) -> list[Job]:
    """Cancel the jobs of a run, and wait for their ends.

    Args:
        run: its id.
        patience: seconds.

    Returns:
        Those that are still there.

    Raises:
        ClusterError: Slurm does not answer.
    """
    until = time.monotonic() + patience
    if left := active(run):
        _ask("scancel", "--name", run, "--user", getpass.getuser())
    while left and time.monotonic() < until:
        time.sleep(0.5)
        left = active(run)
    return left


def _settings(without: str = "") -> dict[str, str]:
    """Empty if Slurm does not answer; asked without an environment variable."""
    environment = {name: value for name, value in os.environ.items() if name != without}
    with suppress(subprocess.TimeoutExpired):
        command = ["scontrol", "show", "config"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE)
        return {} if done.returncode else parse(done.stdout)
    return {}


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"{command[0]} does not answer ({error}); try again when Slurm works here") from None
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        raise ClusterError(f"{command[0]} failed: {said or done.returncode}; try again when Slurm works here")
    return done.stdout
