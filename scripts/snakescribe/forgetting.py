"""Taking what some recordings said out of everything that a results folder and the cache hold.

The ledger comes first, so that no later step brings anything back; whatever is left over is found again by
looking at the files themselves. Killed anywhere, the same command goes on. Modification times are kept:
Snakemake finds nothing to do afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from snakescribe.config import Config
from snakescribe.corrections import store as corrections
from snakescribe.errors import ModelError, ResultsError
from snakescribe.evaluation.kept import without
from snakescribe.files import atomic_file, write_atomically
from snakescribe.formats.corrected import summarise_again
from snakescribe.formats.digests import forget_digests
from snakescribe.formats.export import remove_transcripts
from snakescribe.formats.listing import Listing
from snakescribe.formats.names import every_name, every_stem, rivals, short_stem
from snakescribe.inventory.ledger import Found, Ledger
from snakescribe.inventory.manifest import Manifest
from snakescribe.keys import content_key, transcript_key
from snakescribe.layout import Results
from snakescribe.models.configured import configured_model
from snakescribe.recording import Recording
from snakescribe.report.page import write_page
from snakescribe.speakers.across import folder_of
from snakescribe.speakers.called import ALIKE, likeness_to, unpacked
from snakescribe.speakers.cluster import Vectors
from snakescribe.speakers.names import Given, given_names, replace_names
from snakescribe.tables.batch import readable, row_groups
from snakescribe.tables.write import write_tables
from snakescribe.transcribe.cache import Cache


def forget(
    results: Results, config: Config, found: Sequence[Found], for_good: bool = True
) -> tuple[Counter[str], list[str]]:
    """Remove all text of some recordings.

    Args:
        results: their folder, locked by the caller.
        config: of the last run there.
        found: the recordings, from :meth:`Ledger.find`.
        for_good: they come back only when their files get other content, and the cache forgets what it has of them also
            where another recording has the same content; otherwise they come back as soon as their files do.

    Returns:
        How many of what was removed, and the paths of other recordings with the same content (they stay).

    Raises:
        ResultsError: a batch file is damaged.
        OSError: something cannot be written or removed.
    """
    removed: Counter[str] = Counter()
    corrections.read(results)  # what is damaged is told before anything is removed
    names = given_names(results)
    ids = {one.recording_id for one in found}
    contents = {sha256 for one in found for sha256 in one.sha256}
    with Ledger.open(results.ledger) as ledger:
        manifests = [ledger.manifest(batch) for batch in sorted({batch for one in found for batch in one.batches})]
        twins = [path for one in found for path in ledger.twins(one)]
        ledger.forget(ids, for_good)
        shared = set() if for_good else {one.sha256 for _, one in ledger.everything() if not one.forgotten}
    cache = Cache(config)
    for sha256 in contents - shared:
        removed["contents in the cache"] += cache.forget(sha256)
    for manifest in manifests:
        batch = manifest.batch
        kept = _other_keys(config, manifest, ids, contents)
        removed["windows in journals"] += _journal_lines(results.journal(batch), kept)
        removed["work files"] += _deleted(_work_files(results, batch))
        removed["work files"] += _deleted(path for path in [results.voices_journal(batch)] if path.exists())
        for path in (results.batch(batch), results.earlier(batch), results.voices(batch), results.speakers(batch)):
            removed["rows of batch files"] += _batch_rows(path, ids)
    for manifest in manifests:
        own = [entry for entry in manifest.recordings if entry.recording_id in ids]
        removed["transcript files"] += _transcripts(results, manifest.batch, own)
    removed["work files"] += _deleted([*results.half_written(), *[path for path in [results.sounds] if path.exists()]])
    shutil.rmtree(results.backups, ignore_errors=True)
    if results.elsewhere.exists():
        shutil.rmtree(results.root / os.fsdecode(results.elsewhere.read_bytes()), ignore_errors=True)
    removed["rows of tables"] += _table_rows(results)
    gone = ids | {one.path for one in found}
    removed["names of speakers"] += len(names) - _named_still(results, names, gone, contents - shared)
    removed["corrections"] += corrections.forget(results, contents - shared)
    for path in (results.evaluation, results.evaluation_corrected):
        removed["lines of evaluations"] += without(path, ids)
    if results.report.exists():
        try:
            write_page(results, config)
        except (ResultsError, FileNotFoundError):  # as for the tables
            results.report.unlink()
    summarise_again(results)
    return removed, twins


def _named_still(results: Results, names: Sequence[Given], gone: set[str], contents: set[str]) -> int:
    """Drop names of these recordings, and those of voices that nobody else in their folder has; how many stay."""
    if not names:
        return 0
    there: dict[str, list[Vectors | None]] = {}
    for path in sorted(results.speakers("b").parent.glob("b*.parquet")):
        for group in row_groups(path, ["path", "voice_vectors"]):
            for row in group.to_pylist():
                there.setdefault(f"{folder_of(row)}/", []).extend(unpacked(row["voice_vectors"] or ()))

    def stays(one: Given) -> bool:
        if one.recording.endswith("/"):
            voices = there.get(one.recording, [])
            return any(likeness_to(one, voice) >= ALIKE for voice in voices) if one.voice else bool(voices)
        return one.content not in contents if one.content else one.recording not in gone

    stay = [one for one in names if stays(one)]
    replace_names(results, stay)
    return len(stay)


def _other_keys(config: Config, manifest: Manifest, ids: set[str], contents: set[str]) -> set[str]:
    """What the journal calls the other recordings of a batch; of options before the last run's we know nothing."""
    try:
        prepared = configured_model(config)
    except ModelError:
        return set()
    return {
        content_key(recording, transcript_key(config, prepared, recording))
        for recording in manifest.recordings
        if recording.recording_id not in ids and recording.sha256 not in contents
    }


def _journal_lines(path: Path, kept: set[str]) -> int:
    """Drop all lines but those with a ``kept`` key; how many."""
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    stay = [line for line in lines if line.endswith(b"\n") and _may_stay(line, kept)]
    if len(stay) != len(lines):
        write_atomically(path, b"".join(stay))
    return len(lines) - len(stay)


def _may_stay(line: bytes, kept: set[str]) -> bool:
    try:
        record: dict[str, Any] = json.loads(line)
        if record.keys() & {"begun", "ended", "died"}:
            return True  # only which windows the model was at, no text
        (found,) = record.values()
        return found["key"] in kept
    except (ValueError, TypeError, KeyError, AttributeError):
        return False  # a damaged line may be of any recording


def _work_files(results: Results, batch: str) -> Iterator[Path]:
    """Normalised audio of a killed run; a later one makes it again."""
    work = results.samples(batch).parent
    yield from work.glob(f"{batch}.*")
    yield from work.glob(f".{batch}.*")


def _deleted(paths: Iterable[Path]) -> int:
    count = 0
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        count += 1
    return count


def _batch_rows(path: Path, ids: set[str]) -> int:
    """Write a batch file again without these recordings; how many rows they had."""
    if not path.exists():
        return 0
    keys = (key for group in row_groups(path, ["recording_id"]) for key in group["recording_id"].to_pylist())
    count = sum(key in ids for key in keys)
    if count:
        before = path.stat()
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
        with atomic_file(path) as target, pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for group in row_groups(path):
                writer.write_table(group.filter(~pc.field("recording_id").isin(list(ids))))
        _keep_time(path, before)
    return count


def _transcripts(results: Results, batch: str, own: Iterable[Recording]) -> int:
    """Remove the transcript files of these attempts, and what the batch's lists know of them."""
    paths = {recording.recording_id: recording.path_bytes for recording in own}
    with Ledger.open(results.ledger, readonly=True) as ledger:
        shared = rivals(paths, ledger.paths())
    gone = {name for key, path in paths.items() for stem in every_stem(path, key) for name in every_name(stem)}
    shorts = (short_stem(path, key) for key, path in paths.items() if key not in shared)
    gone |= {name for stem in shorts if stem for name in every_name(stem, short=True)}
    removed = remove_transcripts(results, gone)
    for key in paths:
        forget_digests(results.digests(batch), key)
    path = results.exported(batch)
    if path.exists():
        before, listing = path.stat(), Listing.read(path)
        for names in (listing.files, listing.corrected):
            names[:] = [name for name in names if name not in gone]
        if listing.write(path, batch):
            _keep_time(path, before)
    return removed


def _table_rows(results: Results) -> int:
    """Write the tables again; while batches are missing they are deleted instead, the next run makes them."""
    tables = [*results.tables, *results.speaker_tables]
    there = {path: path.stat() for path in tables if path.exists()}
    if not there:
        return 0
    rows = _parquet_rows(there)
    try:
        write_tables(results)
    except (ResultsError, FileNotFoundError):
        _deleted(there)
        return rows
    for path, before in there.items():
        _keep_time(path, before)
    return max(0, rows - _parquet_rows(there))


def _parquet_rows(paths: Iterable[Path]) -> int:
    """Rows of all tables together; those of a damaged one cannot be counted."""
    rows = 0
    for path in paths:
        if path.suffix == ".parquet":
            with contextlib.suppress(ResultsError), readable(path):
                rows += int(pq.read_metadata(path).num_rows)
    return rows


def _keep_time(path: Path, before: os.stat_result) -> None:
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
