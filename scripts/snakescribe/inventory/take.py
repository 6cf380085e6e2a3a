"""Taking the inventory: walk, examine what is new, make batches, write manifests and the plan.

Killed at any moment and started again, it comes to the same batches: what was examined is kept every few
seconds, batches are made in one transaction, manifests follow from the ledger, and the plan comes last.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from snakescribe.config.options import Config
from snakescribe.errors import InputError, ResultsError
from snakescribe.files import write_atomically
from snakescribe.inventory import again
from snakescribe.inventory.folder import NOT_AUDIO, REASONS, SHOWN, UNSETTLED, FoundFile, printable
from snakescribe.inventory.ledger import TOGETHER, FileContent, Known, Ledger
from snakescribe.inventory.plan import Because, Listed, Plan, changes
from snakescribe.inventory.probe import examine, examine_all
from snakescribe.inventory.walk import Walk, digest, entry_id, nothing_there, retries_wanted, retry_classes, walk
from snakescribe.layout import Results
from snakescribe.media.magic import head_of, looks_like_sound
from snakescribe.recording import Header
from snakescribe.units import counted, hours

KEEP_EVERY = 3.0
"""Seconds between commits of what was examined."""
SAY_EVERY = 20.0
"""Seconds between lines of progress."""


@dataclass(frozen=True)
class Taken:
    """What one inventory came to."""

    plan: Plan
    new: int
    changed: int
    because: Mapping[Because, tuple[int, list[str]]]
    """How many of them have what different, and the first few of their names."""
    retried: int
    there: tuple[FoundFile, ...]
    """What the walk had found, without what had gone away when it was to be examined."""

    def __str__(self) -> str:
        """One line for people."""
        plan = self.plan
        changes = {
            "new": self.new,
            "changed": self.changed,
            "retried": self.retried,
            "removed": plan.removed,
            "duplicates": plan.duplicates,
        }
        return (
            f"{hours(plan.seconds)} of audio in {counted(plan.recordings, 'recording')} "
            f"and {counted(len(plan.batches), 'batch', 'es')} ({_counts(changes) or 'nothing new'}); "
            f"skipped: {_counts(plan.skipped) or 'nothing'}"
        )


def take(config: Config, walked: Walk | None = None) -> Taken:
    """Take the inventory of ``config.recordings`` into the results folder; ``walked`` if they were looked at before.

    Raises:
        InputError: see :func:`snakescribe.inventory.walk.walk`.
        ResultsError: the ledger cannot be written or read.
    """
    results = Results(Path(config.results))
    walked = walked or walk(config)
    with Ledger.open(results.ledger) as ledger:
        taken = update(ledger, config, walked)
        for batch in ledger.batches():
            path = results.manifest(batch)
            if not path.exists():
                ledger.manifest(batch).write(path)
    taken.plan.write(results.plan)
    seen = replace(walked, entries=taken.there)  # so that what is back by the next run is something new
    write_atomically(results.seen, digest(config, seen).encode())
    return taken


def update(ledger: Ledger, config: Config, walked: Walk, hashing: bool = True) -> Taken:
    """Bring the ledger to what was seen; without ``hashing`` every touched file counts as changed."""
    results = Results(Path(config.results))
    passing = _examine(ledger, config, walked, hashing)
    passed = copy.deepcopy(walked.passed)
    kept: set[str] = set()  # known, perhaps, but being written now: left as they are
    waiting: list[str] = []

    def listed() -> Iterator[Listed]:
        for entry, stored in _with_contents(ledger, walked):
            content = passing.get(entry.path, stored)
            if not entry.settled or (content and not _describes(content, entry)):
                kept.add(entry_id(entry))
                waiting.extend([printable(entry.path)] * (len(waiting) < SHOWN))
            elif content and content.header.probe_error == NOT_AUDIO and not entry.sure:
                passed.add(entry.path)
            elif content:  # otherwise it went away since the walk
                yield _listed(entry, content)

    def with_known() -> Iterator[tuple[Listed, Known | None]]:
        found = listed()
        while group := list(islice(found, TOGETHER)):
            before = ledger.some(item.recording_id for item in group)
            yield from ((item, before.get(item.recording_id)) for item in group)

    known = ledger.recordings()
    retries = max(retries_wanted(results), ledger.retries_done())
    asked = _failed(results, known, retry_classes(results)) if retries > ledger.retries_done() else frozenset()
    found = changes(
        known,
        with_known(),
        kept,
        retry=asked | again.wanted(results, ledger, known, config.attempts),
        minutes=config.batch.minutes,
        files=config.batch.files,
        last_batch=ledger.last_batch(),
    )
    count: Counter[str | None] = Counter()
    different: dict[Because, tuple[int, list[str]]] = {}
    while part := list(islice(found, TOGETHER)):
        ledger.enter({change.recording_id: change.entry for change in part}, [c.attempt for c in part if c.attempt])
        count.update(change.why for change in part)
        for change in part:
            if change.because:
                number, names = different.get(change.because, (0, []))
                names += [printable(change.entry.path)] * (number < SHOWN)
                different[change.because] = number + 1, names
    skipped = walked.skipped | {UNSETTLED: len(kept), NOT_AUDIO: passed.extensions.total()}
    if not kept and not known:
        raise InputError(nothing_there(config.recordings, skipped))
    looks = {e.path: (e.path, e.size, e.mtime_ns) for e in walked.entries if e.mtime_ns > walked.taken_ns}
    ledger.commit({}, [], looks.values(), retries)
    batches = ledger.planned()
    recordings = removed = duplicates = 0
    shown = hashlib.sha256()
    for key, entry in ledger.everything():
        shown.update(repr((key, *entry[3:])).encode("utf-8", "surrogatepass"))
        if not entry.forgotten:
            recordings += 1
            removed += entry.state == "removed"
            duplicates += entry.duplicate_of is not None
    plan = Plan(
        batches=tuple(batches),
        recordings=recordings,
        seconds=round(sum(batch.seconds for batch in batches), 3),
        removed=removed,
        duplicates=duplicates,
        skipped={reason: skipped[reason] for reason in REASONS if skipped.get(reason)},
        passed_over=dict(sorted(passed.extensions.items())),
        passed_names=tuple(map(printable, passed.names)),
        waiting_names=tuple(waiting),
        columns=walked.columns,
        ledger=shown.hexdigest(),
    )
    gone = {path for path, content in passing.items() if content is None}
    there = tuple(entry for entry in walked.entries if entry.path not in gone)
    return Taken(plan, count["new"], count["changed"], different, count["retried"], there)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _with_contents(ledger: Ledger, walked: Walk) -> Iterator[tuple[FoundFile, FileContent | None]]:
    """Every file, with what the ledger knows to be in it; both are in the order of paths, so neither is looked up."""
    contents = ledger.contents()
    path, content = b"", None
    for entry in walked.entries:
        while path < entry.path:
            path, content = next(contents, (entry.path, None))
        yield entry, content if path == entry.path else None


def _examine(ledger: Ledger, config: Config, walked: Walk, hashing: bool) -> dict[bytes, FileContent | None]:
    """Look into every settled file that the ledger does not know as it is now, and tell the ledger.

    Of a name that does not say so (``sure``), the first bytes decide whether it may be a recording.

    Returns:
        What is not for the ledger: None for a file that is gone or cannot be read, and what was in one that changed
        meanwhile.
    """
    passing: dict[bytes, FileContent | None] = {}
    todo: list[FoundFile] = []
    fresh: list[tuple[bytes, FileContent]] = []
    for entry, known in _with_contents(ledger, walked):
        if not entry.settled or not _unknown(entry, known) or (todo and todo[-1].path == entry.path):
            continue
        sound = entry.sure or _may_be_sound(walked, entry)
        if sound:
            todo.append(entry)
        elif sound is None:
            passing[entry.path] = None  # as if it were not there; when it can be read, it is something new
        else:
            fresh.append((entry.path, _no_sound(entry)))
    files = ((entry.path, os.path.join(walked.root, os.fsdecode(entry.path)), entry.size) for entry in todo)  # noqa: PTH118
    how = functools.partial(examine, raw=config.audio.raw_format)
    kept = said = time.monotonic()
    done = 0

    def say() -> None:
        nonlocal said
        if time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            print(f"inventory: {done:,} of {len(todo):,} files examined", file=sys.stderr, flush=True)

    for entry, (path, content) in zip(todo, examine_all(files, hashing, how, waiting=say) if todo else (), strict=True):
        done += 1
        say()
        if content and content.header.probe_error and not entry.sure:
            content = _no_sound(entry)
        if content and _describes(content, entry):
            fresh.append((path, content))
        else:  # gone, or it changed under our hands, and the sum is of no content
            passing[path] = content
        if time.monotonic() - kept > KEEP_EVERY:
            ledger.add_contents(fresh)
            fresh, kept = [], time.monotonic()
    ledger.add_contents(fresh)
    return passing


def _unknown(entry: FoundFile, content: FileContent | None) -> bool:
    if content is None or not _describes(content, entry):
        return True
    if not entry.sure and content.header.probe_error == NOT_AUDIO:
        return False
    return not content.sha256  # one that could not be read may be readable now; its size and time need not tell


def _may_be_sound(walked: Walk, entry: FoundFile) -> bool | None:
    """None: it cannot be read, now."""
    try:
        return looks_like_sound(head_of(os.path.join(os.fsencode(walked.root), entry.path)))  # noqa: PTH118 (bytes)
    except OSError:
        return None


def _no_sound(entry: FoundFile) -> FileContent:
    return FileContent(entry.size, entry.mtime_ns, "", Header(probe_error=NOT_AUDIO))


def _describes(content: FileContent, entry: FoundFile) -> bool:
    return (content.size, content.mtime_ns) == (entry.size, entry.mtime_ns)


def _listed(entry: FoundFile, content: FileContent) -> Listed:
    row = entry.row
    if row is None:
        return Listed(entry_id(entry), entry.path, content)
    extras = json.dumps(row.extras, ensure_ascii=False)
    return Listed(entry_id(entry), entry.path, content, row.overrides, row.reference, extras)


def _failed(results: Results, known: Mapping[str, Known], classes: frozenset[str]) -> frozenset[str]:
    """Recordings whose newest attempt stands as failed in the tables, for one of these reasons (for any if empty)."""
    path = results.table("recordings", "parquet")
    if not path.exists():
        return frozenset()
    import pyarrow as pa
    from pyarrow import parquet

    try:
        columns = ["recording_id", "attempt", "error_class"]
        failed = parquet.read_table(path, columns=columns, filters=[("status", "==", "failed")])
    except pa.ArrowException as error:
        raise ResultsError(f"{path}: {error}; delete it and run again, it is made from the batches") from None
    return frozenset(
        row["recording_id"]
        for row in failed.to_pylist()
        if row["recording_id"] in known
        and known[row["recording_id"]].attempt == row["attempt"]
        and (not classes or row["error_class"] in classes)
    )
