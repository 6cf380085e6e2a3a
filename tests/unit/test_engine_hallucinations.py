"""Phrases Whisper invents are found however they are written; what people really say is not."""

import json
import re
import time
import unicodedata
from importlib.resources import files

import pytest

from snakescribe.config.languages import LANGUAGES
from snakescribe.engine.hallucinations import _key, invented

LISTED = json.loads(files("snakescribe.engine").joinpath("hallucinations.json").read_bytes())
SOURCE = re.compile(
    r"[\w.-]+/[\w.-]+(#\d+|:[\w./-]+\.(txt|json|csv|py)| discussions/\d+)"
    r"|arXiv \d{4}\.\d{5}( \(.+\))?"
    r"|measured: base on \w.+"
)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ko", "시청해주셔서 감사합니다!"),
        ("ja", "ご視聴ありがとうございました。"),
        ("zh", "请不吝点赞、订阅、转发、打赏支持明镜与点点栏目"),
        ("en", " THANK YOU for watching…"),
        ("de", "Untertitel im Auftrag des ZDF für funk, 2017"),
        ("fr", "Sous‑titrage Société Radio‑Canada"),
        ("es", "Gracias por ver el video."),
        ("ru", "продолжение следует…"),
        ("pt", "Legendas pela comunidade Amara.org"),
        ("it", "Sottotitoli creati dalla comunità Amara.org"),
        ("tr", "abone olmayı unutmayın!!"),
        ("ar", "ترجمة نانسي قنقر"),
        ("vi", "Hãy subscribe cho kênh Ghiền Mì Gõ. Để không bỏ lỡ những video hấp dẫn!"),
        ("nl", "TV Gelderland 2020"),
        ("pl", "Napisy stworzone przez społeczność Amara.org"),
    ],
)
def test_every_language_is_found_however_written(language: str, text: str) -> None:
    assert invented(text, language)
    assert invented(unicodedata.normalize("NFD", text), language)


def test_hangul_in_jamo_is_found() -> None:
    jamo = unicodedata.normalize("NFD", "시청해 주셔서 감사합니다.")
    assert len(jamo) > 20 and invented(jamo, "ko")


def test_repetitions_and_several_phrases_are_found() -> None:
    assert invented("you you you", "en")
    assert invented("Thank you. Thanks for watching! Bye.", "en")
    assert invented("구독과 좋아요 부탁드립니다. 시청해 주셔서 감사합니다. Thank you.", "ko")


@pytest.mark.parametrize("language", sorted(LISTED.keys() | {"sv", "yue"}))
def test_english_counts_in_every_language_and_other_languages_do_not(language: str) -> None:
    assert invented("Thank you for watching.", language)
    assert invented("구독과 좋아요 부탁드립니다.", language) == (language == "ko")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ko", "끝까지 시청해 주셔서 감사합니다 여러분, 다음 회의는 월요일입니다."),
        ("ko", "네, 감사합니다. 내일 뵙겠습니다."),
        ("ko", "시청"),
        ("ja", "駅まで送ってくれて、ありがとうございました。"),
        ("zh", "谢谢你把字幕发给我。"),
        ("en", "Thank you for watching the children."),
        ("en", "Did you see the end?"),
        ("en", "Yes."),
        ("de", "Vielen Dank, Frau Präsidentin."),
        ("fr", "Merci d'être venus."),
        ("es", "Gracias por venir."),
        ("ru", "Продолжение следует прочитать завтра."),
        ("pt", "Obrigado pela ajuda."),
        ("it", "Grazie di essere venuti."),
        ("tr", "Ekmek almayı unutmayın."),
        ("ar", "شكرا جزيلا على المساعدة"),
        ("vi", "Hãy xem video này."),
        ("nl", "Dank u wel voor uw hulp."),
        ("pl", "Dziękuję za pomoc."),
    ],
)
def test_ordinary_sentences_are_not(language: str, text: str) -> None:
    assert not invented(text, language)


@pytest.mark.parametrize("text", ["", "   ", "...", "♪♪", "!?", "—"])
def test_text_without_words_is_no_phrase(text: str) -> None:
    assert not invented(text, "fr")


def test_a_loop_that_ends_otherwise_takes_no_more_time_than_its_length() -> None:
    def seconds(length: int) -> float:
        took = []
        for _ in range(3):
            before = time.process_time()
            assert not invented("ん" * length + "x", "ja")
            took.append(time.process_time() - before)
        return min(took)

    assert seconds(100_000) < 40 * seconds(10_000)


def test_every_entry_has_a_source_and_is_listed_once() -> None:
    assert LISTED.keys() <= LANGUAGES.keys()
    english = {_key(entry["text"]) for entry in LISTED["en"]}
    for language, entries in LISTED.items():
        keys = [_key(entry["text"]) for entry in entries]
        assert all(keys) and len(set(keys)) == len(keys), language
        assert language == "en" or english.isdisjoint(keys), language
        for entry in entries:
            assert entry.keys() == {"text", "source"}
            assert SOURCE.fullmatch(entry["source"]), entry
