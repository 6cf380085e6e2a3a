"""A look at the recordings that opens no file (but a sheet): names, sizes and times.

The Snakefile takes it whenever it is parsed by the main process; :func:`digest` tells Snakemake whether the
inventory must be taken again. Paths are bytes, so that every name a file system can hold comes out as it was.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from snakescribe.config.options import Config
from snakescribe.errors import InputError
from snakescribe.files import write_atomically
from snakescribe.inventory import again
from snakescribe.inventory.folder import REASONS, UNSETTLED, FoundFile, PassedOver, printable, search
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.sheet import Row, Sheet, is_sheet, read_sheet, spellings
from snakescribe.keys import digest as json_digest
from snakescribe.layout import Results
from snakescribe.models.configured import configured_capabilities


@dataclass(frozen=True)
class Walk:
    """What lies there now, sorted by path."""

    root: str
    entries: tuple[FoundFile, ...]
    skipped: dict[str, int]
    """Names passed over, by reason (:data:`REASONS`); a hidden folder counts once."""
    passed: PassedOver
    """Files that are no recordings by their names."""
    sheet: Sheet | None
    taken_ns: int
    """When, in nanoseconds since the epoch."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The sheet's own columns, in order."""
        return self.sheet.columns if self.sheet else ()


def recordings_root(config: Config) -> str:
    """The folder that paths of recordings are relative to: ``recordings``, or the folder of the sheet."""
    return os.path.dirname(config.recordings) if is_sheet(config.recordings) else config.recordings  # noqa: PTH120


def walk(config: Config) -> Walk:
    """Look at every name below ``recordings``, or at every file of the sheet.

    ``results``, the cache and the model store are left out when they lie inside; links are followed.

    Raises:
        InputError: there is nothing that could be worked on; the message says what was seen.
    """
    now = time.time_ns()
    if is_sheet(config.recordings):
        sheet = read_sheet(Path(config.recordings))
        found, skipped, passed = _listed(config, sheet), Counter[str](), PassedOver()
    else:
        sheet = None
        found, skipped, passed = _searched(config)
    settled = _settled(config, now, found)
    entries = [e if settled(e) else e._replace(settled=False) for e in sorted(found, key=_by_path)]
    skipped[UNSETTLED] = sum(not entry.settled for entry in entries)
    if not entries and not _knows_recordings(config):
        raise InputError(nothing_there(config.recordings, skipped))
    reasons = {reason: skipped[reason] for reason in REASONS if skipped[reason]}
    return Walk(recordings_root(config), tuple(entries), reasons, passed, sheet, now)


def digest(config: Config, walked: Walk) -> str:
    """SHA-256 over everything the inventory depends on: it is to be taken again when this changes."""
    lines = hashlib.sha256()
    for entry in walked.entries:
        lines.update(b"%d %d %d %d%d " % (len(entry.path), entry.size, entry.mtime_ns, entry.settled, entry.sure))
        lines.update(entry.path)
    options: dict[str, object] = {
        "minutes": config.batch.minutes,
        "files": config.batch.files,
        "settle": config.settle,
        "raw": config.audio.model_dump(include={"raw"}),
        "retries": retries_wanted(Results(Path(config.results))),
        "sheet": hashlib.sha256(walked.sheet.content).hexdigest() if walked.sheet else None,
        "files_seen": lines.hexdigest(),
        "passed_over": [sorted(walked.passed.extensions.items()), list(map(printable, walked.passed.names))],
    }
    if failed := again.listed(Results(Path(config.results))):
        options |= {"attempts": config.attempts, "failed": failed}
    return json_digest(options)


def retries_wanted(results: Results) -> int:
    """How often a retry of the failed recordings was asked for."""
    try:
        return int(results.retry_counter.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return 0


def ask_for_retry(results: Results, classes: Collection[str]) -> None:
    """Have the next inventory give failed recordings a new attempt: those of some classes, or all."""
    write_atomically(results.retry_counter, " ".join([str(retries_wanted(results) + 1), *sorted(classes)]).encode())


def retry_classes(results: Results) -> frozenset[str]:
    """The classes of the last retry that was asked for; empty for all."""
    return frozenset(results.retry_counter.read_text().split()[1:])


def entry_id(entry: FoundFile) -> str:
    """The recording's key in every table: the sheet's id, or 16 hex digits of the path's SHA-256."""
    return (entry.row and entry.row.id) or hashlib.sha256(entry.path).hexdigest()[:16]


def _by_path(entry: FoundFile) -> tuple[bytes, str]:
    return entry.path, (entry.row.id or "") if entry.row else ""


def _settled(config: Config, now: int, found: list[FoundFile]) -> Callable[[FoundFile], bool]:
    if not config.settle:
        return lambda entry: True
    # A clock that runs ahead (a share, a camera) gives times that no waiting makes old.
    looks: dict[bytes, tuple[int, int]] = {}
    ledger = Results(Path(config.results)).ledger
    if ledger.exists() and any(entry.mtime_ns > now for entry in found):
        with Ledger.open(ledger, readonly=True) as seen:
            looks = seen.looks()
    return lambda entry: (
        now - entry.mtime_ns >= config.settle * 1e9
        or (entry.mtime_ns > now and looks.get(entry.path) == (entry.size, entry.mtime_ns))
    )


def _knows_recordings(config: Config) -> bool:
    ledger = Results(Path(config.results)).ledger
    if not ledger.exists():
        return False
    with Ledger.open(ledger, readonly=True) as seen:
        return seen.count() > 0


def _searched(config: Config) -> tuple[list[FoundFile], Counter[str], PassedOver]:
    where = f"recordings: {config.recordings}"
    if os.path.realpath(config.recordings) == os.path.realpath(config.results):
        raise InputError(f"{where} is also the results folder; choose another --results")
    outside = [path for path in (config.results, config.cache.path, config.models) if path]
    try:
        return search(os.fsencode(config.recordings), outside, config.audio.raw)
    except FileNotFoundError:
        raise InputError(f"{where} does not exist; give a folder or a sample sheet") from None
    except NotADirectoryError:
        raise InputError(f"{where} is neither a folder nor a .csv or .tsv sheet") from None
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror}); check its permissions") from None


def nothing_there(recordings: str, skipped: Mapping[str, int]) -> str:
    """What to tell the user of a folder or sheet without recordings."""
    if is_sheet(recordings):
        return f"sample sheet {recordings}: names no recordings; list them under the column 'path'"
    passed = [f"{skipped[reason]:,} {reason}" for reason in REASONS if skipped.get(reason)]
    seen = f"{sum(skipped.values()):,} names seen: {', '.join(passed)}" if passed else "it is empty"
    return f"recordings: {recordings} holds no recordings ({seen}); put audio or video files there"


def _listed(config: Config, sheet: Sheet) -> list[FoundFile]:
    where = f"sample sheet {config.recordings}"
    root = os.fsencode(recordings_root(config))
    entries = [(row, _named(root, row)) for row in sheet.rows]
    missing = [row for row, entry in entries if entry is None]
    if missing:
        few = ", ".join(f"{row.path!r} (line {row.line})" for row in missing[:3])
        more = ", …" if len(missing) > 3 else ""
        raise InputError(
            f"{where}: {len(missing)} of {len(sheet.rows)} files are missing: {few}{more}; "
            f"paths are meant from {recordings_root(config)}"
        )
    able = configured_capabilities(config)
    found = [entry for _, entry in entries if entry]
    first: dict[str, Row] = {}
    for entry, row in zip(found, sheet.rows, strict=True):
        if first.setdefault(entry_id(entry), row) is not row:
            lines = f"{first[entry_id(entry)].line} and {row.line}"
            raise InputError(f"{where}: lines {lines} are the same recording; give them different ids")
        if unknown := able.missing_language(row.overrides.language):
            raise InputError(f"{where}, line {row.line}: {config.model} {unknown}")
    return found


def _named(root: bytes, row: Row) -> FoundFile | None:
    for path in spellings(row.path):
        try:
            status = os.stat(os.path.join(root, path))  # noqa: PTH116, PTH118 (bytes)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            continue
        if stat.S_ISREG(status.st_mode):
            return FoundFile(path, status.st_size, status.st_mtime_ns, True, row)
    return None
