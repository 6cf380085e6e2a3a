"""A text beside its reference, piece by piece, both as they are written."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import chain
from typing import Any

from rapidfuzz.distance import Levenshtein

from snakescribe.evaluation.counts import Errors, Unit, units
from snakescribe.evaluation.evaluate import Judged

Piece = str | tuple[str, str]
"""What both say; or, for each error, what the reference says and what was heard, of which one may be empty."""


def pieces(one: Judged) -> list[Piece]:
    """The errors that were counted, of words or, in languages without them, of characters, and what is between them.

    A word stands as it is written, with its punctuation, unless the comparison makes several units of it of which only
    some are right: then the units stand there.
    """
    texts = (one.reference, one.text)
    compared = [units(text, one.language, _unit(one), one.fold_numbers) for text in texts]
    reference, heard = (_Written(one, *both) for both in zip(texts, compared, strict=True))
    found: list[Piece] = []
    for step in Levenshtein.opcodes(reference.units, heard.units):
        if step.tag == "equal":
            found.append(heard.between(step.dest_start, step.dest_end))
        else:
            gone = [reference.between(at, at + 1) for at in range(step.src_start, step.src_end)]
            come = [heard.between(at, at + 1) for at in range(step.dest_start, step.dest_end)]
            found += zip(gone or [""] * len(come), come or [""] * len(gone), strict=True)
    return found


def document(one: Judged) -> dict[str, Any]:
    """The same with the counts, for the page."""

    def counts(errors: Errors | None) -> list[int] | None:
        return [errors.substitutions, errors.deletions, errors.insertions, errors.units] if errors else None

    return {
        "language": one.language,
        "words": counts(one.words),
        "characters": counts(one.characters),
        "strange": one.strange,
        "folded": one.fold_numbers,
        "pieces": pieces(one),
    }


def _unit(one: Judged) -> Unit:
    return "characters" if one.words is None else "words"


class _Written:
    """A text by the units that are compared, and how they are written."""

    def __init__(self, one: Judged, text: str, compared: list[str]) -> None:
        unit, text = _unit(one), unicodedata.normalize("NFC", text)
        self.units = compared
        self._between = " " if unit == "words" else ""
        parts = text.split() if unit == "words" else list(text)
        alone = [_alone(part, one.language, unit, one.fold_numbers) for part in parts]
        # Units of parts that are normalised alone, and those of the whole: where they are the same, parts can be told.
        flat = list(chain.from_iterable(alone))
        same = {0: 0, len(flat): len(self.units)}
        for block in Levenshtein.opcodes(flat, self.units):
            if block.tag == "equal":
                for step in range(block.src_end - block.src_start + 1):
                    same.setdefault(block.src_start + step, block.dest_start + step)
        self._written: dict[int, tuple[list[str], int]] = {}
        """By the first unit: parts of the text, and the unit after them."""
        waiting: list[str] = []
        latest, at, start = waiting, 0, 0
        for part, some in zip(parts, alone, strict=True):
            at += len(some)
            if not some and not waiting:
                latest.append(part)  # a dash after a word; one before the first word waits
                continue
            waiting.append(part)
            end = same.get(at, 0)
            if end > start:
                self._written[start] = waiting, end
                latest, waiting, start = waiting, [], end

    def between(self, start: int, end: int) -> str:
        """How units are written: as in the text, or as they are compared if they are a part of what stands there."""
        found = []
        while start < end:
            parts, after = self._written.get(start, ([], end + 1))
            if after > end:
                parts, after = [self.units[start]], start + 1
            found += parts
            start = after
        return self._between.join(found)


@lru_cache(1 << 16)
def _alone(part: str, language: str, unit: Unit, fold_numbers: bool) -> tuple[str, ...]:
    return tuple(units(part, language, unit, fold_numbers))
