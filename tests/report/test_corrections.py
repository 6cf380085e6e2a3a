"""What people have put right: kept whatever comes, and said by every table, file and page."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.cli import main
from snakescribe.config import read_resolved
from snakescribe.corrections import marker, store
from snakescribe.corrections.align import laid_beside
from snakescribe.corrections.apply import applied, apply
from snakescribe.corrections.store import Correction, Said
from snakescribe.errors import ResultsError
from snakescribe.formats.export import export_batch
from snakescribe.layout import Results
from snakescribe.report.page import write_page
from snakescribe.tables.batch import write_batch
from snakescribe.tables.write import write_tables
from tests.report.test_report import written
from tests.unit.finished import finish, gap, row, segment

CALL = row(
    "통화/a b.mp3",
    segment(0, 4, "안녕하세요 고객님", words="안녕하세요 고객님"),
    segment(4, 8, "구독과 좋아요") | {"flags": ["invented"]},
    segment(8, 12, "환불 요청 이요"),
    flags=["invented", "truncated"],
    gaps=[gap(9, 11)],
)
OTHER = row("other.wav", segment(0, 5, "네"))


def correction(start: float, end: float, old: str, *new: Said, **more: Any) -> Correction:
    about: dict[str, Any] = {"recording_id": CALL["recording_id"], "sha256": CALL["sha256"], "channel": None}
    when = datetime(2026, 1, 2, tzinfo=UTC)
    return Correction(
        **about | {"start": start, "end": end, "old": old, "new": new, "who": "김서연", "when": when} | more
    )


def texts(made: dict[str, Any]) -> list[str]:
    return [one["text"] for one in made["segments"]]


def test_a_correction_replaces_what_lies_in_it() -> None:
    said = Said(start=8, end=12, text="환불 요청이요")
    right = apply(CALL, [correction(8, 12, "환불 요청 이요", said), correction(4, 8, "구독과 좋아요")])
    assert texts(right) == ["안녕하세요 고객님", "환불 요청이요"]
    assert right["text"] == "안녕하세요 고객님 환불 요청이요"
    assert right["flags"] == ["truncated"], "of the file, and stays"
    assert (right["gaps"], right["gap_seconds"], right["text_seconds"]) == ([], 0, 8)
    assert [one["corrected"] for one in right["segments"]] == [False, True]
    assert texts(CALL)[1] == "구독과 좋아요", "the row is as it was"


def test_that_something_is_right_takes_the_doubt_away_and_keeps_the_words() -> None:
    first = CALL["segments"][0]
    doubted = {**CALL, "segments": [{**first, "flags": ["low_confidence"]}], "flags": ["low_confidence"]}
    right = apply(doubted, [correction(0, 4, first["text"], Said(start=0, end=4, text=first["text"]))])
    assert right["flags"] == right["segments"][0]["flags"] == []
    assert right["segments"][0]["words"] == first["words"] and right["segments"][0]["corrected"]


def test_it_holds_for_whatever_another_model_makes_of_the_place() -> None:
    again = {**CALL, "segments": [segment(0, 7.5, "안녕 구독"), segment(7.9, 10, "환불"), segment(10.1, 12, "이요")]}
    right = apply(again, [correction(8, 12, "환불 요청 이요", Said(start=8, end=12, text="환불 요청이요"))])
    assert texts(right) == ["안녕 구독", "환불 요청이요"]
    assert applied(again, [correction(8, 12, "환불 요청 이요")])[1] != []


def test_what_another_model_says_is_neither_lost_nor_said_twice() -> None:
    """Where its segment is far longer, or goes on before the place, the correction waits and is told."""
    long = {**CALL, "segments": [segment(0, 20, "one two three four five six seven eight nine ten")]}
    five = correction(8, 12, "five six", Said(start=8, end=12, text="FIVE SIX"))
    assert (texts(apply(long, [five])), applied(long, [five])[1]) == (texts(long), [five])
    laugh = {**CALL, "segments": [segment(19.48, 19.78, "Laugh it.")]}
    short = correction(19.7, 19.78, "Laughing.", Said(start=19.7, end=19.78, text="(laughs)"))
    assert texts(apply(laugh, [short])) == ["Laugh it."]


def test_a_neighbour_of_a_moment_stays() -> None:
    call = {**CALL, "segments": [segment(4, 4, "zero"), segment(4, 8, "네"), segment(5, 6, "안")]}
    right = apply(call, [correction(4, 8, "네", Said(start=4, end=8, text="예"))])
    assert sorted(texts(right)) == ["zero", "안", "예"]


def test_a_page_rounds() -> None:
    call = {**CALL, "segments": [segment(1.004, 1.0045, "네")]}
    assert texts(apply(call, [correction(1.0, 1.0, "네", Said(start=1.0, end=1.0, text="예"))])) == ["예"]


def test_other_content_is_another_recording() -> None:
    assert texts(apply({**CALL, "sha256": "f" * 64}, [correction(8, 12, "환불 요청 이요")])) == texts(CALL)


def test_two_people_at_one_place_are_both_kept_and_the_later_one_counts() -> None:
    one = correction(8, 12, "환불 요청 이요", Said(start=8, end=12, text="환불 요청"))
    two = correction(8, 12, "환불 요청 이요", Said(start=8, end=12, text="환불 신청"), who="박")
    assert texts(apply(CALL, [one, two]))[-1] == "환불 신청"
    assert applied(CALL, [one, two])[1] == [two]


def test_many_hands_at_once_lose_nothing(tmp_path: Path) -> None:
    results = finish(tmp_path, {"b000001": [CALL]})
    hands = [
        threading.Thread(target=store.add, args=(results, [correction(n, n + 1, str(n), who=str(n))]))
        for n in range(12)
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert sorted(int(one.who) for one in store.read(results)) == list(range(12))


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.corrections.write_bytes(b"PAR1 no")
    with pytest.raises(ResultsError, match="put back a copy"):
        store.read(results)


@given(
    st.lists(st.lists(st.sampled_from("가 나 다 ABC 漢 ア".split()), min_size=1, max_size=6), min_size=1, max_size=5)
)
def test_a_text_laid_beside_itself_is_itself(words: list[list[str]]) -> None:
    segments = [" ".join(some) for some in words]
    assert [text.split() for text in laid_beside(segments, "\n".join(segments))] == words


@given(st.lists(st.text("가나 漢AB", max_size=8), min_size=1, max_size=4), st.text("가나다 漢字AB\n", max_size=30))
def test_nothing_that_was_written_is_lost(segments: list[str], edited: str) -> None:
    assert "".join("".join(laid_beside(segments, edited)).split()) == "".join(edited.split())


@pytest.mark.parametrize(
    ("segments", "edited", "expected"),
    [
        (["네 안녕", "감사합니다"], "네 안녕 감사 합니다", ["네 안녕", "감사 합니다"]),
        (["ありがとうございました", "はい"], "ありがとうございます\nはい", ["ありがとうございます", "はい"]),
        (["And Mr.", "Smith came."], "And Mr.\nSmyth came in.", ["And Mr.", "Smyth came in."]),
        (["one", "two", "three"], "one three", ["one", "", "three"]),
        (["one"], "", [""]),
        (["one two", "three"], "zero one two\nof them three", ["zero one two", "of them three"]),
        (["one two", "three"], "one two and\nthree", ["one two and", "three"]),
        (["one two", "three"], "one two\nwell\nthree", ["one two well", "three"]),
        (["one two", "three"], "one two three or four\n", ["one two", "three or four"]),
        (["네 안녕", "네 감사합니다"], "네 안녕\n저도 네 감사합니다", ["네 안녕", "저도 네 감사합니다"]),
        (["네 안녕", "감사합니다"], "네 안녕\n\n대단히고맙습니다", ["네 안녕", "대단히고맙습니다"]),
    ],
)
def test_edited_words_stay_where_they_were(segments: list[str], edited: str, expected: list[str]) -> None:
    assert laid_beside(segments, edited) == expected


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A finished run with everything that a run writes."""
    results = finish(tmp_path, {"b000001": [CALL, OTHER]})
    export_batch(results, ["json", "txt", "srt", "vtt"], "b000001")
    write_tables(results)
    write_page(results, read_resolved(results.config))
    return results


def table(results: Results, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(results.table(name, "parquet")).to_pylist()
    return rows


@pytest.mark.parametrize("kind", ["txt", "srt", "vtt"])
def test_an_edited_transcript_is_taken_back(results: Results, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = results.transcripts / f"통화/a b.mp3.{kind}"
    edited = path.read_text(encoding="utf-8").replace("요청 이요", "요청이요").replace("구독과 좋아요", "주문 번호는요")
    path.write_text(edited, encoding="utf-8")
    assert main(["corrections", "import", str(path), "--results", str(results.root), "--who", "김서연"]) == 0
    assert "2 segments corrected" in capsys.readouterr().err

    said = "안녕하세요 고객님 주문 번호는요 환불 요청이요"
    first, other = table(results, "recordings")
    assert (first["text"], first["corrected"], first["flags"]) == (said, True, ["truncated"])
    assert (other["text"], other["corrected"]) == ("네", False)
    assert [one["corrected"] for one in table(results, "segments")] == [False, True, True, False]
    for name in ("txt", "srt", "vtt", "json"):
        text = (results.transcripts / f"통화/a b.mp3.{name}").read_text(encoding="utf-8")
        assert "요청이요" in text and "구독과" not in text
    assert list(results.transcripts.rglob("*.new.*")) == []
    assert "요청이요" in str(written(results)["block-0"])

    capsys.readouterr()
    assert main(["corrections", "list", "--results", str(results.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and '"who": "김서연"' in lines[0] and '"conflict": false' in lines[0]
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
    assert len(store.read(results)) == 2, "the same file again says nothing new"


def corrections(results: Results, *words: str, code: int = 0) -> None:
    assert main(["corrections", *words, "--results", str(results.root)]) == code


def told(results: Results, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    corrections(results, "list")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_undo_is_kept_beside_what_it_undoes(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    path, text = CALL["path"], results.transcripts / "통화/a b.mp3.txt"
    was = text.read_bytes()
    one, two = (Said(start=8, end=12, text=said) for said in ("환불 요청이요", "환불 신청이요"))
    store.add(results, [correction(8, 12, "환불 요청 이요", one), correction(8, 12, one.text, two, who="박")])
    store.add(results, [correction(4, 8, "구독과 좋아요")])
    corrections(results, "apply")
    assert texts_of(results) == ["안녕하세요 고객님", "환불 신청이요"]

    corrections(results, "undo", CALL["recording_id"], "--number", "1", "--who", "이")
    assert texts_of(results)[-1] == "환불 신청이요", "what was made of it is told as a conflict, and counts"
    corrections(results, "undo", path, "--who", "최")
    assert texts_of(results) == ["안녕하세요 고객님", "구독과 좋아요", "환불 신청이요"]
    about = ("number", "who", "old", "undoes", "undone", "conflict")
    assert [tuple(one[name] for name in about) for one in sorted(told(results, capsys), key=lambda o: o["number"])] == [
        (1, "김서연", "환불 요청 이요", None, True, False),
        (2, "박", "환불 요청이요", None, False, True),
        (3, "김서연", "구독과 좋아요", None, True, False),
        (4, "이", "환불 요청이요", 1, False, False),
        (5, "최", "", 3, False, False),
    ]
    corrections(results, "undo", path, "--number", "4", "--who", "\udcff")
    assert [one["conflict"] for one in told(results, capsys)] == [False] * 6, "an undo is undone, too"

    corrections(results, "undo", path, "--all")
    assert "2 corrections undone" in capsys.readouterr().err
    (first, _), segments = table(results, "recordings"), table(results, "segments")
    assert (first["text"], first["corrected"], first["flags"]) == (CALL["text"], False, CALL["flags"])
    assert [one["corrected"] for one in segments] == [False] * 4
    assert text.read_bytes() == was
    assert marker.are_in_files(results)
    assert len(store.read(results)) == 8, "nothing is lost"


def texts_of(results: Results) -> list[str]:
    return (results.transcripts / "통화/a b.mp3.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([OTHER["path"]], "'other.wav' has no correction to be undone"),
        ([CALL["path"], "--number", "2"], "has no correction 2 to be undone"),
        (["no.wav"], "no recording 'no.wav'"),
    ],
)
def test_what_cannot_be_undone(
    results: Results, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    store.add(results, [correction(4, 8, "구독과 좋아요")])
    corrections(results, "undo", *words, code=3)
    assert said in capsys.readouterr().err
    assert len(store.read(results)) == 1


def test_two_files_of_one_recording_are_both_kept_and_told(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    """One segment otherwise in each, one alike in both, one in one of them only."""
    files = []
    for kind, said in (("txt", "환불 신청이요"), ("srt", "환불 요청이요")):
        files.append(results.transcripts / f"통화/a b.mp3.{kind}")
        text = files[-1].read_text(encoding="utf-8").replace("환불 요청 이요", said).replace("구독과", "구독이랑")
        files[-1].write_text(text.replace("안녕하세요", "여보세요") if kind == "srt" else text, encoding="utf-8")
    corrections(results, "import", *map(str, files))
    one, two = capsys.readouterr().err.splitlines()
    odd = "1 of them otherwise than another of these files: the later one counts, both are kept"
    assert one.startswith(f"{files[0]}: 2 segments corrected; {odd}")
    assert two.startswith(f"{files[1]}: 2 segments corrected; {odd}")
    assert texts_of(results) == ["여보세요 고객님", "구독이랑 좋아요", "환불 요청이요"]
    assert [one["new"][0]["text"] for one in told(results, capsys) if one["conflict"]] == ["환불 요청이요"]
    assert len(store.read(results)) == 4


def test_no_run_takes_it_away_again(results: Results) -> None:
    store.add(results, [correction(8, 12, "환불 요청 이요", Said(start=8, end=12, text="환불 요청이요"))])
    kept = results.corrections.read_bytes()
    again = {**CALL, "segments": [segment(0, 5, "안녕"), segment(8, 11, "환불요")], "batch": "b000001"}
    write_batch(results.batch("b000001"), [again, {**OTHER, "batch": "b000001"}])  # another model
    export_batch(results, ["txt"], "b000001")
    write_tables(results)
    assert table(results, "recordings")[0]["text"] == "안녕 환불 요청이요"
    assert (results.transcripts / "통화/a b.mp3.txt").read_text(encoding="utf-8") == "안녕\n환불 요청이요\n"
    assert results.corrections.read_bytes() == kept


@pytest.mark.parametrize("kind", ["txt", "srt", "vtt"])
def test_speakers_stay_with_what_they_say(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = [
        segment(0, 4, "환불 되나요?") | {"speaker": "SPEAKER_00"},
        segment(4, 5, "네") | {"speaker": "SPEAKER_01"},
        segment(5, 9, "고맙 습니다") | {"speaker": "SPEAKER_00"},
    ]
    who = {"channel": None, "speech_seconds": 4.0, "turns": 1, "first_start": 0.0}
    speakers = [{"speaker": "SPEAKER_00", "name": "김서연 <님>"} | who, {"speaker": "SPEAKER_01", "name": None} | who]
    turns = [{"start": 0.0, "end": 9.0, "channel": None, "speaker": "SPEAKER_00"}]
    call = row("a.wav", *told, speakers=speakers, turns=turns, speakers_found=2)
    results = finish(tmp_path, {"b000001": [call]})
    export_batch(results, [kind], "b000001")
    path = results.transcripts / f"a.wav.{kind}"
    shown = path.read_text(encoding="utf-8")
    assert {"txt": "[김서연 <님>] 환불", "srt": "[김서연 <\u200b님>] 환불", "vtt": "<v 김서연 &lt;님&gt;>환불"}[
        kind
    ] in shown
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
    assert store.read(results) == [], "nothing was edited"
    path.write_text(shown.replace("고맙 습니다", "고맙습니다").replace("네", "네 됩니다"), encoding="utf-8")
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
    assert [(one.old, [said.text for said in one.new]) for one in store.read(results)] == [
        ("네", ["네 됩니다"]),
        ("고맙 습니다", ["고맙습니다"]),
    ]
    if kind == "txt":
        capsys.readouterr()
        mine = path.read_text(encoding="utf-8").replace("[SPEAKER_01] ", "[김서연 <님>] ")
        path.write_text(mine, encoding="utf-8")
        assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
        assert "0 segments corrected; who speaks stays as it was" in capsys.readouterr().err
    export_batch(results, ["rttm"], "b000001")
    diarised = (results.transcripts / "a.wav.rttm").read_text(encoding="utf-8")
    assert diarised == "SPEAKER a.wav 1 0.000 9.000 <NA> <NA> 김서연_<님> <NA> <NA>\n"
    right = apply(call, store.read(results))
    assert [(one["speaker"], one["text"]) for one in right["segments"]] == [
        ("SPEAKER_00", "환불 되나요?"),
        ("SPEAKER_01", "네 됩니다"),
        ("SPEAKER_00", "고맙습니다"),
    ]


def test_channels_are_taken_back_apart(tmp_path: Path) -> None:
    call = row(
        "two.wav",
        segment(0, 4, "네 여보세요", "agent"),
        segment(1, 3, "예 환불 이요", "customer"),
        segment(5, 9, "네", "agent"),
    )
    results = finish(tmp_path, {"b000001": [call]})
    export_batch(results, ["srt"], "b000001")
    path = results.transcripts / "two.wav.srt"
    path.write_text(path.read_text(encoding="utf-8").replace("환불 이요", "환불이요"), encoding="utf-8")
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
    (one,) = store.read(results)
    assert (one.channel, one.old, one.new[0].text) == ("customer", "예 환불 이요", "예 환불이요")
    export_batch(results, ["txt"], "b000001")
    path = results.transcripts / "two.wav.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("[agent] 네\n", "[agent] 저는 네\n"), encoding="utf-8")
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
    assert store.read(results)[-1].new[0].text == "저는 네", "in its own line"


@pytest.mark.parametrize(
    ("name", "said"),
    [("no.txt", "there is no such file"), ("a b.mp3.json", "only txt, srt, vtt"), ("x.txt", "no transcript has")],
)
def test_what_is_no_transcript_is_refused(
    results: Results, tmp_path: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name != "no.txt":
        (tmp_path / name).write_text("네")
    assert main(["corrections", "import", str(tmp_path / name), "--results", str(results.root)]) == 3
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("name", "content"), [("a b.mp3.txt", b"\xff\xff\x80"), ("a b.mp3.srt", "네".encode())])
def test_what_cannot_be_read_is_no_reference(
    results: Results, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results.transcripts / "통화" / name
    path.write_bytes(content)
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 3
    said = capsys.readouterr().err
    assert f"InputError: {path}: " in said and "correct it or leave it out" in said and "reference" not in said


def test_forgetting_takes_corrections_too(results: Results) -> None:
    mine = correction(
        0, 5, "네", Said(start=0, end=5, text="비밀"), recording_id=OTHER["recording_id"], sha256=OTHER["sha256"]
    )
    store.add(results, [mine, correction(8, 12, "환불 요청 이요")])
    results.sounds.mkdir()
    (results.sounds / "0.wav").write_bytes(b"what a killed review had decoded")
    assert main(["forget", OTHER["recording_id"], "--results", str(results.root)]) == 0
    assert [one.recording_id for one in store.read(results)] == [CALL["recording_id"]]
    assert not results.sounds.exists()


def test_a_copy_and_another_name_are_as_right(tmp_path: Path) -> None:
    """Corrections belong to the content."""
    copy = row("renamed.mp3", *CALL["segments"], sha256=CALL["sha256"])
    results = finish(tmp_path, {"b000001": [CALL], "b000002": [copy]})
    store.add(results, [correction(8, 12, "환불 요청 이요", Said(start=8, end=12, text="환불 요청이요"))])
    write_tables(results)
    assert [one["text"].endswith("요청이요") for one in table(results, "recordings")] == [True, True]


@pytest.mark.parametrize("kind", ["txt", "srt", "vtt"])
def test_a_file_that_nobody_has_edited_says_nothing_new(tmp_path: Path, kind: str) -> None:
    """Whatever a format does to what it cannot hold."""
    call = row(
        "odd.wav",
        segment(0, 4, "Q&A at <b>R&D</b> --> costs {x}", "left"),
        segment(1, 3, "예 환불\x1b\u200b", "right"),
        segment(2, 9, "long </script> one", "left"),
        segment(4, 6, "inside", "left"),
    )
    results = finish(tmp_path, {"b000001": [call]})
    export_batch(results, ["txt", "srt", "vtt"], "b000001")
    path = results.transcripts / f"odd.wav.{kind}"
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
    assert store.read(results) == []
    path.write_text(path.read_text(encoding="utf-8").replace("costs", "prices"), encoding="utf-8")
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 0
    assert [one.new[0].text for one in store.read(results)] == ["Q&A at <b>R&D</b> --> prices {x}"]


@pytest.mark.parametrize("text", ["", "nothing of it at all, another call"])
def test_a_file_with_hardly_anything_of_it_is_refused(
    results: Results, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results.transcripts / "통화/a b.mp3.txt"
    path.write_text(text, encoding="utf-8")
    assert main(["corrections", "import", str(path), "--results", str(results.root)]) == 3
    assert "hardly anything" in capsys.readouterr().err
    assert main(["corrections", "import", str(path), "--results", str(results.root), "--force"]) == 0
    assert table(results, "recordings")[0]["text"] == text


def test_a_copy_from_elsewhere_leaves_what_is_in_place_alone(results: Results, tmp_path: Path) -> None:
    path, elsewhere = results.transcripts / "통화/a b.mp3.txt", tmp_path / "elsewhere/a b.mp3.txt"
    elsewhere.parent.mkdir()
    elsewhere.write_text(path.read_text(encoding="utf-8").replace("요청 이요", "요청이요"), encoding="utf-8")
    mine = path.read_text(encoding="utf-8").replace("안녕하세요", "여보세요")
    path.write_text(mine, encoding="utf-8")
    assert main(["corrections", "import", str(elsewhere), "--results", str(results.root)]) == 0
    assert path.read_text(encoding="utf-8") == mine, "somebody else's, who has not imported it yet"
    assert "요청이요" in (results.transcripts / "통화/a b.mp3.new.txt").read_text(encoding="utf-8")


def test_damaged_corrections_stop_forgetting_before_anything_is_gone(results: Results) -> None:
    results.corrections.write_bytes(b"no")
    assert main(["forget", OTHER["recording_id"], "--results", str(results.root)]) == 4
    assert len(table(results, "recordings")) == 2


def test_what_was_put_right_measures_the_model_and_is_handed_over(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    store.add(results, [correction(8, 12, "환불 요청 이요", Said(start=8, end=12, text="환불 신청이요"))])
    assert main(["evaluate", "--corrected", "--results", str(results.root)]) == 0
    counted = capsys.readouterr().out
    assert "CER    5.00%" in counted, "one syllable of 20"
    tasks = results.root / "tasks"
    assert main(["handover", "--as", "label-studio", "--results", str(results.root), str(tasks)]) == 0
    assert "환불 신청이요" in (tasks / "tasks.json").read_text(encoding="utf-8")
