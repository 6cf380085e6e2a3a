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
    r"""The edited text cut where the segments are; as many texts as there are segments.

    Letters are laid beside letters, and a word goes where most of its letters are. What was added belongs to the
    segment before it, at the very beginning to the first one; but at the beginning of a line, which goes on with what
    was there, to that.

    >>> laid_beside(["네 안녕하세요", "환불 요청 이요"], "네, 안녕하세요 저는 환불 요청이요")
    ['네, 안녕하세요 저는', '환불 요청이요']
    >>> laid_beside(["네 안녕하세요", "환불 요청 이요"], "네, 안녕하세요\n저는 환불 요청이요")
    ['네, 안녕하세요', '저는 환불 요청이요']
    """
    lines = list(filter(None, ("".join(line.split()) for line in edited.splitlines())))
    texts = ["".join(text.split()) for text in segments]
    between = "\n" if len(lines) > 1 else ""  # where lines are segments, their ends are laid beside each other, too
    old, new = between.join(texts), between.join(lines)
    home = [number for number, text in enumerate(texts) for _ in text + between]
    place, places = 0, list[int]()
    for step in Levenshtein.opcodes(old, new):
        first, end = step.dest_start, step.dest_end
        line = new.rfind("\n", max(0, first - 1), end) + 1  # where the one begins in which it ends
        goes_on = line >= first and new[end : end + 1] not in ("", "\n")
        for at in range(first, end):
            if step.tag != "insert":
                place = home[step.src_start + at - first]
            elif goes_on and at >= line:
                place = home[step.src_start]
            places += [place] * (new[at] != "\n")
    found: list[list[str]] = [[] for _ in segments]
    at = 0
    for piece in _PIECES.finditer(edited):
        place = Counter(places[at : at + len(piece[0])]).most_common(1)[0][0]
        spaced = piece.start() > 0 and edited[piece.start() - 1].isspace()
        found[place].append(" " * (spaced and bool(found[place])) + piece[0])
        at += len(piece[0])
    return ["".join(pieces) for pieces in found]
