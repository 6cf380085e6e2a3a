"""From what was found to batches that never change: the rules, without any file.

New work (a new path, changed content, changed overrides, a retry) goes into new batches, in the order of
paths. What has a batch keeps it, whatever else changes, also when the batch options do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from snakescribe.files import read_record, write_atomically
from snakescribe.inventory.folder import NOT_AUDIO
from snakescribe.inventory.ledger import FileContent, Known, PlannedBatch
from snakescribe.keys import fingerprint
from snakescribe.media.raw import UNSAID
from snakescribe.recording import Overrides, Recording
from snakescribe.records import Frozen

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
        alone = [f"{count:,} {reason}" for reason, count in self.skipped.items() if reason != NOT_AUDIO]
        if alone:
            yield f"left alone: {', '.join(alone)}"
        if not self.passed_over:
            return
        kinds = sorted(self.passed_over.items(), key=lambda item: (-item[1], item[0]))
        counts = [f"{count:,} {kind or 'without extension'}" for kind, count in kinds[:_KINDS]]
        counts += ["…"] * (len(kinds) > _KINDS)
        total = sum(self.passed_over.values())
        names = [*self.passed_names, *["…"] * (total > len(self.passed_names))]
        yield f"{total:,} other files, taken for no recordings: {', '.join(counts)} ({', '.join(names)})"
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
        return fingerprint(content, self.path, self.overrides)


@dataclass(frozen=True)
class Changes:
    """What one inventory makes of the recordings."""

    recordings: dict[str, Known]
    """Entries of the ledger that are new or different."""
    attempts: list[tuple[str, int, float, Recording]]
    """Batch, position in it, seconds and recording."""
    new: int
    changed: int
    retried: int


def estimated_seconds(content: FileContent) -> float:
    """Seconds of audio by the header, or by the size."""
    duration = content.header.duration
    return duration if duration is not None else content.size / TYPICAL_RATE


def assign(seconds: Sequence[float], longest: float, files: int) -> list[list[int]]:
    """Group recordings, given in the order of their paths, into batches.

    Args:
        seconds: of audio, per recording.
        longest: seconds a batch may hold; a longer recording is a batch of its own and does not end the one
            being filled.
        files: recordings a batch may hold.

    Returns:
        Indices into ``seconds``; batches are ordered by their first recording.

    >>> assign([10, 20, 90, 25, 10], longest=60, files=500)
    [[0, 1, 3], [2], [4]]
    """
    batches: list[list[int]] = []
    filling: list[int] = []
    filled = 0.0
    for index, duration in enumerate(seconds):
        if duration > longest:
            batches.append([index])
            continue
        if not filling or filled + duration > longest or len(filling) >= files:
            filling, filled = [], 0.0
            batches.append(filling)
        filling.append(index)
        filled += duration
    return batches


def changes(
    known: dict[str, Known],
    listed: Iterable[Listed],
    kept: frozenset[str],
    retry: frozenset[str],
    minutes: float,
    files: int,
    last_batch: int,
) -> Changes:
    """Compare what is there with what is known, and make new batches for new work.

    Args:
        known: the ledger's recordings, by id.
        listed: recordings there now, sorted by path.
        kept: ids that are there but not to be looked at this time (not settled): they stay as they are.
        retry: ids of failed recordings that get a new attempt.
        minutes: ``batch.minutes``.
        files: ``batch.files``.
        last_batch: number of the newest batch so far.
    """
    entries: dict[str, Known] = {}
    work: list[Listed] = []
    count = {"new": 0, "changed": 0, "retried": 0}
    first: dict[str, str] = {}
    present = set(kept)
    for item in listed:
        present.add(item.recording_id)
        before = known.get(item.recording_id)
        if before and before.forgotten and before.sha256 == item.content.sha256:
            continue
        twin = first.setdefault(item.content.sha256 or item.recording_id, item.recording_id)
        why = _why(item, before, retry)
        if why:
            count[why] += 1
            work.append(item)
        entries[item.recording_id] = Known(
            path=item.path,
            sha256=item.content.sha256,
            fingerprint=item.fingerprint,
            state="present",
            duplicate_of=twin if twin != item.recording_id else None,
            reference=item.reference,
            extras=item.extras,
            attempt=before.attempt if before else 0,
            batch=before.batch if before else "",
        )
    for key, before in known.items():
        if key not in present:
            entries[key] = before._replace(state="removed", duplicate_of=None)
    attempts = []
    seconds = [estimated_seconds(item.content) for item in work]
    for number, batch in enumerate(assign(seconds, minutes * 60, files), last_batch + 1):
        for position, index in enumerate(batch):
            key = work[index].recording_id
            entry = entries[key]._replace(batch=f"b{number:06d}", attempt=entries[key].attempt + 1)
            entries[key] = entry
            attempts.append((entry.batch, position, seconds[index], _recording(work[index], entry.attempt)))
    different = {key: entry for key, entry in entries.items() if entry != known.get(key)}
    return Changes(different, attempts, **count)


def _why(item: Listed, before: Known | None, retry: frozenset[str]) -> str | None:
    if before is None:
        return "new"
    if before.fingerprint != item.fingerprint:
        return "changed"
    return "retried" if item.recording_id in retry else None


def _recording(item: Listed, attempt: int) -> Recording:
    return Recording(
        recording_id=item.recording_id,
        path=item.path.decode("utf-8", "backslashreplace"),
        path_hex=item.path.hex(),
        sha256=item.content.sha256,
        size=item.content.size,
        mtime_ns=item.content.mtime_ns,
        attempt=attempt,
        **asdict(item.content.header),
        **asdict(item.overrides),
    )
