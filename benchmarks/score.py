"""Errors of a run: substitutions, deletions and insertions per language, and words invented where nobody speaks.

Words are counted, and characters without spaces for languages whose spacing is none or a matter of taste. Texts are
composed (NFC) and normalised by openai-whisper's own normalisers, the basic one without taking diacritics away, which
would fall Hangul apart into jamo.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from functools import cache

from benchmarks.folder import Recording

BY_CHARACTER = frozenset({"ko", "ja", "zh", "yue", "th"})
LEFT_OUT = "digits"
"""A kind of recording: single words of half a second, where one error is an error rate of 1."""


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


def score(recordings: Iterable[Recording], texts: Mapping[str, str]) -> dict[str, Errors]:
    """Errors per language; a recording without a text counts as one heard as nothing."""
    found: dict[str, Errors] = {}
    for recording in recordings:
        text = texts.get(recording.path, "")
        if not recording.references:  # of a damaged one with speech in it, nobody can say what is invented
            errors = Errors(invented=len(text.split()) if recording.seconds else 0)
        elif recording.kind == LEFT_OUT:
            errors = Errors()
        else:
            attempts = (edits(reference, text, recording.language) for reference in recording.references)
            errors = min(attempts, key=lambda attempt: attempt.rate or 0.0)
        found[recording.language] = found.get(recording.language, Errors()) + errors
    return found


def edits(reference: str, text: str, language: str) -> Errors:
    """Errors of one text.

    >>> edits("커피 한 잔 주세요", "커피 한잔 주세용", "ko")
    Errors(substitutions=1, deletions=0, insertions=0, units=7, invented=0)
    """
    import jiwer

    expected, heard = (_units(spoken, language) for spoken in (reference, text))
    if not expected or not heard:
        return Errors(deletions=len(expected), insertions=len(heard), units=len(expected))
    found = jiwer.process_words(" ".join(expected), " ".join(heard))
    return Errors(found.substitutions, found.deletions, found.insertions, len(expected))


def groups(errors: Mapping[str, Errors], apart: Iterable[str] = ("en", "fr", "ko")) -> dict[str, Errors]:
    """The languages ``apart``, all others pooled, and the total."""
    shown = {language: errors.get(language, Errors()) for language in apart}
    others = (counts for language, counts in errors.items() if language not in shown)
    return shown | {"others": sum(others, Errors()), "all": sum(errors.values(), Errors())}


def _units(text: str, language: str) -> list[str]:
    plain = _normaliser(language == "en")(unicodedata.normalize("NFC", text))
    return list("".join(plain.split())) if language in BY_CHARACTER else plain.split()


@cache
def _normaliser(english: bool) -> Callable[[str], str]:
    from whisper.normalizers import BasicTextNormalizer, EnglishTextNormalizer

    normaliser: Callable[[str], str] = (
        EnglishTextNormalizer() if english else BasicTextNormalizer(remove_diacritics=False)
    )
    return normaliser
