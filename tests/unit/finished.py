"""A results folder as it is after transcribing: real ledger, plan and batch files, made-up rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakescribe.config import load_config
from snakescribe.inventory.ledger import Known, Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.recording import Recording
from snakescribe.tables.batch import write_batch
from snakescribe.transcript import Gap, Segment, Word


def segment(
    start: float, end: float, text: str, channel: str | None = None, words: str = "", language: str | None = "ko"
) -> dict[str, Any]:
    """A segment as the transcribing step writes it; ``words`` are spread evenly over it."""
    said = words.split()
    step = (end - start) / max(1, len(said))
    return Segment(
        start=start,
        end=end,
        text=text,
        language=language,
        channel=channel,
        mean_logprob=-0.25,
        no_speech_probability=0.01,
        compression_ratio=1.5,
        temperature=0.0,
        words=tuple(
            Word(start=start + i * step, end=start + (i + 1) * step, text=word, probability=0.9)
            for i, word in enumerate(said)
        ),
    ).model_dump()


def gap(start: float, end: float, channel: str | None = None) -> dict[str, Any]:
    """Speech without text, as the transcribing step writes it."""
    return Gap(start=start, end=end, channel=channel).model_dump()


def row(path: str | bytes, *segments: Mapping[str, Any], **columns: Any) -> dict[str, Any]:
    """A recording's row; a ``status`` of ``failed`` gets an error."""
    raw = path if isinstance(path, bytes) else os.fsencode(path)
    text = " ".join(s["text"] for s in segments)
    made: dict[str, Any] = {
        "recording_id": hashlib.sha256(raw).hexdigest()[:16],
        "path": raw.decode("utf-8", "backslashreplace"),
        "path_bytes": raw,
        "sha256": hashlib.sha256(b"content of " + raw).hexdigest(),
        "status": "ok" if text else "empty",
        "flags": [],
        "text": text,
        "duration": 60.0,
        "speech_seconds": 40.0,
        "gaps": [],
        "language": "ko" if text else None,
        "language_probability": 0.98 if text else None,
        "replacements": [],
        "model": "base",
        "wall_seconds": 6.0,
        "real_time_factor": 0.1,
        "cached": False,
        "finished_at": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "attempt": 1,
        "segments": list(segments),
    }
    if columns.get("status") == "failed":
        error = {"error_class": "UnreadableRecording", "error_message": "not a media file"}
        made |= error | dict.fromkeys(("text", "duration", "speech_seconds", "gaps", "language", "wall_seconds"))
    return made | columns


def finish(
    root: Path,
    batches: Mapping[str, Sequence[Mapping[str, Any]]],
    columns: Sequence[str] = (),
    known: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> Results:
    """Write a results folder.

    Args:
        root: where.
        batches: rows by batch, in order; a later row of the same recording is its newer attempt.
        columns: the sheet's own.
        known: fields of the ledger's entry by recording id, over the usual ones.
        options: of the configuration.
    """
    results = Results(root)
    recordings: dict[str, Known] = {}
    attempts = []
    for batch, rows in batches.items():
        for position, one in enumerate(rows):
            key = one["recording_id"]
            attempt = recordings[key].attempt + 1 if key in recordings else 1
            entry = Known(
                one["path_bytes"],
                one["sha256"],
                "f",
                "present",
                None,
                None,
                "{}",
                attempt=attempt,
                batch=batch,
            )
            recordings[key] = entry._replace(**(known or {}).get(key, {}))
            recording = Recording(
                recording_id=key,
                path=one["path"],
                path_hex=one["path_bytes"].hex(),
                sha256=one["sha256"],
                size=1,
                attempt=attempt,
            )
            attempts.append((batch, position, 60.0, recording))
        write_batch(results.batch(batch), ({**one, "batch": batch} for one in rows))
    with Ledger.open(results.ledger) as ledger:
        ledger.commit(recordings, attempts, [], 0)
        planned = tuple(ledger.planned())
    plan = Plan(
        batches=planned,
        recordings=len(recordings),
        seconds=60.0 * len(recordings),
        removed=0,
        duplicates=0,
        skipped={},
        columns=tuple(columns),
        ledger="",
    )
    plan.write(results.plan)
    config = load_config({"recordings": "recordings", "results": ".", **options}, root)
    results.config.parent.mkdir(parents=True, exist_ok=True)
    results.config.write_text(config.model_dump_json())
    return results
