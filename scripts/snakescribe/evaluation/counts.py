"""Errors of a text beside its reference: substitutions, deletions and insertions, of words and of characters.

Texts are composed (NFC) and normalised by openai-whisper's own normalisers, the basic one without taking diacritics
away, which would fall Hangul apart into jamo, and with vowel signs (:func:`_without_symbols`). What remains are
lower-case words without punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache, lru_cache
from typing import Literal, cast

from rapidfuzz.distance import Levenshtein

from snakescribe.characters import WITHOUT_SPACES
from snakescribe.evaluation.numbers import in_digits

Unit = Literal["words", "characters"]
BY_CHARACTER = WITHOUT_SPACES | {"ko"}
"""Languages without spaces, or with spaces that are a matter of taste: characters are counted, without spaces."""
_POINTS = re.compile("[\u0590-\u06ff\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Blocks of Hebrew and Arabic, and variation selectors."""


@dataclass(frozen=True)
class Errors:
    """Counts that add up."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    units: int = 0
    """Words or characters of the references."""
    invented: int = 0
    """Words where the reference is empty."""

    def __add__(self, other: Errors) -> Errors:
        """Both together."""
        return Errors(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def total(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per unit of reference (WER, CER); None without references."""
        return self.total / self.units if self.units else None


def usual_unit(language: str) -> Unit:
    """What is counted in a language when nothing else is asked for."""
    return "characters" if language in BY_CHARACTER else "words"


def edits(reference: str, text: str, language: str, unit: Unit | None = None, fold_numbers: bool = False) -> Errors:
    """Errors of one text.

    Args:
        reference: what was said.
        text: what was heard.
        language: its code.
        unit: counted; the language's usual one if it is not given.
        fold_numbers: Korean numbers that are spelt out count as digits.

    >>> edits("커피 한 잔 주세요", "커피 한잔 주세용", "ko")
    Errors(substitutions=1, deletions=0, insertions=0, units=7, invented=0)
    """
    expected, heard = (units(spoken, language, unit, fold_numbers) for spoken in (reference, text))
    found = Counter(step.tag for step in Levenshtein.editops(expected, heard))
    return Errors(found["replace"], found["delete"], found["insert"], len(expected))


def units(text: str, language: str, unit: Unit | None = None, fold_numbers: bool = False) -> list[str]:
    """The words or characters of a text that are compared."""
    words = _words(text, language == "en", fold_numbers and language == "ko")
    if (unit or usual_unit(language)) == "words":
        return list(words)
    return list(("" if language in BY_CHARACTER else " ").join(words))


@lru_cache(2)  # a reference and its text are counted in words and in characters, and aligned
def _words(text: str, english: bool, fold_numbers: bool) -> tuple[str, ...]:
    text = unicodedata.normalize("NFC", text)
    return tuple(_normaliser(english)(in_digits(text) if fold_numbers else text).split())


@cache
def _normaliser(english: bool) -> Callable[[str], str]:
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    if english:
        return cast(Callable[[str], str], EnglishTextNormalizer())
    basic = BasicTextNormalizer()
    basic.clean = _without_symbols
    return cast(Callable[[str], str], basic)


def _without_symbols(text: str) -> str:
    """Symbols and punctuation as spaces, and nothing of what is written in one text and left out in another.

    Marks stay on their letters: whisper's own makes a space of each, which cuts words of Hindi and Turkish and takes
    the vowels out of Thai (findings/whisper-normaliser-marks.sh). Points of Arabic and Hebrew go, their stretched line,
    what is invisible, and how a symbol is to be drawn.
    """
    said: list[str] = [" "]
    for c in unicodedata.normalize("NFKC", text.replace("i\u0307", "i")):
        kind = unicodedata.category(c)
        if kind in ("Cf", "Me") or c == "\u0640" or (kind == "Mn" and _POINTS.fullmatch(c)):
            continue
        alone = kind[0] == "M" and said[-1].isspace()
        said.append(" " if alone or kind[0] in "SP" else c)
    return "".join(said)
