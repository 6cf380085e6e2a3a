"""Subtitles: segments become cues that a viewer can read; ``notation.py`` writes them as SRT, WebVTT or ASS.

The way: segments of one voice that an abbreviation has cut ("And Mr.") are put together, a segment is cut at words into
cues of at most two lines and seven seconds, cues of channels that speak at once are disentangled, short ones are shown
together with the next or held into the silence after them. How long, wide and fast, and where a phrase ends, is by
language: ``reading.py``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

from snakescribe.formats.reading import Rules, rules_of
from snakescribe.formats.wrap import Unit, break_cost, joined, offsets, one_line, one_or_two_lines, units, width

LINES = 2
TICK = 0.1
"""Seconds every cue has, even where many fall on one moment."""
CROWDED = 2 * LINES
"""Lines of a cue in which two channels speak at once."""
PAUSE = 0.5
"""Seconds between what is shown together, at most; what an abbreviation has cut may be ``STUMBLE`` apart."""
STUMBLE = 2.0

_CUE, _UNEVEN, _UNREAD = 3, 3, 4
"""What one more cue costs, one that is nearly empty, and one of a moment, in the measure of ``reading.SENTENCE``."""


class Said(NamedTuple):
    """A word of a line: the character where it begins, and its seconds."""

    at: int
    start: float
    end: float


@dataclass(frozen=True)
class Cue:
    """Lines shown from ``start`` to ``end`` (seconds)."""

    start: float
    end: float
    lines: tuple[str, ...]
    words: tuple[tuple[Said, ...], ...] = ()
    """By line, or nothing where they have no times."""
    speakers: tuple[str, ...] = ()
    """By line, who is named in brackets at its begin, or "" for nobody; nothing where voices are not told apart."""
    rules: Rules = field(default_factory=lambda: rules_of(None), repr=False, compare=False)

    def spoken(self) -> Iterator[tuple[str, tuple[Said, ...]]]:
        """Each line with its words."""
        return zip(self.lines, self.words or [()] * len(self.lines), strict=True)


def cues(segments: Iterable[Mapping[str, Any]], language: str | None, duration: float = inf) -> list[Cue]:
    """Cut segments into readable cues: in order, not overlapping, each with ``start < end``; no text is lost.

    No cue begins before its first word, except where one that would be gone too soon takes the next in with it: that is
    then shown up to ``shortest`` and ``gap`` (together 0.92 s) early.

    Args:
        segments: ``start``, ``end`` (seconds), ``text``, ``speaker`` or ``channel``, perhaps ``words`` with times.
        language: Whisper's code, for segments that have none of their own.
        duration: seconds of the recording, beyond which no cue is held.
    """
    found = (cue for parts in _sentences(segments, language) for cue in _cues_of(parts))
    return _held(_disentangled(sorted(found, key=lambda cue: cue.start)), duration)


class _Part(NamedTuple):
    """A segment, or one of several that an abbreviation has cut."""

    text: str
    start: float
    end: float
    words: Sequence[Mapping[str, Any]]
    tag: str
    rules: Rules
    told: bool
    """Whether the tag is a speaker, and no channel."""


def _sentences(segments: Iterable[Mapping[str, Any]], language: str | None) -> list[list[_Part]]:
    found: list[list[_Part]] = []
    latest: dict[str, list[_Part]] = {}  # by voice: somebody else may have said something in between
    for segment in segments:
        voice = one_line(segment.get("speaker") or segment.get("channel") or "")
        rules = rules_of(segment.get("language") or language)
        part = _Part(
            *(one_line(segment["text"]), segment["start"], segment["end"], segment.get("words") or (), voice, rules),
            told=bool(segment.get("speaker")),
        )
        if not part.text:
            continue
        before = latest.get(voice)
        if (
            before
            and before[-1].rules is rules
            and 0 <= part.start - before[-1].end < STUMBLE
            and rules.goes_on(before[-1].text.split()[-1], part.text)
        ):
            before.append(part)
        else:
            latest[voice] = [part]
            found.append(latest[voice])
    return found


class _Clock:
    """When each display column of a text is spoken: by its words, or else spread evenly over its segment."""

    def __init__(self, parts: Sequence[_Part], text: str) -> None:
        self.at = offsets(text)
        self._spans: list[tuple[int, int, float, float]] = []
        self.words: list[Said] = []
        begin = 0
        for part in parts:
            end = begin + len(part.text)
            said = _found(part)
            self.words += [Said(begin + first, start, until) for first, _, start, until in said]
            for first, last, start, until in said or [(0, len(part.text), part.start, part.end)]:
                self._spans.append((self.at[begin + first], self.at[begin + last], start, until))
            begin = end + 1
        self._starts = [span[0] for span in self._spans]

    def start(self, column: int) -> float:
        """Seconds at which what begins at ``column`` is first heard."""
        return self._when(column, bisect_right(self._starts, column) - 1)

    def end(self, column: int) -> float:
        """Seconds at which what ends at ``column`` is over."""
        return self._when(column, bisect_left(self._starts, column) - 1)

    def _when(self, column: int, number: int) -> float:
        first, last, start, end = self._spans[max(number, 0)]
        share = (min(max(column, first), last) - first) / max(last - first, 1)
        return float(start + (end - start) * share)


def _found(part: _Part) -> list[tuple[int, int, float, float]]:
    """Characters and seconds of every word; none when there are no words or the glossary changed the text since."""
    spans, here = [], 0
    for word in part.words:
        said = one_line(word["text"])
        first = part.text.find(said, here)
        if first < 0:
            return []
        here = first + len(said)
        if said:
            spans.append((first, here, word["start"], word["end"]))
    return spans


def _cues_of(parts: Sequence[_Part]) -> Iterator[Cue]:
    rules, text = parts[0].rules, " ".join(part.text for part in parts)
    speaker = f"[{parts[0].tag}] " if parts[0].tag else ""
    indent = width(speaker) if width(speaker) <= rules.line // 2 else 0
    clock = _Clock(parts, text)
    free = 0.0
    for group in _groups(units(text, rules.line - indent, rules.segmenter), clock, rules, indent):
        start = max(clock.start(group[0].start), free)
        free = min(max(clock.end(group[-1].end), start), start + rules.longest)
        lines = one_or_two_lines(group, rules, indent)
        tags = [speaker, *[""] * (len(lines) - 1)]
        words = tuple(_said(line, clock, len(tag)) for tag, line in zip(tags, lines, strict=True))
        shown = tuple(tag + joined(line) for tag, line in zip(tags, lines, strict=True))
        speakers = (parts[0].tag, *[""] * (len(lines) - 1)) if parts[0].told else ()
        yield Cue(start, free, shown, words if any(words) else (), speakers, rules)


def _said(line: Sequence[Unit], clock: _Clock, indent: int) -> tuple[Said, ...]:
    """The words that begin in a line, counted from its first character."""
    begin, end = (bisect_right(clock.at, column) - 1 for column in (line[0].start, line[-1].end - 1))
    first, last = (bisect_left(clock.words, (i,)) for i in (begin, end + 1))
    return tuple(word._replace(at=word.at - begin + indent) for word in clock.words[first:last])


def _groups(pieces: Sequence[Unit], clock: _Clock, rules: Rules, indent: int) -> list[Sequence[Unit]]:
    """Units of cues: few, about equally wide, each to be read before the next, and cut where phrases end.

    The cheapest way from the first unit to the last; a cue has at most ``LINES`` lines and ``longest`` seconds.
    """
    starts, ends = [clock.start(unit.start) for unit in pieces], [clock.end(unit.end) for unit in pieces]
    torn = [break_cost(a, b, rules) for a, b in pairwise(pieces)] + [0]
    best: list[tuple[float, int]] = [(0.0, 0)] + [(inf, 0)] * len(pieces)
    for i, unit in enumerate(pieces):
        line_start, lines = unit.start - indent, 1
        for j in range(i, len(pieces)):
            if pieces[j].end - line_start > rules.line and j > i:
                line_start, lines = pieces[j].start, lines + 1
            if lines > LINES or (j > i and ends[j] - starts[i] > rules.longest):
                break
            empty = max(0.0, 1 - (pieces[j].end - unit.start) / (LINES * rules.line))
            unread = _UNREAD * (ends[j] - starts[i] < rules.shortest)
            cost = best[i][0] + _CUE + _UNEVEN * empty**2 + unread + torn[j]
            best[j + 1] = min(best[j + 1], (cost, i))
    cuts = [len(pieces)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    return [pieces[a:b] for a, b in pairwise(reversed(cuts))]


def _disentangled(found: Iterable[Cue]) -> list[Cue]:
    """Resolve overlaps of cues sorted by start, and show together what would be gone too soon.

    The earlier cue ends where the later begins. Where it could not be read then, or would lose most of its
    time to a short interjection of the other channel, both are shown as one.
    """
    shown: list[Cue] = []
    for cue in found:
        cue = replace(cue, end=max(cue.end, cue.start + TICK))
        last = shown[-1] if shown else None
        if last is None:
            shown.append(cue)
            continue
        room = cue.start - last.start
        apart = last.end <= cue.start
        interjected = not apart and cue.end <= last.end and room < (last.end - last.start) / 2
        hurried = room < last.rules.shortest + apart * last.rules.gap
        fits = len(last.lines) + len(cue.lines) <= (LINES if apart else CROWDED)
        near = cue.start - last.end < PAUSE and (not apart or cue.end - last.start <= last.rules.longest)
        if (hurried or interjected) and fits and near:
            shown[-1] = _together(last, cue)
        elif apart:
            shown.append(cue)
        else:
            start = max(cue.start, last.start + TICK)
            shown[-1] = replace(last, end=start)
            shown.append(replace(cue, start=start, end=max(cue.end, start + TICK)))
    return shown


def _together(one: Cue, two: Cue) -> Cue:
    words = tuple(said for cue in (one, two) for _, said in cue.spoken())
    end = min(max(one.end, two.end), one.start + one.rules.longest)
    speakers = tuple(speaker for cue in (one, two) for speaker in cue.speakers or [""] * len(cue.lines))
    return replace(
        one,
        end=end,
        lines=one.lines + two.lines,
        words=words if any(words) else (),
        speakers=speakers if any(speakers) else (),
    )


def _held(shown: list[Cue], duration: float) -> list[Cue]:
    """Hold cues that are too short to read for as long as the next one, or the end of the recording, allows.

    Between two is the gap, or half of the time where there is hardly any.
    """
    held = []
    for cue, following in zip(shown, [*(later.start for later in shown[1:]), inf], strict=False):
        needed = min(max(sum(map(width, cue.lines)) / cue.rules.speed, cue.rules.shortest), cue.rules.longest)
        latest = max(following - cue.rules.gap, (cue.start + following) / 2)
        if cue.start < duration:
            latest = min(latest, duration)
        held.append(replace(cue, end=min(max(cue.end, cue.start + needed), latest)))
    return held
