"""Names given to the speakers of a finished run, brought into its tables and files."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from snakescribe.config import Config
from snakescribe.correcting import bring
from snakescribe.errors import InputError
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.speakers.across import folder_of, label_across, rewritten
from snakescribe.speakers.called import Names, named
from snakescribe.speakers.names import NAME, Given, add_names, is_name, known_names
from snakescribe.tables.batch import read_batch
from snakescribe.units import clock, hours

SHOWN = 60
"""Letters of what a speaker says first."""


def speakers_of(results: Results, recording: str | None) -> Iterator[str]:
    """Lines for people: each recording with its speakers.

    Raises:
        InputError: there is no such recording, or voices were not told apart.
    """
    found = False
    for _, row in _rows(results):
        names = (unicodedata.normalize("NFC", row["path"]), row["recording_id"])
        if recording is None or unicodedata.normalize("NFC", recording) in names:
            found = True
            yield row["path"]
            for speaker in row["speakers"] or ():
                said = next((s["text"] for s in row["segments"] if s["speaker"] == speaker["speaker"]), "")
                shown = said if len(said) <= SHOWN else said[:SHOWN] + "…"
                name = f" {speaker['name']}" if speaker["name"] else ""
                at = clock(speaker["first_start"])
                yield f"  {speaker['speaker']}{name}: {hours(speaker['speech_seconds'])}, from {at}: {shown}"
    if recording is not None and not found:
        raise InputError(f"no recording {recording!r} with speakers here; see `snakescribe speakers list`")


def name_speakers(results: Results, config: Config, recording: str, names: Mapping[str, str]) -> int:
    """Name speakers of one recording, or with `speakers_across` of its folder; how many names are others now.

    Raises:
        InputError: there is no such recording or speaker, or a name cannot be one.
    """
    for name in names.values():
        if not is_name(name):
            raise InputError(f"{name!r} is no name: it has {NAME}")
    batch, row = _told(results, recording)
    there = {speaker["speaker"]: speaker["name"] or "" for speaker in row["speakers"]}
    unknown = next((label for label in names if label not in there), None)
    if unknown:
        raise InputError(f"{recording} has no speaker {unknown!r}; it has {', '.join(there)}")
    across = results.across.exists()
    voices = dict(zip(there, row["voice_vectors"] or [None] * len(there), strict=True))
    given = [
        Given(
            f"{folder_of(row)}/" if across else row["recording_id"],
            label,
            name,
            "" if across else row["sha256"],
            base64.b64encode(voices[label] or b"").decode(),
        )
        for label, name in names.items()
    ]
    results.naming.touch()  # a kill from here on is not forgotten
    add_names(results, given)
    if across:
        label_across(config, results, lambda line: None)
    else:
        known = Names(known_names(config, results))
        rewritten(config, results, batch, lambda row: named(row, known.of(row)) if row["speakers"] else dict(row))
    bring(results, config, [])
    results.naming.unlink()
    return sum(name != there[label] for label, name in names.items())


def _told(results: Results, recording: str) -> tuple[str, dict[str, Any]]:
    wanted = unicodedata.normalize("NFC", recording)
    for batch, row in _rows(results):
        if wanted in (unicodedata.normalize("NFC", row["path"]), row["recording_id"]):
            return batch, row
    raise InputError(f"no recording {recording!r} with speakers here; see `snakescribe speakers list`")


def _rows(results: Results) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every current row in which voices were told apart, with its batch."""
    with Ledger.open(results.ledger, readonly=True) as ledger:
        for planned in Plan.read(results.plan).batches:
            if results.speakers(planned.batch).exists():
                current = ledger.current(planned.batch)
                for row in read_batch(results.speakers(planned.batch)):
                    if row["recording_id"] in current and row["speakers"]:
                        yield planned.batch, row
