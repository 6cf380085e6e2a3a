"""Is a window's text to be trusted? The figures are openai/whisper's (``transcribe.py``), per window."""

from __future__ import annotations

from dataclasses import dataclass

from snakescribe.config.options import DecodingOptions
from snakescribe.engine.backend import Hypothesis

TOKENS_PER_SECOND = 30.0
"""Above any real speech (fast Korean reaches about 16): a decoder that gets there is repeating itself."""
SPARE_TOKENS = 24
COVERAGE_GAP = 3.0
"""Speech (seconds) that may lie after the last text before a window counts as left unfinished."""


@dataclass(frozen=True)
class Verdict:
    """What the guards say about a hypothesis."""

    flags: tuple[str, ...]
    """``repetition``, ``low_confidence``, ``unfinished``; empty when it is trusted."""
    silence: bool
    """The model itself says that nobody spoke."""


def most_tokens(seconds: float, room: int) -> int:
    """Tokens a window may get: bounded by its length, never by a fixed 224 (Korean needs more in 28 s)."""
    return min(room, int(seconds * TOKENS_PER_SECOND) + SPARE_TOKENS)


def judge(hypothesis: Hypothesis, ratio: float, options: DecodingOptions, most: int, uncovered: float) -> Verdict:
    """Check one hypothesis.

    Args:
        hypothesis: what was decoded.
        ratio: compression ratio of its text.
        options: thresholds; None switches a guard off.
        most: the token limit it was decoded with.
        uncovered: seconds of speech after its last text.
    """
    flags = []
    looping = options.compression_ratio is not None and ratio > options.compression_ratio
    if looping or len(hypothesis.tokens) >= most:
        flags.append("repetition")
    unsure = options.mean_logprob is not None and hypothesis.mean_logprob < options.mean_logprob
    silence = bool(unsure and options.no_speech and hypothesis.no_speech_probability > options.no_speech)
    if unsure and not silence:
        flags.append("low_confidence")
    if uncovered > COVERAGE_GAP:
        flags.append("unfinished")
    return Verdict(tuple(flags), silence and "repetition" not in flags)
