"""``snakescribe find``: what is found, where, and what no text may do to a table or a terminal."""

from __future__ import annotations

import csv
import io
import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.layout import Results
from snakescribe.search import _reader, find, pattern_of
from snakescribe.tables.write import write_tables

CALL = [
    segment(0, 2, "네, 안녕하세요"),
    segment(3725.4, 3730, "환불요청을 하고 싶어요, 환 불\u3000요청이요"),
    segment(3731, 3735, unicodedata.normalize("NFD", "그 환붕 요청은 어제 접수됐어요")),
]
FILM = [
    segment(0, 2, "THE RAPIST, Éric said", language="en"),
    segment(2, 4, "a therapist\x1b]0;owned\x07 \u202eor\x9b2J not", language="en"),
]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A finished run, in a folder whose name is a pattern of file names, beside one that the pattern means."""
    decoy, folder = tmp_path / "a", tmp_path / "[a]"
    for where, calls in ((decoy, [segment(0, 1, "환불요청 미끼")]), (folder, CALL)):
        rows = [row("통화 1.wav", *calls), row("film\x1b[2J.mp4", *FILM), row("none.wav")]
        write_tables(finish(where, {"b000001": rows}))
    return Results(folder)


def found(results: Results, *words: str) -> list[tuple[Any, ...]]:
    """Path, segment and what was found of each hit."""
    *_, query = words
    how: Any = words[0] if len(words) > 1 else "substring"
    hits = find(results.table("segments", "parquet"), pattern_of(query, how), None, None, 0)
    return [
        (hit.row["path"][:4].strip(" 1"), hit.row["segment"], *(hit.row["text"][a:b] for a, b in hit.marks))
        for hit in hits
    ]


def test_spaces_form_and_case_do_not_count(results: Results) -> None:
    both = [("통화", 1, "환불요청", "환 불\u3000요청")]
    assert found(results, "환불요청") == found(results, " 환불 요청 ") == both
    assert found(results, unicodedata.normalize("NFD", "환붕요청")) == [("통화", 2, "환붕 요청")]
    assert found(results, "éRIC") == [("film", 0, "Éric")]
    assert found(results, "the rapist") == [("film", 0, "THE RAPIST")]  # letters have their spaces
    assert found(results, "a.the") == found(results, "(") == found(results, "%") == []


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("សិទ្ធិមនុស្ស", "នៃសិទ្ធិ\u200bមនុស្ស"),
        ("សិទ្ធិ\u200bមនុស្ស", "នៃសិទ្ធិមនុស្ស"),
        ("ສິດ ທິ", "ມີສິດທິ"),
        ("လူ့ အခွင့်", "လူ့အခွင့် အရေး"),
        ("ཐོབ་ཐང", "ཐོབ་ ཐང་དང"),
    ],
)
def test_nor_do_spaces_in_other_languages_without_them(tmp_path: Path, query: str, text: str) -> None:
    write_tables(finish(tmp_path, {"b000001": [row("a.wav", segment(0, 2, text))]}))
    assert len(found(Results(tmp_path), query)) == 1


def test_one_syllable_or_letter_may_be_another(results: Results) -> None:
    assert [hit[:2] for hit in found(results, "fuzzy", "환불요청")] == [("통화", 1), ("통화", 2)]
    assert found(results, "fuzzy", "그환불요청은")[-1] == ("통화", 2, "그 환붕 요청은")
    assert found(results, "fuzzy", "한불") == [("통화", 1, "환불", "환 불")]
    assert found(results, "fuzzy", "접됐어") == found(results, "fuzzy", "접수가됐어") != []  # one missing, one too much
    assert found(results, "fuzzy", "therrapist") == [("film", 1, "therapist")]
    assert found(results, "fuzzy", "therapost") == [("film", 1, "therapist")]
    assert found(results, "fuzzy", "접슈댔어") == []


def test_a_pattern(results: Results) -> None:
    assert found(results, "regex", r"환[불붕]\s?요청") == [("통화", 1, "환불요청"), ("통화", 2, "환붕 요청")]
    assert found(results, "regex", "^네") == [("통화", 0, "네")]
    assert len(found(results, "regex", "(a*)*$")) == 5  # of no length, and none that would take for ever


def command(results: Results, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["find", "--results", str(results.root), *words]) == 0
    return capsys.readouterr().out


def test_hits_are_told_with_their_time(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(results, capsys, "환불 요청") == "통화 1.wav  1:02:05: 환불요청을 하고 싶어요, 환 불\u3000요청이요\n"
    lines = command(results, capsys, "접수", "--context", "1").splitlines()
    assert [line[:20] for line in lines] == ["통화 1.wav  1:02:05- 환", "통화 1.wav  1:02:11: 그"]
    lines = command(results, capsys, "요청", "--context", "5").splitlines()
    assert len(lines) == 7 and lines[3] == "--"  # and nothing of the film
    assert command(results, capsys, "요청", "--limit", "1").count("\n") == 1
    assert command(results, capsys, "요청", "--language", "en") == ""
    assert command(results, capsys, "RAPIST", "--language", "eng").count("\n") == 2


def test_nothing_found_is_said_and_no_failure(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", "--results", str(results.root), "--json", "없는 말"]) == 0
    assert capsys.readouterr() == ("", "nothing found\n")


@pytest.mark.parametrize("form", ["--json", "--tsv", "--context=1"])
def test_no_text_reaches_the_terminal_as_a_command(
    results: Results, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    said = command(results, capsys, "therapist", form)
    assert not set("\x1b\x07\x9b\u202e") & set(said) and "\\u001b]0;owned" in said


def test_for_programs(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    (hit,) = map(json.loads, command(results, capsys, "therapist", "--json", "--context", "1").splitlines())
    assert hit["text"] == FILM[1]["text"] and hit["path"] == "film\x1b[2J.mp4" and hit["found"] == ["therapist"]
    assert (hit["segment"], hit["start"], hit["before"], hit["after"]) == (1, 2.0, ["THE RAPIST, Éric said"], [])
    lines = list(csv.DictReader(io.StringIO(command(results, capsys, "요청", "--tsv")), delimiter="\t"))
    assert [(line["time"], line["start"]) for line in lines] == [("1:02:05", "3725.400"), ("1:02:11", "3731.000")]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--regex", "("], 2),
        (["--regex", "(?=a)"], 2),
        (["--regex", r"\C"], 2),
        (["--regex", r"\\\C?환"], 2),
        ([""], 2),
        (["--fuzzy", "말"], 2),
        (["--fuzzy", "말" * 201], 2),
    ],
)
def test_what_cannot_be_looked_for(
    results: Results, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    assert main(["find", "--results", str(results.root), *words]) == code
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "number"), [("--limit", "9223372036854775808"), ("--limit", "9" * 5000), ("--context", "-1")]
)
def test_a_number_that_is_none(results: Results, capsys: pytest.CaptureFixture[str], option: str, number: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["find", "--results", str(results.root), "요청", f"{option}={number}"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: '{number[:20]}" in said and said.endswith("is no number from 0 to 999,999,999")
    assert len(command(results, capsys, "요청", option, "999999999").splitlines()) >= 2


def test_a_backslash_is_looked_for(results: Results) -> None:
    assert found(results, "regex", r"\\Copy") == []


def test_damage_is_said(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    table = results.table("segments", "parquet")
    data = table.read_bytes()
    shutil.copy(results.table("recordings", "parquet"), table)
    asked = ["find", "--results", str(results.root), "요청"]
    for content in (None, data[: len(data) // 2], b"", data[:4] + b"\xff" * 400 + data[404:]):
        if content is not None:
            table.write_bytes(content)
        assert main(asked) == 4
        said = capsys.readouterr().err
        assert f"ResultsError: {table} is damaged (" in said and said.count("\n") == 1
    table.unlink()
    assert main(asked) == 4
    assert "segments.parquet is missing; run again" in capsys.readouterr().err


def test_an_older_table_is_searched(results: Results) -> None:
    table = results.table("segments", "parquet")
    pq.write_table(pq.read_table(table).select(["path", "start", "end", "text"]), table)
    hits = list(find(table, pattern_of("접수", "substring"), None, None, 1))
    assert [(hit.row["language"], len(hit.before), len(hit.after)) for hit in hits] == [(None, 1, 0)]
    assert not list(find(table, pattern_of("접수", "substring"), "ko", None, 0))


def test_neighbours_are_found_across_row_groups(results: Results) -> None:
    table = results.table("segments", "parquet")
    pq.write_table(pq.read_table(table), table, row_group_size=1)
    (hit,) = find(table, pattern_of("싶어요", "substring"), None, None, 3)
    assert [one["segment"] for one in (*hit.before, *hit.after)] == [0, 2]


def test_duckdb_reads_nothing_else(results: Results) -> None:
    table = results.table("segments", "parquet")
    with _reader(table) as connection:
        for query in (
            f"SELECT * FROM read_parquet('{results.table('recordings', 'parquet')}')",
            "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
            "INSTALL httpfs",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(query)
