"""Whatever can go wrong is explained: every error class and exit code, where users read of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from snakescribe import errors
from snakescribe.errors import RecordingError, SnakescribeError

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS, RUNS = RecordingError.__subclasses__(), SnakescribeError.__subclasses__()


def rows(document: str) -> Iterator[list[str]]:
    """Cells of the rows of all tables."""
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_classes_are_all_there_is() -> None:
    """A class under another one, or elsewhere, would be missed by the tests below."""
    classes = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, Exception)}
    assert classes == {errors._Family, SnakescribeError, RecordingError, *RUNS, *RECORDINGS}
    assert len(RUNS) > 5 and len(RECORDINGS) > 5


@pytest.mark.parametrize("cls", RECORDINGS)
def test_why_a_recording_failed_is_explained(cls: type[RecordingError]) -> None:
    (meaning,) = [cells[1] for cells in rows("docs/errors.md") if cells[0] == f"`{cls.__name__}`"]
    assert len(meaning) > 20


@pytest.mark.parametrize("document", ["README.md", "docs/errors.md"])
@pytest.mark.parametrize("cls", RUNS)
def test_the_exit_code_of_a_run_is_explained(cls: type[SnakescribeError], document: str) -> None:
    (meaning,) = [cells[-1] for cells in rows(document) if cells[0] == str(cls.exit_code)]
    sentence = (cls.__doc__ or "").split("\n")[0].replace("``", "`").rstrip(".")
    first = " ".join(sentence.split()[:4])
    assert first.lower() in meaning.lower()
