"""How wide text is, and where it may be broken: at spaces, and where budoux finds phrases that have none."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import budoux

from snakescribe.characters import tied
from snakescribe.formats.reading import Rules

_SMALL_KANA = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶー々")
"""Never begin a line, like closing punctuation (JIS X 4051, the common part of kinsoku)."""
_PARSERS = {
    "ja": budoux.load_default_japanese_parser,
    "th": budoux.load_default_thai_parser,
    "zh-hans": budoux.load_default_simplified_chinese_parser,
    "zh-hant": budoux.load_default_traditional_chinese_parser,
}


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


def units(text: str, longest: int, segmenter: str | None = None) -> list[Unit]:
    """Cut ``text`` (as :func:`one_line` gives it) where a line may break, none wider than ``longest``.

    >>> [unit.text for unit in units("스네이크 (밥) 好的。ok", 42)]
    ['스네이크', '(밥)', '好', '的。', 'ok']
    >>> [unit.text for unit in units("2026年に東京へ行きました。", 26, "ja")]
    ['2026年に', '東京へ', '行きました。']
    """
    at = offsets(text)
    found = []
    for word in re.finditer(r"\S+", text):
        begin, end = word.span()
        breaks = [begin, *_phrases(text, begin, end, segmenter), end] if segmenter else []
        if any(at[b] - at[a] > longest for a, b in pairwise(breaks)) or not breaks:
            breaks = sorted({*breaks, begin, *_breaks(text, begin, end), end})
        for first, last in pairwise(breaks):
            found += [
                Unit(text[a:b], at[a], at[b], spaced=a == begin and a > 0)
                for a, b in _cut(text, at, first, last, longest)
            ]
    return found


def one_or_two_lines(pieces: Sequence[Unit], rules: Rules, indent: int = 0) -> list[Sequence[Unit]]:
    """Units that fit into two lines of ``rules.line`` columns (the first one ``indent`` columns in), by line.

    Two lines are about equally long, and rather broken where a phrase ends.
    """
    start, end, line = pieces[0].start - indent, pieces[-1].end, rules.line

    def cost(i: int) -> float:
        longest = max(pieces[i - 1].end - start, end - pieces[i].start)
        return math.inf if longest > line else longest + break_cost(pieces[i - 1], pieces[i], rules) * line / 16

    if end - start <= line or len(pieces) == 1:
        return [pieces]
    middle = min(range(1, len(pieces)), key=cost)
    return [pieces[:middle], pieces[middle:]]


def break_cost(before: Unit, after: Unit, rules: Rules) -> int:
    """What a break between neighbours costs; a space in Thai is what elsewhere is a comma."""
    if rules.segmenter == "th" and after.spaced:
        return min(1, rules.cost(before.text, after.text))
    return rules.cost(before.text, after.text)


def joined(pieces: Sequence[Unit]) -> str:
    """The text of neighbouring units, spaces between them as they were."""
    return "".join(f" {unit.text}" if unit.spaced else unit.text for unit in pieces).removeprefix(" ")


def _phrases(text: str, start: int, end: int, segmenter: str) -> Iterator[int]:
    """Where budoux ends a phrase; it would tear ``2026年`` (0.10.1: ``202|6年``) and a letter from its vowel."""
    word = text[start:end]
    pieces = _parser(_script(word) if segmenter == "zh" else segmenter).parse(word)
    for i in list(accumulate(map(len, pieces), initial=start))[1:-1]:
        if not (text[i - 1].isdigit() or (_latin(text[i - 1]) and _latin(text[i]))) and _may_break(text, i):
            yield i


@lru_cache(maxsize=4)
def _parser(name: str) -> budoux.Parser:
    return _PARSERS[name]()


def _script(text: str) -> str:
    """Whether Chinese is written in simplified or traditional characters: what the old standards have more of."""
    simplified, traditional = (len(text.encode(code, "ignore")) for code in ("gb2312", "big5"))
    return "zh-hant" if traditional > simplified else "zh-hans"


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _breaks(text: str, start: int, end: int) -> Iterator[int]:
    for i in range(start + 1, end):
        if (_stands_alone(text[i - 1]) or _stands_alone(text[i])) and _may_break(text, i):
            yield i


def _may_break(text: str, i: int) -> bool:
    before, here = text[i - 1], text[i]
    return (
        columns(here) > 0
        and not tied(before, here)
        and not (unicodedata.category(here) in ("Pe", "Pf", "Po") or here in _SMALL_KANA)
        and unicodedata.category(before) not in ("Ps", "Pi")
    )


def _stands_alone(character: str) -> bool:
    """Ideographs and kana; Hangul keeps to its eojeol."""
    return columns(character) == 2 and not (
        "\u1100" <= character <= "\u115f" or "\u3131" <= character <= "\u318e" or "\uac00" <= character <= "\ud7a3"
    )


def _cut(text: str, at: list[int], first: int, last: int, longest: int) -> Iterator[tuple[int, int]]:
    """Cut a stretch that is wider than a line, never before a mark or what is tied to the letter before it."""
    start = whole = first
    for i in range(first + 1, last):
        if _may_break(text, i):
            whole = i
        if at[i + 1] - at[start] > longest and at[i + 1] > at[i]:
            whole = whole if whole > start else i
            yield start, whole
            start = whole
    yield start, last
