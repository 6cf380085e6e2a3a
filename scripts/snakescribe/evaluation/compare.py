"""Two runs over the same recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from snakescribe.evaluation.bootstrap import better_by_chance
from snakescribe.evaluation.counts import Errors, edits, usual_unit
from snakescribe.evaluation.evaluate import Judged, spoken_language
from snakescribe.layout import Results
from snakescribe.tables.batch import row_groups
from snakescribe.units import counted

SHOWN = 20
"""Recordings that are named."""


@dataclass(frozen=True)
class Heard:
    """What a run says of a recording."""

    path: str
    language: str | None
    text: str


@dataclass(frozen=True)
class Changed:
    """Recordings of two runs."""

    both: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    changed: tuple[tuple[str, Errors], ...]
    """Path and differences of texts, with the first run's as the reference; the most changed first."""

    def __str__(self) -> str:
        """For people."""
        lines = [f"{counted(self.both, 'recording')} in both runs, {len(self.changed)} with another text"]
        lines += [f"  {path}: {errors.total} of {errors.units} units" for path, errors in self.changed[:SHOWN]]
        if len(self.changed) > SHOWN:
            lines.append(f"  … and {len(self.changed) - SHOWN} more")
        for name, paths in (("A", self.only_first), ("B", self.only_second)):
            if paths:
                lines.append(f"only in {name}: {', '.join(paths[:SHOWN])}{', …' if len(paths) > SHOWN else ''}")
        return "\n".join(lines)


def heard(results: Results) -> dict[str, Heard]:
    """What a run says, by recording: a sheet may name a file more than once.

    Raises:
        ResultsError: it has no tables, or damaged ones.
    """
    columns = ["recording_id", "path", "language", "text", "status"]
    groups = row_groups(results.table("recordings", "parquet"), columns)
    rows = (row for group in groups for row in group.to_pylist() if row["status"] != "failed")
    return {row["recording_id"]: Heard(row["path"], row["language"], row["text"] or "") for row in rows}


def changes(first: Mapping[str, Heard], second: Mapping[str, Heard], fold_numbers: bool) -> Changed:
    """Which recordings say something else."""
    pairs = [(one, second[key]) for key, one in first.items() if key in second]
    found = [
        (a.path, edits(a.text, b.text, spoken_language(a.text, a.language), fold_numbers=fold_numbers))
        for a, b in pairs
        if a.text != b.text
    ]
    return Changed(
        len(pairs),
        tuple(one.path for key, one in first.items() if key not in second),
        tuple(one.path for key, one in second.items() if key not in first),
        tuple(sorted(found, key=lambda item: -item[1].total)),
    )


def verdicts(first: Mapping[str, Judged], second: Mapping[str, Judged]) -> Iterator[str]:
    """Which run is nearer to the references, by language; both by recording."""
    pairs = [(one, second[key]) for key, one in first.items() if key in second]
    for language in sorted({one.language for one, _ in pairs}):
        some = [(a.usual, b.usual) for a, b in pairs if a.language == language]
        before, after = (sum((pair[side] for pair in some), Errors()) for side in (0, 1))
        if before.rate is None or after.rate is None:
            continue
        chance = better_by_chance([a.total for a, _ in some], [b.total for _, b in some], [a.units for a, _ in some])
        what = "WER" if usual_unit(language) == "words" else "CER"
        yield (
            f"{language}: {what} {before.rate:.2%} -> {after.rate:.2%} ({after.total - before.total:+d} errors,"
            f" {counted(len(some), 'recording')}; by chance: p = {chance:.3f})"
        )
