"""NIST's forms for scoring: words (CTM), segments (STM), speakers (RTTM). Their fields are split at blanks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from snakescribe.formats.spoken import Span, Spoken, distinct, plain, shared, span_of

UNKNOWN = "unknown"


def ctm(said: Spoken) -> str:
    """A line per word: recording, channel, start, duration, word, and its probability.

    Without ``words: true`` the words of a segment share its time by their lengths, and have no probability.
    """
    channels = _fields((segment["channel"] for segment in said.segments), "1")
    lines = [
        (channels[segment["channel"]], word.start, f"{_seconds(word)} {word.text}{probability}\n")
        for segment in said.segments
        for word, probability in _words(segment)
    ]
    lines.sort(key=lambda line: line[:2])
    return "".join(f"{said.field} {channel} {line}" for channel, _, line in lines)


def stm(said: Spoken) -> str:
    """A line per segment: recording, channel, speaker, start, end, the language in ``<>``, text."""
    channels = _fields((segment["channel"] for segment in said.segments), "1")
    speakers = _fields((segment.get("speaker") for segment in said.segments), UNKNOWN)
    lines = []
    for segment in said.segments:
        start, end, text = span_of(segment)
        if text:
            speaker, label = speakers[segment.get("speaker")], segment["language"] or said.row["language"] or "und"
            times = f"{start / 1000:.3f} {max(end, start + 1) / 1000:.3f}"
            lines.append((channels[segment["channel"]], start, f"{speaker} {times} <{label}> {text}\n"))
    lines.sort(key=lambda line: line[:2])
    return "".join(f"{said.field} {channel} {line}" for channel, _, line in lines)


def rttm(said: Spoken) -> str:
    """Who speaks when: a line per turn where voices are told apart, else per segment with its channel."""
    if turns := said.row.get("turns"):
        names = {one["speaker"]: one["name"] or one["speaker"] for one in said.row["speakers"]}
        fields = _fields(names.values(), UNKNOWN)
        return "".join(
            f"SPEAKER {said.field} 1 {turn['start']:.3f} {turn['end'] - turn['start']:.3f} <NA> <NA>"
            f" {fields[names[turn['speaker']]]} <NA> <NA>\n"
            for turn in turns
        )
    tiers = [tier for tier in said.tiers if not tier.of_words]
    speakers = _fields((tier.speaker for tier in tiers), UNKNOWN)
    lines = sorted((span, speakers[tier.speaker]) for tier in tiers for span in tier.spans)
    return "".join(
        f"SPEAKER {said.field} 1 {_seconds(span)} <NA> <NA> {speaker} <NA> <NA>\n" for span, speaker in lines
    )


def _words(segment: Mapping[str, Any]) -> Iterator[tuple[Span, str]]:
    words = segment.get("words")
    for one in words or [segment]:
        start, end, text = span_of(one)
        probability = f" {one['probability']:.2f}" if words else ""
        yield from ((word, probability) for word in shared(text.split(), start, max(start, end)))


def _seconds(span: Span) -> str:
    """Start and duration."""
    return f"{span.start / 1000:.3f} {(span.end - span.start) / 1000:.3f}"


def _fields(names: Iterable[str | None], missing: str) -> dict[str | None, str]:
    """Each name as one field, no two of them the same."""
    given = list(dict.fromkeys(names))
    return dict(zip(given, distinct("_".join(plain(name or "").split()) or missing for name in given), strict=True))
