"""Names given to the speakers of a finished run, brought into its tables and files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from snakescribe.config import Config
from snakescribe.correcting import bring
from snakescribe.errors import InputError
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.speakers.across import label_across
from snakescribe.speakers.names import NAME, add_names, is_name
from snakescribe.speakers.telling import tell_batch
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
        if recording is None or recording in (row["path"], row["recording_id"]):
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
    """Name speakers of one recording; how many names are others now.

    Raises:
        InputError: there is no such recording or speaker, or a name cannot be one.
    """
    for name in names.values():
        if not is_name(name):
            raise InputError(f"{name!r} is no name: it has {NAME}")
    for batch, row in _rows(results):
        if recording not in (row["path"], row["recording_id"]):
            continue
        there = {speaker["speaker"]: speaker["name"] or "" for speaker in row["speakers"] or ()}
        unknown = next((label for label in names if label not in there), None)
        if unknown:
            known = ", ".join(there) or "none"
            raise InputError(f"{recording} has no speaker {unknown!r}; it has {known}")
        add_names(results, row["recording_id"], names)
        if config.speakers_across:
            label_across(config, results, lambda line: None)
            bring(results, config, [])
            return sum(name != there[label] for label, name in names.items())
        before = results.speakers(batch).stat()
        tell_batch(config, results, batch, lambda line: None)
        os.utime(results.speakers(batch), ns=(before.st_atime_ns, before.st_mtime_ns))  # no news for Snakemake
        bring(results, config, [batch])
        return sum(name != there[label] for label, name in names.items())
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
