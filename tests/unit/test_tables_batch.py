"""Batch files: what goes in comes out, by small row groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from finished import row, segment

from snakescribe.errors import ResultsError
from snakescribe.schema import BATCH, SCHEMA_VERSION
from snakescribe.tables import batch
from snakescribe.tables.batch import read_batch, write_batch


def test_rows_come_out_as_they_went_in(tmp_path: Path) -> None:
    rows = [
        row("a.wav", segment(0, 1.5, "네, 알겠습니다.", "agent", words="네, 알겠습니다.")),
        row(b"bad\xff.wav", status="failed"),
    ]
    write_batch(tmp_path / "b.parquet", iter(rows))
    read = list(read_batch(tmp_path / "b.parquet"))
    assert [one["path_bytes"] for one in read] == [b"a.wav", b"bad\xff.wav"]
    unsaid = {"words": [], "flags": [], "speaker": None}
    assert read[0]["segments"][0] | unsaid == rows[0]["segments"][0] | unsaid
    assert [word["text"] for word in read[0]["segments"][0]["words"]] == ["네,", "알겠습니다."]
    assert read[0]["finished_at"] == rows[0]["finished_at"]
    assert read[1]["segments"] == [] and read[1]["duration"] is None
    assert {one["schema_version"] for one in read} == {SCHEMA_VERSION}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ([], 0),
        ([segment(1, 2.5, "a"), segment(4, 5, "b")], 2.5),
        ([segment(1, 4, "a"), segment(2, 3, "in a"), segment(3.5, 6, "across")], 5),
        ([segment(3, 5, "later first"), segment(1, 4, "a")], 4),
        ([segment(1, 4, "a", "left"), segment(2, 6, "b", "right"), segment(3, 5, "c", "left")], 8),
    ],
    ids=["none", "apart", "overlapping", "unordered", "two channels"],
)
def test_seconds_with_text_count_once_per_channel(tmp_path: Path, said: list[dict[str, Any]], seconds: float) -> None:
    write_batch(tmp_path / "b.parquet", [row("a.wav", *said)])
    (read,) = read_batch(tmp_path / "b.parquet")
    assert read["text_seconds"] == pytest.approx(seconds)


def test_only_the_wanted_columns_are_read(tmp_path: Path) -> None:
    write_batch(tmp_path / "b.parquet", [row("a.wav")])
    assert list(read_batch(tmp_path / "b.parquet", ["path", "status"])) == [{"path": "a.wav", "status": "empty"}]


def test_row_groups_are_bounded_by_recordings_and_by_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "ROW_GROUP_RECORDINGS", 3)
    monkeypatch.setattr(batch, "ROW_GROUP_SEGMENTS", 10)
    long = row("long.wav", *(segment(i, i + 1, "네") for i in range(12)))
    write_batch(tmp_path / "b.parquet", [row("1.wav"), long, *(row(f"s{i}.wav") for i in range(5))])
    metadata = pq.read_metadata(tmp_path / "b.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [2, 3, 2]


def test_a_batch_without_rows_is_still_a_file(tmp_path: Path) -> None:
    write_batch(tmp_path / "b.parquet", [])
    assert list(read_batch(tmp_path / "b.parquet")) == []
    assert pq.read_schema(tmp_path / "b.parquet").names == BATCH.names


def test_a_misspelt_column_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="duraton"):
        write_batch(tmp_path / "b.parquet", [row("a.wav", duraton=3)])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_and_a_damaged_file_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    with pytest.raises(ResultsError, match=r"b\.parquet is missing; run again"):
        list(read_batch(path))
    write_batch(path, [row("a.wav")])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ResultsError, match=r"b\.parquet is damaged .*delete it and run again") as caught:
        list(read_batch(path))
    assert "\n" not in str(caught.value)


def test_what_an_older_file_lacks_is_null(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    write_batch(path, [row("a.wav")])
    pq.write_table(pq.read_table(path).drop_columns(["audio_track"]), path)
    assert list(read_batch(path, ["path", "audio_track"])) == [{"path": "a.wav", "audio_track": None}]


def test_damaged_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    write_batch(path, [row("a.wav")])
    path.write_bytes(path.read_bytes().replace(b"speech_seconds", b"\xffpeech_seconds"))
    with pytest.raises(ResultsError, match=r"b\.parquet is damaged .*delete it and run again"):
        list(read_batch(path))
