"""What an evaluation found, kept in the results: a line per recording, from which the report takes its references."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from snakescribe.evaluation.evaluate import Judged
from snakescribe.files import atomic_file, write_atomically
from snakescribe.tables.tsv import unescape, write_tsv

_KEY = "recording_id"


def write_counts(path: Path, recordings: Iterable[Judged]) -> None:
    """A line per recording, the worst first."""
    worst_first = sorted(recordings, key=lambda one: -(one.usual.rate or 0.0))
    rows = pa.Table.from_pylist([_row(one) for one in worst_first])
    with atomic_file(path) as file:
        write_tsv(file, rows, header=True)


def _row(one: Judged) -> dict[str, str | float | bool | None]:
    row: dict[str, str | float | bool | None] = {_KEY: one.recording_id, "path": one.path}
    row |= {"language": one.language, "group": one.group}
    for name, errors in (("wer", one.words), ("cer", one.characters)):
        row[name] = errors.rate if errors else None
        for count in ("substitutions", "deletions", "insertions", "units"):
            row[f"{name}_{count}"] = getattr(errors, count) if errors else None
    row |= {"strange": one.strange, "fold_numbers": one.fold_numbers, "reference_file": one.file}
    return row | {"reference": one.reference, "text": one.text}


def without(path: Path, ids: Collection[str]) -> int:
    """Take recordings out; how many lines went. What is no line as we write it goes, too: it may say anything."""
    if not path.exists():
        return 0
    head, *lines = path.read_bytes().split(b"\n")
    stay = [line for line in lines if line.count(b"\t") == head.count(b"\t") and _key(line) not in ids]
    gone = sum(map(bool, lines)) - len(stay)
    if _key(head) != _KEY or not stay:
        path.unlink()
        return max(1, gone)
    if gone:
        write_atomically(path, b"".join(line + b"\n" for line in (head, *stay)))
    return gone


def _key(line: bytes) -> str:
    return line.partition(b"\t")[0].decode(errors="replace")


def read_kept(path: Path) -> dict[str, tuple[str, bool]]:
    """Of each recording the reference that was read in a folder (empty: the sheet's), and whether numbers were folded.

    None where nothing was evaluated, or by an older version, or where somebody has saved the file as another table.
    """
    names = [_KEY, "fold_numbers", "reference_file", "reference"]
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, usecols=names)
    except (OSError, ValueError):
        return {}
    columns = (table[name].fillna("") for name in names)
    return {
        key: (unescape(reference) if file else "", fold == "true")
        for key, fold, file, reference in zip(*columns, strict=True)
    }
