"""Subtitles: real parsers read them, they never overlap, and every word is in them."""

from __future__ import annotations

import html
import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pysubs2
import pytest
import webvtt
from finished import segment
from hypothesis import given, settings
from hypothesis import strategies as st

from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.formats.subtitles import LINE, LINE_ELSEWHERE, LONGEST, Cue, cues, srt, vtt
from snakescribe.formats.wrap import one_line, units, width

INVISIBLE = "\u200b"


def shown(*segments: dict[str, Any], language: str | None = "ko") -> list[Cue]:
    return cues(segments, language)


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
        assert one.end <= two.start


def by_pysubs2(made: list[Cue]) -> list[tuple[int, int, str]]:
    return [(e.start, e.end, e.text.replace(r"\N", "\n")) for e in pysubs2.SSAFile.from_string(srt(made), "srt")]


def by_webvtt(made: list[Cue]) -> list[tuple[int, int, str]]:
    captions = webvtt.from_string(vtt(made))
    return [(round(c.start_in_seconds * 1000), 0, html.unescape(c.raw_text)) for c in captions]


@settings(max_examples=300)
@given(any_segments(), st.sampled_from([None, "ko", "ja", "en"]))
def test_one_voice_gives_readable_cues_with_all_its_text(segments: list[dict[str, Any]], language: str | None) -> None:
    made = cues(segments, language)
    check(made)
    line = LINE.get(language or "", LINE_ELSEWHERE)
    assert all(width(text) <= line for cue in made for text in cue.lines)
    assert all(cue.end - cue.start <= LONGEST + 1e-6 for cue in made)
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
    *_, last = cues([segment(0, 4, "And so"), segment(10.9, end, "yes.")], "en", 11.04)
    assert (last.start, last.end) == (10.9, 11.04)
    *_, last = cues([segment(11.03, 11.04, "yes.")], "en", 11.04)
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
    assert all(cue.end in ends for cue in made)
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
        (0, 3, ("[agent] 여보세요",)),
        (3, 6, ("[caller] 네 안녕하세요",)),
    ]
    made = shown(segment(0, 5, "여보세요", "agent"), segment(1, 1.4, "네", "caller"))
    assert [(cue.start, cue.end, cue.lines) for cue in made] == [(0, 5, ("[agent] 여보세요", "[caller] 네"))]


def test_a_short_cue_is_held_but_not_over_the_next() -> None:
    made = shown(segment(0, 0.2, "네"), segment(0.5, 0.7, "아니요"))
    assert [(cue.start, cue.end) for cue in made] == [(0, 0.5), (0.5, pytest.approx(0.5 + 5 / 6))]


def test_one_word_over_half_a_minute_does_not_stay_on_the_screen() -> None:
    (cue,) = shown(segment(0, 28, "네"))
    assert cue.end == LONGEST


def test_markup_in_the_text_is_text() -> None:
    text = r"a --> b <i>x</i> & {\an8} C:\New"
    made = shown(segment(0, 2, text), language="en")
    (_, _, from_srt), (_, _, from_vtt) = by_pysubs2(made)[0], by_webvtt(made)[0]
    assert from_srt.replace(INVISIBLE, "") == text
    assert from_vtt == text
    assert "a --&gt; b &lt;i&gt;x&lt;/i&gt; &amp;" in vtt(made)


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
