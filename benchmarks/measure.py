"""One whole process, measured with everything it starts: wall and CPU seconds, peak memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import psutil

from snakescribe.files import die_with_parent

SAMPLE_EVERY = 0.5
"""Seconds between looks at the memory of the tree."""
PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h: orphans of our tree become our children, so that their CPU seconds are counted too."""


@dataclass(frozen=True)
class Usage:
    """What a run took."""

    wall_s: float
    cpu_s: float
    """User and system seconds of all processes of the tree, as the kernel counted them when they ended."""
    peak_mb: float
    """Highest sum of the processes' proportional set sizes (shared pages counted once), sampled."""
    other_cpu_s: float
    """CPU seconds of everything else on the machine meanwhile: a busy machine shows here."""
    exit_code: int


def measured(command: Sequence[str], cores: Sequence[int], log: Path, environ: Mapping[str, str] = os.environ) -> Usage:
    """Run ``command`` on ``cores``, its output in ``log``, wait for it, and end what it leaves, in whatever session.

    The calling process must start nothing else meanwhile. When it is interrupted, the command is killed too.
    """

    def prepare() -> None:
        die_with_parent()
        os.sched_setaffinity(0, cores)

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    busy, own, began = _busy(), time.process_time(), time.monotonic()
    before, others = _children_cpu(), psutil.Process().children()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            process_group=0,
            preexec_fn=prepare,
        )
    ended, peak = Event(), [0]
    sampler = Thread(target=_sample, args=(ended, peak), daemon=True)
    sampler.start()
    try:
        code = process.wait()
        wall = time.monotonic() - began
    finally:
        ended.set()
        sampler.join()
        process.kill()
        process.wait()
        _end_orphans(others)
    cpu = _children_cpu() - before
    other = _busy() - busy - cpu - (time.process_time() - own)
    return Usage(round(wall, 3), round(cpu, 3), round(peak[0] / 1e6, 1), round(max(0.0, other), 1), code)


def _sample(ended: Event, peak: list[int]) -> None:
    us = psutil.Process()
    while not ended.wait(SAMPLE_EVERY):
        held = 0
        for process in us.children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                held += process.memory_full_info().pss
        peak[0] = max(peak[0], held)


def _end_orphans(others: Sequence[psutil.Process]) -> None:
    """Kill our children but for ``others`` and take them in, so that their CPU seconds are counted; then theirs."""
    while left := [child for child in psutil.Process().children() if child not in others]:
        for child in left:
            child.kill()
            os.waitpid(child.pid, 0)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _busy() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
