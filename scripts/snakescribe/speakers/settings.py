"""What voices and speakers of a batch depend on beside its recordings, as digests for Snakemake. Imports no torch."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from pydantic import TypeAdapter

from snakescribe.config import Config
from snakescribe.config.options import MOST_SPEAKERS, Speakers
from snakescribe.errors import InputError
from snakescribe.inventory.sheet import Sheet
from snakescribe.inventory.walk import Walk
from snakescribe.keys import digest, samples_key
from snakescribe.models.catalog import catalog
from snakescribe.recording import Recording
from snakescribe.speakers.names import read_names

_ASKING = {"auto", *map(str, range(1, MOST_SPEAKERS + 1))}
_ID = re.compile(r"[0-9a-f]{8,}")
VOICES_VERSION = 1
"""Raised whenever the same audio gives other vectors, so that no cache gives old ones."""


def voices_key(config: Config, recording: Recording) -> str:
    """Digest of everything but the audio that the voices of a recording depend on."""
    sums = [member.sha256 for member in catalog().speakers.members]
    audio = config.audio.model_dump(exclude={"truncated", "max_hours", "raw", "channel_names"})
    return digest({"voices": VOICES_VERSION, "weights": sums, "audio": audio, "own": samples_key(config, recording)})


def asked_speakers(cell: str) -> Speakers:
    """A cell of the sheet's column `speakers`.

    Raises:
        ValueError: it is neither off, auto nor a number that the option would take.
    """
    found: Speakers = TypeAdapter(Speakers).validate_python(cell)
    return found


def without_effect(config: Config, walked: Walk) -> Iterator[str]:
    """What somebody has asked for and will not get, as sentences."""
    rows = walked.sheet.rows if walked.sheet else ()
    if config.speakers == "off":
        if any(row.extras.get("speakers", "").strip() in _ASKING for row in rows):
            yield "the sheet's column `speakers` does nothing while the option is off; --config speakers=auto heeds it"
        return
    known = {unicodedata.normalize("NFC", os.fsdecode(entry.path)) for entry in walked.entries}
    known |= {row.id for row in rows if row.id}
    names = read_names(Path(config.speaker_names)) if config.speaker_names else []
    unknown = [one.recording for one in names if unicodedata.normalize("NFC", one.recording) not in known]
    if unknown := [name for name in unknown if not _ID.fullmatch(name)]:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        yield f"{config.speaker_names} names speakers of {unknown[0]!r}{more}, which is no recording here"


def voices_digest(config: Config, sheet: Sheet | None) -> str:
    """Changes when voices must be heard anew; what is known of them is in the cache."""
    if config.speakers == "off":
        return ""
    audio = config.audio.model_dump(exclude={"truncated", "max_hours"})
    off = [row.path for row in sheet.rows if row.extras.get("speakers", "").strip() == "off"] if sheet else []
    return digest([VOICES_VERSION, audio, config.speech.model_dump(), off])


def speakers_digest(config: Config, sheet: Sheet | None) -> str:
    """Changes when it must be told anew who speaks: how many there are, and who they are by the option's sheet.

    Raises:
        InputError: the names cannot be read, or a cell of the column `speakers` cannot be right.
    """
    if config.speakers == "off":
        return ""
    names = read_names(Path(config.speaker_names)) if config.speaker_names else []
    for row in sheet.rows if sheet else ():
        try:
            asked_speakers(row.extras.get("speakers", "").strip() or "auto")
        except ValueError as error:
            why = str(error).split("Value error, ")[-1].split(" [")[0]
            raise InputError(f"sample sheet {config.recordings}, line {row.line}: speakers: {why}") from None
    own = (
        [[row.path, row.extras.get("speakers")] for row in sheet.rows] if sheet and "speakers" in sheet.columns else []
    )
    asked = [config.speakers, config.speakers_min, config.speakers_max, config.speakers_across]
    return digest([*asked, [astuple(name) for name in names], own])
