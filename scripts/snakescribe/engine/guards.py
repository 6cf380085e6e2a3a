"""Is a window's text to be trusted? The first three figures are openai/whisper's (``transcribe.py``), per window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snakescribe.config.options import DecodingOptions
from snakescribe.engine.backend import Hypothesis
from snakescribe.flags import SegmentFlag

TOKENS_PER_SECOND = 30.0
"""Above any real speech (fast Korean reaches about 16): a decoder that gets there is repeating itself."""
SPARE_TOKENS = 24
COVERAGE_GAP = 3.0
"""Speech (seconds) that may lie after the last text before a window counts as left unfinished."""
REPEATS, REPEATED_TOKENS, LONGEST_NGRAM = 5, 12, 24
"""An n-gram of at most 24 tokens said five times in a row, twelve tokens in all, is a loop: people say `네 네 네`."""

SAID_TWICE = 6
"""Letters and digits from which on a whole text that comes twice in a row is read again: in little silence the
decoder begins again when it has said everything. In full context it is believed."""

LOW_VOICE = 0.45
"""Mean probability of speech over a segment: none of 407 segments of ordinary recordings was below (minimum 0.47),
noise that was forced through at most 0.12."""
UNHEARD, UNSURE = 0.5, -0.7
"""Probability of no speech and mean log-probability at which the model itself doubts that it heard someone: isolated
digits misread as `Thank you very much.` had 0.60 and -0.83, a real `Thank you.` 0.005 and -0.17."""


@dataclass(frozen=True)
class Verdict:
    """What the guards say about a hypothesis."""

    flags: tuple[SegmentFlag, ...]
    """Empty when it is trusted."""
    silence: bool
    """The model itself says that nobody spoke."""


def most_tokens(seconds: float, room: int) -> int:
    """Tokens a window may get: bounded by its length, never by a fixed 224 (Korean needs more in 28 s)."""
    return min(room, int(seconds * TOKENS_PER_SECOND) + SPARE_TOKENS)


def judge(
    hypothesis: Hypothesis, ratio: float, options: DecodingOptions, most: int, uncovered: float, twice: bool = False
) -> Verdict:
    """Check one hypothesis.

    Args:
        hypothesis: what was decoded.
        ratio: compression ratio of its text.
        options: thresholds; None switches a guard off.
        most: the token limit it was decoded with.
        uncovered: seconds of speech after its last text.
        twice: it says everything twice, which full context has not confirmed.
    """
    flags: list[SegmentFlag] = []
    looping = options.compression_ratio is not None and (
        ratio > options.compression_ratio or twice or repeats_itself(hypothesis.tokens)
    )
    if looping or len(hypothesis.tokens) >= most:
        flags.append("repetition")
    unsure = options.mean_logprob is not None and hypothesis.mean_logprob < options.mean_logprob
    silence = bool(unsure and options.no_speech and hypothesis.no_speech_probability > options.no_speech)
    if unsure and not silence:
        flags.append("low_confidence")
    if uncovered > COVERAGE_GAP:
        flags.append("unfinished")
    return Verdict(tuple(flags), silence and "repetition" not in flags)


def unlikely_speech(hypothesis: Hypothesis, voice: float) -> bool:
    """Whether a phrase known to be invented on silence is to be believed less than silence.

    Args:
        hypothesis: that of its window.
        voice: mean probability of speech where the phrase stands.
    """
    doubted = hypothesis.no_speech_probability > UNHEARD and hypothesis.mean_logprob < UNSURE
    return voice < LOW_VOICE or doubted


def understandable(verdict: Verdict, hypothesis: Hypothesis) -> bool:
    """Whether the text of a gap may stand in a text that is trusted."""
    return not verdict.flags and not verdict.silence and hypothesis.mean_logprob > UNSURE


def said_twice(text: str) -> bool:
    """Whether a text is another one said twice or more, whatever the punctuation.

    >>> said_twice("See you later. See you later"), said_twice("네, 네."), said_twice("See you, see you later.")
    (True, False, False)
    """
    letters = "".join(c for c in text.casefold() if c.isalnum())
    return SAID_TWICE <= (letters * 2).find(letters, 1) < len(letters)


def repeats_itself(tokens: Sequence[int]) -> bool:
    """Whether some n-gram follows itself again and again.

    >>> repeats_itself([1, 2, 3] * 5), repeats_itself([7] * 4 + [8, 9])
    (True, False)
    """
    for n in range(1, min(LONGEST_NGRAM, len(tokens) // REPEATS) + 1):
        run = 0
        for a, b in zip(tokens, tokens[n:], strict=False):
            run = run + 1 if a == b else 0
            if run >= max(n * (REPEATS - 1), REPEATED_TOKENS - n):
                return True
    return False
