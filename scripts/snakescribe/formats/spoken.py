"""What transcript files are written from: a recording's row, its subtitles, and its tiers for other tools.

Those tools want times in whole milliseconds, and most of them neither spans without length nor two at once in one tier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import inf
from typing import Any, NamedTuple

from snakescribe.formats.subtitles import Cue, cues
from snakescribe.formats.wrap import one_line

_NO_XML = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What one_line leaves and XML refuses (https://www.w3.org/TR/xml/#charsets)."""
PAUSE, TURN = 2.0, 30.0
"""Seconds: a turn ends at a pause so long, and gets a new time after so many."""


class Span(NamedTuple):
    """Text from ``start`` to ``end`` (whole milliseconds)."""

    start: int
    end: int
    text: str


class Tier(NamedTuple):
    """What one speaker says, by segment or by word: in order, not overlapping, each span with a length."""

    name: str
    speaker: str
    """Empty where nobody knows."""
    spans: list[Span]
    of_words: bool = False


class Turn(NamedTuple):
    """What a speaker says without a pause, from ``start`` (seconds)."""

    start: float
    speaker: str
    text: str


@dataclass
class Spoken:
    """A recording with what was said in it."""

    row: Mapping[str, Any]
    """Of the batch file; the formats of the server need only ``segments``, ``language`` and ``duration``."""
    highlight: bool = False
    """Whether subtitles that can shall highlight the word that is said."""

    @cached_property
    def segments(self) -> list[dict[str, Any]]:
        """Its segments, with the names of their speakers where they have any; none when it failed."""
        return named(self.row)

    @cached_property
    def cues(self) -> list[Cue]:
        """Its subtitles, laid out once for all formats."""
        return cues(self.segments, self.row["language"], self.row["duration"] or inf)

    @property
    def name(self) -> str:
        """The recording's name without its folders, for people."""
        return plain(self.row["path"].rpartition("/")[2]) or self.row["recording_id"]

    @property
    def field(self) -> str:
        """What names it where fields are split at blanks: its path, else its id."""
        path = self.row["path"]
        fits = path.split() == [path] and plain(path) == path and not path.startswith(";")  # `;;` is a comment
        return str(path if fits else self.row["recording_id"])

    @cached_property
    def tiers(self) -> list[Tier]:
        """One of segments for each speaker, with one of words where there are any; at least one."""
        by_speaker: dict[str, list[dict[str, Any]]] = {}
        for segment in sorted(self.segments, key=_start):
            by_speaker.setdefault(speaker_of(segment), []).append(segment)
        found = []
        for speaker, said in (by_speaker or {"": []}).items():
            found.append(Tier(speaker or "transcript", speaker, apart(map(span_of, said))))
            if words := [span_of(word) for segment in said for word in segment.get("words") or ()]:
                found.append(Tier(f"{speaker} words".strip(), speaker, apart(words), of_words=True))
        names = distinct(tier.name for tier in found)
        return [tier._replace(name=name) for tier, name in zip(found, names, strict=True)]

    @property
    def length(self) -> int:
        """Milliseconds from the start to the end of recording and text, whichever ends later."""
        ends = (tier.spans[-1].end for tier in self.tiers if tier.spans)
        return max(milliseconds(self.row["duration"] or 0), *ends, 1)

    def turns(self) -> Iterator[Turn]:
        """Its text as it is read: segments joined until another speaker, a pause, or half a minute."""
        turn: Turn | None = None
        end = 0.0
        for segment in sorted(self.segments, key=_start):
            speaker, text, start = speaker_of(segment), plain(segment["text"]), segment["start"]
            if not text:
                continue
            if turn and turn.speaker == speaker and start - end < PAUSE and start - turn.start < TURN:
                turn = turn._replace(text=f"{turn.text} {text}")
            else:
                if turn:
                    yield turn
                turn = Turn(start, speaker, text)
            end = segment["end"]
        if turn:
            yield turn


def _start(segment: Mapping[str, Any]) -> float:
    return float(segment["start"])


def plain(text: str) -> str:
    """``text`` in one line, of characters that every format can hold."""
    return one_line(_NO_XML.sub("", text))


def named(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The segments of a row, each speaker called by name where somebody has said it."""
    names = {speaker["speaker"]: speaker["name"] for speaker in row.get("speakers") or () if speaker["name"]}
    segments: list[dict[str, Any]] = row["segments"] or []
    if not names:
        return segments
    return [segment | {"speaker": names.get(segment["speaker"], segment["speaker"])} for segment in segments]


def speaker_of(segment: Mapping[str, Any]) -> str:
    """Who says it, as far as is known: the speaker, else the channel, else nobody."""
    return plain(segment.get("speaker") or segment["channel"] or "")


def milliseconds(seconds: float) -> int:
    """Seconds in whole milliseconds."""
    return max(round(seconds * 1000), 0)


def span_of(said: Mapping[str, Any]) -> Span:
    """A segment or word in whole milliseconds."""
    return Span(milliseconds(said["start"]), milliseconds(said["end"]), plain(said["text"]))


def apart(spans: Iterable[Span]) -> list[Span]:
    """Spans with text in order: each at least a millisecond long and ended by the beginning of the next.

    >>> apart([Span(5, 9, "a"), Span(7, 7, "b"), Span(7, 8, "c"), Span(8, 9, "")])
    [Span(start=5, end=7, text='a'), Span(start=7, end=8, text='b'), Span(start=8, end=9, text='c')]
    """
    placed: list[Span] = []
    for start, end, text in sorted((span for span in spans if span.text), key=lambda span: span.start):
        if placed and start < placed[-1].end:
            start = max(start, placed[-1].start + 1)
            placed[-1] = placed[-1]._replace(end=start)
        placed.append(Span(start, max(end, start + 1), text))
    return placed


def shared(pieces: Sequence[str], start: int, end: int) -> list[Span]:
    """Pieces of a text, with the time (milliseconds) of the whole shared among them by their lengths.

    >>> shared(["ab", "cd"], 0, 1000)
    [Span(start=0, end=500, text='ab'), Span(start=500, end=1000, text='cd')]
    """
    reached = [0, *accumulate(map(len, pieces))]
    times = [start + (end - start) * part // max(reached[-1], 1) for part in reached]
    return [Span(times[i], times[i + 1], piece) for i, piece in enumerate(pieces)]


def distinct(names: Iterable[str]) -> list[str]:
    """Names, with a number behind those that were there before.

    >>> distinct(["a", "b", "a"])
    ['a', 'b', 'a_2']
    """
    taken: dict[str, None] = {}
    for name in names:
        tried, number = name, 1
        while tried in taken:
            number += 1
            tried = f"{name}_{number}"
        taken[tried] = None
    return list(taken)


def clock(seconds: float) -> str:
    """Whole seconds as people read them.

    >>> clock(3725.9)
    '01:02:05'
    """
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
