"""The three tables: which rows, which columns, and that other programs read them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished import finish, gap, row, segment

from snakescribe.cli import main
from snakescribe.errors import ResultsError
from snakescribe.schema import RECORDINGS, SCHEMA_VERSION, SEGMENTS, WORDS
from snakescribe.tables import write
from snakescribe.tables.document import tables_document
from snakescribe.tables.write import write_tables

TABLES = ("recordings", "segments", "words")


def table(results: Any, name: str) -> list[dict[str, Any]]:
    return pq.read_table(results.table(name, "parquet")).to_pylist()


def test_rows_follow_the_plan_and_nest_no_more(tmp_path: Path) -> None:
    results = finish(
        tmp_path,
        {
            "b000001": [
                row("b.wav", segment(0, 2, "하나 둘", words="하나 둘"), segment(3, 4, "셋", words="셋")),
                row("silent.wav"),
            ],
            "b000002": [row("a.wav", segment(1, 2, "one", "left", words="one"))],
        },
    )
    assert write_tables(results) == {"recordings": 3, "segments": 3, "words": 4}
    assert [r["path"] for r in table(results, "recordings")] == ["b.wav", "silent.wav", "a.wav"]
    assert [(s["path"], s["segment"], s["text"], s["channel"]) for s in table(results, "segments")] == [
        ("b.wav", 0, "하나 둘", None),
        ("b.wav", 1, "셋", None),
        ("a.wav", 0, "one", "left"),
    ]
    words = [(w["path"], w["segment"], w["word"], w["text"], w["start"]) for w in table(results, "words")]
    assert words == [
        ("b.wav", 0, 0, "하나", 0.0),
        ("b.wav", 0, 1, "둘", 1.0),
        ("b.wav", 1, 0, "셋", 3.0),
        ("a.wav", 0, 0, "one", 1.0),
    ]
    assert table(results, "words")[3]["channel"] == "left"
    for name, schema in zip(TABLES, (RECORDINGS, SEGMENTS, WORDS), strict=True):
        assert pq.read_schema(results.table(name, "parquet")).equals(schema)


def test_the_newest_attempt_counts_and_a_forgotten_recording_is_gone(tmp_path: Path) -> None:
    secret = row("secret.wav", segment(0, 1, "비밀"))
    results = finish(
        tmp_path,
        {
            "b000001": [row("a.wav", status="failed"), secret, row("kept.wav", segment(0, 1, "네"))],
            "b000002": [row("a.wav", segment(0, 1, "이제 됩니다"), attempt=2)],
        },
        known={secret["recording_id"]: {"forgotten": True}},
    )
    write_tables(results)
    found = [(r["path"], r["status"], r["attempt"]) for r in table(results, "recordings")]
    assert found == [("kept.wav", "ok", 1), ("a.wav", "ok", 2)]
    assert [s["text"] for s in table(results, "segments")] == ["네", "이제 됩니다"]
    assert "비밀" not in results.table("segments", "tsv").read_text()


def test_the_ledger_and_the_sheet_give_their_columns(tmp_path: Path) -> None:
    one, two = row("1.wav", segment(0, 1, "네")), row("2.wav", segment(0, 1, "네"))
    extras = json.dumps({"caller": "김\t철수", "date": ""}, ensure_ascii=False)
    results = finish(
        tmp_path,
        {"b000001": [one, two]},
        columns=["caller", "date"],
        known={
            one["recording_id"]: {"state": "removed", "reference": "예", "extras": extras},
            two["recording_id"]: {"duplicate_of": one["recording_id"]},
        },
    )
    write_tables(results)
    first, second = table(results, "recordings")
    assert list(first)[-7:] == [
        "source_state",
        "duplicate_of",
        "reference",
        "corrected",
        "caller",
        "date",
        "schema_version",
    ]
    assert (first["source_state"], first["reference"], first["caller"]) == ("removed", "예", "김\t철수")
    assert (second["source_state"], second["duplicate_of"], second["caller"]) == (
        "present",
        one["recording_id"],
        None,
    )


def test_without_words_the_table_is_there_and_empty(tmp_path: Path) -> None:
    results = finish(tmp_path, {"b000001": [row("a.wav", segment(0, 1, "네"))]})
    write_tables(results)
    assert table(results, "words") == []
    assert results.table("words", "tsv").read_text() == "\t".join(WORDS.names) + "\n"
    assert list(pd.read_csv(results.table("words", "tsv"), sep="\t").columns) == WORDS.names


def test_the_files_say_what_their_columns_mean(tmp_path: Path) -> None:
    results = finish(tmp_path, {"b000001": [row("a.wav")]})
    write_tables(results)
    schema = pq.read_schema(results.table("segments", "parquet"))
    assert schema.metadata[b"snakescribe_schema_version"] == str(SCHEMA_VERSION).encode()
    assert b"seconds from the start" in schema.field("start").metadata[b"description"]


def test_columns_that_an_older_version_did_not_write_are_null(tmp_path: Path) -> None:
    new = row("new.wav", segment(0, 1, "네"), gaps=[gap(2, 5)])
    results = finish(tmp_path, {"b000001": [row("old.wav", segment(0, 1, "네"))], "b000002": [new]})
    added = ("text_seconds", "gap_seconds", "gaps")  # of schema version 2, and `language` of a segment
    path = results.batch("b000001")
    schema, rows = pq.read_schema(path), pq.read_table(path).drop_columns(list(added)).to_pylist()
    said = pa.struct([field for field in schema.field("segments").type.value_type if field.name != "language"])
    fields = [pa.field("segments", pa.list_(said)) if field.name == "segments" else field for field in schema]
    first = pa.schema([field for field in fields if field.name not in added])
    pq.write_table(pa.Table.from_pylist(rows, first), path)
    write_tables(results)
    old, late = table(results, "recordings")
    assert [old[name] for name in added] == [None, None, None] and old["text"] == "네"
    assert [late[name] for name in added] == [1.0, 3.0, [gap(2, 5)]]
    assert [s["language"] for s in table(results, "segments")] == [None, "ko"]
    assert {r["schema_version"] for r in (old, late)} == {SCHEMA_VERSION}


def test_a_segment_has_its_own_language(tmp_path: Path) -> None:
    mixed = row("a.wav", segment(0, 3, "안녕하세요"), segment(4, 5, "hello", language="en"))
    results = finish(tmp_path, {"b000001": [mixed]})
    write_tables(results)
    frame = pd.read_csv(results.table("segments", "tsv"), sep="\t")
    assert frame.language.tolist() == [s["language"] for s in table(results, "segments")] == ["ko", "en"]


def test_gaps_in_both_forms(tmp_path: Path) -> None:
    missed = [gap(12.3, 15.1), gap(20, 23.5, "agent")]
    rows = [row("a.wav", segment(0, 1, "네"), gaps=missed), row("b.wav"), row("c.wav", status="failed")]
    results = finish(tmp_path, {"b000001": rows})
    write_tables(results)
    found = [(r["gaps"], r["gap_seconds"], r["text_seconds"]) for r in table(results, "recordings")]
    assert found == [(missed, 6.3, 1.0), ([], 0.0, 0.0), (None, None, None)]
    with open(results.table("recordings", "tsv"), encoding="utf-8", newline="") as file:
        cells = [(r["gaps"], r["gap_seconds"], r["text_seconds"]) for r in csv.DictReader(file, delimiter="\t")]
    assert cells == [("12.300-15.100;20.000-23.500", "6.300", "1.000"), ("", "0.000", "0.000"), ("", "", "")]
    each = f"SELECT unnest(gaps) AS gap FROM '{results.table('recordings', 'parquet')}'"
    assert duckdb.sql(f"SELECT gap.start, gap.channel FROM ({each})").fetchall() == [(12.3, None), (20.0, "agent")]


def test_small_batches_share_row_groups_and_large_tables_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(write.ROWS, "segments", 4)
    batches = {f"b{i:06d}": [row(f"{i}.wav", segment(0, 1, "네"), segment(1, 2, "네"))] for i in range(1, 8)}
    results = finish(tmp_path, batches)
    write_tables(results)
    assert pq.read_metadata(results.table("recordings", "parquet")).num_row_groups == 1
    metadata = pq.read_metadata(results.table("segments", "parquet"))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4, 4, 4, 2]


@pytest.mark.parametrize("harm", ["missing", "damaged", "incomplete"])
def test_a_bad_batch_file_stops_the_step_and_leaves_the_old_tables(tmp_path: Path, harm: str) -> None:
    rows = [row("a.wav", segment(0, 1, "네")), row("b.wav")]
    results = finish(tmp_path, {"b000001": rows})
    write_tables(results)
    before = {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()}
    match harm:
        case "missing":
            results.batch("b000001").unlink()
        case "damaged":
            results.batch("b000001").write_bytes(b"PAR1 not really")
        case "incomplete":
            write.pq.write_table(pq.read_table(results.batch("b000001")).slice(0, 1), results.batch("b000001"))
    with pytest.raises(ResultsError, match="b000001"):
        write_tables(results)
    assert {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()} == before


HOSTILE = [
    '"quoted" and "',
    "a\tb\nc\rd",
    r"back\slash \t \xff",
    "'single', comma; #hash",
    "NA",
    "=1+1",
    unicodedata.normalize("NFD", "한글 이름"),
    "emoji 👩‍👩‍👧 \u2028 line",
]


@pytest.fixture
def hostile(tmp_path: Path) -> Any:
    rows = [row(f"{i} {text}.wav", segment(0, 1, text)) for i, text in enumerate(HOSTILE)]
    results = finish(tmp_path, {"b000001": [*rows, row(b"\xff\xfe.wav", segment(0, 1, "x" * 400_000))]})
    write_tables(results)
    return results


def unescaped(cell: str) -> str:
    return re.sub(r"\\([\\tnr])", lambda m: {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}[m[1]], cell)


def test_hostile_text_survives_csv_pandas_and_duckdb(hostile: Any) -> None:
    expected = [(r["path"], r["text"]) for r in table(hostile, "recordings")]
    tsv = hostile.table("recordings", "tsv")
    csv.field_size_limit(sys.maxsize)
    with open(tsv, encoding="utf-8", newline="") as file:
        by_csv = [(unescaped(r["path"]), unescaped(r["text"])) for r in csv.DictReader(file, delimiter="\t")]
    assert by_csv == expected
    frame = pd.read_csv(tsv, sep="\t", keep_default_na=False)
    assert [(unescaped(p), unescaped(t)) for p, t in zip(frame.path, frame.text, strict=True)] == expected
    read = duckdb.sql(f"SELECT path, text FROM read_csv('{tsv}', delim='\\t', header=true, quote='\"', escape='\"')")
    assert [(unescaped(p), unescaped(t)) for p, t in read.fetchall()] == expected
    assert len(pd.read_csv(tsv, sep="\t")) == len(expected)
    assert duckdb.sql(f"SELECT count(*) FROM read_csv('{tsv}')").fetchall() == [(len(expected),)]


def test_a_row_is_a_line_and_plain_text_is_as_it_was(hostile: Any) -> None:
    raw = hostile.table("segments", "tsv").read_bytes()
    assert raw.count(b"\n") == 1 + len(HOSTILE) + 1
    assert b"\r" not in raw
    assert unicodedata.normalize("NFD", "한글 이름").encode() in raw


def test_numbers_times_and_lists_in_the_tsv(tmp_path: Path) -> None:
    columns = {"flags": ["truncated", "repetition"], "duration": 59.9996, "sample_rate": 44_100}
    flagged = row("a.wav", segment(0.12345, 1, "네"), **columns)
    results = finish(tmp_path, {"b000001": [flagged, row("b.wav", status="failed")]})
    write_tables(results)
    with open(results.table("recordings", "tsv"), encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file, delimiter="\t")
    assert "path_bytes" not in first
    assert (first["flags"], first["duration"], first["language_probability"]) == (
        "truncated, repetition",
        "60.000",
        "0.9800",
    )
    assert (first["finished_at"], first["cached"], first["attempt"]) == (
        "2026-01-02T03:04:05.678Z",
        "false",
        "1",
    )
    assert (second["duration"], second["text"], second["error_class"]) == ("", "", "UnreadableRecording")
    assert (first["sample_rate"], second["sample_rate"]) == ("44100", "")
    frame = pd.read_csv(results.table("segments", "tsv"), sep="\t")
    assert frame.start.tolist() == [0.123]


def test_the_documented_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = finish(
        tmp_path,
        {"b000001": [row("a.wav", segment(0, 1, "네, 그래요\t"), gaps=[gap(2, 5)]), row("b.wav", status="failed")]},
    )
    write_tables(results)
    monkeypatch.chdir(tmp_path)
    text = tables_document()
    seen: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, seen)
    assert seen["failed"].path.tolist() == ["b.wav"]
    assert seen["unheard"].path.tolist() == ["a.wav"]
    assert seen["hours"]["ko"] == pytest.approx(1 / 60)
    assert [r["path"] for r in seen["rows"]] == ["a.wav", "b.wav"]
    assert seen["unescaped"](seen["rows"][0]["text"]) == "네, 그래요\t"
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert duckdb.sql(queries[0]).fetchall() == [("a.wav", 0, 0.0, "네, 그래요\t")]
    assert duckdb.sql(queries[1]).fetchall() == [("a.wav", "ok"), ("b.wav", "failed")]


def test_the_command_writes_six_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finish(tmp_path, {"b000001": [row("a.wav", segment(0, 1, "네"))]})
    assert main(["tables", "--config", str(results.config)]) == 0
    assert capsys.readouterr().err == "tables: 1 recordings, 1 segments, 0 words\n"
    names = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert names == sorted(f"{name}.{kind}" for name in TABLES for kind in ("parquet", "tsv"))


PEAK = """
import re, sys
from pathlib import Path
from snakescribe.layout import Results
from snakescribe.tables.write import write_tables
write_tables(Results(Path(sys.argv[1])))
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
"""Its own peak; that of ``getrusage`` begins with the one of the process that started it."""


def test_memory_does_not_grow_with_the_number_of_recordings(tmp_path: Path) -> None:
    said = [segment(i, i + 1, f"문장 {i} 입니다", words="문장 입니다") for i in range(40)]
    peaks = []
    for count in (8, 80):
        batches = {f"b{b:06d}": [row(f"{b}/{i}.wav", *said) for i in range(40)] for b in range(1, count + 1)}
        results = finish(tmp_path / str(count), batches)
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(results.root)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout))
    print(peaks)
    small, large = peaks  # megabytes; the large tables hold 128,000 segments and 256,000 words
    assert large < small + 40, peaks
