"""Between tokens and text: prompts in front, timed words out."""

from __future__ import annotations

import codecs
import string
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from whisper.timing import WordTiming, merge_punctuations
from whisper.tokenizer import Tokenizer, get_tokenizer

from snakescribe.audio import CONTEXT_TOKENS, POSITION_SECONDS
from snakescribe.characters import WITHOUT_SPACES, tied
from snakescribe.engine.backend import Hypothesis
from snakescribe.models.store import Prepared
from snakescribe.transcript import Word

OPENING, CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word after it and before it (openai/whisper ``timing.py``)."""
MOST_PREVIOUS = CONTEXT_TOKENS // 2 - 1
"""Tokens of what was said before: half of the decoder's context (openai/whisper ``decoding.py``)."""


def tokenizer_for(prepared: Prepared, language: str | None, task: str) -> Tokenizer:
    """Whisper's own tokenizer (its tables lie in the package; nothing is fetched)."""
    able = prepared.capabilities
    return get_tokenizer(
        able.multilingual,
        num_languages=able.language_tokens,
        language=language if able.multilingual else None,
        task=task,
    )


def previous_text(prompt: str, hotwords: list[str]) -> str:
    """What the model is told was said before: the hotwords, then the prompt."""
    return " ".join(part.strip() for part in (", ".join(hotwords), prompt) if part.strip())


def prompt_tokens(tokenizer: Tokenizer, previous: str) -> tuple[int, ...]:
    """Start tokens of a window; a long previous text keeps its end."""
    start = tuple(tokenizer.sot_sequence_including_notimestamps)
    if not previous:
        return start
    return (tokenizer.sot_prev, *tokenizer.encode(" " + previous)[-MOST_PREVIOUS:], *start)


def tokens_left_out(tokenizer: Tokenizer, previous: str) -> int:
    """Tokens of a previous text that do not fit."""
    return max(0, len(tokenizer.encode(" " + previous)) - MOST_PREVIOUS)


def compression_ratio(text: str) -> float:
    """Length over zlib length; text that repeats itself compresses well (openai/whisper ``utils.py``).

    openai/whisper takes UTF-8, in which two of the three bytes of a Thai or Hindi letter are always the same: all
    ordinary text of 19 languages, and most of Russian, is then above its 2.4 (findings/whisper-compression-ratio.sh).
    Here a letter of an alphabet is one byte, and 28 s of ordinary text in any of these have at most 2.2. Syllables of
    Hangul and Chinese characters keep their three bytes: with one, a loop of few of them would not be seen.
    """
    data = b"".join(bytes((ord(c) & 0xFF,)) if _in_alphabet(c) else c.encode() for c in text)
    return len(data) / len(zlib.compress(data)) if data else 0.0


def _in_alphabet(character: str) -> bool:
    """Whether Unicode has it in a block of an alphabet: before its symbols, or between them and what is Chinese."""
    return character < "\u2000" or "\u2c00" <= character < "\u2e80"


def words(hypothesis: Hypothesis, tokenizer: Tokenizer) -> list[Word]:
    """The words of a hypothesis, with times in seconds from the window's start; joined, their texts are its text.

    Languages without spaces (zh, ja, th, …) are cut at characters with their marks, others at spaces, so a Korean word
    is an eojeol and never half a syllable. Punctuation goes with its word.
    """
    groups = _groups(hypothesis.tokens, tokenizer)
    bounds = np.cumsum([0, *(len(group) for _, group in groups)]).tolist()
    starts = [position * POSITION_SECONDS for position in hypothesis.starts]
    timed = [
        WordTiming(text, group, starts[begin], starts[end], float(np.exp(np.mean(hypothesis.logprobs[begin:end]))))
        for (text, group), (begin, end) in zip(groups, pairwise(bounds), strict=True)
    ]
    merge_punctuations(timed, OPENING, CLOSING)
    return [
        Word(start=word.start, end=max(word.start, word.end), text=word.word, probability=word.probability)
        for word in timed
        if word.tokens
    ]


def _groups(tokens: Sequence[int], tokenizer: Tokenizer) -> list[tuple[str, list[int]]]:
    """The text and tokens of each word, as openai/whisper's ``split_to_word_tokens`` does for whole characters.

    That one loses words beside bytes that are no character, which the model writes when it guesses or is cut short.
    """
    begins = _untied if tokenizer.language in WITHOUT_SPACES else _spaced
    found: list[tuple[str, list[int]]] = []
    for text, group in _characters(tokens, tokenizer):
        if not found or begins(found[-1][0], text):
            found.append((text, group))
        else:
            found[-1] = (found[-1][0] + text, [*found[-1][1], *group])
    return found


def _spaced(before: str, text: str) -> bool:
    return text.startswith(" ") or text.strip() in string.punctuation


def _untied(before: str, text: str) -> bool:
    return not (before and text and tied(before[-1], text[0]))


def _characters(tokens: Sequence[int], tokenizer: Tokenizer) -> Iterator[tuple[str, list[int]]]:
    """The fewest tokens that are whole characters, with their text."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, group = "", list[int]()
    for place, token in enumerate(tokens, start=1):
        text += decoder.decode(tokenizer.encoding.decode_single_token_bytes(token), final=place == len(tokens))
        group.append(token)
        if not decoder.getstate()[0]:
            yield text, group
            text, group = "", []
