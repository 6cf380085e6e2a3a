"""The guards' rules by example; test_engine_guards.py trips them by speech."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakescribe.config.options import DecodingOptions
from snakescribe.engine.backend import Hypothesis
from snakescribe.engine.guards import judge, most_tokens, repeats_itself
from snakescribe.engine.tokens import compression_ratio, tokenizer_for
from snakescribe.models.store import Store


def _hypothesis(logprob: float = -0.3, no_speech: float = 0.1, tokens: int = 20) -> Hypothesis:
    return Hypothesis(tuple(range(tokens)), (logprob,) * tokens, (0,) * (tokens + 1), logprob, no_speech, 0.0)


@pytest.mark.parametrize(
    ("hypothesis", "ratio", "uncovered", "flags", "silence"),
    [
        (_hypothesis(), 1.5, 0.0, (), False),
        (_hypothesis(), 2.5, 0.0, ("repetition",), False),
        (_hypothesis(tokens=100), 1.5, 0.0, ("repetition",), False),
        (_hypothesis(logprob=-1.1), 1.5, 0.0, ("low_confidence",), False),
        (_hypothesis(logprob=-1.1, no_speech=0.7), 1.5, 0.0, (), True),
        (_hypothesis(no_speech=0.9), 1.5, 0.0, (), False),  # sure of its words: not silence
        (_hypothesis(), 1.5, 3.5, ("unfinished",), False),
        (_hypothesis(logprob=-1.1, no_speech=0.7), 2.5, 0.0, ("repetition",), False),  # a loop is no silence
    ],
)
def test_guards(hypothesis: Hypothesis, ratio: float, uncovered: float, flags: tuple[str, ...], silence: bool) -> None:
    verdict = judge(hypothesis, ratio, DecodingOptions(), most=100, uncovered=uncovered)
    assert (verdict.flags, verdict.silence) == (flags, silence)


def test_what_nobody_can_say_is_doubted() -> None:
    verdict = judge(_hypothesis(), 1.5, DecodingOptions(), most=100, uncovered=0.0, twice=True, fast=True)
    assert verdict.flags == ("repetition", "too_fast") and not verdict.silence


def test_guards_can_be_switched_off() -> None:
    off = DecodingOptions(compression_ratio=None, mean_logprob=None, no_speech=None)
    assert judge(_hypothesis(-5.0, 0.9), 9.0, off, most=100, uncovered=0).flags == ()


@pytest.mark.parametrize(
    ("said", "times", "loop"),
    [
        ("네 ", 4, False),  # people say this
        ("네 ", 40, True),
        ("오늘은 날씨가 ", 3, False),
        ("오늘은 날씨가 ", 6, True),
        ("I don't know. ", 6, True),
    ],
)
def test_a_loop_is_told_from_how_people_talk(models_root: Path, said: str, times: int, loop: bool) -> None:
    tokenizer = tokenizer_for(Store(models_root).resolve("base"), "ko", "transcribe")
    tokens = tokenizer.encode(" 그래서 우리는 " + said * times + "그렇게 말했다.")
    assert repeats_itself(tokens) == loop


def test_repetition_is_seen_and_korean_has_room() -> None:
    assert (
        compression_ratio("오늘은 날씨가 좋습니다. " * 12)
        > 2.4
        > compression_ratio("오늘은 날씨가 좋습니다. 내일도 그렇다고 해요.")
    )
    assert most_tokens(28.0, room=445) == 445
    assert most_tokens(1.0, room=445) < 60
