"""Tokens: prompts, words with times, and characters that are never cut."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import whisper
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.engine.backend import Hypothesis
from snakescribe.engine.tokens import _groups, previous_text, prompt_tokens, tokenizer_for, words
from snakescribe.models.store import Store


def _tokenizer(models_root: Path, language: str) -> whisper.tokenizer.Tokenizer:
    return tokenizer_for(Store(models_root).resolve("base"), language, "transcribe")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("ko", " 안녕하세요, 뷁궭 선생님.", ["안녕하세요,", "뷁궭", "선생님."]),  # an eojeol, also of rare syllables
        ("en", ' He said "no" twice.', ["He", "said", '"no"', "twice."]),
        ("ja", "東京へ𠮷野家", ["東", "京", "へ", "𠮷", "野", "家"]),
    ],
)
def test_words_are_never_cut_inside_a_character(
    models_root: Path, language: str, text: str, expected: list[str]
) -> None:
    tokenizer = _tokenizer(models_root, language)
    tokens = tuple(tokenizer.encode(text))
    timed = words(_spoken(tokens), tokenizer)
    assert "".join(word.text for word in timed) == text
    joined = [word.text.strip() for word in timed]
    if language == "ja":
        assert all(part in "".join(expected) for part in joined) and "\ufffd" not in "".join(joined)
    else:
        assert joined == expected
    assert timed[0].start == 0 and all(a.start < a.end <= b.start for a, b in pairwise(timed))
    assert (len(tokens) - 1) * 0.2 - 1e-9 <= timed[-1].end <= len(tokens) * 0.2 + 1e-9  # a full stop takes no time


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("km", "មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងសមភាពក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ។"),
        ("bo", "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས་ཆེ་མཐོངས་དང༌།"),
        ("my", "လူတိုင်းသည်တူညီလွတ်လပ်သောဂုဏ်သိက္ခာဖြင့်လည်းကောင်း"),
        ("th", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน"),
    ],
)
def test_languages_without_spaces_have_short_words_and_whole_characters(
    models_root: Path, language: str, text: str
) -> None:
    """Else a phrase would be one word of several seconds, and most of its speech count as left out."""
    tokenizer = _tokenizer(models_root, language)
    timed = words(_spoken(tuple(tokenizer.encode(text))), tokenizer)
    assert "".join(word.text for word in timed) == text
    assert max(len(word.text) for word in timed) <= 9 < len(text)
    assert not any(unicodedata.category(word.text[0]).startswith("M") for word in timed)
    assert not any(unicodedata.combining(word.text[-1]) == 9 for word in timed[:-1] if language == "km")


def _spoken(tokens: tuple[int, ...], logprobs: tuple[float, ...] = ()) -> Hypothesis:
    """Every token takes 0.2 s."""
    starts = tuple(range(0, 10 * len(tokens) + 1, 10))
    return Hypothesis(tokens, logprobs or (-0.7,) * len(tokens), starts, -0.7, 0.1, 0.0)


@given(st.lists(st.integers(0, 50_000), max_size=12))
def test_any_tokens_make_words_that_join_to_their_text(models_root: Path, tokens: list[int]) -> None:
    """Also tokens that are half a character: the model may write them when it guesses."""
    for language in ("ko", "ja"):
        tokenizer = _tokenizer(models_root, language)
        timed = words(_spoken(tuple(tokens)), tokenizer)
        assert "".join(word.text for word in timed) == tokenizer.decode(tokens)
        assert all(0 <= word.start <= word.end <= 0.2 * len(tokens) + 1e-9 for word in timed)


@pytest.mark.parametrize("text", ["안녕하세요, 뷁궭 선생님.", " It's “new” - 3.5% of \n us…", "東京へ𠮷野家、と。"])
@pytest.mark.parametrize("language", ["ko", "ja", "en"])
def test_whole_characters_are_cut_as_openais(models_root: Path, language: str, text: str) -> None:
    tokenizer = _tokenizer(models_root, language)
    tokens = tokenizer.encode(text)
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    assert _groups(tokens, tokenizer) == list(zip(texts[:-1], groups[:-1], strict=True))


def test_a_word_is_as_probable_as_its_tokens_and_punctuation_takes_no_time_from_it(models_root: Path) -> None:
    tokenizer = _tokenizer(models_root, "en")
    tokens = tuple(tokenizer.encode(" Yes, indeed"))
    assert len(tokens) == 3  # " Yes" "," " indeed"
    yes, indeed = words(_spoken(tokens, (-1.0, -3.0, -0.5)), tokenizer)
    assert (yes.text, indeed.text) == (" Yes,", " indeed")
    assert yes.probability == pytest.approx(np.exp(-1.0)) and indeed.probability == pytest.approx(np.exp(-0.5))
    assert (yes.start, yes.end) == (0.0, 0.2) and indeed.start == 0.4


def test_prompt_keeps_its_end_within_half_the_context(models_root: Path) -> None:
    tokenizer = _tokenizer(models_root, "ko")
    start = (*tokenizer.sot_sequence, tokenizer.no_timestamps)
    assert prompt_tokens(tokenizer, "") == start
    long = prompt_tokens(tokenizer, previous_text("이름 " * 500, ["김철수", "이영희"]))
    assert long[0] == tokenizer.sot_prev and long[-4:] == start and len(long) == 1 + 223 + 4
    assert previous_text(" 서울. ", ["김철수", "이영희"]) == "김철수, 이영희 서울."
