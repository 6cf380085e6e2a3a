"""The guards' rules by example; test_engine_guards.py trips them by speech."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from snakescribe.config.options import DecodingOptions
from snakescribe.engine.backend import Hypothesis
from snakescribe.engine.guards import fills_context, judge, most_tokens, repeats_itself
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
    assert most_tokens(28.0, 445, "ko") == 445
    assert most_tokens(1.0, 445, "ko") < 60


READ_ALOUD = {
    "ru": (
        "Для прослушивания следующего сообщения нажмите 6. Для повторного прослушивания сообщения нажмите 5. "
        "Для прослушивания предыдущего сообщения нажмите 4. Для удаления или восстановления сообщения нажмите 7."
    ),
    "hi": (
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की "
        "देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए। प्रत्येक व्यक्ति को जीवन, स्वाधीनता और "
        "वैयक्तिक सुरक्षा का अधिकार है।"
    ),
    "th": (
        "ทุกคนเสมอกันตามกฎหมายและมีสิทธิที่จะได้รับความคุ้มครองของกฎหมายเท่าเทียมกัน โดยปราศจากการเลือกปฏิบัติใด ๆ "
        "ทุกคนมีสิทธิที่จะได้รับความคุ้มครองเท่าเทียมกันจากการเลือกปฏิบัติใด ๆ อันเป็นการล่วงละเมิดปฏิญญา "
        "และจากการยุยงให้เกิดการเลือกปฏิบัติดังกล่าว"
    ),
    "ka": (
        "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით. მათ მინიჭებული აქვთ გონება და "
        "სინდისი და ერთმანეთის მიმართ უნდა იქცეოდნენ ძმობის სულისკვეთებით. ყოველ ადამიანს აქვს სიცოცხლის, "
        "თავისუფლებისა და პირადი ხელშეუხებლობის უფლება."
    ),
    "bo": (
        "མི་མང་ཐམས་ཅད་དང༌། རྒྱལ་ཁབ་ཐམས་ཅད་ཀྱི་དོན་དུ་ཡོངས་ཁྱབ་གསལ་བསྒྲགས་འགྲོ་བ་མིའི་ཐོབ་ཐང་འདི་དག་ཀུན་གྱི་མིག་དཔེ་ལྟ་བུར་ཡོངས་སུ་"
        "འགྲུབ་པར་བྱེད་པའི་མཐའ་དོན་སྙིང་པོ་ནི་སྐྱེ་བོ་རེ་རེ་དང༌། སྤྱི་ཚོགས་ཀྱི་སྡེ་ཚན་རེ་རེ་ནས་གསལ་བསྒྲགས་འདི་དོན་ཡིད་ལ་བརྟན་པོར་"
    ),
}
"""A telephone prompt, and articles of the Declaration of Human Rights. By UTF-8 all compress by more than 2.4."""


@pytest.mark.parametrize("language", READ_ALOUD)
def test_no_alphabet_is_taken_for_a_loop(language: str) -> None:
    text = READ_ALOUD[language]
    assert len(text.encode()) / len(zlib.compress(text.encode())) > 2.4
    assert compression_ratio(text) < 1.9
    assert compression_ratio(text[:30] * 8) > 2.4  # and a loop still is one
    assert compression_ratio("♪ " * 10) > 2.4  # as of what is no letter


def test_a_language_that_needs_more_tokens_gets_them(models_root: Path) -> None:
    """Twice as many as are in 20 s of Georgian and 15 s of Hindi: about as long as it takes to read the texts aloud."""
    for language, seconds in (("ka", 20.0), ("hi", 15.0)):
        tokenizer = tokenizer_for(Store(models_root).resolve("base"), language, "transcribe")
        needed = 2 * len(tokenizer.encode(READ_ALOUD[language]))
        assert most_tokens(seconds, 5000, "en") < needed <= most_tokens(seconds, 5000, language)


def test_text_that_fills_the_context_is_no_loop_where_people_say_as_much() -> None:
    assert fills_context(444, 444, "hi") and not fills_context(300, 444, "hi") and not fills_context(444, 444, "ko")
    assert judge(_hypothesis(tokens=100), 1.5, DecodingOptions(), most=None, uncovered=0.0).flags == ()
