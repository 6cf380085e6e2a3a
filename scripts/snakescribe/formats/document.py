"""The transcript files that are not subtitles: ``.json`` with everything, ``.txt`` for reading."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from snakescribe.formats.spoken import speaker_of

_OF_SPEAKERS = (
    *("speaker", "speaker_confidence", "overlap", "speakers", "turns"),
    *("speakers_found", "speakers_given", "overlap_seconds", "speaker_model_sha256"),
)
"""What a document says only when voices were told apart."""


def json_document(row: Mapping[str, Any]) -> str:
    r"""A recording's row of the batch file, its segments (and words) nested; see ``docs/tables.md``.

    Times of day are ISO 8601 in UTC; ``path_bytes``, ``envelope`` and ``voice_vectors`` are left out, ``path`` has its
    bytes that are not UTF-8 as ``\xNN``.
    """
    nobody = _OF_SPEAKERS if row.get("speakers_found") is None else ()
    left_out = ("path_bytes", "segments", "envelope", "voice_vectors", *nobody)
    kept = {name: value for name, value in row.items() if name not in left_out}
    segments = [_plainer(segment, nobody) for segment in row["segments"] or ()]
    return json.dumps(kept | {"segments": segments}, ensure_ascii=False, indent=2, default=_plain) + "\n"


def text_document(segments: list[dict[str, Any]]) -> str:
    """One line per segment, with ``[speaker] `` or ``[channel] `` in front where these are told apart."""
    lines = ((speaker_of(segment), " ".join(segment["text"].split())) for segment in segments)
    return "".join(f"[{speaker}] {text}\n" if speaker else f"{text}\n" for speaker, text in lines if text)


def _plainer(segment: dict[str, Any], left_out: Collection[str]) -> dict[str, Any]:
    """Without words where there are none, and without what nobody was asked for."""
    kept = {name: value for name, value in segment.items() if name not in left_out and (name != "words" or value)}
    if "words" in kept and left_out:
        kept["words"] = [{k: v for k, v in word.items() if k not in left_out} for word in kept["words"]]
    return kept


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    raise TypeError(f"no JSON form for {type(value).__name__}")
