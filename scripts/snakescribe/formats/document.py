"""The transcript files that are not subtitles: ``.json`` with everything, ``.txt`` for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def json_document(row: Mapping[str, Any]) -> str:
    r"""A recording's row of the batch file, its segments (and words) nested; see ``docs/tables.md``.

    Times of day are ISO 8601 in UTC; ``path_bytes`` and ``envelope`` are left out, ``path`` has its bytes that are not
    UTF-8 as ``\xNN``.
    """
    kept = {name: value for name, value in row.items() if name not in ("path_bytes", "segments", "envelope")}
    segments = [_without_empty_words(segment) for segment in row["segments"] or ()]
    return json.dumps(kept | {"segments": segments}, ensure_ascii=False, indent=2, default=_plain) + "\n"


def text_document(segments: list[dict[str, Any]]) -> str:
    """One line per segment, with ``[channel] `` in front where the channels were transcribed apart."""
    lines = ((segment["channel"], " ".join(segment["text"].split())) for segment in segments)
    return "".join(f"[{channel}] {text}\n" if channel else f"{text}\n" for channel, text in lines if text)


def _without_empty_words(segment: dict[str, Any]) -> dict[str, Any]:
    return segment if segment["words"] else {k: v for k, v in segment.items() if k != "words"}


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    raise TypeError(f"no JSON form for {type(value).__name__}")
