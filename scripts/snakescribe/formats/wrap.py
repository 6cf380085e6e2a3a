"""How wide text is, and where it may be broken: Korean at spaces, Chinese and Japanese between characters."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

_SMALL_KANA = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶー々")
"""Never begin a line, like closing punctuation (JIS X 4051, the common part of kinsoku)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What stays together on a line: ``text`` from display column ``start`` to ``end`` of the whole."""

    text: str
    start: int
    end: int
    spaced: bool
    """Whether a space comes before it."""


def one_line(text: str) -> str:
    """``text`` with every stretch of white space as one space, and no control characters."""
    return " ".join("".join(c for c in text if c.isspace() or unicodedata.category(c) != "Cc").split())


@lru_cache(maxsize=8192)
def columns(character: str) -> int:
    """Columns of one character: 2 if East Asian wide, 0 for marks and jamo that join others, else 1."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def width(text: str) -> int:
    r"""Columns that ``text`` takes.

    >>> width("네, ok"), width("cafe\u0301")
    (6, 4)
    """
    return sum(map(columns, text))


def offsets(text: str) -> list[int]:
    """Display column at which each character begins, and after the last one where the text ends."""
    return [0, *accumulate(map(columns, text))]


def units(text: str, longest: int) -> list[Unit]:
    """Cut ``text`` (as :func:`one_line` gives it) where a line may break, none wider than ``longest``.

    >>> [unit.text for unit in units("스네이크 (밥) 好的。ok", 42)]
    ['스네이크', '(밥)', '好', '的。', 'ok']
    """
    at = offsets(text)
    found = []
    for word in re.finditer(r"\S+", text):
        breaks = [word.start(), *_breaks(text, word.start(), word.end()), word.end()]
        for first, last in pairwise(breaks):
            found += [
                Unit(text[a:b], at[a], at[b], spaced=a == word.start() and a > 0)
                for a, b in _cut(at, first, last, longest)
            ]
    return found


def one_or_two_lines(pieces: list[Unit], line: int, indent: int = 0) -> list[str]:
    """Units that fit into two lines of ``line`` columns (the first one ``indent`` columns in) as text.

    Two lines are about equally long, and rather broken after punctuation.
    """
    start, end = pieces[0].start - indent, pieces[-1].end

    def cost(i: int) -> float:
        longest = max(pieces[i - 1].end - start, end - pieces[i].start)
        return math.inf if longest > line else longest + cut_phrases([pieces[:i], pieces[i:]]) * line / 4

    if end - start <= line or len(pieces) == 1:
        return [joined(pieces)]
    middle = min(range(1, len(pieces)), key=cost)
    return [joined(pieces[:middle]), joined(pieces[middle:])]


def cut_phrases(parts: list[list[Unit]]) -> int:
    """How many parts but the last end without punctuation."""
    return sum(unicodedata.category(part[-1].text[-1]) not in ("Po", "Pe", "Pf") for part in parts[:-1])


def joined(pieces: list[Unit]) -> str:
    """The text of neighbouring units, spaces between them as they were."""
    return "".join(f" {unit.text}" if unit.spaced else unit.text for unit in pieces).removeprefix(" ")


def _breaks(text: str, start: int, end: int) -> Iterator[int]:
    for i in range(start + 1, end):
        before, here = text[i - 1], text[i]
        if (
            (_stands_alone(before) or _stands_alone(here))
            and columns(here)
            and before != "\u200d"
            and not (unicodedata.category(here) in ("Pe", "Pf", "Po") or here in _SMALL_KANA)
            and unicodedata.category(before) not in ("Ps", "Pi")
        ):
            yield i


def _stands_alone(character: str) -> bool:
    """Ideographs and kana; Hangul keeps to its eojeol."""
    return columns(character) == 2 and not (
        "\u1100" <= character <= "\u115f" or "\u3131" <= character <= "\u318e" or "\uac00" <= character <= "\ud7a3"
    )


def _cut(at: list[int], first: int, last: int, longest: int) -> Iterator[tuple[int, int]]:
    """Cut a stretch that is wider than a line, never before a mark."""
    start = first
    for i in range(first + 1, last):
        if at[i + 1] - at[start] > longest and at[i + 1] > at[i]:
            yield start, i
            start = i
    yield start, last
