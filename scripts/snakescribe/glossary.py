"""Replacements in finished text: names and terms the model spells its own way, put right and recorded."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from snakescribe.transcript import Transcript


def apply(transcript: Transcript, glossary: Mapping[str, str]) -> Transcript:
    """Replace every occurrence of each key, longest key first, in segments and words.

    The text counts as recorded: ``replacements`` of the result names each change and how often it was made.
    """
    if not glossary:
        return transcript
    pairs = sorted(
        ((unicodedata.normalize("NFC", old), new) for old, new in glossary.items()),
        key=lambda p: (-len(p[0]), p),
    )
    made: Counter[tuple[str, str]] = Counter()

    def replaced(text: str, count: bool) -> str:
        for old, new in pairs:
            if old and old in text:
                if count:
                    made[old, new] += text.count(old)
                text = text.replace(old, new)
        return text

    segments = tuple(
        segment.model_copy(
            update={
                "text": replaced(segment.text, count=True),
                "words": tuple(replace(word, text=replaced(word.text, count=False)) for word in segment.words),
            }
        )
        for segment in transcript.segments
    )
    notes = tuple(f"{old}→{new} ×{count}" for (old, new), count in sorted(made.items()))
    return transcript.model_copy(update={"segments": segments, "replacements": notes})
