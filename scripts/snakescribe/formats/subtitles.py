r"""Subtitles: segments become cues that a viewer can read, as SRT or WebVTT.

The way: a segment is cut at words into cues of at most two lines and seven seconds, cues of channels that
speak at once are disentangled, short ones are held into the silence after them, and the rest is notation.

The notation is ours, too. pysubs2 1.8 takes what it is given for SubStation: it drops ``{…}``, makes a new line of the
``\N`` in ``C:\New`` (in WebVTT as well, where only a zero-width space would help), leaves ``<``, ``&`` and ``-->``
as they are and ends at 99:59:59. All escapes would be needed as before.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any

from snakescribe.formats.wrap import Unit, cut_phrases, offsets, one_line, one_or_two_lines, units, width

LINE = {"ko": 32, "ja": 26, "zh": 32, "yue": 32}
"""Longest line in columns: 16 Hangul syllables or Chinese characters (two columns each), 13 Japanese ones;
after Netflix's guides as listed at https://sublingo.cc/guides/subtitle-specs-by-language."""
LINE_ELSEWHERE = 42
LINES = 2
LONGEST = 7.0
"""Seconds a cue stays at most (Netflix, as given at https://utk-timed-text-guide.readthedocs.io)."""
SHORTEST = 5 / 6
"""Seconds a cue should stay (same source)."""
TICK = 0.1
"""Seconds every cue has, even where many fall on one moment."""
CROWDED = 2 * LINES
"""Lines of a cue in which two channels speak at once."""

_LOOKS_LIKE_MARKUP = re.compile(r"(?<=--)(?=>)|(?<=<)|(?<=\{)|(?<=\\)(?=[Nnh])|^(?=\d+$)", re.MULTILINE)
"""Places in SRT text that players and parsers would take for an arrow, an HTML or SSA tag, or a cue's number.
SRT has no escapes: a zero-width space goes there, so that the text looks as it is."""


@dataclass(frozen=True)
class Cue:
    """Lines shown from ``start`` to ``end`` (seconds)."""

    start: float
    end: float
    lines: tuple[str, ...]


def cues(segments: Iterable[Mapping[str, Any]], language: str | None, duration: float = inf) -> list[Cue]:
    """Cut segments into readable cues: in order, not overlapping, each with ``start < end``; no text is lost.

    Args:
        segments: ``start``, ``end`` (seconds), ``text``, ``channel`` and perhaps ``words`` with their times.
        language: Whisper's code; decides how long a line may be.
        duration: seconds of the recording, beyond which no cue is held.
    """
    line = LINE.get(language or "", LINE_ELSEWHERE)
    found = (cue for segment in segments for cue in _segment_cues(segment, line))
    return _held(_disentangled(sorted(found, key=lambda cue: cue.start)), duration)


def srt(shown: Iterable[Cue]) -> str:
    """Cues as SubRip."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        f"{_LOOKS_LIKE_MARKUP.sub(chr(0x200B), chr(10).join(cue.lines))}\n\n"
        for number, cue in enumerate(shown, start=1)
    )


def vtt(shown: Iterable[Cue]) -> str:
    """Cues as WebVTT (https://www.w3.org/TR/webvtt1)."""
    return "WEBVTT\n" + "".join(
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_entities(chr(10).join(cue.lines))}\n"
        for cue in shown
    )


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


class _Clock:
    """When each display column of a segment's text is spoken: by its words, or else spread evenly."""

    def __init__(self, segment: Mapping[str, Any], text: str) -> None:
        at = offsets(text)
        self._spans = _word_spans(segment, text, at) or [(0, at[-1], segment["start"], segment["end"])]
        self._starts = [span[0] for span in self._spans]

    def start(self, column: int) -> float:
        """Seconds at which what begins at ``column`` is first heard."""
        return self._at(column, bisect_right(self._starts, column) - 1)

    def end(self, column: int) -> float:
        """Seconds at which what ends at ``column`` is over."""
        return self._at(column, bisect_left(self._starts, column) - 1)

    def _at(self, column: int, number: int) -> float:
        first, last, start, end = self._spans[max(number, 0)]
        share = (min(max(column, first), last) - first) / max(last - first, 1)
        return float(start + (end - start) * share)


def _word_spans(segment: Mapping[str, Any], text: str, at: list[int]) -> list[tuple[int, int, float, float]] | None:
    """Columns and seconds of every word; None when there are none or the glossary changed the text since."""
    spans, here = [], 0
    for word in segment.get("words") or ():
        said = one_line(word["text"])
        found = text.find(said, here)
        if found < 0:
            return None
        here = found + len(said)
        if said:
            spans.append((at[found], at[here], word["start"], word["end"]))
    return spans


def _segment_cues(segment: Mapping[str, Any], line: int) -> Iterator[Cue]:
    text = one_line(segment["text"])
    if not text:
        return
    channel = one_line(segment.get("channel") or "")
    speaker = f"[{channel}] " if channel else ""
    indent = width(speaker) if width(speaker) <= line // 2 else 0
    clock = _Clock(segment, text)
    free = 0.0
    for group in _even_groups(units(text, line - indent), clock, line, indent):
        start = max(clock.start(group[0].start), free)
        free = min(max(clock.end(group[-1].end), start), start + LONGEST)
        first, *others = one_or_two_lines(group, line, indent)
        yield Cue(start, free, (speaker + first, *others))


def _even_groups(pieces: list[Unit], clock: _Clock, line: int, indent: int) -> list[list[Unit]]:
    """Units of as few cues as possible, cut about equally wide and rather at punctuation."""
    fewest = _groups(pieces, clock, line, indent, LINES * line)
    narrowest = -(-pieces[-1].end // len(fewest))
    tried = (_groups(pieces, clock, line, indent, widest) for widest in range(narrowest, LINES * line, 2))
    return min((g for g in [*tried, fewest] if len(g) == len(fewest)), key=cut_phrases)


def _groups(pieces: list[Unit], clock: _Clock, line: int, indent: int, widest: int) -> list[list[Unit]]:
    """Units filled into cues of at most ``widest`` columns, ``LINES`` lines and ``LONGEST`` seconds."""
    groups: list[list[Unit]] = []
    begun = lines = line_start = 0
    for unit in pieces:
        same_line = groups and unit.end - line_start <= line
        lines += not same_line
        if (
            not groups
            or lines > LINES
            or unit.end - begun > widest
            or clock.end(unit.end) - clock.start(groups[-1][0].start) > LONGEST
        ):
            groups.append([])
            begun, lines = unit.start, 1
            line_start = begun - indent
        elif not same_line:
            line_start = unit.start
        groups[-1].append(unit)
    return groups


def _disentangled(found: Iterable[Cue]) -> list[Cue]:
    """Resolve overlaps of cues sorted by start.

    The earlier cue ends where the later begins. Where it could not be read then, or would lose most of its
    time to a short interjection of the other channel, both are shown as one.
    """
    shown: list[Cue] = []
    for cue in found:
        cue = replace(cue, end=max(cue.end, cue.start + TICK))
        last = shown[-1] if shown else None
        if last is None or last.end <= cue.start:
            shown.append(cue)
            continue
        room = cue.start - last.start
        interjected = cue.end <= last.end and room < (last.end - last.start) / 2
        if (room < SHORTEST or interjected) and len(last.lines) + len(cue.lines) <= CROWDED:
            end = min(max(last.end, cue.end), last.start + LONGEST)
            shown[-1] = Cue(last.start, end, last.lines + cue.lines)
        else:
            start = max(cue.start, last.start + TICK)
            shown[-1] = replace(last, end=start)
            shown.append(replace(cue, start=start, end=max(cue.end, start + TICK)))
    return shown


def _held(shown: list[Cue], duration: float) -> list[Cue]:
    """Hold cues that are too short to read for as long as the next one, or the end of the recording, allows."""
    held = [replace(a, end=max(a.end, min(a.start + SHORTEST, b.start))) for a, b in pairwise(shown)]
    held += [replace(cue, end=max(cue.end, cue.start + SHORTEST)) for cue in shown[-1:]]
    return [replace(cue, end=duration) if cue.start < duration < cue.end else cue for cue in held]
