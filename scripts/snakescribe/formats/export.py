"""Writes the transcript files of a batch, and nothing that is there already."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from snakescribe.files import read_record, write_atomically
from snakescribe.formats.document import json_document, text_document
from snakescribe.formats.names import FORMATS, transcript_stem
from snakescribe.formats.subtitles import cues, srt, vtt
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.records import Frozen
from snakescribe.tables.batch import read_batch


@dataclass
class Written:
    """What an export did, in files."""

    kept: int = 0
    written: int = 0
    removed: int = 0


def rendered(row: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, str]:
    """The wanted files of one recording, by format; a failed one has only its JSON, with the error."""
    segments = row["segments"] or []
    made = {}
    if "json" in outputs:
        made["json"] = json_document(row)
    if row["status"] == "failed":
        return made
    if "txt" in outputs:
        made["txt"] = text_document(segments)
    if "srt" in outputs or "vtt" in outputs:
        shown = cues(segments, row["language"])
        made |= {kind: write(shown) for kind, write in (("srt", srt), ("vtt", vtt)) if kind in outputs}
    return made


def export_batch(results: Results, outputs: Sequence[str], batch: str) -> Written:
    """Bring the files of a batch's recordings up to date, and list them in ``exported/ID.json``.

    A recording belongs to the batch with its newest attempt: that one writes the configured formats and
    removes the others. A recording that the ledger has forgotten loses its files.

    Raises:
        ResultsError: the batch file is missing or damaged.
    """
    done, listed = Written(), []
    with Ledger.open(results.ledger, readonly=True) as ledger:
        current = ledger.current(batch)
        for row in read_batch(results.batch(batch)):
            mine = row["recording_id"] in current
            if not mine and ledger.batch_of(row["recording_id"]) is not None:
                continue  # a newer attempt's batch owns these files
            stem = transcript_stem(row["path_bytes"], row["recording_id"])
            made = rendered(row, outputs) if mine else {}
            for kind in FORMATS:
                name = stem + b"." + kind.encode()
                path = results.transcripts / os.fsdecode(name)
                if kind in made:
                    listed.append(name)
                    changed = _write_if_changed(path, made[kind].encode())
                    done.written += changed
                    done.kept += not changed
                elif path.is_file():
                    path.unlink()
                    done.removed += 1
    document = {"batch": batch, "files": [_written_name(name) for name in listed]}
    _write_if_changed(results.exported(batch), (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())
    return done


def export_missing(results: Results, outputs: Sequence[str]) -> Written:
    """Write again what was deleted from ``transcripts``, in every batch that was exported."""
    done = Written()
    for batch in (entry.batch for entry in Plan.read(results.plan).batches):
        if results.exported(batch).exists() and not all(path.is_file() for path in exported_files(results, batch)):
            one = export_batch(results, outputs, batch)
            done.kept += one.kept
            done.written += one.written
            done.removed += one.removed
    return done


class Exported(Frozen):
    """``exported/ID.json``."""

    batch: str
    files: tuple[str | dict[Literal["hex"], str], ...]
    """Below ``transcripts``; bytes that are not UTF-8 as hex."""


def read_exported(path: Path) -> Exported:
    """Which files a batch wrote.

    Raises:
        ResultsError: the list is missing, damaged or of another version.
    """
    checked = path.parents[1] / ".snakescribe/checked"  # without it Snakemake asks for the list again
    return read_record(path, Exported, f"delete it and {checked}, and run again: the list is made anew")


def exported_files(results: Results, batch: str) -> list[Path]:
    """The transcript files that a batch wrote, by its ``exported/ID.json``."""
    files = read_exported(results.exported(batch)).files
    names = (bytes.fromhex(name["hex"]) if isinstance(name, dict) else name.encode() for name in files)
    return [results.transcripts / os.fsdecode(name) for name in names]


def _written_name(name: bytes) -> str | dict[str, str]:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return {"hex": name.hex()}


def _write_if_changed(path: Path, data: bytes) -> bool:
    try:
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    write_atomically(path, data)
    return True
