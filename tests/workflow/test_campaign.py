"""Two hundred seeded faults: nothing is lost, nothing done twice, no wrong text cached.

`pytest -m slow -n 2 tests/workflow/test_campaign.py`. Each case is a small site of its own, a fault at a moment drawn
from its seed, the same command again, and a comparison with one run that nothing disturbed. Where SNAKESCRIBE_CAMPAIGN
names a file, each case adds a line to it, and `python -m tests.workflow.test_campaign FILE` makes the table of it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.workflow.faults import FAULTS, LENGTHS, OTHERS, Case, ended, make, name
from tests.workflow.runs import Site, cut


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, models_root: Path) -> Site:
    """All recordings, and those that take their places, in a run that nothing disturbs."""
    site = make(tmp_path_factory.mktemp("reference"), models_root, len(LENGTHS), 4)
    for number, seconds in enumerate(LENGTHS):
        other = site.recordings / f"other {name(number)}"
        cut(models_root / "samples/two_cities.wav", other, OTHERS[number], seconds)
    site.run()
    assert len({row["text"] for row in site.rows()}) == 2 * len(LENGTHS)
    return site


def good(line: dict[str, Any]) -> bool:
    """Whether a case was as it should be, by its line."""
    clean = not (line["done_twice"] or line["rows_lost"] or line["wrong_entries"])
    return clean and line["code"] in FAULTS[line["fault"]][1] and line["again"] in ([], [0])


def lines_of(path: str | None) -> dict[tuple[str, int], dict[str, Any]]:
    """The file's lines by case: of a case that was run twice the later one."""
    text = Path(path).read_text(encoding="utf-8") if path and Path(path).exists() else ""
    return {(line["fault"], line["seed"]): line for line in map(json.loads, text.splitlines())}


GOOD = {case for case, line in lines_of(os.environ.get("SNAKESCRIBE_CAMPAIGN")).items() if good(line)}
CASES = [case for case in [(fault, seed) for seed in range(12) for fault in FAULTS][:200] if case not in GOOD]
"""All of them; a campaign that was stopped goes on with those that its file does not have."""


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "seed"), CASES)
def test_fault(
    fault: str, seed: int, tmp_path: Path, reference: Site, models_root: Path, request: pytest.FixtureRequest
) -> None:
    random = Random(f"{fault} {seed}")
    count, files = random.choice([(2, 2), (2, 2), (2, 2), (3, 2), (2, 1)])
    if "drive" in fault:
        files = 1
    expected = {name(number): name(number) for number in range(count)}
    case = Case(fault, seed, make(tmp_path, models_root, count, files), request, reference, random, expected)
    began = time.monotonic()
    again: list[int] = []
    try:
        with case.watched():
            first = FAULTS[fault][0](case)
        failures = case.cached_failures()
        case.patch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
        with case.watched():
            while (first.code not in (0, 75) or case.rows_lost()) and again[-1:] != [0]:
                more = ["--retry-failed"] if first.code == 1 and seed % 2 else []
                again.append(ended(case.site.start(*more)).code)
                if len(again) == 3:
                    break
        windows = case.windows()
        twice, lost, wrong = windows.total() - len(windows), case.rows_lost(), case.wrong_entries() + failures
        lines = [line for line in first.said.splitlines() if line.strip()]
        record(case, first.code, again, time.monotonic() - began, twice, lost, wrong, lines[-2:])
        assert first.code in FAULTS[fault][1], first.said
        assert "Traceback" not in first.said
        assert (twice, lost, wrong) == (0, 0, 0), "done twice, rows lost, wrong entries"
        assert again in ([], [0]), "the same command once more ends well"
        if fault != "cache damaged":
            assert len(windows) >= len(expected), "every recording was read under our eyes"
    finally:
        for file in case.journals.values():
            file.close()


def record(
    case: Case, code: int, again: list[int], seconds: float, twice: int, lost: int, wrong: int, read: list[str]
) -> None:
    """A line for the table."""
    if path := os.environ.get("SNAKESCRIBE_CAMPAIGN"):
        line = {"fault": case.fault, "seed": case.seed, "moment": case.moment, "code": code, "again": again}
        line |= {"seconds": round(seconds, 1), "done_twice": twice, "rows_lost": lost, "wrong_entries": wrong}
        line["read"] = [text.replace(str(case.site.folder), "…") for text in read]
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def main(path: str) -> None:
    """Print the table by fault."""
    cases = lines_of(path)
    print("| fault | cases | exit codes | run again | done twice | rows lost | wrong entries |")
    print("|---|---|---|---|---|---|---|")
    for fault in [*FAULTS, None]:
        of = [line for line in cases.values() if fault in (None, line["fault"])]
        codes = Counter(line["code"] for line in of)
        seen = ", ".join(f"{code} ({count})" for code, count in sorted(codes.items())) if fault else ""
        sums = [sum(line[column] for line in of) for column in ("done_twice", "rows_lost", "wrong_entries")]
        again = sum(bool(line["again"]) for line in of)
        print("|", " | ".join(map(str, [fault or "all", len(of), seen, again, *sums])), "|")


if __name__ == "__main__":
    main(sys.argv[1])
