"""Phrases that Whisper is known to write where nobody speaks: thanks for watching, subtitle credits, ``you``.

They come from the subtitles it was trained on. ``hallucinations.json`` lists them by language, each with the thread,
file or paper where it was seen, or with the sound it came out for here (``measured: base on …``: openai-whisper,
greedy, language given).
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from importlib.resources import files


def invented(text: str, language: str) -> bool:
    """Whether all of a segment's text is such a phrase, or several of them in a row.

    Case, punctuation, spaces and the form of Unicode do not count. English phrases count in every language:
    that is what Whisper falls back to. Text without a letter or digit is no phrase.

    People do say "thank you" and "시청해 주셔서 감사합니다": this alone proves nothing. Combine it with a low
    probability of voice in the segment's audio, and flag rather than delete.

    Args:
        text: of one segment.
        language: Whisper's code of the language it was decoded in.
    """
    key = _key(text)
    phrases = _phrases(language)
    reached = {0}  # offsets up to which the key is made of whole phrases
    for start in range(len(key)):
        if start in reached:
            reached.update(start + len(phrase) for phrase in phrases if key.startswith(phrase, start))
    return bool(key) and len(key) in reached


@cache
def _phrases(language: str) -> frozenset[str]:
    listed = json.loads(files(__package__).joinpath("hallucinations.json").read_bytes())
    return frozenset(_key(entry["text"]) for code in {language, "en"} for entry in listed.get(code, ()))


def _key(text: str) -> str:
    """Letters, marks and digits only, case-folded, NFKC (NFD Hangul becomes syllables)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(character for character in folded if unicodedata.category(character)[0] in "LMN")
