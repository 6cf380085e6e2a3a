"""Transcripts as people have put them right; pure, so that every table, file and page says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snakescribe.corrections.store import Correction, Said, standing
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
NEAR = 0.01
"""Seconds within which two times are the same one: pages and subtitles round."""


def apply(row: Mapping[str, Any], corrections: Sequence[Correction]) -> dict[str, Any]:
    """A row of a batch file with its segments put right; see :func:`applied`."""
    return applied(row, corrections)[0]


def applied(row: Mapping[str, Any], corrections: Sequence[Correction]) -> tuple[dict[str, Any], list[Correction]]:
    """A row of a batch file with its segments put right.

    A correction replaces the segment with its very times, else those of its channel that lie in it by more than half.
    One that would tear a longer segment of another model, or stand beside it and say the same twice, is left out. The
    later one wins.

    Args:
        row: with the columns of ``schema.BATCH``.
        corrections: of its content, in the order in which they were made, with those that were undone.

    Returns:
        The row with ``segments``, ``text``, ``status``, ``flags`` and ``gaps`` as they are then; where there is a
        correction, row and segments have ``corrected``. And the conflicts: corrections that were made of another text
        than stands there, because somebody else or another model has changed it.
    """
    mine = standing([one for one in corrections if one.sha256 == row["sha256"]] if row["status"] != "failed" else [])
    segments = [{**segment, "corrected": False} for segment in row["segments"] or ()]
    gaps, odd, done = list(row["gaps"] or ()), list[Correction](), False
    for one in mine.values():
        near = [
            segment for segment in segments if segment["channel"] == one.channel and _overlap(one, segment) >= -NEAR
        ]
        gone = [segment for segment in near if _same(one, segment)] or [s for s in near if _inside(one, s)]
        if " ".join(segment["text"] for segment in gone).split() != one.old.split():
            odd.append(one)
            if any(_overlap(one, s) > (one.end - one.start) / 2 for s in near if s not in gone):
                continue
        segments = [segment for segment in segments if not any(segment is one_gone for one_gone in gone)]
        segments += [_segment(said, one, gone, row) for said in one.new]
        gaps = [gap for gap in gaps if gap["channel"] != one.channel or not _inside(one, gap)]
        done = True
    if not done:
        return dict(row), odd
    segments.sort(key=lambda segment: (segment["start"], segment["end"]))
    doubted = {flag for segment in segments for flag in segment["flags"]}
    text = " ".join(segment["text"] for segment in segments if segment["text"])
    right = {
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
    return right, odd


def _overlap(one: Correction, piece: Mapping[str, Any]) -> float:
    """Seconds in both; negative where they are apart."""
    return float(min(one.end, piece["end"]) - max(one.start, piece["start"]))


def _same(one: Correction, piece: Mapping[str, Any]) -> bool:
    return bool(abs(one.start - piece["start"]) < NEAR and abs(one.end - piece["end"]) < NEAR)


def _inside(one: Correction, piece: Mapping[str, Any]) -> bool:
    length = piece["end"] - piece["start"]
    return bool(_overlap(one, piece) > length / 2 if length else one.start <= piece["start"] < one.end)


def _segment(said: Said, one: Correction, gone: Sequence[dict[str, Any]], row: Mapping[str, Any]) -> dict[str, Any]:
    """What was right already keeps its words and their times."""
    known = {speaker["speaker"] for speaker in row.get("speakers") or ()}
    given = said.speaker if said.speaker in known else None  # another number of speakers has other labels
    for segment in gone:
        if segment["text"] == said.text and (segment["start"], segment["end"]) == (said.start, said.end):
            who = given or segment.get("speaker")
            words = [{**word, "speaker": who} for word in segment["words"] or ()] if given else segment["words"]
            return {**segment, "flags": [], "corrected": True, "speaker": who, "words": words}
    return {
        **said.model_dump(),
        **_SURE,
        "language": gone[0]["language"] if gone else row["language"],
        "channel": one.channel,
        "speaker": given or _speaker(said, one.channel, gone, row),
        "corrected": True,
    }


def _speaker(said: Said, channel: str | None, gone: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str | None:
    """Who says it: whoever has most of its time, of the segments that stood there, else of the turns."""
    pieces = gone or [turn for turn in row.get("turns") or () if turn["channel"] == channel]
    seconds: dict[str | None, float] = {}
    for piece in pieces:
        shared = max(0.0, min(said.end, piece["end"]) - max(said.start, piece["start"]))
        seconds[piece.get("speaker")] = seconds.get(piece.get("speaker"), 0.0) + shared
    return max(seconds, key=lambda speaker: seconds[speaker]) if seconds else None
