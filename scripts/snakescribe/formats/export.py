"""Writes the transcript files of a batch: nothing that is there already, nothing over what a person has corrected."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from snakescribe.config.options import OutputFormat, SubtitleOptions
from snakescribe.corrections.apply import apply
from snakescribe.corrections.store import by_content
from snakescribe.files import write_atomically
from snakescribe.formats.digests import Digests, record_anew, recorded, sha256
from snakescribe.formats.listing import Listing, layout
from snakescribe.formats.names import Rival, every_name, new_name, rivals, short_stem, transcript_name, transcript_stem
from snakescribe.formats.registry import FORMATS
from snakescribe.formats.spoken import Spoken
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.tables.batch import read_batch, row_groups


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
                path.unlink(missing_ok=True)  # another batch's export may settle the same names at this moment
                self.removed += 1
        elif found == sha256(data):
            self.kept += 1
        else:
            write_atomically(path, data)
            self.written += 1
        return False

    def move(self, former: Path, path: Path) -> None:
        """Let a file follow its name, corrected or not, where nothing stands in its way."""
        if former.is_file() and not path.exists():
            with contextlib.suppress(FileNotFoundError):  # as above
                former.replace(path)


def rendered(row: Mapping[str, Any], outputs: Collection[str], highlight: bool = False) -> dict[str, bytes]:
    """The wanted files of one recording, by format; a failed one has only its JSON, with the error."""
    said, failed = Spoken(row, highlight), row["status"] == "failed"
    wanted = (one for name, one in FORMATS.items() if name in outputs and (one.of_failed or not failed))
    return {one.name: one.data(said) for one in wanted}


def _found(results: Results, row: Mapping[str, Any]) -> Iterator[dict[str, bytes]]:
    """What a recording's files may say, of the formats that it has any of: without and with words highlighted."""
    kinds = _there(results, row["path_bytes"], row["recording_id"])
    return (rendered(row, kinds, highlight) for highlight in (False, True))


def _there(results: Results, path: bytes, key: str) -> set[str]:
    """Formats of which there is a file or a link, old text or new, by any name that it may have."""
    stems = [transcript_stem(path, key), short_stem(path, key)]
    names = [(kind, transcript_name(stem, kind)) for kind in FORMATS for stem in stems if stem]
    return {
        kind
        for kind, name in names
        if os.path.lexists(_path(results, name)) or os.path.lexists(_path(results, new_name(name)))
    }


def record_unrecorded(results: Results, batch: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Take down what was written, before its rows are replaced, when there is no record of it."""
    if not recorded(results.digests(batch)):
        texts = ((row["recording_id"], one) for row in rows for one in _found(results, row))
        record_anew(results.digests(batch), texts)


class _Names:
    """What the files of a batch are called, and what they may have been called by other options."""

    def __init__(self, results: Results, ledger: Ledger, batch: str) -> None:
        self._results, self._ledger, self._batch = results, ledger, batch

    @cached_property
    def own(self) -> dict[str, bytes]:
        """Paths of the batch's recordings."""
        groups = row_groups(self._results.batch(self._batch), ["recording_id", "path_bytes"])
        return {row["recording_id"]: row["path_bytes"] for group in groups for row in group.to_pylist()}

    @cached_property
    def rivals(self) -> dict[str, set[Rival]]:
        """See :func:`snakescribe.formats.names.rivals`."""
        return rivals(self.own, self._ledger.paths())

    def settled_first(self) -> list[str]:
        """Other batches with files under names that they must give up, now that this batch is there."""
        ours = {stem for key, path in self.own.items() for stem in (short_stem(path, key), transcript_stem(path, key))}
        theirs = set().union(*self.rivals.values())
        found = []
        for other in sorted({rival.batch for rival in theirs} - {self._batch}):
            exported = self._results.exported(other)
            written = (
                {name.rpartition(b".")[0] for name in Listing.read(exported).files} if exported.exists() else set()
            )
            if written & ours - {rival.stem for rival in theirs}:
                found.append(other)
        return found

    def of(self, key: str, path: bytes, kind: OutputFormat, beside: bool) -> tuple[bytes, bytes | None]:
        """The name of a file, and the one that it would have by the other option."""
        full = transcript_name(transcript_stem(path, key), kind)
        short = short_stem(path, key) if FORMATS[kind].subtitles else None
        if short is None:
            return full, None
        other = transcript_name(short, kind)
        return (other, full) if beside and key not in self.rivals else (full, other)

    def gone(self, key: str) -> list[bytes]:
        """All names of a recording that is forgotten."""
        short = None if key in self.rivals else short_stem(self.own[key], key)
        return every_name(transcript_stem(self.own[key], key)) + (every_name(short, short=True) if short else [])

    def ours(self, key: str, path: Path, known: Collection[str]) -> bool:
        """Whether a file under the short name belongs to a recording."""
        return path.is_file() and (key not in self.rivals or sha256(path.read_bytes()) in known)


def export_batch(
    results: Results,
    outputs: Collection[str],
    batch: str,
    force: bool = False,
    subtitles: SubtitleOptions = SubtitleOptions(),  # noqa: B008 (it is frozen)
    replace: Collection[bytes] = (),
) -> Written:
    """Bring the files of a batch's recordings up to date, and list them in ``exported/ID.json``.

    A recording belongs to the batch with its newest attempt: that one writes the configured formats and
    removes the others. A file that a person has corrected stays; the text that belongs there goes beside it as
    ``NAME.new.EXT``, or with ``force``, or where ``replace`` has its name, replaces it. A recording that the ledger has
    forgotten loses its files. Subtitles that another option gave another name are moved; so are those of other batches
    whose short name (``subtitles.name``) is not theirs alone any more.

    Raises:
        ResultsError: the batch file is missing or damaged.
    """
    return _exported(results, outputs, batch, force, subtitles, replace, alone=False)


def _exported(
    results: Results,
    outputs: Collection[str],
    batch: str,
    force: bool,
    subtitles: SubtitleOptions,
    replace: Collection[bytes],
    alone: bool,
) -> Written:
    told = results.speakers(batch).exists()
    done, listing = Written(), Listing(outputs=sorted(outputs), layout=layout(subtitles, told))
    beside, corrections = subtitles.name == "beside", by_content(results)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        names = _Names(results, ledger, batch)
        for other in names.settled_first() if beside and not alone else ():
            done = _sum(done, _exported(results, outputs, other, False, subtitles, (), alone=True))
        current = ledger.current(batch)
        earlier = ledger.earlier(batch)
        digests = Digests(results.digests(batch), map(results.digests, earlier))
        for other in earlier:
            if not recorded(results.digests(other)) and results.batch(other).exists():
                for row in read_batch(results.rows(other)):
                    for texts in _found(results, row):
                        digests.know(row["recording_id"], texts)
        for row in read_batch(results.rows(batch)):
            key, path = row["recording_id"], row["path_bytes"]
            if key not in current:
                if ledger.batch_of(key) is None:
                    done.removed += remove_transcripts(results, names.gone(key))
                continue  # otherwise a newer attempt's batch owns these files
            kinds = {*outputs, *_there(results, path, key)}
            texts = rendered(apply(row, corrections.get(row["sha256"], ())), kinds, subtitles.highlight)
            digests.remember(key, texts)
            for kind in (kind for kind in FORMATS if kind in kinds):
                name, former = names.of(key, path, kind, beside)
                data, known = texts.get(kind) if kind in outputs else None, digests.known(key, kind)
                if former:
                    for earlier_name, now in ((former, name), (new_name(former), new_name(name))):
                        was = _path(results, earlier_name)
                        if names.ours(key, was, known):
                            done.move(was, _path(results, now))
                            done.bring(was, None, known)
                over = (force or name in replace) and data is not None
                kept = done.bring(_path(results, name), data, known, over)
                done.bring(_path(results, new_name(name)), data if kept else None, known, over)
                listing.files += [name] * (data is not None)
                listing.corrected += [name] * kept
    listing.write(results.exported(batch), batch)
    done.corrected += len(listing.corrected)
    return done


def export_again(
    results: Results,
    outputs: Collection[str],
    force: bool = False,
    subtitles: SubtitleOptions = SubtitleOptions(),  # noqa: B008 (it is frozen)
) -> Written:
    """Write again what was deleted from ``transcripts``, in every batch that was exported; or ``force`` all of it."""
    done = Written()
    for batch in exported_batches(results):
        listed = Listing.read(results.exported(batch)).files
        if force or not all(_path(results, name).is_file() for name in listed):
            done = _sum(done, export_batch(results, outputs, batch, force, subtitles))
    return done


def _sum(one: Written, two: Written) -> Written:
    return Written(**{name: count + getattr(two, name) for name, count in vars(one).items()})


def remove_transcripts(results: Results, names: Iterable[bytes]) -> int:
    """Remove files of a recording, what a person has corrected too; how many."""
    there = [path for path in (_path(results, name) for name in names) if path.is_file()]
    for path in there:
        path.unlink()
    return len(there)


def exported_batches(results: Results) -> Iterator[str]:
    """The batches of the plan that have been exported."""
    planned = (one.batch for one in Plan.read(results.plan).batches)
    yield from (batch for batch in planned if results.exported(batch).exists())


def _path(results: Results, name: bytes) -> Path:
    return results.transcripts / os.fsdecode(name)
