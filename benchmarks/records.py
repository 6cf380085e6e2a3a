"""The raw measurements: one JSON object per line, appended as soon as a run has ended, never rewritten."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def read_rows(path: Path) -> list[Row]:
    """All rows; a last line that was cut off by a kill is left out."""
    rows = []
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def append(path: Path, row: Row) -> None:
    """Add a row and see it to the disk; a cut-off line before it is closed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        size = file.tell()
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def digest(value: object) -> str:
    """Of anything JSON can hold, 16 hex digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """(round, name), each round beginning with another name, so that nobody always runs on the coldest machine.

    >>> [name for _, name in turns(["a", "b", "c"], 2)]
    ['a', 'b', 'c', 'b', 'c', 'a']
    """
    for number in range(rounds):
        first = number % max(1, len(names))
        for name in [*names[first:], *names[:first]]:
            yield number, name


def pending(rows: Sequence[Row], kind: str, states: Mapping[str, str], rounds: int) -> list[tuple[int, str]]:
    """The turns that are still to be run, of systems given as name -> state."""
    finished = {name: done(rows, kind, state) for name, state in states.items()}
    return [(number, name) for number, name in turns(list(states), rounds) if number not in finished[name]]


def done(rows: Iterable[Row], kind: str, state: str) -> set[int]:
    """Rounds of one system that need not be run again."""
    return {row["round"] for row in rows if row["kind"] == kind and row["state"] == state and row["exit_code"] == 0}


def current(rows: Sequence[Row], kind: str) -> dict[str, list[Row]]:
    """Name -> the successful runs of its newest version, where the newest run of all was: same machine, same data.

    A system is kept by its ``state``: version, options, machine, data. What was measured in an older state stays in
    the file and out of the report.
    """
    good = [row for row in rows if row["kind"] == kind and row["exit_code"] == 0]
    if not good:
        return {}
    here = [row for row in good if row["setting"] == good[-1]["setting"]]
    newest = {row["name"]: row["state"] for row in here}
    return {name: [row for row in here if row["state"] == state] for name, state in newest.items()}
