"""The examples in docstrings do what they say; only modules that have some are imported."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
EXAMPLES = {
    ".".join(path.relative_to(SCRIPTS).with_suffix("").parts): count
    for path in sorted((SCRIPTS / "snakescribe").rglob("*.py"))
    if (count := path.read_text(encoding="utf-8").count(">>> "))
}
"""By module."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert (found.failed, found.attempted) == (0, EXAMPLES[name])


def test_there_are_some() -> None:
    assert len(EXAMPLES) > 10
