"""`kill -9` at every stage of one run's life: what was finished stays, and the end is as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from runs import PATIENCE, TIMES, Site, all_gone, cut, family, finished, journal, until

from snakescribe.files import HALF_WRITTEN

OPTIONS = {"model": "base", "cache": {"mode": "off"}}
LENGTHS = (3, 4, 5, 7, 8, 10, 12, 16, 20)
"""Seconds: of different encoder lengths, so that there are many buckets."""


def record(site: Site, speech: dict[str, Path]) -> Site:
    """The same recordings for every site; a FLAC would be decoded no slower."""
    for number, seconds in enumerate(LENGTHS):
        source = speech["endgame" if number % 2 else "two_cities"]
        cut(source, site.recordings / f"{seconds} s.wav", number % 4, seconds)
    return site


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, models_root: Path, speech: dict[str, Path]) -> Site:
    """A run that nobody killed."""
    site = record(Site(tmp_path_factory.mktemp("undisturbed"), models_root, OPTIONS), speech)
    site.run()
    return site


def killed(site: Site, moment: Callable[[], object], only_snakemake: bool = False, every: float = 0.005) -> None:
    """Start a run, kill its process group (or Snakemake alone) at ``moment``; nothing of it stays alive."""
    process = site.start()
    until(moment, process, every)
    everyone = family(process)
    if only_snakemake:
        (snakemake,) = [one for one in psutil.Process(process.pid).children() if "snakemake" in one.cmdline()]
        snakemake.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == (10 if only_snakemake else -signal.SIGKILL)
    all_gone(everyone)


def test_killed_at_every_stage(
    tmp_path_factory: pytest.TempPathFactory, models_root: Path, speech: dict[str, Path], undisturbed: Site
) -> None:
    site = record(Site(tmp_path_factory.mktemp("killed"), models_root, OPTIONS), speech)
    results, batch = site.results, "b000001"
    path, samples, rows = results.journal(batch), results.samples(batch), results.batch(batch)

    killed(site, results.ledger.exists, every=0.0005)
    assert not results.plan.exists(), "in the inventory: begun, and not at its end"

    parts = samples.with_name(f".{samples.name}.parts")
    killed(site, parts.exists)
    assert results.plan.exists()
    assert not samples.exists(), "in normalise: begun, and not at its end"

    killed(site, lambda: journal(path)[0])
    languages, windows = journal(path)
    assert languages, "after the first languages are known …"
    assert not windows, "… and before the first bucket is done"

    killed(site, lambda: journal(path)[1], only_snakemake=True)
    first = journal(path)[1]
    assert first
    assert "windows are in the journal already" not in site.log()

    killed(site, lambda: len(journal(path)[1]) > len(first))
    second = journal(path)[1]
    assert f"{batch}: {len(first)} windows are in the journal already" in site.log()
    assert second[: len(first)] == first
    assert len(set(second)) == len(second), "no window was decoded twice"
    assert len({key for key, *_ in second}) < len(LENGTHS), "between recordings: some are done"
    assert not rows.exists()

    kill_in_tables(site)
    assert f"{batch}: {len(second)} windows are in the journal already" in site.log()
    assert not path.exists(), "all of it has reached the batch file"
    transcribed = site.state("batches/*")

    finished(site.start(), 0)
    assert site.state("batches/*") == transcribed
    assert site.jobs()["tables"] == 1
    assert not site.jobs()["transcribe"]
    for table in ("recordings", "segments", "words"):
        assert site.lasting(table) == undisturbed.lasting(table)
    assert len(site.rows()) == len(LENGTHS)
    assert exported(site) == exported(undisturbed)
    assert len(exported(site)) == 4 * len(LENGTHS)

    left = site.results.transcripts / ".0123456789abcdef.part"
    for age in (3500, 3700):
        left.write_bytes(b"half")
        os.utime(left, (time.time() - age,) * 2)
        site.run()
        assert left.exists() == (age < 3600)


def test_a_stop_ends_the_run_at_once_and_is_no_failure(
    tmp_path_factory: pytest.TempPathFactory, models_root: Path, speech: dict[str, Path], undisturbed: Site
) -> None:
    site = record(Site(tmp_path_factory.mktemp("stopped"), models_root, OPTIONS), speech)
    process = site.start()
    path = site.results.journal("b000001")
    until(lambda: journal(path)[1], process)
    everyone = family(process)
    process.terminate()
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped; what is finished is kept" in said
    all_gone(everyone)
    assert not site.results.batch("b000001").exists(), "it did not wait for the batch"
    site.run()
    assert "windows are in the journal already" in site.log()
    assert site.lasting("segments") == undisturbed.lasting("segments")


def exported(site: Site) -> dict[str, str]:
    """The transcript files by name, without the lines that tell how the text was made.

    What a kill left half-written under no name of a transcript goes with a run that starts an hour later.
    """
    lines = re.compile(rf' *"({"|".join(TIMES)})":.*\n')
    files = [path for path in site.results.transcripts.iterdir() if not HALF_WRITTEN.fullmatch(path.name)]
    return {path.name: lines.sub("", path.read_text(encoding="utf-8")) for path in files}


def kill_in_tables(site: Site) -> None:
    """The step writes for some milliseconds only: when the moment is missed, it is looked for once more."""
    folder = site.results.table("recordings", "parquet").parent

    def half_written() -> bool:
        return folder.exists() and any(name.endswith(".part") for name in os.listdir(folder))

    for _ in range(5):
        killed(site, half_written, every=0.0005)
        if half_written():
            return
        for path in folder.iterdir():
            path.unlink()
    pytest.fail("the tables were complete before the kill, five times")


def test_a_hung_ffmpeg_dies_with_its_job(tmp_path: Path) -> None:
    source = tmp_path / "zeros.mp3"
    with source.open("wb") as file:
        file.write(b"ID3\3\0\0\0\0\0\0")
        file.truncate(100 << 30)  # sparse: ffmpeg looks for a frame in it for minutes and writes nothing
    work = "import sys; from snakescribe.audio.decoder import decode; "
    work += "decode(sys.argv[1], lambda block, report: True, 600.0)"
    job = subprocess.Popen([sys.executable, "-c", work, str(source)], start_new_session=True)
    found: list[psutil.Process] = []

    def decoding(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that only told its version
            return f"file:{source}" in process.cmdline()  # before it is ffmpeg it has the job's own command line
        return False

    while not found:
        assert job.poll() is None
        found = [child for child in psutil.Process(job.pid).children() if decoding(child)]
        time.sleep(0.01)
    time.sleep(0.5)
    assert all(one.is_running() for one in found)
    job.kill()
    job.wait()
    all_gone(found)
