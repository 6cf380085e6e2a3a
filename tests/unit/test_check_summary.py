"""Check: the summary, the failed files, the exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.formats.export import export_batch
from snakescribe.inventory.plan import Plan
from snakescribe.tables.write import write_tables


def check(results: Any) -> tuple[int, Path]:
    output = results.root / "done.txt"
    return main(["check", "--config", str(results.config), "--output", str(output)]), output


def finished(root: Path, rows: list[dict[str, Any]], **more: Any) -> Any:
    results = finish(root, {"b000001": rows}, **more)
    write_tables(results)
    return results


def test_everything_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finished(tmp_path, [row("a.wav", segment(0, 1, "네")), row("silent.wav")])
    code, output = check(results)
    expected = "2 recordings: 1 ok, 1 empty, 0 failed; 2.0 min of audio, 10.0 × real time while transcribing\n"
    expected += "no speech (status = empty): silent.wav\n"
    assert (code, results.summary.read_text(), capsys.readouterr().err) == (0, expected, expected)
    assert output.exists()


def test_what_read_them_is_told(tmp_path: Path) -> None:
    made = {"engine": "openvino", "compute_type": "int8_float32", "device_name": "a CPU"}
    rows = [row(f"{name}.wav", segment(0, 1, "네"), **made) for name in "ab"]
    check(results := finished(tmp_path / "one", rows))
    told = "read by openvino, int8_float32, on a CPU, model base"
    assert results.summary.read_text().splitlines()[1:] == [told]
    other = row("c.wav", segment(0, 1, "네"), **made | {"engine": "ctranslate2"})
    check(results := finished(tmp_path / "two", [*rows, other]))
    assert results.summary.read_text().splitlines()[1:] == [
        f"{told}: 2 recordings",
        "read by ctranslate2, int8_float32, on a CPU, model base: 1 recording",
    ]


def test_a_few_of_many_empty_ones_are_named(tmp_path: Path) -> None:
    check(results := finished(tmp_path, [row(f"{number:02}.wav") for number in range(12)]))
    first, names = results.summary.read_text().splitlines()
    assert first.startswith("12 recordings: 0 ok, 12 empty")
    assert names.split(": ")[1].split(", ") == [*(f"{number:02}.wav" for number in range(5)), "…"]


def test_flags_and_corrected_transcripts_are_told(tmp_path: Path) -> None:
    rows = [row("a.wav", segment(0, 1, "네"), flags=["truncated"]), row("b.wav", segment(0, 1, "네"))]
    results = finished(tmp_path, rows)
    for text in ("eins", "zwei"):
        export_batch(results, ["txt", "srt"], "b000001")
        for path in results.transcripts.glob("*.wav.txt"):
            path.write_text(text)
    export_batch(results, ["txt"], "b000001")
    check(results)
    assert results.summary.read_text().splitlines()[1:] == [
        "flagged in the tables:",
        "  1 truncated: the file ends before its header says: a.wav",
        "2 transcripts were corrected by hand and kept; the new text is beside them as NAME.new.EXT",
    ]


def test_tracks_that_were_not_heard_are_counted(tmp_path: Path) -> None:
    """Not those of which all were."""
    tracks = [{"audio_track": 1, "audio_tracks": 1}, {"audio_track": 2, "audio_tracks": 3}, {"audio_tracks": 3}]
    rows = [row(f"{number}.mkv", segment(0, 1, "네"), **known) for number, known in enumerate(tracks)]
    check(results := finished(tmp_path, rows))
    assert results.summary.read_text().splitlines()[1:] == [
        "1 with audio tracks that were not heard (audio.track=all hears all): 1.mkv"
    ]


def test_a_table_of_an_older_version_is_summarised_too(tmp_path: Path) -> None:
    results = finished(tmp_path, [row("a.wav", segment(0, 1, "네"))])
    export_batch(results, ["txt"], "b000001")
    check(results)
    table, before = results.table("recordings", "parquet"), results.summary.read_text()
    pq.write_table(pq.read_table(table).drop_columns(["audio_track", "audio_tracks"]), table)
    results.summary.write_text("")
    assert main(["export", "--force", "--results", str(results.root)]) == 0
    assert results.summary.read_text() == before


def test_fail_exits_1_says_which_and_leaves_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finished(tmp_path, [row("a.wav", segment(0, 1, "네")), row("통화 1.wav", status="failed")])
    code, output = check(results)
    assert code == 1
    assert not output.exists()
    assert "  통화 1.wav: UnreadableRecording" in results.summary.read_text(encoding="utf-8")
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "  통화 1.wav: UnreadableRecording: not a media file"
    assert lines[2] == (
        "snakescribe: FailedRecordings: 1 recording failed; the rest is done (set `on_error: report` to exit 0)"
    )


def test_report_exits_0_and_writes_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finished(tmp_path, [row("bad.wav", status="failed")], on_error="report")
    code, output = check(results)
    assert code == 0
    assert output.exists()
    assert results.summary.read_text() == capsys.readouterr().err
    assert results.summary.read_text().startswith("1 recording: 0 ok, 0 empty, 1 failed; 0 s of audio\n  bad.wav: ")


def test_a_removed_recording_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = row("gone.wav", status="failed")
    results = finished(tmp_path, [row("a.wav")], on_error="fail")
    assert check(results)[0] == 0
    results.ledger.unlink()
    results = finished(tmp_path, [row("a.wav"), gone], known={gone["recording_id"]: {"state": "removed"}})
    assert check(results)[0] == 0
    assert "1 recording: 0 ok, 1 empty, 0 failed, 1 removed since;" in capsys.readouterr().err


def test_many_failures_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finished(tmp_path, [row(f"{i:03}.wav", status="failed") for i in range(60)])
    assert check(results)[0] == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[50].startswith("  049.wav")
    assert lines[51] == f"… and 10 more; all are in {results.table('recordings', 'tsv')} (status = failed)"
    assert "60 recordings failed" in lines[52]


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(finished(tmp_path, [row(b"\x1b[2J\n.wav", status="failed")]))
    assert capsys.readouterr().err.splitlines()[1].startswith(r"  \x1b[2J\n.wav: ")


def test_without_tables_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = finished(tmp_path, [row("a.wav")])
    results.table("recordings", "parquet").unlink()
    assert check(results)[0] == 4
    assert "recordings.parquet is missing; run again" in capsys.readouterr().err


def test_what_was_passed_over_is_named(tmp_path: Path) -> None:
    results = finished(tmp_path, [row("a.wav", segment(0, 1, "네"))])
    plan = Plan.read(results.plan)
    skipped = {"hidden": 3, "temporary": 1, "not audio": 3}
    passed = {"passed_over": {".pdf": 2, "": 1}, "passed_names": ("README", "a.pdf")}
    plan.model_copy(update={"skipped": skipped} | passed).write(results.plan)
    check(results)
    assert results.summary.read_text(encoding="utf-8").splitlines()[1:] == [
        "left alone: 3 hidden, 1 temporary",
        "3 other files, taken for no recordings: 2 .pdf, 1 without extension (README, a.pdf, …)",
    ]
