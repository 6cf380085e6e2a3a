"""The workflow as a module of a larger one, as its users would write it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from runs import ROOT, Site, cut

OUTER = """
module calls:
    snakefile: {snakefile!r}
    config: {{"recordings": "{recordings}", "results": "{results}", "model": "tiny.en", "device": "cpu"}}


use rule * from calls as calls_*


use rule transcribe from calls as calls_transcribe with:
    threads: 1


module meetings:
    snakefile: {snakefile!r}
    config: config["meetings"]


use rule * from meetings as meetings_*


rule all:
    default_target: True
    input:
        "보고서 out/report.txt",
        rules.calls_all.input,


rule report:
    input:
        calls="{results}/tables/recordings.parquet",
        meetings="회의 results/tables/recordings.parquet",
    output:
        "보고서 out/report.txt",
    shell:
        "ls {{input:q}} > {{output:q}}"
"""
CONFIG = """
meetings: {recordings: "회의 files", results: "./회의 results/", model: tiny.en, device: cpu}
"""


def test_two_modules_in_a_larger_workflow(tmp_path: Path, models_root: Path, speech: dict[str, Path]) -> None:
    outer = tmp_path / "바깥 flow"
    calls = Site(tmp_path / "전화 calls", models_root)
    meetings = Site(outer, models_root, results_folder=outer / "회의 results")
    meetings.recordings = outer / "회의 files"
    meetings.recordings.mkdir()
    cut(speech["beckett"], calls.recordings / "one.wav", 0, 3)
    cut(speech["beckett"], meetings.recordings / "두 번째.wav", 3, 3)
    where = {"snakefile": str(ROOT / "Snakefile"), "recordings": calls.recordings, "results": calls.results.root}
    (outer / "Snakefile").write_text(OUTER.format(**where))
    (outer / "config.yaml").write_text(CONFIG)

    def run() -> str:
        """What a user of the larger workflow types there; its output."""
        return snakemake(outer, meetings.env, "--configfile", "config.yaml")

    run()
    for site, name in ((calls, "one.wav"), (meetings, "두 번째.wav")):
        (row,) = pq.read_table(site.results.table("recordings", "parquet")).to_pylist()
        assert (row["path"], row["status"]) == (name, "ok") and row["text"].strip()
        assert not (site.results.root / ".snakemake").exists()
    assert [path.name for path in calls.results.transcripts.glob("*.txt")] == ["one.wav.txt"]
    assert calls.results.checked.exists()
    assert str(calls.results.root) in (outer / "보고서 out/report.txt").read_text()
    assert "Nothing to be done" in run()

    cut(speech["beckett"], calls.recordings / "two.wav", 6, 3)
    others = meetings.state("**/*.parquet")
    ran = re.findall(r"^local(?:rule|checkpoint) (\w+):$", run(), re.MULTILINE)
    steps = ("inventory", "normalise", "transcribe", "export", "tables", "report", "check")
    assert set(ran) - {"all", "report"} <= {f"calls_{step}" for step in steps}
    assert ran.count("calls_transcribe") == ran.count("report") == 1
    assert pq.read_metadata(calls.results.table("recordings", "parquet")).num_rows == 2
    assert meetings.state("**/*.parquet") == others

    said = calls.run(model="tiny.en", device="cpu", code=4).said
    assert f"was made by Snakemake working in {outer}, and only there does it know what is new" in said


def test_a_job_of_a_cluster_starts_in_another_folder_than_the_results(
    tmp_path: Path, models_root: Path, speech: dict[str, Path]
) -> None:
    site = Site(tmp_path / "site", models_root, {"model": "tiny.en", "device": "cpu"})
    cut(speech["beckett"], site.recordings / "one.wav", 0, 3)
    site.run(bare=True)
    before = site.state("tables/*.parquet")
    as_a_job = ["--mode", "remote", "--target-jobs", "tables:", "--force", "--nolock", "--ignore-incomplete"]
    where = [f"recordings={site.recordings}", f"results={site.results.root}", "model=tiny.en"]
    snakemake(tmp_path, site.env, "--snakefile", str(ROOT / "Snakefile"), *as_a_job, "--config", *where)
    assert site.state("tables/*.parquet").keys() == before.keys()
    assert not set(site.state("tables/*.parquet").values()) & set(before.values())


def snakemake(folder: Path, env: dict[str, str], *options: str) -> str:
    """Run it there to its good end; its output."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
