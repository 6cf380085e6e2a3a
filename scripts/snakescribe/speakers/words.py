"""Who says which word, and segments cut where another one speaks. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snakescribe.speakers.turns import Turn

PAUSE = 0.3
"""Seconds between two words at which another one may begin, besides the end of a sentence."""
LONG = 1.0
"""Seconds that somebody else must speak within a sentence without a pause, before it is cut there."""
ENDS = (".", "?", "!", "…", "。", "？", "！", "｡")
REACH = 1.0
"""Seconds from a word in which the nearest turn tells who says it, where nobody is heard in it."""


class Turns:
    """Turns of one channel, to be asked who speaks from when to when."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        """In order of their start."""
        self._turns = turns
        self._starts = [turn.start for turn in turns]
        self._longest = max((turn.end - turn.start for turn in turns), default=0.0)

    def between(self, start: float, end: float) -> dict[int, float]:
        """Seconds that each speaker has in a stretch; those who have none are left out."""
        found: defaultdict[int, float] = defaultdict(float)
        for turn in self._near(start, end):
            shared = min(end, turn.end) - max(start, turn.start)
            if shared > 0:
                found[turn.speaker] += shared
        return dict(found)

    def nearest(self, start: float, end: float) -> int | None:
        """Who speaks nearest to a stretch, within ``REACH``."""
        away = [
            (max(turn.start - end, start - turn.end), turn.speaker) for turn in self._near(start - REACH, end + REACH)
        ]
        return min(away)[1] if away else None

    def _near(self, start: float, end: float) -> Iterator[Turn]:
        first = bisect_left(self._starts, start - self._longest)
        for turn in self._turns[first : bisect_left(self._starts, end)]:
            if turn.end > start:
                yield turn


def told(segment: Mapping[str, Any], turns: Turns, labels: Mapping[int, str]) -> list[dict[str, Any]]:
    """A segment with its speaker; several where it has words with times and another one speaks within it."""
    words = list(segment["words"] or ())
    pieces = _pieces(segment["text"], words, _speakers(words, turns)) if words else []
    if not pieces:
        speaker = _most(turns, segment["start"], segment["end"])
        spoken = [_word(word, speaker, turns, labels) for word in words]
        return [{**segment, "speaker": _label(speaker, labels), "words": spoken}]
    found = []
    for number, (text, first, last, speaker) in enumerate(pieces):
        start = segment["start"] if number == 0 else words[first]["start"]
        end = segment["end"] if number == len(pieces) - 1 else words[last - 1]["end"]
        spoken = [_word(word, speaker, turns, labels) for word in words[first:last]]
        found.append(
            {
                **segment,
                "start": start,
                "end": max(start, end),
                "text": text,
                "speaker": _label(speaker, labels),
                "words": spoken,
            }
        )
    return found


def _speakers(words: Sequence[Mapping[str, Any]], turns: Turns) -> list[int | None]:
    """One for each word; it changes only at the end of a sentence, at a pause, or where somebody speaks for long."""
    single = [_most(turns, word["start"], word["end"]) for word in words]
    units = [0]
    for number in range(1, len(words)):
        before = words[number - 1]
        if before["text"].endswith(ENDS) or words[number]["start"] - before["end"] >= PAUSE:
            units.append(number)
    found: list[int | None] = []
    for first, last in zip(units, [*units[1:], len(words)], strict=True):
        found += _settled(words[first:last], single[first:last], turns)
    return found


def _settled(words: Sequence[Mapping[str, Any]], single: list[int | None], turns: Turns) -> list[int | None]:
    """Speakers of words without a pause between them: one, unless another one has long enough of them in a row."""
    runs: list[list[int]] = []
    for number, speaker in enumerate(single):
        if runs and single[runs[-1][0]] == speaker:
            runs[-1].append(number)
        else:
            runs.append([number])
    seconds = [words[run[-1]]["end"] - words[run[0]]["start"] for run in runs]
    long = [run for run, length in zip(runs, seconds, strict=True) if length >= LONG and single[run[0]] is not None]
    if len({single[run[0]] for run in long}) < 2:
        most = turns.between(words[0]["start"], words[-1]["end"])
        whole = max(most, key=lambda speaker: most[speaker]) if most else single[0]
        return [whole] * len(words)
    found: list[int | None] = []
    for run in runs:
        if run in long:
            found += [single[run[0]]] * len(run)
        else:  # as the nearer of the long ones
            near = min(long, key=lambda one: min(abs(one[0] - run[-1]), abs(run[0] - one[-1])))
            found += [single[near[0]]] * len(run)
    return found


def _most(turns: Turns, start: float, end: float) -> int | None:
    seconds = turns.between(start, end)
    return max(seconds, key=lambda speaker: seconds[speaker]) if seconds else turns.nearest(start, end)


def _pieces(
    text: str, words: Sequence[Mapping[str, Any]], speakers: Sequence[int | None]
) -> list[tuple[str, int, int, int | None]]:
    """Text, first word and the one after the last, speaker; nothing where the words are not those of the text.

    A glossary replaces in the text and not in the words.
    """
    cuts = [0, *(number for number in range(1, len(words)) if speakers[number] != speakers[number - 1]), len(words)]
    places, at = [], 0
    for word in words:
        at = text.find(word["text"], at)
        if at < 0:
            return [(text, 0, len(words), _majority(words, speakers))] if len(cuts) > 2 else []
        places.append(at)
        at += len(word["text"])
    edges = [0, *(places[cut] for cut in cuts[1:-1]), len(text)]
    return [
        (text[edges[number] : edges[number + 1]].strip(), cuts[number], cuts[number + 1], speakers[cuts[number]])
        for number in range(len(cuts) - 1)
    ]


def _majority(words: Sequence[Mapping[str, Any]], speakers: Sequence[int | None]) -> int | None:
    seconds: defaultdict[int | None, float] = defaultdict(float)
    for word, speaker in zip(words, speakers, strict=True):
        seconds[speaker] += word["end"] - word["start"]
    return max(seconds, key=lambda speaker: seconds[speaker])


def _word(word: Mapping[str, Any], speaker: int | None, turns: Turns, labels: Mapping[int, str]) -> dict[str, Any]:
    seconds = turns.between(word["start"], word["end"])
    own, length = seconds.get(speaker, 0.0) if speaker is not None else 0.0, word["end"] - word["start"]
    others = max((some for other, some in seconds.items() if other != speaker), default=0.0)
    return {
        **word,
        "speaker": _label(speaker, labels),
        "speaker_confidence": round(own / sum(seconds.values()), 3) if seconds else 0.0,
        "overlap": bool(length > 0 and others >= length / 2 and own > 0),
    }


def _label(speaker: int | None, labels: Mapping[int, str]) -> str | None:
    return None if speaker is None else labels[speaker]
