"""From timed words to segments, and what speech they leave out. All times in seconds from the window's start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from math import inf

from snakescribe.characters import SENTENCE_END
from snakescribe.transcript import Word

Stretch = tuple[float, float]
PAUSE = 0.6
"""A pause of this length between two words ends a segment."""
LONGEST = 12.0
"""A longer segment is cut at its widest pause; no viewer follows a longer cue."""
LAST_SOUND = 0.5
"""At most so long goes the last word before a pause on until the voice ends; more than that is speech without text."""
LONGEST_WORD = 2.0
"""Attention gives every moment to some word; a word longer than this stands for speech that has no text."""
SHORTEST_GAP = 2.0
"""Speech without text that is worth telling about."""


def placed(words: Sequence[Word], speech: Sequence[Stretch]) -> list[Word]:
    """Words by voice activity, where attention is less sure: they begin and end within speech, where there is any.

    The last word before a pause ends with the voice: attention leaves it about 0.1 s early
    (docs/decisions/windows-and-voice-activity.md).
    """
    found = []
    for word, following in zip(words, [*(later.start for later in words), inf][1:], strict=True):
        start = min((max(word.start, a) for a, b in speech if b > word.start), default=word.start)
        end = max((min(word.end, b) for a, b in speech if a < word.end), default=word.end)
        if start >= end:  # all of it in a pause: kept as it is
            start, end = word.start, word.end
        end = next((b for _, b in speech if end < b <= min(end + LAST_SOUND, following)), end)
        found.append(replace(word, start=start, end=end))
    return found


def segments(words: Sequence[Word]) -> list[list[Word]]:
    """Words in segments: a sentence, or what is said between two pauses, and no more than ``LONGEST`` seconds."""
    found: list[list[Word]] = []
    for word in words:
        last = found[-1][-1] if found else None
        if last is None or last.text.endswith(SENTENCE_END) or word.start - last.end >= PAUSE:
            found.append([])
        found[-1].append(word)
    return [piece for group in found for piece in _bounded(group)]


def whole(words: Sequence[Word]) -> int:
    """How many words of a text that was cut off are sound: attention lays the rest of the speech over the last ones.

    Those of the segments before the last one, or before a word that is longer than any.
    """
    sound = list(takewhile(lambda word: word.end - word.start <= LONGEST_WORD, words))
    groups = segments(sound)
    return len(sound) - len(groups[-1]) if len(groups) > 1 else max(0, len(sound) - 1)


def gaps(words: Sequence[Word], speech: Sequence[Stretch], cut_off: bool = False) -> list[Stretch]:
    """Where more than ``SHORTEST_GAP`` seconds of speech, pauses not counted, lie between two words.

    ``cut_off``: the text ends too early, so that whatever speech follows it is left out.
    """
    ends = [0.0, *(min(word.end, word.start + LONGEST_WORD) for word in words)]
    starts = [*(word.start for word in words), inf]
    found = []
    for end, start in zip(ends, starts, strict=True):
        left_out = [(max(a, end), min(b, start)) for a, b in speech if a < start and b > end]
        if sum(b - a for a, b in left_out) > (0.0 if cut_off and start == inf else SHORTEST_GAP):
            found.append((left_out[0][0], left_out[-1][1]))
    return found


def inserted(words: Sequence[Word], parts: Sequence[Sequence[Word]]) -> list[Word]:
    """Words with those found in their gaps, put between segments and never into one.

    Attention stretches the few words it has over speech that has none, so the segment before a gap may seem to
    reach beyond it; it then ends where the gap's words begin.
    """
    groups = segments(words)
    for part in parts:
        if not part:
            continue
        place = sum(group[0].start < part[0].start for group in groups)
        if place:
            groups[place - 1] = [_until(word, part[0].start) for word in groups[place - 1]]
        groups.insert(place, list(part))
    return [word for group in groups for word in group]


def moved(word: Word, seconds: float) -> Word:
    """The word so much later."""
    return replace(word, start=word.start + seconds, end=word.end + seconds)


def _until(word: Word, latest: float) -> Word:
    return replace(word, start=min(word.start, latest), end=min(word.end, latest))


def _bounded(group: list[Word]) -> list[list[Word]]:
    if len(group) < 2 or group[-1].end - group[0].start <= LONGEST:
        return [group]
    middle = (group[0].start + group[-1].end) / 2
    pauses = [
        (b.start - a.end, a.text.endswith((",", "、", "，", "،")), -abs(b.start - middle), i)
        for i, (a, b) in enumerate(pairwise(group), start=1)
    ]
    *_, cut = max(pauses)
    return [*_bounded(group[:cut]), *_bounded(group[cut:])]
