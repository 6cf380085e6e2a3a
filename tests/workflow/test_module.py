"""The workflow as a module of a larger one, as its users would write it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from runs import ROOT, Site, cut

OUTER = """
rule all:
    input:
        "보고서 out/report.txt",


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
meetings: {recordings: "회의 files", results: "회의 results", model: tiny.en, device: cpu}
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
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config.yaml"]
        done = subprocess.run(command, cwd=outer, env=meetings.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run()
    for site, name in ((calls, "one.wav"), (meetings, "두 번째.wav")):
        (row,) = pq.read_table(site.results.table("recordings", "parquet")).to_pylist()
        assert (row["path"], row["status"]) == (name, "ok") and row["text"].strip()
        assert not (site.results.root / ".snakemake").exists()
    assert str(calls.results.root) in (outer / "보고서 out/report.txt").read_text()
    assert "Nothing to be done" in run()

    cut(speech["beckett"], calls.recordings / "two.wav", 6, 3)
    others = meetings.state("**/*.parquet")
    ran = re.findall(r"^local(?:rule|checkpoint) (\w+):$", run(), re.MULTILINE)
    steps = ("inventory", "normalise", "transcribe", "export", "tables", "check")
    assert set(ran) - {"all", "report"} <= {f"calls_{step}" for step in steps}
    assert ran.count("calls_transcribe") == ran.count("report") == 1
    assert pq.read_metadata(calls.results.table("recordings", "parquet")).num_rows == 2
    assert meetings.state("**/*.parquet") == others
