"""One voice, one label in all recordings of a folder (option `speakers_across`).

Recordings are taken in the order in which they were first seen, and each speaker is one of the voices known so far or a
new one: what comes tomorrow changes no label of today.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from snakescribe.config import Config
from snakescribe.files import write_atomically
from snakescribe.formats.export import export_batch
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.speakers.cluster import Vectors
from snakescribe.speakers.names import known_names, label_of
from snakescribe.speakers.voices import SCALE
from snakescribe.tables.batch import read_batch, write_batch
from snakescribe.units import counted

ALIKE = 0.6
"""Cosine from which on a speaker of another recording is the same person (docs/decisions/speakers.md)."""


class Known:
    """The voices of one folder."""

    def __init__(self) -> None:
        """None so far."""
        self._sums: Vectors = np.zeros((16, 192), np.float32)
        self.count = 0

    def numbers(self, speakers: Sequence[Vectors | None]) -> list[int]:
        """Which voices the speakers of one recording are, all different ones; new ones are numbered on.

        Args:
            speakers: as :func:`snakescribe.speakers.turns.likenesses` gives them; None is always a new voice.
        """
        own = np.stack([np.zeros(192, np.float32) if one is None else one for one in speakers])
        sums = self._sums[: self.count]
        alike = own @ (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)).T
        found: dict[int, int] = {}
        while alike.size and alike.max() >= ALIKE:
            speaker, voice = (int(index) for index in np.unravel_index(alike.argmax(), alike.shape))
            found[speaker] = voice
            alike[speaker], alike[:, voice] = -1, -1
        return [self._add(own[number], found.get(number)) for number in range(len(speakers))]

    def _add(self, likeness: Vectors, voice: int | None) -> int:
        if voice is None:
            voice, self.count = self.count, self.count + 1
        if self.count > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        self._sums[voice] += likeness
        return voice


@dataclass(frozen=True)
class _Wanted:
    """What the speakers of a recording are to be called, in the order in which they speak first."""

    folder: str
    labels: list[str]


def label_across(config: Config, results: Results, log: Callable[[str], None]) -> list[str]:
    """Give every told batch the labels and names of its folders; what was exported with others is exported anew.

    Returns:
        The batches that were changed.

    Raises:
        ResultsError: a batch is missing or damaged.
        InputError: the names cannot be read.
    """
    folders: dict[str, Known] = {}
    wanted: dict[str, _Wanted] = {}
    where: dict[str, list[_Wanted]] = {}
    batches = [one.batch for one in Plan.read(results.plan).batches]
    with Ledger.open(results.ledger, readonly=True) as ledger:
        current = {batch: ledger.current(batch) for batch in batches}
    for batch in batches:
        for row in read_batch(results.speakers(batch), ["recording_id", "path", "speakers", "voice_vectors"]):
            if row["speakers"] and row["recording_id"] in current[batch]:
                folder = str(PurePosixPath(row["path"]).parent)
                numbers = folders.setdefault(folder, Known()).numbers(_unpacked(row["voice_vectors"]))
                one = wanted[row["recording_id"]] = _Wanted(folder, [label_of(number) for number in numbers])
                for name in (row["recording_id"], row["path"]):
                    where.setdefault(name, []).append(one)
    names: dict[tuple[str, str], str] = {}
    for recording, label, name in known_names(config, results).rows:
        for one in where.get(recording, ()):
            if label in one.labels:
                names[one.folder, label] = name
    changed = [batch for batch in batches if _bring(config, results, batch, wanted, names)]
    voices = {folder: known.count for folder, known in folders.items()}
    write_atomically(
        results.across, json.dumps(voices, ensure_ascii=False, indent=1).encode("utf-8", "surrogateescape")
    )
    said = f"{counted(sum(voices.values()), 'voice')} in {counted(len(voices), 'folder')}"
    log(f"across: {said}; {counted(len(changed), 'batch', 'batches')} changed")
    return changed


def _bring(
    config: Config,
    results: Results,
    batch: str,
    wanted: Mapping[str, _Wanted],
    names: Mapping[tuple[str, str], str],
) -> bool:
    """Rewrite the rows of a batch that are not as wanted; whether any were not."""
    path, listing = results.speakers(batch), results.exported(batch)

    def as_wanted(row: Mapping[str, Any]) -> dict[str, Any]:
        one = wanted.get(row["recording_id"])
        return (
            relabelled(row, one.labels, {label: names.get((one.folder, label), "") for label in one.labels})
            if one and row["speakers"]
            else dict(row)
        )

    light = read_batch(path, ["recording_id", "speakers"])
    if all(as_wanted({**row, "segments": [], "turns": []})["speakers"] == row["speakers"] for row in light):
        return False
    made = path.stat()
    # Of what is older than its rows, Snakemake has planned the export already.
    exported = listing.exists() and listing.stat().st_mtime_ns >= made.st_mtime_ns
    if exported:
        listing.unlink()  # a kill from here on is not forgotten
    write_batch(path, map(as_wanted, read_batch(path)))
    os.utime(path, ns=(made.st_atime_ns, made.st_mtime_ns))  # no news for Snakemake
    if exported:
        export_batch(results, config.outputs, batch, subtitles=config.subtitles)
    return True


def relabelled(row: Mapping[str, Any], labels: Sequence[str], names: Mapping[str, str]) -> dict[str, Any]:
    """A row with other labels for its speakers, in their order, and other names."""
    new = {speaker["speaker"]: label for speaker, label in zip(row["speakers"], labels, strict=True)}
    on_channel = Counter(speaker["channel"] for speaker in row["speakers"])

    def called(one: Mapping[str, Any]) -> dict[str, Any]:
        return {**one, "speaker": one["speaker"] and new[one["speaker"]]}

    def named(speaker: dict[str, Any]) -> dict[str, Any]:
        alone = speaker["channel"] if on_channel[speaker["channel"]] == 1 else None
        return {**speaker, "name": names[speaker["speaker"]] or alone}

    return {
        **row,
        "segments": [
            {**called(one), "words": [called(word) for word in one["words"] or ()]} for one in row["segments"]
        ],
        "turns": [called(turn) for turn in row["turns"]],
        "speakers": [named(called(speaker)) for speaker in row["speakers"]],
    }


def _unpacked(vectors: Sequence[bytes | None]) -> list[Vectors | None]:
    return [None if one is None else np.frombuffer(one, np.int8).astype(np.float32) / SCALE for one in vectors]
