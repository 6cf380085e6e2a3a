"""What nobody can say in its time, and what is said twice with a word changed: by words as the model placed them."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from snakescribe.config.languages import LANGUAGES
from snakescribe.engine.guards import copied_in_a_hurry, nearly_twice, too_fast
from snakescribe.engine.segments import segments
from snakescribe.engine.speaking_rate import seconds_to_say
from snakescribe.transcript import Word

LISTED = json.loads(files("snakescribe.engine").joinpath("speaking_rates.json").read_bytes())
FIRST = ("Im selben Jahr kamen als neue Flugziele Abu Dhabi, Zürich, Peking und Bahrain hinzu.", 0.67, 6.09)
COPY = ("Im selben Jahr kam als neue Flugziele Abu Dhabi, Zürich, Peking und Bahrain hinzu.", 6.09, 6.24)


def _said(*parts: tuple[str, float, float], spaces: bool = True) -> list[Word]:
    """The words of texts said between two times (seconds), each as long as it has letters."""
    found = []
    for text, start, end in parts:
        pieces = [f" {word}" for word in text.split()] if spaces else list(text)
        each = (end - start) / len(text)
        for piece in pieces:
            found.append(Word(start=start, end=start + len(piece) * each, text=piece, probability=0.9))
            start = found[-1].end
    return found


def test_the_copy_of_a_sentence_in_no_time_is_not_believed() -> None:
    """When CTranslate2 had both sentences of a German announcement begin and end that was said once."""
    said = _said(FIRST, COPY)
    first, copy = segments(said)
    assert not too_fast(first, "de") and too_fast(copy, "de")
    assert nearly_twice(said, "de") and copied_in_a_hurry([first, copy], "de")


@pytest.mark.parametrize(
    ("language", "text", "copy", "spaces"),
    [
        ("ko", "마음에 드는 건 다 입어보셔도 됩니다.", "마음에 드는 걸 다 입어보셔도 됩니다.", True),
        ("ja", "客観的実在の判断的知識が整理するのである。", "客観的実在の判断的知識が整理したのである。", False),
        ("zh", "廣州市佛地產中間協會分析。", "廣州市佛地產中介協會分析。", False),
        ("en", "Enter your personal identification number.", "Enter your own identification number.", True),
    ],
)
def test_every_language_has_its_own_rate(language: str, text: str, copy: str, spaces: bool) -> None:
    """At the usual rate nothing is doubted but that all of it comes twice; in a quarter of the time nobody says it."""
    usual = seconds_to_say(text, language)
    slow = _said((text, 0, usual), (copy, usual, 2 * usual), spaces=spaces)
    fast = _said((text, 0, usual), (copy, usual, 1.25 * usual), spaces=spaces)
    hurried = _said((text, 0, usual), (copy, usual, 1.5 * usual), spaces=spaces)
    assert [too_fast(sentence, language) for sentence in segments(slow)] == [False, False]
    assert [too_fast(sentence, language) for sentence in segments(fast)] == [False, True]
    assert [too_fast(sentence, language) for sentence in segments(hurried)] == [False, False]
    assert nearly_twice(slow, language) and not copied_in_a_hurry(segments(slow), language)
    assert copied_in_a_hurry(segments(hurried), language)


@pytest.mark.parametrize(
    ("language", "text", "seconds"),
    [
        ("ko", "제가 도와드리겠습니다.", 0.82),
        ("en", "taxpayers.", 0.18),
        ("de", "Dieser wurde systematisch geschmeckt.", 1.43),
        ("zh", "扎自己的腳", 0.80),
        ("en", "Yes!", 0.05),
    ],
)
def test_what_people_really_said_is_believed(language: str, text: str, seconds: float) -> None:
    """The fastest segments of ordinary recordings, and what is too short to tell."""
    assert not too_fast(_said((text, 0, seconds)), language)


def test_an_echo_is_no_copy() -> None:
    """Two sentences alike in their form only, and a text that repeats itself among others."""
    assert not nearly_twice(_said(("Kommt er heute noch? Nein, morgen früh.", 0, 3)), "de")
    tried = _said(("Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.", 0, 9))
    assert not nearly_twice(tried, "en") and not copied_in_a_hurry(segments(tried), "en")
    assert not nearly_twice([], "en")


def test_every_rate_has_a_source() -> None:
    assert {entry["source"] for entry in (LISTED["other"], *LISTED["languages"].values())} <= LISTED["sources"].keys()
    assert LISTED["languages"].keys() <= LANGUAGES.keys() and {"ko", "ja", "zh", "en"} <= LISTED["languages"].keys()
    assert all(4 < entry["per_second"] < 20 for entry in LISTED["languages"].values())
