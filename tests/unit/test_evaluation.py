"""Error rates beside jiwer's, intervals that hold, references as people write them, two runs side by side."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from finished import finish, row, segment
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from snakescribe.cli import main
from snakescribe.errors import InputError
from snakescribe.evaluation.aligned import document
from snakescribe.evaluation.bootstrap import better_by_chance, interval
from snakescribe.evaluation.counts import Errors, edits, units
from snakescribe.evaluation.evaluate import Rate, judged
from snakescribe.evaluation.numbers import in_digits
from snakescribe.evaluation.references import beside, read_reference
from snakescribe.evaluation.tell import table
from snakescribe.layout import Results
from snakescribe.tables.write import write_tables

KOREAN = "주문하신 커피 두 잔이 나왔습니다"


def test_words_are_counted_after_normalising() -> None:
    assert edits("Don't stop the colour.", "do not, stop a color right now", "en") == Errors(1, 0, 2, 5)
    assert edits("un deux trois", "", "fr") == Errors(0, 3, 0, 3)


def test_korean_is_counted_in_syllables_without_spaces() -> None:
    assert edits("커피 한 잔 주세요", "커피 한잔 주세요.", "ko") == Errors(0, 0, 0, 7)
    assert edits("학교에 갔다", unicodedata.normalize("NFD", "학교에 같다"), "ko") == Errors(1, 0, 0, 5)
    assert edits("학교에 갔다", "학교에 같다", "ko", "words") == Errors(1, 0, 0, 2)


@pytest.mark.parametrize(
    ("language", "reference", "text", "expected"),
    [
        ("hi", "हिन्दी में बोलिए", "हिन्दी में बोलिए।", Errors(0, 0, 0, 3)),
        ("hi", "हिन्दी में बोलिए", "हन्दी में बोलिए", Errors(1, 0, 0, 3)),  # a vowel
        ("ta", "எல்லா மனிதர்களும்", "எல்லா மனிதரகளும்", Errors(1, 0, 0, 2)),
        ("th", "ไม่ใช่", "ไมใช่", Errors(0, 1, 0, 6)),  # a tone
        ("km", "មនុស្សទាំងអស់", "មនុស្ស ទាំង\u200bអស់", Errors(0, 0, 0, 13)),
        ("tr", "İstanbul'a geldi", "istanbul'a geldi", Errors(0, 0, 0, 3)),
        ("ar", "السَّلامُ عليـــكم", "السلام عليكم", Errors(0, 0, 0, 2)),  # points and a stretched line, as people like
        ("he", "שָׁלוֹם", "שלום", Errors(0, 0, 0, 1)),
        ("fa", "می\u200cخواهم", "میخواهم", Errors(0, 0, 0, 1)),
        ("de", "ich ❤\ufe0f dich 1\ufe0f\u20e3", "ich ❤ dich 1", Errors(0, 0, 0, 3)),
        ("fr", "aujourd´hui", "aujourd'hui", Errors(0, 0, 0, 2)),  # U+00B4 becomes a space and an accent
        ("ja", "か゛", "が", Errors(1, 0, 0, 1)),
    ],
)
def test_vowel_signs_are_letters_and_points_are_not(language: str, reference: str, text: str, expected: Errors) -> None:
    assert edits(reference, text, language) == expected


def test_a_sentence_is_no_error_beside_its_decomposed_form() -> None:
    """Where jiwer counts jamo."""
    decomposed = unicodedata.normalize("NFD", KOREAN)
    assert edits(KOREAN, decomposed, "ko").rate == 0
    assert jiwer.cer(KOREAN, decomposed) > 1


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=12), st.lists(st.sampled_from("abcde"), max_size=12))
def test_the_numbers_are_those_of_jiwer(reference: list[str], text: list[str]) -> None:
    """Letters as words, and as characters."""
    ours = edits(" ".join(reference), " ".join(text), "de")
    theirs = jiwer.process_words(" ".join(reference), " ".join(text))
    assert (ours.substitutions, ours.deletions, ours.insertions) == (
        theirs.substitutions,
        theirs.deletions,
        theirs.insertions,
    )
    assert ours.rate == theirs.wer
    joined = edits("".join(reference), "".join(text), "de", "characters")
    assert joined.rate == jiwer.cer("".join(reference), "".join(text))


def differences(reference: str, text: str, language: str, fold_numbers: bool = False) -> list[str | tuple[str, str]]:
    """Of a text; as many errors are shown as were counted."""
    one = judged({"recording_id": "", "path": "", "text": text, "language": language}, reference, "", fold_numbers)
    made = document(one)
    pairs = [piece for piece in made["pieces"] if isinstance(piece, tuple)]
    shown = [sum(map(all, pairs)), sum(not heard for _, heard in pairs), sum(not wanted for wanted, _ in pairs)]
    assert shown == (made["words"] or made["characters"])[:3]
    found: list[str | tuple[str, str]] = made["pieces"]
    return found


def test_differences_stand_as_the_texts_are_written() -> None:
    assert differences("Don't stop the colour.", "do not, stop a color right now", "en") == [
        *("do not, stop", ("the", "a"), "color", ("", "right"), ("", "now")),
    ]
    assert differences("It costs twenty one — dollars!", "It costs $21.", "en") == ["It costs $21."]
    assert differences("Don't go.", "Do go.", "en") == ["Do", ("not", ""), "go."], "half a word as it is compared"
    assert differences("커피 두 잔, 네.", "커피 두잔 네", "ko") == ["커피", ("두", "두잔"), ("잔,", ""), "네"]
    assert differences("세 시 삼십 분에 만나요", "3시 30분에 만나자", "ko", True) == [
        "3시 30분에",
        ("만나요", "만나자"),
    ]
    assert differences("今日は「いい」天気。", "今日わいい天気だ。", "ja") == [
        "今日",
        ("は「", "わ"),
        "いい天気",
        ("", "だ。"),
    ]
    assert differences("(laughs)", "", "en") == []


@given(st.text("ab c.(’)1-", max_size=30), st.text("ab c.(’)1-", max_size=30), st.sampled_from(["en", "de", "zh"]))
def test_as_many_differences_are_shown_as_were_counted(reference: str, text: str, language: str) -> None:
    differences(reference, text, language)


def test_columns_stay_in_line_whatever_a_group_is_called() -> None:
    rate = Rate("words", 1, Errors(1, 0, 0, 4), None)
    groups = {
        ("group", name): [rate]
        for name in ("ABC", "영업 지원팀", unicodedata.normalize("NFD", "가나다라마바사아자차카타"))
    }
    head, *lines = table(groups).splitlines()
    assert {cell_len(line) for line in lines} == {cell_len(head)}


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("이천이십육년 시월", "2026년 10월"),
        ("세 시 삼십 분", "3시 30분"),
        ("열두 시", "12시"),
        ("스물다섯 살", "25살"),
        ("삼만 오천 원", "35,000원"),
        ("일억 이천만 원", "1억 2천만원"),
        ("삼백육십오 일", "365일"),
        ("제이차", "제2차"),
        ("육십 퍼센트", "60%"),
        ("공일공 일이삼사 오육칠팔", "010-1234-5678"),
        ("만 원", "10000 원"),
    ],
)
def test_korean_numbers_may_be_spelt_out(spoken: str, written: str) -> None:
    assert edits(written, spoken, "ko", fold_numbers=True).rate == 0
    assert edits(written, spoken, "ko").rate


@pytest.mark.parametrize(
    "text", ["이 사람은 구조를 사이에 둔다", "일요일 오후", "천천히 오세요", "하나 둘 셋", "구십", ""]
)
def test_what_is_no_number_stays(text: str) -> None:
    assert in_digits(text) == text


@pytest.mark.parametrize(("recordings", "least"), [(10, 0.91), (50, 0.93)])
def test_nineteen_of_twenty_intervals_hold_the_rate(recordings: int, least: float) -> None:
    """Five hundred draws of recordings whose rate is known; errors of a recording hang together."""
    generator = np.random.default_rng(7)
    held = 0
    for _ in range(500):
        lengths = generator.integers(20, 200, recordings)
        wrong = generator.binomial(lengths, generator.beta(4, 36, recordings))
        low, high = interval(wrong.tolist(), lengths.tolist()) or (1.0, 0.0)
        held += low <= 0.1 <= high
    assert least <= held / 500 <= 0.97


def test_a_difference_by_chance_and_one_that_is_none() -> None:
    lengths = [100] * 40
    assert better_by_chance([10, 12] * 20, [12, 10] * 20, lengths) > 0.5
    assert better_by_chance([10, 12] * 20, [8, 11] * 20, lengths) < 0.001
    assert better_by_chance([5] * 3, [5] * 3, [10] * 3) == 1


def test_references_as_people_write_them(tmp_path: Path) -> None:
    srt = "2\n00:00:03,000 --> 00:00:04,000\n<i>커피</i> {한 잔}\n둘\n\n1\n00:00:01,000 --> 00:00:02,000\n주문하신\n"
    grid = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 4\ntiers? <exists>\nsize = 1\n'
        "item []:\n"
        '    item [1]:\n        class = "IntervalTier"\n        name = "말"\n        xmin = 0\n        xmax = 4\n'
        "        intervals: size = 2\n        intervals [1]:\n            xmin = 0\n            xmax = 2\n"
        '            text = "주문하신"\n        intervals [2]:\n            xmin = 2\n            xmax = 4\n'
        '            text = "커피"\n'
    )
    files = {
        "a.txt": "주문하신 커피".encode("cp949"),
        "b.txt": "주문하신 커피".encode("utf-16"),
        "c.mp3.srt": srt.encode(),
        "d.vtt": f"WEBVTT\n\n{srt}".replace(",000", ".000").encode(),
        "e.TextGrid": grid.encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        found = beside(tmp_path, f"{name[0]}.mp3")
        assert found == tmp_path / name
        more = "한잔둘" if name.endswith(("srt", "vtt")) else ""
        assert units(read_reference(found), "ko") == list(f"주문하신커피{more}"), name
    (tmp_path / "f.TextGrid").write_text("no grid")
    with pytest.raises(InputError, match="correct it or take it away"):
        read_reference(tmp_path / "f.TextGrid")
    assert beside(tmp_path, "g.mp3") is None


def test_references_of_korean_corpora() -> None:
    """Before, both forms were left out, as everything in brackets is, and noises counted as words."""
    reference = "b/ 음/ 그+ (4월)/(사 월)에 예약 (2)/(두) 건 n/"
    heard = row("a.wav", segment(0, 2, "음, 그 4월에 예약 2건."), language="ko")
    found = judged(heard, reference)
    assert (found.reference, found.characters) == ("음/ 그+ 4월에 예약 2 건", Errors(units=9))
    taken_apart = unicodedata.normalize("NFD", reference)
    assert (
        judged(row("a.wav", segment(0, 2, "음, 그 4월에 예약 2건."), language="ko"), taken_apart).characters.total == 0
    )
    english = judged(row("b.wav", segment(0, 2, "say b or n")), "say (b)/(n) b/")
    assert english.reference == "say (b)/(n) b/"


def run_of(folder: Path, texts: dict[str, str], **options: Any) -> Results:
    """A finished run that heard these texts."""
    language = {"영수증": "ko"}
    rows = [row(f"{name}.wav", segment(0, 2, text), language=language.get(name, "en")) for name, text in texts.items()]
    rows.append(row("failed.wav", status="failed"))
    references = {"영수증": KOREAN, "b": "b.txt", "failed": "nobody heard this", "c": ""}
    known = {one["recording_id"]: {"reference": references[Path(one["path"]).stem] or None} for one in rows}
    results = finish(folder, {"b000001": rows}, known=known, **options)
    write_tables(results)
    return results


def test_a_run_is_judged_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings/b.txt").write_text("to be or not to be")
    first = run_of(tmp_path / "a", {"영수증": "주문하신 커피 두잔이 나왔습니다", "b": "to bee or not to be", "c": "x"})
    options = ["--results", str(first.root)]
    assert main(["evaluate", *options]) == 3, "b.txt is meant from the folder of recordings"
    (first.root / "recordings").mkdir()
    (first.root / "recordings/b.txt").write_text("to be or not to be")
    capsys.readouterr()
    assert main(["evaluate", *options]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ko", "CER", "0.00%", "0", "0", "0", "14", "1"] in lines, lines
    with (first.root / "evaluation.tsv").open(newline="") as file:
        told = {one["path"]: one for one in csv.DictReader(file, delimiter="\t")}
    assert told["failed.wav"]["wer"] == "1.0000" and "c.wav" not in told
    assert told["b.wav"]["wer_substitutions"] == "1"

    references = tmp_path / "references"
    references.mkdir()
    (references / "영수증.txt").write_text("한국어 문장")
    main(["evaluate", *options, "--references", str(references)])
    said = capsys.readouterr().out
    assert "the reference of another recording? 영수증.wav" in said

    second = run_of(tmp_path / "b", {"영수증": "주문하신 커피 두 잔이 나왔습니다", "b": "to be or not to be"})
    for results in (first, second):
        (results.root / "recordings").mkdir(exist_ok=True)
        (results.root / "recordings/b.txt").write_text("to be or not to be")
    assert main(["compare", str(first.root), str(second.root)]) == 0
    said = capsys.readouterr().out
    assert "2 recordings in both runs, 2 with another text" in said and "only in A: c.wav" in said
    assert "en: WER" in said and "ko: CER 0.00% -> 0.00% (+0 errors, 1 recording" in said


def test_without_references(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finish(tmp_path, {"b000001": [row("a.wav", segment(0, 2, "x"))]})
    write_tables(results)
    for more, said in (
        ([], "give --references DIR"),
        (["--references", str(tmp_path / "nowhere")], "there is no folder"),
        (["--group", "departmnt"], "no column 'departmnt'; it has recording_id, "),
    ):
        assert main(["evaluate", "--results", str(results.root), *more]) == 3
        assert said in capsys.readouterr().err
