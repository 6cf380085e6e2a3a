"""What Slurm says, read; and what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakescribe.cluster.orphans import remember, run_id
from snakescribe.cluster.slurm import choose, parse, refusal, seconds
from snakescribe.config import load_config
from snakescribe.config.load import changed
from snakescribe.errors import ClusterError
from snakescribe.estimate import runtime
from snakescribe.layout import Results

CONFIG = """Configuration data as of 2026-11-28T21:32:01
AccountingStorageType   = accounting_storage/none
MinJobAge               = 300 sec
SLURM_CONF              = /etc/slurm/slurm.conf
"""
"""As `scontrol show config` of 22.05.8 prints it."""
KEPT = {"AccountingStorageType": "accounting_storage/slurmdbd"}


@pytest.mark.parametrize(
    ("text", "value"), [("300 sec", 300), ("300", 300), ("5 min", 300), ("1h", 3600), ("N/A", 0), ("", 0)]
)
def test_times(text: str, value: float) -> None:
    assert seconds(text) == value


def test_the_states_are_asked_where_every_end_is_told() -> None:
    settings = parse(CONFIG)
    assert settings["AccountingStorageType"] == "accounting_storage/none"
    assert choose(settings) == choose(settings | KEPT) == "squeue"
    soon = settings | {"MinJobAge": "60 sec"}
    assert choose(soon | KEPT) == "sacct"
    with pytest.raises(ClusterError, match=r"forgets jobs 60 s after their end .* ask for MinJobAge=300, or"):
        choose(soon)


def test_the_jobs_of_a_run_are_known_by_snakemakes_log(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.state.mkdir()
    assert run_id(results) is None
    log = tmp_path / "run.log"
    remember(results, [str(log)])
    assert run_id(results) is None, "killed before Snakemake wrote it"
    log.write_text("Building DAG of jobs...\nSLURM run ID: 7b2e0aa3-1c\nUsing shell: /bin/bash\n")
    assert run_id(results) == "7b2e0aa3-1c"


def test_a_refusal_is_one_line() -> None:
    said = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    log = f"Error in rule inventory:\n  message: SLURM sbatch failed. The error message was '{said}'.\n  sbatch call:\n"
    assert str(refusal(log)).startswith(f"Slurm refuses jobs: {said}; account, partition")
    assert refusal("Finished jobid: 3 (Rule: check)\n") is None


def test_a_job_has_time_for_its_audio_and_its_model(tmp_path: Path) -> None:
    base, large = (load_config({"model": name, "device": "cpu"}, tmp_path, {}) for name in ("base", "large-v3"))
    assert runtime(base, 0, 4, 1) == 10
    assert 10 < runtime(base, 3600, 4, 1) < runtime(base, 3600, 1, 1) < runtime(large, 3600, 1, 1)
    assert runtime(base, 3600, 4, 2) > 1.9 * runtime(base, 3600, 4, 1)
    assert runtime(changed(large, device="cuda"), 3600, 4, 1) < runtime(large, 3600, 4, 1)
