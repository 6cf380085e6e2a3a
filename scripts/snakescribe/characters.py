"""How languages are written: without spaces or with, where a sentence ends, what is one character."""

from __future__ import annotations

import unicodedata

WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km", "bo"})
"""Languages without spaces between words: those of openai/whisper's ``tokenizer.py``, and Khmer and Tibetan, in which
it takes phrases of several seconds for words, most of whose speech would count as left out."""
SENTENCE_END = tuple(".?!。．？！…।॥۔؟։။។።")
"""The last eight are those of Hindi (two), Urdu, Arabic, Armenian, Burmese, Khmer and Amharic."""
_VIRAMA = 9
"""Combining class of what puts the next letter below the one before it (Unicode, ``UnicodeData.txt``)."""
_ZERO_WIDTH_JOINER = "\u200d"
_LIKE_MARKS = "\u0e33\u0eb3"
"""SARA AM in Thai and Lao: a letter by its category."""


def tied(before: str, here: str) -> bool:
    """Whether a code point belongs to the one before it: no word, and no line, begins with it.

    >>> tied("\u0e01", "\u0e34"), tied("\u17d2", "\u1780"), tied("\u0928", "\u092e")
    (True, True, False)
    """
    return (
        unicodedata.category(here).startswith("M")
        or unicodedata.combining(before) == _VIRAMA
        or _ZERO_WIDTH_JOINER in (before, here)
        or here in _LIKE_MARKS
    )
