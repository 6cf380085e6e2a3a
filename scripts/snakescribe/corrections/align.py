"""A text that somebody has edited, laid beside the segments that it was made of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

_PIECES = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f\u0e00-\u0e7f]|[^\s\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f\u0e00-\u0e7f]+"
)
"""What is moved as a whole: words, and single characters of scripts without spaces."""


def laid_beside(segments: Sequence[str], edited: str) -> list[str]:
    """The edited text cut where the segments are; as many texts as there are segments.

    Letters are laid beside letters, and a word goes where most of its letters are. What was added belongs to the
    segment before it, at the very beginning to the first one.

    >>> laid_beside(["네 안녕하세요", "환불 요청 이요"], "네, 안녕하세요 저는 환불 요청이요")
    ['네, 안녕하세요 저는', '환불 요청이요']
    """
    letters = [("".join(text.split()), number) for number, text in enumerate(segments)]
    home = [number for text, number in letters for _ in text]
    old, new = "".join(text for text, _ in letters), "".join(edited.split())
    places: list[int] = []
    for step in Levenshtein.opcodes(old, new):
        for offset in range(step.dest_end - step.dest_start):
            kept = step.tag != "insert"
            places.append(home[step.src_start + offset] if kept else places[-1] if places else 0)
    found: list[list[str]] = [[] for _ in segments]
    at = 0
    for piece in _PIECES.finditer(edited):
        place = Counter(places[at : at + len(piece[0])]).most_common(1)[0][0]
        spaced = piece.start() > 0 and edited[piece.start() - 1].isspace()
        found[place].append(" " * (spaced and bool(found[place])) + piece[0])
        at += len(piece[0])
    return ["".join(pieces) for pieces in found]
