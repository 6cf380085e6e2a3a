"""Between tokens and text: prompts in front, timed segments and words out."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from whisper.timing import WordTiming, merge_punctuations
from whisper.tokenizer import Tokenizer, get_tokenizer

from snakescribe.engine.backend import Alignment
from snakescribe.models.store import Prepared
from snakescribe.transcript import Word

SECONDS_PER_POSITION = 0.02
"""One encoder position, also the step of a timestamp token."""
TEXT_CONTEXT = 448
"""Tokens the decoder can hold, prompt included."""
OPENING, CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word after it and before it (openai/whisper ``timing.py``)."""


def tokenizer_for(prepared: Prepared, language: str | None, task: str) -> Tokenizer:
    """Whisper's own tokenizer (its tables lie in the package; nothing is fetched)."""
    languages = int(prepared.dims["n_vocab"]) - 51765 - int(prepared.multilingual)
    return get_tokenizer(
        prepared.multilingual,
        num_languages=languages,
        language=language if prepared.multilingual else None,
        task=task,
    )


def previous_text(prompt: str, hotwords: list[str]) -> str:
    """What the model is told was said before: the hotwords, then the prompt."""
    return " ".join(part.strip() for part in (", ".join(hotwords), prompt) if part.strip())


def prompt_tokens(tokenizer: Tokenizer, previous: str, timestamps: bool) -> tuple[int, ...]:
    """Start tokens of a window; a long previous text keeps its end (at most half the decoder's context)."""
    start = tuple(tokenizer.sot_sequence if timestamps else tokenizer.sot_sequence_including_notimestamps)
    if not previous:
        return start
    text = tokenizer.encode(" " + previous)[-(TEXT_CONTEXT // 2 - 1) :]
    return (tokenizer.sot_prev, *text, *start)


def compression_ratio(text: str) -> float:
    """UTF-8 length over zlib length; text that repeats itself compresses well (openai/whisper ``utils.py``)."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


@dataclass(frozen=True)
class Piece:
    """Tokens between two timestamps of a window; times in seconds from the window's start."""

    start: float
    end: float
    tokens: tuple[int, ...]
    closed: bool
    """Whether the model itself said where it ends."""


def pieces(tokens: tuple[int, ...], tokenizer: Tokenizer, seconds: float) -> list[Piece]:
    """Cut a window's tokens at its timestamps.

    Args:
        tokens: text and timestamp tokens of one window.
        tokenizer: tells timestamps from text.
        seconds: length of the window; times are kept within it.
    """
    found: list[Piece] = []
    start, text = 0.0, list[int]()

    def close(end: float, closed: bool) -> None:
        nonlocal text
        if text:
            first = min(start, seconds)
            found.append(Piece(first, max(first, min(end, seconds)), tuple(text), closed))
        text = []

    for token in tokens:
        if token < tokenizer.timestamp_begin:
            if token < tokenizer.eot:
                text.append(token)
            continue
        time = (token - tokenizer.timestamp_begin) * SECONDS_PER_POSITION
        close(time, closed=True)
        start = time
    close(seconds, closed=False)
    return found


def words(text_tokens: list[int], alignment: Alignment, tokenizer: Tokenizer) -> list[tuple[Word, int]]:
    """Words with times (seconds from the window's start) and how many tokens each has.

    Languages without spaces (zh, ja, th, …) are cut at whole code points, others at spaces, so a Korean word is
    an eojeol and never half a syllable. Punctuation goes with its word.
    """
    texts, groups = tokenizer.split_to_word_tokens([*text_tokens, tokenizer.eot])
    texts, groups = texts[:-1], groups[:-1]
    if not groups or not len(alignment.token_indices):
        return []
    boundaries = np.cumsum([0, *(len(group) for group in groups)])
    jumps = np.diff(alignment.token_indices, prepend=-1) > 0
    times = alignment.positions[jumps] * SECONDS_PER_POSITION
    last = len(times) - 1
    timed = [
        WordTiming(
            text,
            group,
            float(times[min(int(begin), last)]),
            float(times[min(int(end), last)]),
            float(np.mean(alignment.probabilities[begin:end])),
        )
        for text, group, begin, end in zip(texts, groups, boundaries[:-1], boundaries[1:], strict=True)
    ]
    merge_punctuations(timed, OPENING, CLOSING)
    found = []
    for word in timed:
        if not word.tokens:
            continue
        found.append(
            (
                Word(
                    start=word.start,
                    end=max(word.start, word.end),
                    text=word.word,
                    probability=word.probability,
                ),
                len(word.tokens),
            )
        )
    return found
