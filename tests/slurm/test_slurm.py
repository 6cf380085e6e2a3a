"""Both commands on a real Slurm, its jobs cancelled and left alone: the same rows as on one machine, nothing twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from snakescribe.cluster.orphans import run_id
from snakescribe.cluster.slurm import Job, active
from tests.slurm.conftest import cluster
from tests.workflow.runs import ROOT, Site, cut, finished, until

pytestmark = pytest.mark.slurm

PROFILE = str(ROOT / "profiles/slurm")
OFTEN = ("--slurm-init-seconds-before-status-checks", "5")
PIECES = 3
TOLD = {"speakers": "auto", "speakers_across": True}


@pytest.fixture(scope="module", params=["none", pytest.param("dbd", marks=pytest.mark.slow)])
def accounting(request: pytest.FixtureRequest, plugin: None) -> Iterator[str]:
    """A cluster without, and one with accounting."""
    with cluster(request.param):
        yield request.param


def make(folder: Path, models_root: Path) -> Site:
    """Pieces of 8 s, each a batch; Hangul in every path; one who reads, so one speaker in all of them."""
    site = Site(folder, models_root, {"model": "tiny.en", "batch": {"files": 1}, "report": True, **TOLD})
    for number in range(PIECES):
        cut(models_root / "samples/two_cities.wav", site.recordings / f"통화 {number}.wav", 8.0 * number, 8.0)
    return site


@pytest.fixture(scope="module")
def local(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What a run on this machine says of them."""
    site = make(tmp_path_factory.mktemp("local"), models_root)
    site.run()
    found = site.lasting("segments")
    assert {row["speaker"] for row in found} == {"SPEAKER_00"}
    return found


@pytest.fixture
def site(accounting: str, models_root: Path, tmp_path: Path) -> Site:
    """For a run on the cluster."""
    return make(tmp_path, models_root)


def jobs(site: Site) -> list[Job]:
    """Jobs of batches that are there."""
    run = run_id(site.results)
    return [job for job in active(run) if "batch" in job.what] if run else []


def running(site: Site) -> list[Job]:
    return [job for job in jobs(site) if job.state == "RUNNING"]


def read(site: Site) -> Counter[str]:
    """How often a recording was transcribed, by batch."""
    logs = {batch: site.results.log("transcribe", batch) for batch in site.batches()}
    return Counter(
        batch
        for batch, log in logs.items()
        for _ in re.findall(r": 1 recording, 0 from the cache", log.read_text(encoding="utf-8"))
    )


def test_plain_snakemake_and_a_cancelled_job(site: Site, local: list[dict[str, object]]) -> None:
    """Started in another folder than the results; a job that somebody cancels is done again."""
    asked = ["recordings=" + str(site.recordings), "results=" + str(site.results.root), "model=tiny.en"]
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--workflow-profile", PROFILE]
    run = subprocess.Popen(
        [
            *command,
            *OFTEN,
            "--config",
            *asked,
            "batch={'files': 1}",
            *(f"{name}={value}" for name, value in TOLD.items()),
        ],
        cwd=site.folder,
        env=site.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: running(site), run, every=0.3)
    (cancelled, *_) = running(site)
    subprocess.run(["scancel", cancelled.id], check=True)
    said = finished(run, 0).said
    assert said.count("message: Error in group batch") == 1
    assert said.count("has been submitted with SLURM jobid") == 1 + PIECES + 1
    assert site.lasting("segments") == local
    assert len(site.rows()) == PIECES and {row["status"] for row in site.rows()} == {"ok"}
    assert "localrule tables" in said and "localrule check" in said


def test_stopped_and_killed_and_nothing_is_done_twice(site: Site, local: list[dict[str, object]]) -> None:
    """A stop cancels the jobs; after a kill they go on, and the next run waits for them and takes what they did."""
    more = ("--profile", PROFILE, "--snakemake", *OFTEN)
    run = site.start(*more)
    until(lambda: running(site), run, every=0.3)
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 143 and "cancelled" in said
    assert not jobs(site)

    run = site.start(*more)
    stopped = run_id(site.results)
    until(lambda: run_id(site.results) != stopped and running(site), run, every=0.3)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    there = jobs(site)
    assert there
    ended = site.run(*more)
    assert f"{len(there)} job" in ended.said and "of the last run still there; waiting for them" in ended.said
    assert site.lasting("segments") == local
    assert read(site) == dict.fromkeys(site.batches(), 1)
    submitted = site.log().count("has been submitted with SLURM jobid")
    assert submitted <= PIECES - len(there), "only what the killed run had not come to"


def workers(site: Site) -> list[psutil.Process]:
    """Processes on the nodes that transcribe for this run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(site.results.root) and "transcribe" in process.cmdline():
                found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["worker", "slurmstepd"])
def test_what_is_killed_on_a_node_is_done_again(site: Site, local: list[dict[str, object]], killed: str) -> None:
    """And a second run meanwhile ends at once and says who works there."""
    run = site.start("--profile", PROFILE, "--snakemake", *OFTEN)
    until(lambda: workers(site), run, every=0.1)
    if killed == "worker":
        workers(site)[0].kill()
    else:
        next(one for one in psutil.process_iter() if one.name() == "slurmstepd").kill()
    assert "another run works on" in site.run("--profile", PROFILE, code=75).said
    finished(run, 0)
    assert site.lasting("segments") == local
    assert sum(read(site).values()) <= PIECES + 1


@pytest.mark.slow
def test_a_job_that_runs_out_of_its_time(site: Site, local: list[dict[str, object]]) -> None:
    """Slurm ends it; it is tried again. (A worker that is held up uses up the minutes.)"""
    steps = (f"{step}:runtime=1" for step in ("normalise", "transcribe", "voices", "speakers"))
    run = site.start("--profile", PROFILE, "--snakemake", *OFTEN, "--set-resources", *steps)
    until(lambda: workers(site), run, every=0.1)
    held = workers(site)[0]
    held.suspend()
    until(lambda: not held.is_running(), run, every=1.0)
    finished(run, 0)
    assert site.lasting("segments") == local
    assert sum(read(site).values()) <= PIECES + 1
