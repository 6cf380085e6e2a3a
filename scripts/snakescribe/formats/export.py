"""Writes the transcript files of a batch: nothing that is there already, nothing over what a person has corrected."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakescribe.corrections.apply import apply
from snakescribe.corrections.store import by_recording
from snakescribe.files import write_atomically
from snakescribe.formats.digests import Digests, record_anew, recorded, sha256
from snakescribe.formats.listing import Listing
from snakescribe.formats.names import every_name, new_name, transcript_name, transcript_stem
from snakescribe.formats.registry import FORMATS
from snakescribe.formats.spoken import Spoken
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.tables.batch import read_batch


@dataclass
class Written:
    """What an export did, in files."""

    kept: int = 0
    """Were there already, as they would be written."""
    written: int = 0
    removed: int = 0
    corrected: int = 0
    """Were not touched, because a person has changed them."""

    def bring(self, path: Path, data: bytes | None, known: Collection[str], force: bool = False) -> bool:
        """Have ``path`` hold ``data`` (None: be gone), unless it holds something that we never wrote.

        Args:
            path: a transcript file.
            data: what belongs there.
            known: digests of what we may have written there.
            force: replace it in any case.

        Returns:
            Whether somebody's own text stands there and was left alone.
        """
        if path.is_symlink() and not path.exists() and not force:  # a share that is not there just now
            return True
        found = sha256(path.read_bytes()) if path.is_file() else None
        if found and found not in known and not force:
            return True
        if data is None:
            if found:
                path.unlink()
                self.removed += 1
        elif found == sha256(data):
            self.kept += 1
        else:
            write_atomically(path, data)
            self.written += 1
        return False


def rendered(row: Mapping[str, Any], outputs: Collection[str]) -> dict[str, bytes]:
    """The wanted files of one recording, by format; a failed one has only its JSON, with the error."""
    said, failed = Spoken(row), row["status"] == "failed"
    wanted = (one for name, one in FORMATS.items() if name in outputs and (one.of_failed or not failed))
    return {one.name: one.data(said) for one in wanted}


def _found(results: Results, row: Mapping[str, Any]) -> dict[str, bytes]:
    """What a recording's files should say, of the formats that it has any of."""
    return rendered(row, _there(results, transcript_stem(row["path_bytes"], row["recording_id"])))


def _there(results: Results, stem: bytes) -> set[str]:
    """Formats of which there is a file or a link, old text or new."""
    names = {kind: transcript_name(stem, kind) for kind in FORMATS}
    return {
        kind
        for kind, name in names.items()
        if os.path.lexists(_path(results, name)) or os.path.lexists(_path(results, new_name(name)))
    }


def record_unrecorded(results: Results, batch: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Take down what was written, before its rows are replaced, when there is no record of it."""
    if not recorded(results.digests(batch)):
        record_anew(results.digests(batch), ((row["recording_id"], _found(results, row)) for row in rows))


def export_batch(
    results: Results, outputs: Collection[str], batch: str, force: bool = False, replace: Collection[bytes] = ()
) -> Written:
    """Bring the files of a batch's recordings up to date, and list them in ``exported/ID.json``.

    A recording belongs to the batch with its newest attempt: that one writes the configured formats and
    removes the others. A file that a person has corrected stays; the text that belongs there goes beside it as
    ``NAME.new.EXT``, or with ``force``, or where ``replace`` has its name, replaces it. A recording that the ledger has
    forgotten loses its files.

    Raises:
        ResultsError: the batch file is missing or damaged.
    """
    done, listing = Written(), Listing(outputs=sorted(outputs))
    corrections = by_recording(results)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        current = ledger.current(batch)
        earlier = ledger.earlier(batch)
        digests = Digests(results.digests(batch), map(results.digests, earlier))
        for other in earlier:
            if not recorded(results.digests(other)) and results.batch(other).exists():
                for row in read_batch(results.batch(other)):
                    digests.know(row["recording_id"], _found(results, row))
        for row in read_batch(results.batch(batch)):
            key = row["recording_id"]
            stem = transcript_stem(row["path_bytes"], key)
            if key not in current:
                if ledger.batch_of(key) is None:
                    done.removed += remove_transcripts(results, stem)
                continue  # otherwise a newer attempt's batch owns these files
            kinds = {*outputs, *_there(results, stem)}
            texts = rendered(apply(row, corrections.get(key, ())), kinds)
            digests.remember(key, texts)
            for kind in (kind for kind in FORMATS if kind in kinds):
                name = transcript_name(stem, kind)
                data, known = texts.get(kind) if kind in outputs else None, digests.known(key, kind)
                over = (force or name in replace) and data is not None
                kept = done.bring(_path(results, name), data, known, over)
                done.bring(_path(results, new_name(name)), data if kept else None, known, over)
                listing.files += [name] * (data is not None)
                listing.corrected += [name] * kept
    listing.write(results.exported(batch), batch)
    done.corrected = len(listing.corrected)
    return done


def export_again(results: Results, outputs: Collection[str], force: bool = False) -> Written:
    """Write again what was deleted from ``transcripts``, in every batch that was exported; or ``force`` all of it."""
    done = Written()
    for batch in exported_batches(results):
        listed = Listing.read(results.exported(batch)).files
        if force or not all(_path(results, name).is_file() for name in listed):
            one = export_batch(results, outputs, batch, force)
            done = Written(**{name: count + getattr(one, name) for name, count in vars(done).items()})
    return done


def remove_transcripts(results: Results, stem: bytes) -> int:
    """Remove every file of a recording, what a person has corrected too; how many."""
    there = [path for path in (_path(results, name) for name in every_name(stem)) if path.is_file()]
    for path in there:
        path.unlink()
    return len(there)


def exported_batches(results: Results) -> Iterator[str]:
    """The batches of the plan that have been exported."""
    planned = (one.batch for one in Plan.read(results.plan).batches)
    yield from (batch for batch in planned if results.exported(batch).exists())


def _path(results: Results, name: bytes) -> Path:
    return results.transcripts / os.fsdecode(name)
