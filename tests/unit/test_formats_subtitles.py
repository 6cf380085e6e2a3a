"""Subtitles: real parsers read them, they never overlap, and every word is in them."""

from __future__ import annotations

import html
import re
import subprocess
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import pysubs2
import pytest
import webvtt
from finished import segment
from hypothesis import given, settings
from hypothesis import strategies as st

from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.formats.notation import ass, srt, vtt
from snakescribe.formats.reading import rules_of
from snakescribe.formats.subtitles import Cue, cues
from snakescribe.formats.wrap import one_line, units, width

INVISIBLE = "\u200b"


def shown(*segments: dict[str, Any], language: str | None = "ko", duration: float = inf) -> list[Cue]:
    return cues([one | {"language": language} for one in segments], None, duration)


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]", "", one_line(text))


texts = st.text(st.characters(codec="utf-8"), max_size=120) | st.lists(
    st.sampled_from(
        [
            "네",
            "알겠습니다.",
            "그래서요,",
            "안녕하세요",
            "今日は",
            "「東京」",
            "hello",
            "<i>",
            "-->",
            "{\\an8}",
            "&amp;",
            "42",
        ]
    ),
    max_size=40,
).map(" ".join)
times = st.floats(0, 40_000)


@st.composite
def any_segments(draw: st.DrawFn, channels: tuple[str | None, ...] = (None,)) -> list[dict[str, Any]]:
    made = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(times)
        end = draw(st.just(start) | st.floats(0, 60).map(lambda length, start=start: start + length) | times)
        text = draw(texts)
        words = draw(st.just("") | st.just(" ".join(text.split())))
        made.append(segment(start, end, text, draw(st.sampled_from(channels)), words=words))
    return made


def check(made: list[Cue]) -> None:
    for cue in made:
        assert round(cue.start * 1000) < round(cue.end * 1000)
    for one, two in pairwise(made):
        assert one.end <= two.start - min(one.rules.gap, (two.start - one.start) / 2) + 1e-6


def by_pysubs2(made: list[Cue]) -> list[tuple[int, int, str]]:
    return [(e.start, e.end, e.text.replace(r"\N", "\n")) for e in pysubs2.SSAFile.from_string(srt(made), "srt")]


def by_webvtt(made: list[Cue]) -> list[tuple[int, int, str]]:
    captions = webvtt.from_string(vtt(made))
    return [(round(c.start_in_seconds * 1000), 0, html.unescape(c.raw_text)) for c in captions]


@settings(max_examples=300)
@given(any_segments(), st.sampled_from([None, "ko", "ja", "en"]))
def test_one_voice_gives_readable_cues_with_all_its_text(segments: list[dict[str, Any]], language: str | None) -> None:
    made = shown(*segments, language=language)
    check(made)
    rules = rules_of(language)
    assert all(width(text) <= rules.line for cue in made for text in cue.lines)
    assert all(cue.end - cue.start <= rules.longest + 1e-6 for cue in made)
    said = "".join(squeezed(s["text"]) for s in sorted(segments, key=lambda s: s["start"]))
    written = "".join(squeezed(text) for cue in made for text in cue.lines)
    assert sorted(written) == sorted(said)
    for read in (by_pysubs2(made), by_webvtt(made)):
        assert "".join(squeezed(text) for _, _, text in read) == written
        assert len(read) == len(made)
    assert [start for start, _, _ in by_pysubs2(made)] == [round(cue.start * 1000) for cue in made]


@settings(max_examples=200)
@given(any_segments(channels=("agent", "caller")))
def test_two_voices_at_once_lose_nothing(segments: list[dict[str, Any]]) -> None:
    made = shown(*segments)
    check(made)
    written = "".join(text for cue in made for text in cue.lines)
    written = re.sub(r"\[(agent|caller)\] ", "", written)
    assert sorted(squeezed(written)) == sorted("".join(squeezed(s["text"]) for s in segments))


@pytest.mark.parametrize("end", [11.04, 11.02, 10.95])
def test_no_cue_is_held_beyond_the_recording(end: float) -> None:
    """A last word of a moment, in a recording of 11.04 s."""
    *_, last = shown(segment(0, 4, "And so"), segment(10.9, end, "yes."), duration=11.04)
    assert (last.start, last.end) == (10.9, 11.04)
    *_, last = shown(segment(11.03, 11.04, "yes."), duration=11.04)
    assert (last.start, last.end) == (11.03, 11.04)


def test_a_long_segment_is_cut_at_eojeol_with_the_times_of_its_words() -> None:
    text = "안녕하세요 오늘은 날씨가 정말 좋네요 그래서 우리는 공원에 가서 산책을 하고 점심을 먹었습니다"
    spoken = segment(10, 24, text, words=text)
    made = shown(spoken)
    assert len(made) > 1
    assert " ".join(text for cue in made for text in cue.lines) == text
    starts = {word["start"] for word in spoken["words"]}
    ends = {word["end"] for word in spoken["words"]}
    assert all(cue.start in starts for cue in made)
    assert all(cue.end in ends or cue.end == pytest.approx(two.start - cue.rules.gap) for cue, two in pairwise(made))
    assert made[-1].end in ends
    assert all(width(line) <= 32 for cue in made for line in cue.lines)


def test_a_segment_whose_words_the_glossary_changed_is_spread_evenly() -> None:
    spoken = segment(0, 10, "가나다라 마바사아 " * 10, words="다른 말")
    made = shown(spoken)
    assert made[0].start == 0
    assert made[1].start == pytest.approx(10 * made_share(made), abs=0.5)


def made_share(made: list[Cue]) -> float:
    columns = [sum(map(width, cue.lines)) for cue in made]
    return columns[0] / sum(columns)


def test_lines_are_even_and_end_at_punctuation_where_they_can() -> None:
    (cue,) = shown(segment(0, 4, "today is a fine day, so we will go out for a long walk"), language="en")
    assert cue.lines == ("today is a fine day,", "so we will go out for a long walk")
    (cue,) = shown(segment(0, 4, "가나다라 마바사아 자차 파하거너 더러머버"))
    assert cue.lines == ("가나다라 마바사아", "자차 파하거너 더러머버")


@pytest.mark.parametrize(
    ("text", "language", "longest"),
    [("가" * 40, "ko", 32), ("好" * 40, "zh", 32), ("あ" * 40, "ja", 26), ("x" * 90, "en", 42)],
)
def test_line_length_counts_what_the_eye_sees(text: str, language: str, longest: int) -> None:
    made = shown(segment(0, 5, text), language=language)
    widths = [width(line) for cue in made for line in cue.lines]
    assert max(widths) <= longest
    assert "".join(line for cue in made for line in cue.lines) == text


def test_japanese_punctuation_never_begins_a_line() -> None:
    text = "これは、長い文章です。「はい」とだけ言って、それから、もう一度ゆっくりと話しました。" * 2
    for cue in shown(segment(0, 7, text), language="ja"):
        assert all(line[0] not in "、。」っょ" and line[-1] != "「" for line in cue.lines)


def test_foreign_words_in_japanese_stay_whole() -> None:
    assert [unit.text for unit in units("Snakemakeを使う", 42)] == ["Snakemake", "を", "使", "う"]


def test_decomposed_hangul_is_as_wide_as_composed() -> None:
    assert width("한글") == width("한글") == 4


def test_the_later_voice_ends_the_earlier_and_an_interjection_is_shown_with_it() -> None:
    made = shown(segment(0, 5, "여보세요", "agent"), segment(3, 6, "네 안녕하세요", "caller"))
    assert [(cue.start, cue.end, cue.lines) for cue in made] == [
        (0, pytest.approx(3 - 2 / 24, abs=1e-3), ("[agent] 여보세요",)),
        (3, 6, ("[caller] 네 안녕하세요",)),
    ]
    made = shown(segment(0, 5, "여보세요", "agent"), segment(1, 1.4, "네", "caller"))
    assert [(cue.start, cue.end, cue.lines) for cue in made] == [(0, 5, ("[agent] 여보세요", "[caller] 네"))]


def test_a_short_cue_is_held_but_not_over_the_next() -> None:
    made = shown(segment(0, 0.2, "네"), segment(0.8, 1.0, "아니요"))
    assert [(cue.start, cue.end) for cue in made] == [
        (0, pytest.approx(0.8 - 2 / 24, abs=1e-3)),
        (0.8, pytest.approx(0.8 + 5 / 6, abs=1e-3)),
    ]


def test_what_would_be_gone_too_soon_is_shown_with_the_next() -> None:
    made = shown(segment(0, 0.2, "네"), segment(0.5, 2, "아니요"))
    assert [(cue.start, cue.end, cue.lines) for cue in made] == [(0, 2, ("네", "아니요"))]


def test_what_is_said_fast_is_held_into_the_silence_until_it_is_read() -> None:
    """20 characters a second in English, 14 syllables in Korean; the next cue and the gap stand in the way."""
    text = "x" * 40
    (cue,) = shown(segment(0, 1, text), language="en")
    assert cue.end == pytest.approx(2)
    (cue,) = shown(segment(0, 1, "가" * 14 + " " + "나" * 14), language="ko")
    assert cue.end == pytest.approx(2)
    first, second = shown(segment(0, 1, text), segment(1.5, 4, text), language="en")
    assert (first.end, second.start) == (pytest.approx(1.5 - 2 / 24, abs=1e-3), 1.5)


TORN = [
    ("en", "This is the long way to the house of Dr.", "Smith, who was there"),
    ("en", "The name of this place is now St.", "Petersburg, if I am right"),
    ("en", "It was a long walk that took us 15", "kilometers, and we were so tired"),
    ("de", "Man kann vieles davon essen, z.", "B. Birnen und Äpfel aus dem Garten"),
    ("fr", "Nous avons rencontré hier soir M.", "Dupont et sa femme au cinéma"),
    ("es", "Hay muchas frutas que comemos, p.", "ej. manzanas y peras del jardín"),
    ("ko", "그 사람이 나에게 이야기했던", "것을 오늘 알았습니다"),
]


@pytest.mark.parametrize(("language", "before", "after"), TORN)
def test_lines_do_not_tear_apart_what_belongs_together(language: str, before: str, after: str) -> None:
    """Each text would break there if only the width counted."""
    (cue,) = shown(segment(0, 6, f"{before} {after}"), language=language)
    assert len(cue.lines) == 2
    assert not cue.lines[1].startswith(after.split()[0])


def test_a_segment_that_an_abbreviation_has_cut_is_no_cue() -> None:
    """It was a cue of its own, like "And Mr.": the engine ends segments at full stops."""
    said = "Smith said that we would go out, so we came home early."
    made = shown(segment(0, 0.4, "And Mr.", words="And Mr."), segment(0.5, 4, said, words=said), language="en")
    assert " ".join(" ".join(cue.lines) for cue in made) == f"And Mr. {said}"
    assert "And Mr. Smith said" in made[0].lines[0]
    assert all(cue.end - cue.start > 1 for cue in made)
    ended = shown(segment(0, 1.4, "We saw the day."), segment(2, 4, said), language="en")
    assert ended[0].lines == ("We saw the day.",)


def test_somebody_else_may_speak_between_an_abbreviation_and_its_name() -> None:
    made = shown(
        segment(0, 1.4, "And Mr.", "agent"),
        segment(1.5, 3, "Yes?", "caller"),
        segment(3.1, 5, "Smith said so.", "agent"),
        language="en",
    )
    assert [line for cue in made for line in cue.lines] == ["[agent] And Mr. Smith said so.", "[caller] Yes?"]


def test_the_speaker_is_named_rather_than_the_channel() -> None:
    (cue,) = shown(segment(0, 2, "네", "left") | {"speaker": "이 부장"})
    assert cue.lines == ("[이 부장] 네",)


@pytest.mark.parametrize(
    ("language", "text", "lines"),
    [
        ("ja", "本日は晴天なので東京タワーまで行きました。", ("本日は晴天なので", "東京タワーまで行きました。")),
        ("ja", "私たちは2026年にSnakemakeを使いました。", ("私たちは2026年に", "Snakemakeを使いました。")),
        ("zh", "今天天气很好，所以我们去公园散步了一整天。", ("今天天气很好，", "所以我们去公园散步了一整天。")),
        ("zh", "今天天氣很好，所以我們去公園散步了一整天。", ("今天天氣很好，", "所以我們去公園散步了一整天。")),
    ],
)
def test_japanese_and_chinese_break_between_phrases(language: str, text: str, lines: tuple[str, ...]) -> None:
    (cue,) = shown(segment(0, 6, text), language=language)
    assert cue.lines == lines


def test_thai_breaks_between_words() -> None:
    text = "วันนี้อากาศดีเราไปเดินเล่นที่สวนสาธารณะกับครอบครัวของเรา"
    (cue,) = shown(segment(0, 6, text), language="th")
    assert "".join(cue.lines) == text and len(cue.lines) == 2
    assert cue.lines[1].startswith(("ที่", "สวน", "สาธารณะ", "เดิน", "เล่น", "กับ", "ไป"))


@pytest.mark.parametrize(
    "text",
    [
        "སྐྱེ་བོ་རེ་རེར་གསལ་བསྒྲགས་འདི་ནང་བཀོད་པའི་ཐོབ་ཐང་དང་རང་དབང་སྟེ་མི་རིགས་དང་ཤ་མདོག་ཕོ་མོ་སྐད་ཡིག་ཆོས་ལུགས་སྲིད་དོན",
        "လူတိုင်းသည်တူညီလွတ်လပ်သောဂုဏ်သိက္ခာဖြင့်လည်းကောင်းအခွင့်အရေးများဖြင့်လည်းကောင်းမွေးဖွားလာသူများဖြစ်သည်",
        "មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងសមភាពក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិមនុស្សមានវិចារណញ្ញាណនិងសតិសម្បជញ្ញៈ",
    ],
    ids=["bo", "my", "km"],
)
@pytest.mark.parametrize("longest", range(10, 43))
def test_no_line_begins_with_a_mark_or_half_a_character(text: str, longest: int) -> None:
    pieces = [unit.text for unit in units(text, longest)]
    assert "".join(pieces) == text and len(pieces) > 1 and all(width(piece) <= longest for piece in pieces)
    for before, piece in pairwise(pieces):
        assert not unicodedata.category(piece[0]).startswith("M") and piece[0] != "་"
        assert unicodedata.combining(before[-1]) != 9 or before.endswith("\u103a")  # that one only kills a vowel


def test_one_word_over_half_a_minute_does_not_stay_on_the_screen() -> None:
    (cue,) = shown(segment(0, 28, "네"))
    assert cue.end == rules_of("ko").longest


def test_markup_in_the_text_is_text() -> None:
    text = r"a --> b <i>x</i> & {\an8} C:\New"
    made = shown(segment(0, 2, text), language="en")
    (_, _, from_srt), (_, _, from_vtt) = by_pysubs2(made)[0], by_webvtt(made)[0]
    assert from_srt.replace(INVISIBLE, "") == text
    assert from_vtt == text
    assert "a --&gt; b &lt;i&gt;x&lt;/i&gt; &amp;" in vtt(made)


RTL_LINES = [("ar", "iPhone جديد، 15 كم."), ("he", "שלום, זה חדש."), ("fa", "سلام! خوبی؟"), ("ur", "یہ نیا ہے۔")]


@pytest.mark.parametrize(("language", "text"), RTL_LINES)
def test_a_line_from_right_to_left_says_so_to_players(language: str, text: str) -> None:
    """Without it libass, as mpv and VLC use it, puts the full stop at the right end."""
    made = shown(segment(0, 4, text), segment(5, 8, "OK."), language=language)
    marked = [f"\u202b{text}\u202c", "OK."]
    assert [text for _, _, text in by_pysubs2(made)] == marked
    assert [text for _, _, text in by_webvtt(made)] == marked
    assert [event.text for event in by_ass(made)] == marked
    assert "\u202b" not in srt(shown(segment(0, 4, text), language="en")), "a quotation in another language"


def by_ass(made: list[Cue], highlight: bool = False) -> list[pysubs2.SSAEvent]:
    return list(pysubs2.SSAFile.from_string(ass(made, highlight)))


@settings(max_examples=100)
@given(any_segments(channels=("agent", None)), st.sampled_from(["ko", "ja", "ar", "en"]))
def test_ass_and_vtt_say_the_same_with_and_without_highlights(segments: list[dict[str, Any]], language: str) -> None:
    made = shown(*segments, language=language)
    for highlight in (False, True):
        for cue, event in zip(made, by_ass(made, highlight), strict=True):
            assert abs(event.start - cue.start * 1000) <= 5.5 and event.start < event.end
            read = event.plaintext.translate(str.maketrans("｛｝", "{}")).replace(INVISIBLE, "")
            assert undirected(read) == undirected("\n".join(cue.lines).translate(str.maketrans("｛｝", "{}")))
        for cue, caption in zip(made, webvtt.from_string(vtt(made, highlight)), strict=True):
            assert undirected(html.unescape(caption.text)) == undirected("\n".join(cue.lines))
            stamps = [float(s[:2]) * 3600 + float(s[3:5]) * 60 + float(s[6:]) for s in STAMP.findall(caption.raw_text)]
            around = [cue.start, *stamps, cue.end]
            assert all(round(a * 1000) < round(b * 1000) for a, b in pairwise(around))


STAMP = re.compile(r"<(\d\d+:\d\d:\d\d\.\d{3})>")


def undirected(text: str) -> str:
    """Without marks of direction, and invisible spaces."""
    return re.sub("[\u202b\u202c\u200b]", "", text)


def test_words_are_highlighted_when_they_are_said() -> None:
    text = "We saw <it> & {left}. Then we came home again, all of us."
    made = shown(segment(1, 5.2, text, "agent", words=text), language="en")
    (caption,) = webvtt.from_string(vtt(made, highlight=True))
    stamps = re.findall(r"<(\d\d:\d\d:\d\d\.\d{3})><c>(.*?)</c>", caption.raw_text)
    words = [word for cue in made for word in segment(1, 5.2, text, words=text)["words"]]
    assert [html.unescape(word) for _, word in stamps] == [word["text"] for word in words[1:]]
    assert [float(stamp[-6:]) for stamp, _ in stamps] == pytest.approx([word["start"] for word in words[1:]], abs=1e-3)
    assert caption.raw_text.startswith("[agent] <c>We</c> <00:00:01.")
    assert html.unescape(caption.text) == "\n".join(made[0].lines)
    (event,) = by_ass(made, highlight=True)
    spans = [int(length) for length in re.findall(r"\{\\k(\d+)\}", event.text)]
    assert len(spans) == len(words) and sum(spans) == 420
    assert event.plaintext == "\n".join(made[0].lines).translate(str.maketrans("{}", "｛｝"))
    assert [style.text for style in webvtt.from_string(vtt(made, highlight=True)).styles] == [
        "::cue(c:future) { color: silver }"
    ]
    assert "STYLE" not in vtt(made) and "<c>" not in vtt(made) and r"{\k" not in ass(made)


def test_what_comes_after_ten_hours_is_not_moved_in_ass() -> None:
    """pysubs2 would put it at 9:59:59.99."""
    (event,) = by_ass([Cue(36_061.006, 36_062.25, ("네",))])
    assert (event.start, event.end) == (36_061_010, 36_062_250)


def test_ffmpeg_reads_ass(tmp_path: Path) -> None:
    file = tmp_path / "x.ass"
    file.write_text(ass([Cue(0, 1, (r"a {b} C:\New", "42")), Cue(40_000, 40_001, ("네",))]), encoding="utf-8")
    asked = [ffmpeg_path(), "-v", "error", "-i", str(file), "-f", "srt", "-"]
    read = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert re.sub("<[^>]*>", "", read).replace(INVISIBLE, "").split("\n\n")[:2] == [
        "1\n00:00:00,000 --> 00:00:01,000\na ｛b｝ C:\\New\n42",
        "2\n11:06:40,000 --> 11:06:41,000\n네",
    ]


@pytest.mark.parametrize(
    ("write", "text"), [(srt, r"a --> b <i>x</i> & {\an8} C:\New"), (vtt, "a --> b <i>x</i> & &lt;")]
)
def test_ffmpeg_reads_it_as_text(write: Callable[[list[Cue]], str], text: str, tmp_path: Path) -> None:
    made = [Cue(0, 1, (text, "42")), Cue(1, 2, ("네",))]
    file = tmp_path / f"x.{write.__name__}"
    file.write_text(write(made), encoding="utf-8")
    asked = [ffmpeg_path(), "-v", "error", "-i", str(file), "-f", "srt", "-"]
    read = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert read.replace(INVISIBLE, "").split("\n\n")[:2] == [
        f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n42",
        "2\n00:00:01,000 --> 00:00:02,000\n네",
    ]


def test_a_line_of_digits_is_no_cue_number() -> None:
    read = by_pysubs2([Cue(0, 1, ("hello", "42"))])
    assert read == [(0, 1000, f"hello\n{INVISIBLE}42")]


def test_a_recording_without_speech_gives_valid_empty_files() -> None:
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n"
    assert len(pysubs2.SSAFile.from_string(srt([]), "srt")) == 0
    assert webvtt.from_string(vtt([])).captions == []


def test_times_over_an_hour() -> None:
    made = [Cue(36_061.0005, 36_062.25, ("네",))]
    assert srt(made) == "1\n10:01:01,000 --> 10:01:02,250\n네\n\n"
    assert vtt(made) == "WEBVTT\n\n10:01:01.000 --> 10:01:02.250\n네\n"
