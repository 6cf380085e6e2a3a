"""A sample sheet with overrides and columns of its own, and a stereo recording told apart by channel."""

from __future__ import annotations

import csv
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from runs import Site, cut

CHANNELS = {"left": "agent", "right": "caller"}


def stereo(left: Path, right: Path, target: Path) -> None:
    """Two mono recordings of one rate side by side; the shorter one ends in silence."""
    sides = []
    for path in (left, right):
        with wave.open(str(path)) as one:
            rate = one.getframerate()
            sides.append(np.frombuffer(one.readframes(one.getnframes()), dtype=np.int16))
    both = np.zeros((max(map(len, sides)), 2), dtype=np.int16)
    for number, side in enumerate(sides):
        both[: len(side), number] = side
    with wave.open(str(target), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(both.tobytes())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models_root: Path, speech: dict[str, Path]) -> Site:
    """A finished run over a sheet: one stereo file split, mixed by an override, and one plain file."""
    site = Site(
        tmp_path_factory.mktemp("sheet"),
        models_root,
        {"model": "tiny.en", "audio": {"channels": "split", "channel_names": CHANNELS}, "words": True},
    )
    cut(speech["two_cities"], site.folder / "left.wav", 0, 12)
    cut(speech["two_cities"], site.folder / "right.wav", 20, 16)
    stereo(site.folder / "left.wav", site.folder / "right.wav", site.recordings / "전화 한 통.wav")
    cut(speech["beckett"], site.recordings / "plain.wav", 0, 9)
    sheet = site.recordings / "목록.csv"
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "id", "language", "prompt", "channels", "reference", "caller", "date"])
        writer.writerow(["전화 한 통.wav", "both", "", "", "", "", '김, "길동"', "2026-11-23"])
        writer.writerow(["전화 한 통.wav", "mixed", "en", "", "mix", "", '김, "길동"', ""])
        writer.writerow(["plain.wav", "plain", "en", "Samuel Beckett.", "", "what was said", "", ""])
    site.options["recordings"] = str(sheet)
    site.run()
    return site


def test_two_channels_are_told_apart_and_merged_by_time(site: Site) -> None:
    segments = [row for row in site.rows("segments") if row["recording_id"] == "both"]
    assert {row["channel"] for row in segments} == {"agent", "caller"}
    starts = [row["start"] for row in segments]
    assert starts == sorted(starts)
    assert [row["segment"] for row in segments] == list(range(len(segments)))
    said = {name: " ".join(row["text"] for row in segments if row["channel"] == name) for name in CHANNELS.values()}
    assert "it was the best of times" in said["agent"].lower()
    assert "it was the best of times" not in said["caller"].lower()
    assert max(row["end"] for row in segments if row["channel"] == "agent") <= 12.5
    words = [row for row in site.rows("words") if row["recording_id"] == "both"]
    assert {row["channel"] for row in words} == {"agent", "caller"}


def test_a_row_overrides_the_options(site: Site) -> None:
    rows = {row["recording_id"]: row for row in site.rows()}
    assert rows.keys() == {"both", "mixed", "plain"}
    assert rows["both"]["duplicate_of"] is None
    assert rows["mixed"]["duplicate_of"] == "both"
    assert rows["both"]["text"] != rows["mixed"]["text"]
    assert {row["channel"] for row in site.rows("segments") if row["recording_id"] != "both"} == {None}
    assert len({row["options_hash"] for row in rows.values()}) == 3


def test_columns_of_the_sheet_come_along(site: Site) -> None:
    rows = {row["recording_id"]: row for row in site.rows()}
    assert rows["both"]["caller"] == '김, "길동"'
    assert [rows[key]["date"] for key in ("both", "mixed")] == ["2026-11-23", ""]
    assert rows["plain"]["reference"] == "what was said"
    assert rows["mixed"]["reference"] is None
    with site.results.table("recordings", "tsv").open(encoding="utf-8", newline="") as file:
        table = {row["recording_id"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert table["both"]["caller"] == '김, "길동"'


def test_two_recordings_of_one_file_have_files_of_their_own(site: Site) -> None:
    names = sorted(os.listdir(site.results.transcripts))
    assert [name for name in names if name.endswith(".txt")] == [
        "plain.wav~plain.txt",
        "전화 한 통.wav~both.txt",
        "전화 한 통.wav~mixed.txt",
    ]


def test_a_moved_column_or_a_new_reference_transcribes_nothing(site: Site) -> None:
    before = site.state("batches/*.parquet")
    sheet = Path(site.options["recordings"])
    sheet.write_text(sheet.read_text(encoding="utf-8").replace("what was said", "what was read"), encoding="utf-8")
    site.run()
    assert site.state("batches/*.parquet") == before
    assert {row["recording_id"]: row["reference"] for row in site.rows()}["plain"] == "what was read"
