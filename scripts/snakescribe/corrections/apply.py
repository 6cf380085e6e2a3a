"""Transcripts as people have put them right; pure, so that every table, file and page says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snakescribe.corrections.store import Correction, Said
from snakescribe.flags import SEGMENT_FLAGS
from snakescribe.transcript import covered_seconds

_SURE = {
    "mean_logprob": 0.0,
    "no_speech_probability": 0.0,
    "compression_ratio": 1.0,
    "temperature": 0.0,
    "flags": [],
    "words": [],
}
"""Figures of a segment that a person has written."""


def apply(row: Mapping[str, Any], corrections: Sequence[Correction]) -> dict[str, Any]:
    """A row of a batch file with its segments put right.

    A correction replaces the segments of its channel whose middle lies within it, whatever model made them; the later
    one wins. Those of other content do not count.

    Args:
        row: with the columns of ``schema.BATCH``.
        corrections: of this recording, in the order in which they were made.

    Returns:
        The row with ``segments``, ``text``, ``status``, ``flags`` and ``gaps`` as they are then. Where there is a
        correction, row and segments have ``corrected``.
    """
    mine = [one for one in corrections if one.sha256 == row["sha256"]] if row["status"] != "failed" else []
    if not mine:
        return dict(row)
    segments = [{**segment, "corrected": False} for segment in row["segments"] or ()]
    gaps = list(row["gaps"] or ())
    for one in mine:
        gone = [segment for segment in segments if _covers(one, segment)]
        segments = [segment for segment in segments if not _covers(one, segment)]
        segments += [_segment(said, one, gone, row["language"]) for said in one.new]
        gaps = [gap for gap in gaps if not _covers(one, gap)]
    segments.sort(key=lambda segment: (segment["start"], segment["end"]))
    doubted = {flag for segment in segments for flag in segment["flags"]}
    text = " ".join(segment["text"] for segment in segments if segment["text"])
    return {
        **row,
        "segments": segments,
        "text": text,
        "status": "ok" if text else "empty",
        "flags": [flag for flag in row["flags"] or () if flag not in SEGMENT_FLAGS or flag in doubted],
        "text_seconds": round(covered_seconds(segments), 3),
        "gaps": gaps,
        "gap_seconds": round(sum(gap["end"] - gap["start"] for gap in gaps), 3),
        "corrected": True,
    }


def conflicts(row: Mapping[str, Any], corrections: Sequence[Correction]) -> list[Correction]:
    """Corrections that were made of another text than the one that they replace.

    Somebody else, or another model, has changed the place in between. They count all the same.
    """
    found = []
    for number, one in enumerate(corrections):
        there = [s for s in apply(row, corrections[:number])["segments"] or () if _covers(one, s)]
        if one.sha256 != row["sha256"] or _words(" ".join(s["text"] for s in there)) != _words(one.old):
            found.append(one)
    return found


def _covers(one: Correction, piece: Mapping[str, Any]) -> bool:
    middle = (piece["start"] + piece["end"]) / 2
    return bool(piece["channel"] == one.channel and one.start <= middle <= one.end)


def _segment(said: Said, one: Correction, gone: Sequence[dict[str, Any]], language: str | None) -> dict[str, Any]:
    """What was right already keeps its words and their times."""
    for segment in gone:
        if segment["text"] == said.text and (segment["start"], segment["end"]) == (said.start, said.end):
            return {**segment, "flags": [], "corrected": True}
    spoken = gone[0]["language"] if gone else language
    return {**said.model_dump(), **_SURE, "language": spoken, "channel": one.channel, "corrected": True}


def _words(text: str) -> list[str]:
    return text.split()
