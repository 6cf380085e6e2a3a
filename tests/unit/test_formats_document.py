"""JSON and plain text."""

from __future__ import annotations

import json
from pathlib import Path

from finished import gap, row, segment

from snakescribe.formats.document import json_document, text_document
from snakescribe.schema import RECORDING, SEGMENT
from snakescribe.tables.batch import read_batch, write_batch


def test_json_has_everything_but_bytes(tmp_path: Path) -> None:
    rows = [
        row(
            b"\xff \xea\xb0\x80.wav",
            segment(0, 1, "네 그래요", "left", words="네 그래요"),
            segment(1, 2, "the end", language="en"),
            gaps=[gap(3, 5.5, "left")],
        )
    ]
    write_batch(tmp_path / "b.parquet", rows)
    text = json_document(next(read_batch(tmp_path / "b.parquet")))
    read = json.loads(text)
    told = {"speakers_found", "speakers_given", "overlap_seconds", "speaker_model_sha256"}
    columns = [field.name for field in RECORDING if field.name not in {"path_bytes", *told}]
    assert list(read) == [*columns, "schema_version", "segments"]
    assert read["path"] == "\\xff 가.wav"
    assert read["finished_at"] == "2026-01-02T03:04:05.678+00:00"
    first, second = read["segments"]
    assert list(first) == [*(field.name for field in SEGMENT if field.name != "speaker"), "words"]
    assert list(first["words"][0]) == ["start", "end", "text", "probability"]
    assert [word["text"] for word in first["words"]] == ["네", "그래요"]
    assert "words" not in second
    assert (first["language"], second["language"]) == ("ko", "en")
    assert (read["gaps"], read["gap_seconds"], read["text_seconds"]) == ([gap(3, 5.5, "left")], 2.5, 2.0)
    assert "네 그래요" in text and text.endswith("}\n") and text.count("\n") > 40


def test_text_has_a_line_per_segment_with_its_channel() -> None:
    segments = [segment(0, 1, " 네,\n그래요 "), segment(1, 2, ""), segment(2, 3, "끝", "agent")]
    assert text_document(segments) == "네, 그래요\n[agent] 끝\n"
    assert text_document([]) == ""
