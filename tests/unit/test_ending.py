"""What is written down of a run that ends before any step."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakescribe.ending import Ending, tell, written_down
from snakescribe.errors import ClusterError, CrashError
from snakescribe.layout import Results


@pytest.mark.parametrize(
    ("raised", "code", "failure"),
    [
        (SystemExit(11), 11, None),  # of the profile, which has told why as Snakemake reads it
        (ClusterError("squeue does not answer"), 11, "ClusterError: squeue does not answer"),
        (RuntimeError("ours"), 10, None),
    ],
)
def test_its_code_is_that_of_the_process(raised: BaseException, code: int, failure: str | None, tmp_path: Path) -> None:
    results = Results(tmp_path)
    with pytest.raises(type(raised)), written_down(results, None, None):
        raise raised
    ending = Ending.model_validate_json(results.ending.read_bytes())
    assert (ending.exit_code, ending.failure, ending.recordings) == (code, failure, {})


def test_a_snakemake_that_was_killed_is_a_crash(tmp_path: Path) -> None:
    log = tmp_path / "snakemake.log"
    log.write_text("Building DAG of jobs...\n")
    results = Results(tmp_path)
    with pytest.raises(CrashError, match=r"was killed .* or Snakemake failed"):
        tell(-9, log, results, nothing_new=False)
