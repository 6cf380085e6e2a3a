"""How people read subtitles, by language: how much and how fast, and where a phrase ends (``subtitles.yaml``)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from snakescribe.characters import SENTENCE_END

SENTENCE, CLAUSE, PHRASE, SPACE, TORN = 0, 1, 2, 4, 9
"""What a break costs: after a sentence, after a comma, between phrases, at any other place, and where it tears apart
what belongs together. Found by looking at docs/decisions/transcript-files.md's recordings."""

_CLAUSE_END = ",;:、，；：،؛၊፣—–"
_CLOSING = "\"'”’»)]）」』】》"
_AROUND = _CLOSING + "“‘«„([（「『【《¿¡"
_LISTS = ("titles", "abbreviations", "numbered", "units", "bound", "particles", "opens", "closes")
_INITIAL = re.compile(r"[^\W\d_]\.")


@dataclass(frozen=True)
class Rules:
    """Of one language. Columns are display columns: see :func:`snakescribe.formats.wrap.width`."""

    line: int
    """Longest line in columns."""
    speed: float
    """Columns that can be read in a second."""
    shortest: float
    """Seconds a cue should stay."""
    longest: float
    """Seconds a cue stays at most."""
    gap: float
    """Seconds between two cues."""
    rtl: bool
    segmenter: str | None
    titles: frozenset[str]
    abbreviations: frozenset[str]
    numbered: frozenset[str]
    units: frozenset[str]
    bound: frozenset[str]
    opens: frozenset[str]
    closes: tuple[str, ...]

    def goes_on(self, before: str, after: str) -> bool:
        """Whether a word is an abbreviation, so that no sentence ends between it and what follows.

        >>> [rules_of("en").goes_on(*pair.split()) for pair in ("Mr. Smith", "etc. The", "J. Bach", "day. We", "No. 5")]
        [True, False, True, False, True]
        """
        word, first = before.lstrip(_AROUND), after.lstrip(_AROUND)[:1]
        return bool(
            word in self.titles
            or (word in self.abbreviations and (first.islower() or first.isdigit()))
            or (word in self.numbered and first.isdigit())
            or (_INITIAL.fullmatch(word) and word != "I." and first.isalpha())
        )

    def cost(self, before: str, after: str) -> int:
        """What a break between two words costs, the less the better."""
        last, word, following = before.rstrip(_CLOSING)[-1:], before.strip(_AROUND), after.strip(_AROUND + ".,?!")
        if (
            self.goes_on(before, after)
            or (last.isdigit() and following in self.units)
            or following in self.bound
            or word.casefold() in self.opens
        ):
            return TORN
        if last and last in SENTENCE_END:
            return SENTENCE
        if last and (last in _CLAUSE_END or unicodedata.category(before[-1]) in ("Pe", "Pf")):
            return CLAUSE
        if following.casefold() in self.opens or before.endswith(self.closes):
            return PHRASE
        return SPACE


@lru_cache(maxsize=128)
def rules_of(language: str | None) -> Rules:
    """The rules for one of Whisper's codes; None, or a language of which nothing is known, has the default."""
    table = _table()
    own: Mapping[str, Any] = table["default"] | table["languages"].get(language, {})
    listed: dict[str, list[str]] = {name: own.get(name, []) for name in _LISTS}
    bound = {word + ending for word in listed["bound"] for ending in ("", *listed["particles"])}
    return Rules(
        line=own["line"] * own["columns"],
        speed=own["speed"] * own["columns"],
        shortest=own["shortest"],
        longest=own["longest"],
        gap=own["gap"],
        rtl=own["rtl"],
        segmenter=own.get("segmenter"),
        titles=frozenset(listed["titles"]),
        abbreviations=frozenset(listed["abbreviations"]),
        numbered=frozenset(listed["numbered"]),
        units=frozenset(listed["units"]),
        bound=frozenset(bound),
        opens=frozenset(listed["opens"]),
        closes=tuple(listed["closes"]),
    )


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("subtitles.yaml").read_text(encoding="utf-8"))
    return loaded
