"""The recordings of a run as the report shows them: a line each, and what a line opens."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import exp, isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from snakescribe.config import Config
from snakescribe.corrections.apply import apply
from snakescribe.corrections.store import by_content
from snakescribe.errors import InputError
from snakescribe.evaluation.evaluate import Judged, judged
from snakescribe.evaluation.kept import read_kept
from snakescribe.evaluation.references import reference_text
from snakescribe.inventory.ledger import Current, Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.inventory.walk import recordings_root
from snakescribe.layout import Results
from snakescribe.tables.write import current_rows

FLAG_WEIGHT = 0.25
"""What a flag of the whole file (cut off, damaged, another track) adds to its doubt."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list."""

    recording_id: str
    path: str
    href: str
    """Of the recording, from the results folder."""
    status: str
    language: str | None
    duration: float | None
    """Seconds."""
    speed: float | None
    """× real time, when its text was made."""
    confidence: float | None
    """Mean probability of the tokens, over the seconds of the segments that nobody has put right; None without any."""
    doubtful: float
    """Share of the seconds with text that some guard doubts."""
    gap_seconds: float
    """Of speech without text."""
    flags: tuple[str, ...]
    error_class: str | None
    error_message: str | None
    removed: bool
    """It is no longer in the folder."""
    corrected: bool
    """Somebody has put it right, or checked it."""
    beside: Judged | None
    """Its text beside its reference, if there is one."""

    @property
    def rate(self) -> float | None:
        """Of errors, as they are usually counted in its language."""
        return self.beside.usual.rate if self.beside else None

    @property
    def doubt(self) -> float:
        """How much there is to look after, 0 (nothing) to 3; the list begins with the most.

        Failed recordings are first. Of the others the worst sign counts: the share of text that guards doubt, of
        speech without text, the probability that a token is wrong, the error rate; then flags of the file.
        """
        if self.removed:
            return 0.0
        if self.status == "failed":
            return 3.0
        spoken = (self.duration or 0.0) or 1.0
        signs = [self.doubtful, self.gap_seconds / spoken, 1 - (self.confidence or 1.0)]
        signs += [self.rate] if self.rate is not None else []
        return min(1.0, max(signs)) + FLAG_WEIGHT * len(self.flags)


class References:
    """What texts are compared with: what the last `evaluate` has read in a folder, else the references of the sheet."""

    def __init__(self, results: Results, root: Path) -> None:
        """``root`` is what references of the sheet are relative to."""
        self._root = root
        self._kept = read_kept(results.evaluation)

    def beside(self, row: Mapping[str, Any], given: str | None) -> Judged | None:
        """A recording's text beside its reference, counted as `evaluate` did; ``given`` is what the sheet says."""
        reference, fold_numbers = self._kept.get(row["recording_id"], ("", False))
        if not reference:
            with suppress(InputError):  # `evaluate` says so; a run does not fail for a lost reference
                reference = reference_text(given or "", self._root)
        return judged(row, reference, fold_numbers=fold_numbers) if reference else None


def recordings(results: Results, config: Config) -> Iterator[list[tuple[Entry, dict[str, Any]]]]:
    """Every recording of the tables with its row of the batch file, a few at a time, in the tables' order.

    Raises:
        ResultsError: the plan or a batch file is missing or damaged.
    """
    root = Path(recordings_root(config))
    corrections, references = by_content(results), References(results, root)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        for batch in Plan.read(results.plan).batches:
            current = ledger.current(batch.batch)
            for rows in current_rows(results, batch.batch, current):
                right = [apply(row, corrections.get(row["sha256"], ())) for row in rows.to_pylist()]
                entries = []
                for row in right:
                    now = current[row["recording_id"]]
                    entries.append((entry(row, now, root, results, references.beside(row, now.reference)), row))
                yield entries


def known(value: float | None) -> float | None:
    """A number as it is; None for what is none (NaN, infinite), which no page can hold."""
    return value if value is not None and isfinite(value) else None


def probability(mean_logprob: float | None) -> float | None:
    """Of the tokens of a segment."""
    return None if (logprob := known(mean_logprob)) is None else exp(min(logprob, 0.0))


def entry(row: Mapping[str, Any], current: Current, root: Path, results: Results, beside: Judged | None) -> Entry:
    """The line of a row; ``root`` is what its path is relative to."""
    segments = row["segments"] or ()
    texts = [(_length(segment), segment) for segment in segments]
    seconds = sum(length for length, _ in texts)
    heard = [
        (length, sure)
        for length, segment in texts
        if not segment.get("corrected") and (sure := probability(segment["mean_logprob"])) is not None
    ]
    sure_seconds = sum(length for length, _ in heard)
    doubtful = sum(length for length, segment in texts if segment["flags"])
    where = os.path.relpath(os.path.join(os.fsencode(root), row["path_bytes"]), os.fsencode(results.root))  # noqa: PTH118
    factor = known(row["real_time_factor"])
    return Entry(
        recording_id=row["recording_id"],
        path=row["path"],
        href=quote_from_bytes(where),
        status=row["status"],
        language=row["language"],
        duration=known(row["duration"]),
        speed=known(1 / factor) if factor else None,
        confidence=sum(length * sure for length, sure in heard) / sure_seconds if sure_seconds else None,
        doubtful=doubtful / seconds if seconds else 0.0,
        gap_seconds=known(row.get("gap_seconds")) or 0.0,
        flags=tuple(row["flags"] or ()),
        error_class=row["error_class"],
        error_message=row["error_message"],
        removed=current.source_state == "removed",
        corrected=bool(row.get("corrected")),
        beside=beside,
    )


def _length(segment: Mapping[str, Any]) -> float:
    start, end = known(segment["start"]), known(segment["end"])
    return 0.0 if start is None or end is None else max(end - start, 0.0)
