"""Formats of other tools: each is read back by a parser that is not ours, with all its text and times."""

from __future__ import annotations

import io
import re
import tempfile
import unicodedata
import xml.etree.ElementTree as ET
import zipfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import docx
import pylangacq
import pytest
from finished import row, segment
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.audio import TranscriptionVerbose
from praatio import textgrid
from pympi.Elan import Eaf

from snakescribe.config.options import OutputFormat
from snakescribe.formats.registry import FORMATS, SERVED
from snakescribe.formats.spoken import Spoken, plain

AGENT, CALLER = "상담원 1", 'call"er'
CALL = row(
    "통화 1/상담 '녹음' <1>.wav",
    segment(0, 2.5, "네, 알겠습니다. 정말요?", AGENT, words="네, 알겠습니다. 정말요?"),
    segment(1.2, 3.75, ' 여보\t세요\n<b>"3.5%"</b> & ', CALLER, words='여보 세요 <b>"3.5%"</b> &'),
    segment(5, 5, "네", AGENT, words="네"),
    segment(61, 62.5, "끝.", CALLER),  # past the end
    segment(62, 62.2, " \t", CALLER),
)
"""Two channels that overlap, a word of no length, blanks and marks in text and names."""
EMPTY = row("조용한 방.wav")
LONG = row("a/x.mp3", segment(36_000, 36_001.5, "ten hours later"), duration=36_002.0)
TIMES = {AGENT: [(0, 2.5), (5, 5.001)], CALLER: [(1.2, 3.75), (61, 62.5)]}
TEXTS = {AGENT: ["네, 알겠습니다. 정말요?", "네"], CALLER: ['여보 세요 <b>"3.5%"</b> &', "끝."]}
NEW = [name for name in FORMATS if name not in SERVED]

texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.lists(
    st.sampled_from(
        ["네", "알겠습니다.", "0", "0도", "www", "xxx", "<i>", '"', "]]>", ";;", "%", "3.5", "あ。い", "-", "'", "\x15"]
    ),
    max_size=12,
).map(" ".join)
names = st.sampled_from([None, "agent", AGENT, CALLER, "상담원_1", "a<b>|c", "agent words", "transcript", "\x00"])


@st.composite
def recordings(draw: st.DrawFn) -> dict[str, Any]:
    """Any row that the engine could write, and some that it should not."""
    said = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.floats(0, 40_000) | st.sampled_from([0.0, 1.0, 1.0004]))
        length = draw(st.sampled_from([0.0, 0.0004, 1.0]) | st.floats(0, 60))
        text = draw(texts)
        said.append(segment(start, start + length, text, draw(names), draw(st.just("") | st.just(text))))
    path = draw(
        st.sampled_from(["x.mp3", "a b.wav", ";x.wav", "가/나 '다'.m4a", "\\xff\x01.wav", "d/", "a\u3000b.wav"])
    )
    return row(path, *said, duration=draw(st.none() | st.floats(0, 40_000)))


def written(name: str, recording: dict[str, Any]) -> str:
    return FORMATS[cast(OutputFormat, name)].data(Spoken(recording)).decode()


def tiers_of(recording: dict[str, Any]) -> dict[str | None, list[str]]:
    """Texts by channel, without those that say nothing, as many times as they were said."""
    found: dict[str | None, list[str]] = {}
    for one in recording["segments"]:
        if text := plain(one["text"]):
            found.setdefault(plain(one["channel"] or ""), []).append(text)
    return found


def all_texts(recording: dict[str, Any]) -> list[str]:
    return sorted(text for said in tiers_of(recording).values() for text in said)


def praat(recording: dict[str, Any], folder: Path) -> textgrid.Textgrid:
    path = folder / "x.TextGrid"
    path.write_text(written("textgrid", recording), encoding="utf-8")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert grid.validate("error")
    return grid


def test_praat_reads_a_tier_for_each_speaker_and_one_for_its_words(tmp_path: Path) -> None:
    grid = praat(CALL, tmp_path)
    assert grid.tierNames == (AGENT, f"{AGENT} words", CALLER, f"{CALLER} words")
    for name in (AGENT, CALLER):
        said = [entry for entry in grid.getTier(name).entries if entry.label]
        assert [(entry.start, entry.end) for entry in said] == TIMES[name]
        assert [entry.label for entry in said] == TEXTS[name]
        words = [entry.label for entry in grid.getTier(f"{name} words").entries if entry.label]
        assert words == " ".join(TEXTS[name]).removesuffix(" 끝.").split()
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 62.5), "nothing lies past the end"
    for tier in grid.tiers:
        assert (tier.entries[0].start, tier.entries[-1].end) == (0, 62.5)
        assert all(one.end == two.start for one, two in pairwise(tier.entries)), "Praat wants no holes"


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_any_textgrid_is_whole(recording: dict[str, Any]) -> None:
    """By an own reader: praatio's takes what is in quotes for its keywords."""
    text = written("textgrid", recording)
    tiers = re.split(r"^    item \[\d+\]:\n", text, flags=re.MULTILINE)[1:]
    found = []
    for tier in tiers:
        entry = r'            xmin = (\S+) \n            xmax = (\S+) \n            text = "((?:[^"]|"")*)" \n'
        entries = [(float(a), float(b), label) for a, b, label in re.findall(entry, tier)]
        assert re.findall(r"^        intervals: size = (\d+) $", tier, re.MULTILINE) == [str(len(entries))]
        assert all(start < end for start, end, _ in entries)
        assert all(one[1] == two[0] for one, two in pairwise(entries))
        if not re.search(r'^        name = ".*words(_\d)?" $', tier, re.MULTILINE):
            found += [label.replace('""', '"') for _, _, label in entries if label]
    if not any("words" in (one["channel"] or "") for one in recording["segments"]):
        assert sorted(found) == all_texts(recording)
    assert len({re.search(r'name = "(.*)" \n', tier)[1] for tier in tiers}) == len(tiers) > 0  # type: ignore[index]


def elan(recording: dict[str, Any], folder: Path) -> Eaf:
    """Read by pympi, and held to what ELAN's schema and its tiers ask."""
    path = folder / "x.eaf"
    path.write_text(written("eaf", recording), encoding="utf-8")
    top = ET.parse(path).getroot()
    datetime.fromisoformat(top.attrib["DATE"])
    order = [child.tag for child in top if child.tag != "TIER"]
    assert order[:3] == ["HEADER", "TIME_ORDER", "LINGUISTIC_TYPE"] and set(order[3:]) == {"CONSTRAINT"}
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in top.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values()), "time slots are in the order of time"
    ids = [one.attrib["ANNOTATION_ID"] for one in top.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(ids)) == len(ids)
    assert len(slots) == 2 * len(ids)
    for tier in top.iter("TIER"):
        edges = [
            slots[one.attrib[end]]
            for one in tier.iter("ALIGNABLE_ANNOTATION")
            for end in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
        ]
        assert all(one < two for one, two in zip(edges[::2], edges[1::2], strict=True))
        assert edges == sorted(edges), "a tier has no overlaps"
    return Eaf(str(path), suppress_version_warning=True)


def test_elan_reads_whole_milliseconds_without_overlaps(tmp_path: Path) -> None:
    read = elan(CALL, tmp_path)
    assert list(read.get_tier_names()) == [AGENT, f"{AGENT} words", CALLER, f"{CALLER} words"]
    for name in (AGENT, CALLER):
        said = read.get_annotation_data_for_tier(name)
        assert [(start / 1000, end / 1000) for start, end, _ in said] == TIMES[name]
        assert [text for _, _, text in said] == TEXTS[name]
        assert read.get_parameters_for_tier(name)["PARTICIPANT"] == name
    assert read.get_linked_files()[0]["RELATIVE_MEDIA_URL"] == "./상담 '녹음' <1>.wav"
    assert list(elan(EMPTY, tmp_path).get_tier_names()) == ["transcript"]


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_any_eaf_is_what_elan_reads(recording: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read = elan(recording, Path(folder))
    whose = {name: read.get_parameters_for_tier(name).get("PARTICIPANT") for name in read.get_tier_names()}
    of_segments = [
        name for name, who in whose.items() if re.fullmatch(re.escape(who or "transcript") + r"(_\d)?", name)
    ]
    said = [text for name in of_segments for _, _, text in read.get_annotation_data_for_tier(name)]
    assert sorted(said) == all_texts(recording)


def test_chat_has_a_sentence_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / f"{Spoken(CALL).name}.cha"  # its name, too, is held to what stands in it
    path.write_text(written("chat", CALL), encoding="utf-8")
    read = pylangacq.read_chat(str(path))
    assert [(one.code, one.name) for one in read.participants()] == [("SP1", "상담원_1"), ("SP2", "call_er")]
    assert read.languages() == ["kor"]
    said = [(one.participant, " ".join(token.word for token in one.tokens)) for one in read.utterances()]
    assert said == [
        ("SP1", "네 , 알겠습니다 ."),
        ("SP2", "여보 세요 b 3 5 b ."),
        ("SP1", "정말요 ?"),
        ("SP1", "네 ."),
        ("SP2", "끝 ."),
    ]
    times = [one.time_marks for one in read.utterances()]
    assert times == [(0, 1607), (1200, 3750), (1607, 2500), (5000, 5001), (61_000, 62_500)]


@settings(max_examples=100, deadline=None)
@given(recordings())
def test_any_chat_keeps_every_letter(recording: dict[str, Any]) -> None:
    text = written("chat", recording)
    assert text.startswith("@UTF8\n@Begin\n") and text.endswith("@End\n")
    read = pylangacq.CHAT.from_strs([text])
    utterances = list(read.utterances())
    assert all(one.time_marks and one.time_marks[0] < one.time_marks[1] for one in utterances)

    def letters(said: list[str]) -> list[str]:
        kept = (c for text in said for c in unicodedata.normalize("NFKC", text) if c.isalnum())
        return sorted("".join(kept).lower())

    assert letters([token.word for one in utterances for token in one.tokens]) == letters(all_texts(recording))


def test_word_shows_title_facts_and_turns() -> None:
    data = FORMATS["docx"].data(Spoken(CALL))
    read = docx.Document(io.BytesIO(data))
    assert read.paragraphs[0].text == "상담 '녹음' <1>.wav"
    facts = {row.cells[0].text: row.cells[1].text for row in read.tables[0].rows}
    assert facts == {
        "녹음": CALL["path"],
        "길이": "00:01:00",
        "언어": "korean (ko)",
        "전사": "2026-01-02, 모델 base, 사람이 고치지 않음",
    }
    assert [one.text for one in read.paragraphs if one.style and one.style.name == "Turn"] == [
        "[00:00:00]\t상담원 1: 네, 알겠습니다. 정말요?",
        '[00:00:01]\tcall"er: 여보 세요 <b>"3.5%"</b> &',
        "[00:00:05]\t상담원 1: 네",
        '[00:01:01]\tcall"er: 끝.',
    ]
    fonts = read.styles["Normal"].element.rPr.rFonts
    assert set(fonts.attrib.values()) == {"Malgun Gothic"} and len(fonts.attrib) == 3


def test_word_documents_are_the_same_at_any_time() -> None:
    data = FORMATS["docx"].data(Spoken(CALL))
    assert FORMATS["docx"].data(Spoken(CALL)) == data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    about = docx.Document(io.BytesIO(data)).core_properties
    assert about.created == about.modified == CALL["finished_at"].replace(microsecond=0)
    assert (about.author, about.title) == ("snakescribe", "상담 '녹음' <1>.wav")


@settings(max_examples=30, deadline=None)
@given(recordings())
def test_any_word_document_holds_all_text(recording: dict[str, Any]) -> None:
    read = docx.Document(io.BytesIO(FORMATS["docx"].data(Spoken(recording))))
    turns = [one.text for one in read.paragraphs if one.style and one.style.name == "Turn"]
    said = " ".join(text for turn in turns for text in [re.sub(r"^\[\d\d+:\d\d:\d\d\]\t", "", turn)])
    assert all(text in said for text in all_texts(recording))


def test_turns_of_one_voice_end_at_pauses_and_after_half_a_minute() -> None:
    said = [segment(3 * n, 3 * n + 2.9, f"{n}.") for n in range(12)] + [segment(40, 41, "later")]
    assert written("timed", row("x.mp3", *said)).splitlines() == [
        "[00:00:00]\t0. 1. 2. 3. 4. 5. 6. 7. 8. 9.",
        "[00:00:30]\t10. 11.",
        "[00:00:40]\tlater",
    ]
    assert written("timed", LONG) == "[10:00:00]\tten hours later\n"
    assert written("timed", CALL).splitlines()[1] == '[00:00:01]\tcall"er: 여보 세요 <b>"3.5%"</b> &'


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_any_timed_text_has_one_tab_a_line_and_times_in_order(recording: dict[str, Any]) -> None:
    lines = [line.split("\t") for line in written("timed", recording).split("\n")[:-1]]
    assert all(len(line) == 2 and re.fullmatch(r"\[\d\d:\d\d:\d\d\]", line[0]) for line in lines)
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


def test_audacity_labels_are_rows_of_three() -> None:
    rows = [line.split("\t") for line in written("audacity", CALL).splitlines()]
    assert [(float(start), float(end)) for start, end, _ in rows] == [(0, 2.5), (1.2, 3.75), (5, 5), (61, 62.5)]
    assert [text for _, _, text in rows][:2] == [
        "[상담원 1] 네, 알겠습니다. 정말요?",
        '[call"er] 여보 세요 <b>"3.5%"</b> &',
    ]


def fields(name: str, recording: dict[str, Any], at_most: int = -1) -> list[list[str]]:
    return [line.split(None, at_most) for line in written(name, recording).split("\n")[:-1]]


def test_ctm_has_a_line_per_word_by_channel_and_time() -> None:
    lines = fields("ctm", CALL)
    assert {line[0] for line in lines} == {CALL["recording_id"]}, "the path has blanks"
    assert [line[:2] + line[4:] for line in lines if line[1] == "상담원_1"] == [
        [CALL["recording_id"], "상담원_1", word, "0.90"] for word in ("네,", "알겠습니다.", "정말요?", "네")
    ]
    assert [(float(line[2]), float(line[3])) for line in lines if line[1] == "상담원_1"][-1] == (5, 0)
    assert [(line[1], float(line[2])) for line in lines] == sorted((line[1], float(line[2])) for line in lines)
    assert fields("ctm", LONG) == [
        ["a/x.mp3", "1", "36000.000", "0.346", "ten"],
        ["a/x.mp3", "1", "36000.346", "0.577", "hours"],
        ["a/x.mp3", "1", "36000.923", "0.577", "later"],
    ], "without words they share the segment's time, and have no probability"


def test_stm_and_rttm_have_a_line_per_segment() -> None:
    key = CALL["recording_id"]
    assert fields("stm", CALL, 6) == [
        [key, 'call"er', "unknown", "1.200", "3.750", "<ko>", '여보 세요 <b>"3.5%"</b> &'],
        [key, 'call"er', "unknown", "61.000", "62.500", "<ko>", "끝."],
        [key, "상담원_1", "unknown", "0.000", "2.500", "<ko>", "네, 알겠습니다. 정말요?"],
        [key, "상담원_1", "unknown", "5.000", "5.001", "<ko>", "네"],
    ]
    assert fields("rttm", CALL) == [
        ["SPEAKER", key, "1", start, length, "<NA>", "<NA>", who, "<NA>", "<NA>"]
        for start, length, who in (
            ("0.000", "2.500", "상담원_1"),
            ("1.200", "2.550", 'call"er'),
            ("5.000", "0.001", "상담원_1"),
            ("61.000", "1.500", 'call"er'),
        )
    ]
    assert fields("rttm", LONG)[0][7] == fields("stm", LONG)[0][2] == "unknown"


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_any_field_is_one_field(recording: dict[str, Any]) -> None:
    said = [plain(one["text"]) for one in recording["segments"]]
    assert all(len(line) in (5, 6) for line in fields("ctm", recording))
    assert sorted(line[4] for line in fields("ctm", recording)) == sorted(" ".join(said).split())
    assert sorted(line[6] for line in fields("stm", recording, 6)) == sorted(filter(None, said))
    assert all(len(line) == 10 for line in fields("rttm", recording))
    assert len(fields("rttm", recording)) == len(fields("stm", recording))
    channels = {one["channel"] for one in recording["segments"] if plain(one["text"])}
    assert len({line[1] for line in fields("stm", recording)}) == len(channels)
    assert not any(line[0].startswith(";") for line in fields("ctm", recording))


def test_a_speaker_goes_before_the_channel() -> None:
    known = row("x.wav", {**segment(0, 1, "네", "left"), "speaker": "김 선생"}, segment(1, 2, "예", "left"))
    assert [tier.name for tier in Spoken(known).tiers] == ["김 선생", "left"]
    assert [line[1:3] for line in fields("stm", known)] == [["left", "김_선생"], ["left", "unknown"]]
    assert "김 선생: 네" in written("timed", known)


def test_openais_client_reads_its_verbose_json() -> None:
    read = TranscriptionVerbose.model_validate_json(written("openai", CALL), strict=True)
    assert (read.text, read.language, read.duration) == (CALL["text"], "korean", 60)
    assert [(one.start, one.end, one.text) for one in read.segments or ()] == [
        (one["start"], one["end"], one["text"]) for one in CALL["segments"]
    ]
    assert [one.word for one in read.words or ()][:3] == ["네,", "알겠습니다.", "정말요?"]
    assert TranscriptionVerbose.model_validate_json(written("openai", LONG)).words is None


def test_a_recording_without_speech_has_a_valid_file_of_each(tmp_path: Path) -> None:
    for name in ("timed", "audacity", "ctm", "stm", "rttm"):
        assert written(name, EMPTY) == ""
    (tier,) = praat(EMPTY, tmp_path).tiers
    assert [tuple(entry) for entry in tier.entries] == [(0, 60, "")]
    assert list(pylangacq.CHAT.from_strs([written("chat", EMPTY)]).utterances()) == []
    assert docx.Document(io.BytesIO(FORMATS["docx"].data(Spoken(EMPTY)))).paragraphs[0].text == "조용한 방.wav"
    read = TranscriptionVerbose.model_validate_json(written("openai", EMPTY), strict=True)
    assert (read.text, read.segments) == ("", [])


@pytest.mark.parametrize("name", NEW)
def test_a_name_that_is_no_text_comes_through(name: OutputFormat) -> None:
    odd = row(b"a \xff\x01\n<'\">.wav", segment(0, 1, "네"), duration=None, finished_at=None, language=None)
    assert FORMATS[name].data(Spoken(odd)) == FORMATS[name].data(Spoken(odd)) != b""
