"""Telling how a command failed: one line for people, and a note that a step leaves for ``snakescribe run``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakescribe.checkout import CALLER
from snakescribe.errors import CrashError, SnakescribeError
from snakescribe.layout import Results


def report(error: SnakescribeError) -> int:
    """Print the one line of ``error`` and give its exit code."""
    print(f"snakescribe: {type(error).__name__}: {error}", file=sys.stderr)
    return error.exit_code


def leave_note(error: SnakescribeError, results: Results, step: str) -> None:
    """Write down how ``step`` (its command and batch) failed, if a run is going on in ``results``."""
    if _is_step(results):
        note = {"class": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
        with contextlib.suppress(OSError):  # a full disk is what we may be telling about
            _note(results, step).write_text(json.dumps(note), encoding="utf-8")


def in_vain(results: Results, step: str) -> Mapping[str, Any] | None:
    """What an earlier try at ``step`` in this run has left, if another one cannot end otherwise.

    Snakemake tries a failed step again whatever it failed of; only after a crash does that help.
    """
    with contextlib.suppress(OSError, ValueError):
        if not _is_step(results):
            return None
        note: Mapping[str, Any] = json.loads(_note(results, step).read_bytes())
        if note["class"] != CrashError.__name__:
            return note
    return None


def withdraw_note(results: Results, step: str) -> None:
    """Another try at ``step`` has succeeded."""
    if _is_step(results):
        _note(results, step).unlink(missing_ok=True)


def _is_step(results: Results) -> bool:
    """Whether this process was started by a run that works in ``results``, and not by a person."""
    return CALLER in os.environ and results.failures.is_dir()


def _note(results: Results, step: str) -> Path:
    return results.failures / f"{step}.json"


def notes_left(results: Results) -> list[Mapping[str, Any]]:
    """What steps wrote about their failures; a note that a full disk has cut short is none."""
    notes = []
    for path in sorted(results.failures.glob("*.json")):
        with contextlib.suppress(ValueError):
            notes.append(json.loads(path.read_bytes()))
    return notes
