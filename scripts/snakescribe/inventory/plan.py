"""From what was found to batches that never change: the rules, without any file.

New work (a new path, changed content, changed overrides, a retry) goes into new batches, in the order of
paths. What has a batch keeps it, whatever else changes, also when the batch options do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from snakescribe.files import read_record, write_atomically
from snakescribe.inventory.folder import NOT_AUDIO, UNSETTLED
from snakescribe.inventory.ledger import FileContent, Known, PlannedBatch
from snakescribe.keys import fingerprint as fingerprint_of
from snakescribe.media.raw import UNSAID
from snakescribe.recording import Overrides, Recording
from snakescribe.records import Frozen
from snakescribe.units import counted

TYPICAL_RATE = 4000.0
"""Bytes per second assumed of a file whose header does not say how long it is: 32 kbit/s, speech in a lossy
codec. An estimate for filling batches and for totals, never for a recording's duration."""


_KINDS = 10
"""Extensions that are named."""


class Plan(Frozen):
    """What is to be there in the end: the inventory's declared output."""

    schema_version: Literal[1] = 1
    batches: tuple[PlannedBatch, ...]
    """Those with at least one recording's newest attempt."""
    recordings: int
    seconds: float
    """Of audio, by the headers; :func:`estimated_seconds` where they do not say."""
    removed: int
    duplicates: int
    skipped: dict[str, int]
    passed_over: dict[str, int] = Field({})
    """Files that are no recordings, by extension (with the dot; the empty text for none)."""
    passed_names: tuple[str, ...] = ()
    """The first few of them, as in the tables."""
    waiting_names: tuple[str, ...] = ()
    """The first few that are not settled."""
    columns: tuple[str, ...]
    """The sheet's own, in order."""
    ledger: str
    """Digest of what the tables take from the ledger: Snakemake looks at this file to see whether to write them."""

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read the inventory's output.

        Raises:
            ResultsError: it is missing, damaged or of another version.
        """
        table = path.parents[1] / "tables/recordings.parquet"  # without it Snakemake asks for the plan again
        return read_record(path, cls, f"delete it and {table}, and run again: both are made anew")

    def passed_over_notes(self) -> Iterator[str]:
        """For people: which files were left alone, and which were taken for no recordings."""
        waiting = [*self.waiting_names, *["…"] * (self.skipped.get(UNSETTLED, 0) > len(self.waiting_names))]
        named = {UNSETTLED: f" ({', '.join(waiting)}), taken when nobody writes to them any more"}
        skipped = [(reason, count) for reason, count in self.skipped.items() if reason != NOT_AUDIO]
        alone = [f"{count:,} {reason}{named.get(reason, '')}" for reason, count in skipped]
        if alone:
            yield f"left alone: {', '.join(alone)}"
        if not self.passed_over:
            return
        kinds = sorted(self.passed_over.items(), key=lambda item: (-item[1], item[0]))
        counts = [f"{count:,} {kind or 'without extension'}" for kind, count in kinds[:_KINDS]]
        counts += ["…"] * (len(kinds) > _KINDS)
        total = sum(self.passed_over.values())
        names = [*self.passed_names, *["…"] * (total > len(self.passed_names))]
        yield f"{counted(total, 'other file')}, taken for no recordings: {', '.join(counts)} ({', '.join(names)})"
        if unsaid := [kind for kind, _ in kinds if kind[1:] in UNSAID]:
            yield f"  {', '.join(unsaid)}: if it is sound, say what is in it by audio.raw (docs/formats.md)"

    def write(self, path: Path) -> None:
        """Write atomically: small, and the same whenever the same things are known."""
        write_atomically(path, self.model_dump_json(indent=1).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording that is there now."""

    recording_id: str
    path: bytes
    content: FileContent
    overrides: Overrides = field(default_factory=Overrides)
    reference: str | None = None
    extras: str = "{}"
    """The sheet's own columns, as JSON."""

    @property
    def fingerprint(self) -> str:
        """Changes when there is something new to transcribe."""
        # Of an unreadable file there is no content; its size and time must do.
        content = self.content.sha256 or f"{self.content.size}:{self.content.mtime_ns}"
        return fingerprint_of(content, self.path, self.overrides)


Why = Literal["new", "changed", "retried"]
Because = Literal["other content", "another size or time", "another path", "another language, prompt or channels"]


class Change(NamedTuple):
    """What one inventory makes of a recording that is new or different."""

    recording_id: str
    entry: Known
    why: Why | None = None
    """What there is to do, if anything."""
    attempt: tuple[str, int, float, Recording] | None = None
    """Batch, position in it, seconds and recording."""
    because: Because | None = None
    """What is different, where that is why."""


def estimated_seconds(content: FileContent) -> float:
    """Seconds of audio by the header, or by the size."""
    duration = content.header.duration
    return duration if duration is not None else content.size / TYPICAL_RATE


class Batches:
    """Recordings, given in the order of their paths, as they go into batches, which are numbered by their first one.

    >>> batches = Batches(longest=60, files=500)
    >>> [batches.place(seconds) for seconds in [10, 20, 90, 25, 10]]
    [(1, 0), (1, 1), (2, 0), (1, 2), (3, 0)]
    """

    def __init__(self, longest: float, files: int, last: int = 0) -> None:
        """A batch holds ``longest`` seconds and so many ``files``; ``last`` is the newest one's number so far.

        A longer recording is a batch of its own and does not end the one being filled.
        """
        self._longest, self._files, self._last = longest, files, last
        self._number, self._count, self._seconds = last, files, 0.0  # as if it were full

    def place(self, seconds: float) -> tuple[int, int]:
        """Number of the batch that the next recording goes into, and its position in it."""
        if seconds > self._longest:
            self._last += 1
            return self._last, 0
        if self._seconds + seconds > self._longest or self._count >= self._files:
            self._last += 1
            self._number, self._count, self._seconds = self._last, 0, 0.0
        self._count += 1
        self._seconds += seconds
        return self._number, self._count - 1


def changes(
    known: Mapping[str, Known],
    listed: Iterable[tuple[Listed, Known | None]],
    kept: Set[str],
    retry: frozenset[str],
    minutes: float,
    files: int,
    last_batch: int,
) -> Iterator[Change]:
    """Compare what is there with what is known, and make new batches for new work.

    One recording after the other: for a million of them there is no room. What has left comes last.

    Args:
        known: the ledger's recordings, by id.
        listed: recordings there now, sorted by path, each with what is known of it.
        kept: ids that are there but not to be looked at this time (not settled): they stay as they are. May grow
            while ``listed`` is read.
        retry: ids of failed recordings that get a new attempt.
        minutes: ``batch.minutes``.
        files: ``batch.files``.
        last_batch: number of the newest batch so far.
    """
    batches = Batches(minutes * 60, files, last_batch)
    first: dict[str, str] = {}
    present = set[str]()
    for item, before in listed:
        present.add(item.recording_id)
        if before and before.forgotten and before.sha256 == item.content.sha256:
            continue
        twin = first.setdefault(item.content.sha256 or item.recording_id, item.recording_id)
        fingerprint = item.fingerprint
        why = _why(item.recording_id, fingerprint, before, retry)
        entry = Known(
            path=item.path,
            sha256=item.content.sha256,
            fingerprint=fingerprint,
            state="present",
            duplicate_of=twin if twin != item.recording_id else None,
            reference=item.reference,
            extras=item.extras,
            attempt=before.attempt if before else 0,
            batch=before.batch if before else "",
        )
        if why:
            seconds = estimated_seconds(item.content)
            number, position = batches.place(seconds)
            entry = entry._replace(batch=f"b{number:06d}", attempt=entry.attempt + 1)
            attempt = (entry.batch, position, seconds, _recording(item, entry.attempt))
            because = _because(item, before) if before and why == "changed" else None
            yield Change(item.recording_id, entry, why, attempt, because)
        elif entry != before:
            yield Change(item.recording_id, entry)
    for key in [key for key in known if key not in present and key not in kept]:
        before = known[key]
        if before != (entry := before._replace(state="removed", duplicate_of=None)):
            yield Change(key, entry)


def _why(key: str, fingerprint: str, before: Known | None, retry: frozenset[str]) -> Why | None:
    if before is None:
        return "new"
    if before.fingerprint != fingerprint:
        return "changed"
    return "retried" if key in retry else None


def _because(item: Listed, before: Known) -> Because:
    if item.path != before.path:  # of an id of the sheet
        return "another path"
    if not item.content.sha256:  # not looked into, or unreadable
        return "another size or time"
    return "other content" if item.content.sha256 != before.sha256 else "another language, prompt or channels"


def _recording(item: Listed, attempt: int) -> Recording:
    return Recording(
        recording_id=item.recording_id,
        path=item.path.decode("utf-8", "backslashreplace"),
        path_hex=item.path.hex(),
        sha256=item.content.sha256,
        size=item.content.size,
        mtime_ns=item.content.mtime_ns,
        attempt=attempt,
        **vars(item.content.header),
        **vars(item.overrides),
    )
