"""``snakescribe plan``: what it says about time comes from what was measured here, if anything was."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from audio_files import tone, write_wav
from finished import finish, row

from snakescribe.cli import main
from snakescribe.config import load_config
from snakescribe.ending import Ending, written_down
from snakescribe.files import write_atomically
from snakescribe.inventory.take import take
from snakescribe.layout import Results
from snakescribe.tables.write import write_tables
from snakescribe.units import counted


def test_what_the_next_run_would_transcribe_again_is_to_do(
    tmp_path: Path, models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch that was finished with other options, or by a version whose texts were others, is not done."""
    (tmp_path / "in").mkdir()
    write_wav(tmp_path / "in/one.wav", tone(440, 1))
    values = {"recordings": str(tmp_path / "in"), "results": str(tmp_path / "out"), "models": str(models_root)}
    config = load_config({**values, "model": "tiny.en", "cache": {"mode": "off"}}, tmp_path)
    results = Results(tmp_path / "out")
    take(config)
    write_atomically(results.config, config.model_dump_json().encode())
    for step in ("normalise", "transcribe"):
        assert main([step, "--config", str(results.config), "--batch", "b000001"]) == 0
    options = [f"{name}={value}" for name, value in values.items()]
    for more, done, todo in (([], 1, 0), (["prompt=Beckett"], 0, 1), (["outputs=[txt]"], 1, 0)):
        capsys.readouterr()
        assert main(["plan", "--config", *options, "model=tiny.en", *more]) == 0
        said = capsys.readouterr().out
        assert f"done: {counted(done, 'recording')}," in said and f"to do: {counted(todo, 'recording')}," in said, more


def test_nothing_done_is_no_less_than_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The seconds of the batches do not add up to those of the plan, to the last bit."""
    (tmp_path / "in").mkdir()
    for seconds in (0.1, 0.2):
        write_wav(tmp_path / f"in/{seconds}.wav", tone(440, seconds))
    asked = ["--recordings", str(tmp_path / "in"), "--results", str(tmp_path / "out")]
    assert main(["plan", *asked, "--config", "batch.files=1"]) == 0
    assert "done: 0 recordings, 0 s\n" in capsys.readouterr().out


def test_why_something_has_changed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing about a recording that has not."""
    rows = {"통화 1.wav": "ko", "touched.wav": "ko", "moved.wav": "ko", "same.wav": "ko"}
    for number, name in enumerate(rows):
        write_wav(tmp_path / name, tone(440 + number, 1))
    sheet = tmp_path / "list.csv"

    def listed() -> None:
        lines = [f"{number},{name},{language}" for number, (name, language) in enumerate(rows.items())]
        sheet.write_text("\n".join(["id,path,language", *lines]))

    listed()
    values = {"recordings": str(sheet), "results": str(tmp_path / "out")}
    take(load_config(values, tmp_path))
    asked = ["plan", "--recordings", values["recordings"], "--results", values["results"]]
    assert main(asked) == 0
    assert "changed:" not in capsys.readouterr().out
    os.utime(tmp_path / "touched.wav", (1, 1))
    (tmp_path / "moved.wav").rename(tmp_path / "elsewhere.wav")
    rows = {"통화 1.wav": "ja", "touched.wav": "ko", "elsewhere.wav": "ko", "same.wav": "ko"}
    listed()
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "new: 0 new, 3 changed, 0 to be retried\n" in said
    (line,) = [line for line in said.splitlines() if line.startswith("changed: ")]
    assert sorted(line.removeprefix("changed: ").split("; ")) == [
        "1 with another language, prompt or channels (통화 1.wav)",
        "1 with another path (elsewhere.wav)",
        "1 with another size or time (touched.wav)",
    ]


def test_what_is_gone_is_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for name in ("stays.wav", "goes.wav"):
        write_wav(tmp_path / "in" / name, tone(440, 1))
    asked = ["plan", "--recordings", str(tmp_path / "in"), "--results", str(tmp_path / "out")]
    take(load_config({"recordings": str(tmp_path / "in"), "results": str(tmp_path / "out")}, tmp_path))
    (tmp_path / "in/goes.wav").unlink()
    capsys.readouterr()
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "recordings: 1, " in said and "removed: 1\n" in said


def test_the_speed_is_the_median_of_what_this_model_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    write_wav(tmp_path / "in/new.wav", tone(440, 1))
    asked = ["plan", "--recordings", str(tmp_path / "in"), "--results", str(tmp_path / "out")]
    assert main([*asked, "--config", "model=base"]) == 0
    assert "basis: no measurement yet, assuming" in capsys.readouterr().out
    seconds = {"1.wav": 6.0, "2.wav": 12.0, "3.wav": 600.0}
    rows = [row(path, wall_seconds=wall) for path, wall in seconds.items()]
    rows += [row("known.wav", wall_seconds=0.6, cached=True), row("small.wav", wall_seconds=0.6, model="small")]
    write_tables(finish(tmp_path / "out", {"b000001": [*rows, row("failed.wav", status="failed")]}))
    assert main([*asked, "--config", "model=base"]) == 0
    assert "basis: 0.200 s per second of audio, median of 3 recordings done;" in capsys.readouterr().out
    write_tables(finish(tmp_path / "cached", {"b000001": [row("known.wav", wall_seconds=0.6, cached=True)]}))
    assert main([*asked[:-1], str(tmp_path / "cached"), "--config", "model=base"]) == 0
    assert "median of 1 recording done;" in capsys.readouterr().out


def test_what_does_not_grow_with_the_audio_is_in_the_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A default on a machine that is not known, and what the last run took beside the audio where there was one."""
    (tmp_path / "in").mkdir()
    write_wav(tmp_path / "in/new.wav", tone(440, 1))
    (tmp_path / "in/letter.txt").write_text("no recording")
    asked = ["plan", "--recordings", str(tmp_path / "in"), "--results", str(tmp_path / "out"), "--config", "model=base"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "time: about 15 s," in said and "10 s for a run and 5 s for each batch, assumed" in said
    assert "skipped: 1 other file, taken for no recordings: 1 .txt (letter.txt)\n" in said
    results = finish(tmp_path / "out", {"b000001": [row("1.wav", wall_seconds=6.0, batch="b000001")]})
    write_tables(results)
    with written_down(results, None, None) as outcome:
        outcome.code = 0
    ending = Ending.model_validate_json(results.ending.read_bytes())
    times = {"started": ending.started, "ended": ending.started + timedelta(seconds=60), "transcribed": 1}
    write_atomically(results.ending, ending.model_copy(update=times).model_dump_json().encode())
    write_atomically(results.benchmark("b000001"), b"s\th:m:s\n20.5\t0:00:20\n")
    assert main(asked) == 0
    assert "; 40 s for a run and 14 s for each batch, as in the last run here;" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["cut", "a folder"])
def test_a_damaged_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    (tmp_path / "in").mkdir()
    write_wav(tmp_path / "in/new.wav", tone(440, 1))
    results = finish(tmp_path / "out", {"b000001": [row("1.wav")]})
    write_tables(results)
    table = results.table("recordings", "parquet")
    data = table.read_bytes()
    table.unlink()
    if damage == "cut":
        table.write_bytes(data[: len(data) // 2])
    else:
        table.mkdir()
        (table / "x").write_bytes(b"x")
    assert main(["plan", "--recordings", str(tmp_path / "in"), "--results", str(results.root)]) == 4
    said = capsys.readouterr().err
    assert f"ResultsError: {table} is damaged (" in said and said.endswith("; delete it and run again\n")
    assert said.count("\n") == 1
