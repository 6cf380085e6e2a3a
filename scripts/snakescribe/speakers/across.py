"""One voice, one label in all recordings of a folder (option `speakers_across`).

Recordings are taken in the order in which they were first seen, and each speaker is one of the voices known so far or a
new one. A recording that had its labels keeps them: what comes or goes tomorrow changes none of today's.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from snakescribe.config import Config
from snakescribe.files import write_atomically
from snakescribe.formats.export import export_batch
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.speakers.called import ALIKE, Names, likeness_to, named, unpacked
from snakescribe.speakers.cluster import Vectors
from snakescribe.speakers.names import Given, known_names, label_of
from snakescribe.tables.batch import read_batch, write_batch
from snakescribe.units import counted

LIGHT = ("recording_id", "path", "sha256", "speakers", "voice_vectors")
"""Columns that tell who speaks, without what is said."""
Change = Callable[[Mapping[str, Any]], dict[str, Any]]


class Known:
    """The voices of one folder."""

    def __init__(self, count: int = 0) -> None:
        """So many have had a number; none of them is there yet."""
        self.count = count
        self._sums: Vectors = np.zeros((max(16, count), 192), np.float32)

    def numbers(self, speakers: Sequence[Vectors | None], earlier: Sequence[int] | None = None) -> list[int]:
        """Which voices the speakers of one recording are, all different ones; new ones are numbered on.

        Args:
            speakers: as :func:`snakescribe.speakers.turns.likenesses` gives them; None is always a new voice.
            earlier: the numbers that they had before, if they had any.
        """
        own = np.stack([np.zeros(192, np.float32) if one is None else one for one in speakers])
        found = dict(enumerate(earlier)) if earlier else self._alike(own)
        return [self._add(own[number], found.get(number)) for number in range(len(speakers))]

    def nearest(self, given: Given) -> int | None:
        """The voice that a name was given to, if it is here."""
        alike = [likeness_to(given, one if one.any() else None) for one in self._sums[: self.count]]
        best = max(range(self.count), key=lambda number: alike[number], default=None)
        return best if best is not None and alike[best] >= ALIKE else None

    def _alike(self, own: Vectors) -> dict[int, int]:
        sums = self._sums[: self.count]
        alike = own @ (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)).T
        found: dict[int, int] = {}
        while alike.size and alike.max() >= ALIKE:
            speaker, voice = (int(index) for index in np.unravel_index(alike.argmax(), alike.shape))
            found[speaker] = voice
            alike[speaker], alike[:, voice] = -1, -1
        return found

    def _add(self, likeness: Vectors, voice: int | None) -> int:
        if voice is None:
            voice, self.count = self.count, self.count + 1
        if self.count > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        self._sums[voice] += likeness
        return voice


@dataclass(frozen=True)
class _Told:
    """Speakers of a recording, and the numbers of their voices in the folder."""

    row: Mapping[str, Any]
    """Its columns of ``LIGHT``."""
    numbers: list[int]

    @property
    def folder(self) -> str:
        return folder_of(self.row)


def folder_of(row: Mapping[str, Any]) -> str:
    """Where a recording lies, as in the tables."""
    return str(PurePosixPath(row["path"]).parent)


def label_across(config: Config, results: Results, log: Callable[[str], None]) -> list[str]:
    """Give every told batch the labels and names of its folders; what was exported with others is exported anew.

    Returns:
        The batches that were changed.

    Raises:
        ResultsError: a batch is missing or damaged.
        InputError: the names cannot be read.
    """
    batches = [one.batch for one in Plan.read(results.plan).batches]
    told, folders = _numbered(results, batches)
    names = _names(known_names(config, results), told, folders)

    def change(batch: str) -> Change:
        wanted = {one.row["recording_id"]: one for one in told[batch]}

        def as_wanted(row: Mapping[str, Any]) -> dict[str, Any]:
            one = wanted.get(row["recording_id"])
            if one is None or not row["speakers"]:
                return dict(row)
            found = relabelled(row, [label_of(number) for number in one.numbers])
            return named(found, {label_of(n): names.get((one.folder, n), "") for n in one.numbers})

        return as_wanted

    changed = [batch for batch in batches if rewritten(config, results, batch, change(batch))]
    said = f"{counted(sum(known.count for known in folders.values()), 'voice')} in {counted(len(folders), 'folder')}"
    log(f"across: {said}; {counted(len(changed), 'batch', 'batches')} changed")
    return changed


def _numbered(results: Results, batches: Sequence[str]) -> tuple[dict[str, list[_Told]], dict[str, Known]]:
    """Speakers of each batch, and the voices of each folder; remembered for the next time."""
    counts, earlier = _remembered(results.across)
    folders: dict[str, Known] = {folder: Known(count) for folder, count in counts.items()}
    rows = {batch: list(_current(results, batch)) for batch in batches}
    before = {id(row): earlier.get(_voices(row)) for found in rows.values() for row in found}
    numbers: dict[int, list[int]] = {}
    for had in (True, False):  # whoever had a number is known before anybody new is
        for row in (row for found in rows.values() for row in found if bool(before[id(row)]) == had):
            known = folders.setdefault(folder_of(row), Known())
            numbers[id(row)] = known.numbers(unpacked(row["voice_vectors"]), before[id(row)])
    told = {batch: [_Told(row, numbers[id(row)]) for row in found] for batch, found in rows.items()}
    kept = {_voices(one.row): one.numbers for found in told.values() for one in found}
    state = {"folders": {folder: known.count for folder, known in folders.items()}, "recordings": kept}
    write_atomically(results.across, json.dumps(state, indent=1).encode())
    return told, folders


def _current(results: Results, batch: str) -> Iterator[dict[str, Any]]:
    with Ledger.open(results.ledger, readonly=True) as ledger:
        current = ledger.current(batch)
    for row in read_batch(results.speakers(batch), LIGHT):
        if row["speakers"] and row["recording_id"] in current:
            yield row


def _voices(row: Mapping[str, Any]) -> str:
    """Changes with the recording's place and with what its speakers are like."""
    content = [row["recording_id"], folder_of(row), *((one or b"").hex() for one in row["voice_vectors"])]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _remembered(path: Path) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Voices that each folder ever had, and the numbers of each recording's."""
    try:
        state = json.loads(path.read_bytes())
        return dict(state["folders"]), dict(state["recordings"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, {}


def _names(
    given: Sequence[Given], told: Mapping[str, Sequence[_Told]], folders: Mapping[str, Known]
) -> dict[tuple[str, int], str]:
    """Name by folder and number; the later ones win."""
    by_row, order = Names(given), {id(one): number for number, one in enumerate(given)}
    meant: list[tuple[int, str, Given, Collection[int]]] = [
        # What was named without `speakers_across` had a label of that recording alone.
        (order[id(name)], one.folder, name, () if name.content else one.numbers)
        for batch in told.values()
        for one in batch
        for name in by_row.about(one.row)
    ]
    for folder, known in folders.items():
        meant += [(order[id(one)], folder, one, range(known.count)) for one in by_row.of_folder(folder)]
    found: dict[tuple[str, int], str] = {}
    for _, folder, name, labelled in sorted(meant, key=itemgetter(0)):
        label = int(name.label.rpartition("_")[2])
        number = folders[folder].nearest(name) if name.voice else label if label in labelled else None
        if number is not None:
            found[folder, number] = name.name
    return found


def rewritten(config: Config, results: Results, batch: str, change: Change) -> bool:
    """Change the told rows of a batch, and bring its files after them; whether there was anything to change."""
    path, listing = results.speakers(batch), results.exported(batch)
    light = ({**row, "segments": [], "turns": []} for row in read_batch(path, LIGHT))
    if all(change(row)["speakers"] == row["speakers"] for row in light):
        return False
    made = path.stat()
    # Of what is older than its rows, Snakemake has planned the export already.
    exported = listing.exists() and listing.stat().st_mtime_ns >= made.st_mtime_ns
    if exported:
        listing.unlink()  # a kill from here on is not forgotten
    write_batch(path, map(change, read_batch(path)))
    os.utime(path, ns=(made.st_atime_ns, made.st_mtime_ns))  # no news for Snakemake
    if exported:
        export_batch(results, config.outputs, batch, subtitles=config.subtitles)
    return True


def relabelled(row: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """A row with other labels for its speakers, in their order."""
    new = {speaker["speaker"]: label for speaker, label in zip(row["speakers"], labels, strict=True)}

    def called(one: Mapping[str, Any]) -> dict[str, Any]:
        return {**one, "speaker": one["speaker"] and new[one["speaker"]]}

    return {
        **row,
        "segments": [
            {**called(one), "words": [called(word) for word in one["words"] or ()]} for one in row["segments"]
        ],
        "turns": [called(turn) for turn in row["turns"]],
        "speakers": [called(speaker) for speaker in row["speakers"]],
    }
