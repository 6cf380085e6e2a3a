"""Segments, the silence in words and the speech left out: pure functions of timed words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.characters import SENTENCE_END
from snakescribe.engine.segments import (
    LAST_SOUND,
    LONGEST,
    LONGEST_WORD,
    PAUSE,
    SHORTEST_GAP,
    gaps,
    inserted,
    placed,
    segments,
    whole,
)
from snakescribe.formats.reading import rules_of
from snakescribe.transcript import Word


def _word(start: float, end: float, text: str = " word") -> Word:
    return Word(start=start, end=end, text=text, probability=0.9)


def _words(made: list[tuple[float, float, str]]) -> list[Word]:
    """Words with the given pauses before them and lengths."""
    found, at = [], 0.0
    for pause, length, text in made:
        found.append(_word(at + pause, at + pause + length, text))
        at += pause + length
    return found


def _speech(made: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found, at = [], 0.0
    for pause, length in made:
        found.append((at + pause, at + pause + length))
        at += pause + length
    return found


lengths = st.lists(st.tuples(st.floats(0, 1.5), st.floats(0.02, 3), st.sampled_from([" a", " b,", " c.", "。"])))
timed = lengths.map(_words)
spoken = st.lists(st.tuples(st.floats(0.1, 3), st.floats(0.3, 8)), max_size=6).map(_speech)


@pytest.mark.parametrize("end", [" है।", " ہے۔", " ؟", " է։", "သည်။", "ទេ។", " ነው።"])
def test_a_sentence_ends_in_every_script(end: str) -> None:
    """For segments and, in subtitles, for the break that costs nothing."""
    words = [_word(0, 1, end), _word(1, 2)]
    assert segments(words) == [[words[0]], [words[1]]]
    assert rules_of("en").cost(end, " word") == 0


def test_what_is_sound_of_a_text_that_was_cut_off() -> None:
    first, second, third = [_word(0, 1), _word(1, 2, " end.")], [_word(2, 3), _word(3, 4, " end.")], [_word(4, 20)]
    assert [whole(words) for words in (first + second + third, first + second, first, third, [])] == [2, 2, 1, 0, 0]
    assert gaps(first, [(0.0, 3.5)], cut_off=True) == [(2.0, 3.5)] and gaps(first, [(0.0, 3.5)]) == []


@given(timed)
def test_segments_hold_every_word_once_and_end_where_a_sentence_or_breath_does(words: list[Word]) -> None:
    found = segments(words)
    assert [word for group in found for word in group] == words and all(found)
    for group in found:
        assert len(group) == 1 or group[-1].end - group[0].start <= LONGEST
        for a, b in pairwise(group):
            assert not a.text.endswith(SENTENCE_END) and b.start - a.end < PAUSE
    for group, after in pairwise(found):
        together = after[-1].end - group[0].start
        ended = group[-1].text.endswith(SENTENCE_END) or after[0].start - group[-1].end >= PAUSE
        assert ended or together > LONGEST or _cut_from_longer(group, words)


def _cut_from_longer(group: list[Word], words: list[Word]) -> bool:
    """Whether the sentence this is a piece of is too long to be one segment."""
    at = words.index(group[0])
    first = last = at
    while first and not _ends(words[first - 1], words[first]):
        first -= 1
    while last < len(words) - 1 and not _ends(words[last], words[last + 1]):
        last += 1
    return words[last].end - words[first].start > LONGEST


def _ends(a: Word, b: Word) -> bool:
    return a.text.endswith(SENTENCE_END) or b.start - a.end >= PAUSE


def test_a_long_sentence_is_cut_at_its_widest_pause_then_at_a_comma() -> None:
    words = [_word(i * 1.0, i * 1.0 + 1.0) for i in range(14)]
    words[3] = replace(words[3], end=3.7)
    assert [len(group) for group in segments(words)] == [4, 10]
    words[3] = replace(words[3], end=4.0)
    words[8] = replace(words[8], text=" word,")
    assert [len(group) for group in segments(words)] == [9, 5]
    words[8] = _word(8, 9)
    assert [len(group) for group in segments(words)] == [7, 7]


@given(timed, spoken)
def test_placed_words_lose_silence_and_end_with_the_voice(words: list[Word], speech: list[tuple[float, float]]) -> None:
    found = placed(words, speech)
    assert [word.text for word in found] == [word.text for word in words]
    assert all(a.end <= b.start + 1e-9 for a, b in pairwise(found))
    for before, after, following in zip(words, found, [*(word.start for word in words), inf][1:], strict=True):
        heard = [(max(a, before.start), min(b, before.end)) for a, b in speech]
        heard = [(a, b) for a, b in heard if a < b] or [(before.start, before.end)]
        assert after.start == heard[0][0]
        if after.end != heard[-1][1]:
            assert heard[-1][1] < after.end <= min(heard[-1][1] + LAST_SOUND, following)
            assert after.end in [b for _, b in speech]


def test_words_in_and_over_a_pause() -> None:
    speech = [(1.0, 2.0), (4.0, 5.0)]
    found = placed([_word(0.0, 1.5), _word(1.5, 3.0), _word(3.0, 3.5), _word(3.5, 9.0)], speech)
    assert [(word.start, word.end) for word in found] == [(1.0, 1.5), (1.5, 2.0), (3.0, 3.5), (4.0, 5.0)]
    assert placed([_word(0.0, 1.0)], []) == [_word(0.0, 1.0)]


def test_the_last_word_before_a_pause_ends_with_the_voice() -> None:
    speech = [(1.0, 2.0), (4.0, 5.0), (6.0, 9.0)]
    found = placed([_word(1.0, 1.4), _word(1.4, 1.8), _word(4.2, 4.7), _word(4.7, 4.9), _word(6.0, 8.0)], speech)
    # the fourth reaches the end, the third must leave it room, and a second without a word is told as one
    assert [word.end for word in found] == [1.4, 2.0, 4.7, 5.0, 8.0]


@given(timed, spoken)
def test_gaps_are_long_within_speech_and_without_words(words: list[Word], speech: list[tuple[float, float]]) -> None:
    found = gaps(words, speech)
    for start, end in found:
        assert sum(max(0.0, min(b, end) - max(a, start)) for a, b in speech) > SHORTEST_GAP
        assert any(a <= start <= b for a, b in speech) and any(a <= end <= b for a, b in speech)
        for word in words:
            assert word.start >= end or min(word.end, word.start + LONGEST_WORD) <= start
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    if not words and sum(b - a for a, b in speech) > SHORTEST_GAP:
        assert found == [(speech[0][0], speech[-1][1])]


def test_pauses_do_not_hide_a_gap() -> None:
    bursts = [(3.0, 4.5), (5.0, 6.5), (9.0, 9.4)]
    assert gaps([_word(0.0, 1.0), _word(10.0, 11.0)], [(0.0, 1.0), *bursts, (10.0, 11.0)]) == [(3.0, 9.4)]


def test_what_was_heard_in_a_gap_stands_between_sentences() -> None:
    said = [_word(0.0, 1.0), _word(1.0, 8.0, " still."), _word(9.0, 10.0)]
    together = inserted(said, [[_word(2.0, 3.0, " new")]])
    assert [word.text for word in together] == [" word", " still.", " new", " word"]
    assert [word.end for word in together] == [1.0, 2.0, 3.0, 10.0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([(0.0, 1.0), (1.0, 2.0), (8.0, 10.0)], [(2.0, 8.0)]),
        ([(0.0, 8.0), (8.0, 10.0)], [(2.0, 8.0)]),  # no word takes eight seconds
        ([(2.5, 3.0), (5.0, 6.0), (7.5, 8.0)], [(0.0, 2.5)]),  # two seconds and less are no gap
        ([(0.0, 1.0)], [(1.0, 10.0)]),
        ([], [(0.0, 10.0)]),
    ],
)
def test_gaps(words: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    assert gaps([_word(*word) for word in words], [(0.0, 10.0)]) == expected
