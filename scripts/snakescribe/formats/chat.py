"""CHAT (``.cha``), the transcripts of TalkBank and CHILDES: https://talkbank.org/0info/manuals/CHAT.html.

An utterance is one sentence of words, its end mark apart from them. Nearly every other sign means something in CHAT and
has no escape: commas stay, the rest gives way to a space. What has no letter or digit is left out. There is no
``@Media``: it must be the transcript's own name, and ours have the recording's extension in front of ``.cha``; so a
comment names the recording.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from snakescribe.config.languages import iso_639_3
from snakescribe.formats.spoken import Span, Spoken, distinct, shared

_SENTENCE = re.compile(r".+?(?:[.?!…]+(?=\s|$)|[。？！]+|$)")
_END = re.compile(r"([.?!…。？！])\W*$")
_ENDS = {"?": "?", "？": "?", "!": "!", "！": "!"}
_APOSTROPHES = str.maketrans("’‘ʼ", "'''")
_NOT_SPOKEN = re.compile(r"0(\D.*)?|xxx|yyy|www", re.IGNORECASE)


def chat(said: Spoken) -> str:
    """Participants ``SP1``, ``SP2``, … with the speaker's or channel's name; times in milliseconds after each line."""
    tiers = [tier for tier in said.tiers if not tier.of_words]
    codes = [f"SP{number}" for number in range(1, len(tiers) + 1)]
    names = distinct("_".join(_words(tier.speaker)) or "Speaker" for tier in tiers)
    language = iso_639_3(said.row["language"])
    who = ", ".join(f"{code} {name} Participant" for code, name in zip(codes, names, strict=True))
    lines = sorted(
        (sentence, code)
        for code, tier in zip(codes, tiers, strict=True)
        for span in tier.spans
        for sentence in _sentences(span)
    )
    return "".join(
        [
            f"@UTF8\n@Begin\n@Languages:\t{language}\n@Participants:\t{who}\n",
            *(f"@ID:\t{language}|snakescribe|{code}|||||Participant|||\n" for code in codes),
            f"@Comment:\t{said.name}\n",
            *(f"*{code}:\t{text} \x15{start}_{end}\x15\n" for (start, end, text), code in lines),
            "@End\n",
        ]
    )


def _sentences(span: Span) -> Iterator[Span]:
    pieces = [piece for piece in _SENTENCE.findall(span.text) if _words(piece)]
    free = span.start
    for start, end, piece in shared(pieces, span.start, span.end):
        start = max(start, free)  # in a short segment a sentence may have less than a millisecond
        free = max(end, start + 1)
        mark = _END.search(piece)
        yield Span(start, free, f"{' '.join(_words(piece, ','))} {_ENDS.get(mark[1], '.') if mark else '.'}")


def _words(text: str, kept: str = "") -> list[str]:
    """Words of letters and digits, with marks of ``kept`` as words of their own."""
    letters = "".join(
        c if c in "'-" or unicodedata.category(c)[0] in "LMN" else f" {c} " if c in kept else " "
        for c in text.translate(_APOSTROPHES)
    )
    words = [word for one in letters.split() if (word := one.strip("'-"))]
    return [_said(word) for word in words] if any(word not in kept for word in words) else []


def _said(word: str) -> str:
    """A word as CHAT takes it for spoken: ``0도`` would be one that was left out, ``www`` what nobody understood."""
    return chr(ord(word[0]) + 0xFEE0) + word[1:] if _NOT_SPOKEN.fullmatch(word) else word  # of full width
