"""Telling how a command failed: one line for people, and a note that a step leaves for ``snakescribe run``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakescribe.errors import SnakescribeError
from snakescribe.layout import Results


def report(error: SnakescribeError) -> int:
    """Print the one line of ``error`` and give its exit code."""
    print(f"snakescribe: {type(error).__name__}: {error}", file=sys.stderr)
    return error.exit_code


def leave_note(error: SnakescribeError, results: Results, step: str) -> None:
    """Write down how ``step`` (its command and batch) failed, if a run is going on in ``results``."""
    if results.failures.is_dir():
        note = {"class": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
        with contextlib.suppress(OSError):  # a full disk is what we may be telling about
            _note(results, step).write_text(json.dumps(note), encoding="utf-8")


def withdraw_note(results: Results, step: str) -> None:
    """Another try at ``step`` has succeeded."""
    with contextlib.suppress(OSError):
        _note(results, step).unlink()


def _note(results: Results, step: str) -> Path:
    return results.failures / f"{step}.json"


def notes_left(results: Results) -> list[Mapping[str, Any]]:
    """What steps wrote about their failures; a note that a full disk has cut short is none."""
    notes = []
    for path in sorted(results.failures.glob("*.json")):
        with contextlib.suppress(ValueError):
            notes.append(json.loads(path.read_bytes()))
    return notes
