"""``subtitles: {name: beside}``: short names where they are one recording's alone, and what follows them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.config.options import SubtitleOptions
from snakescribe.formats.digests import Digests
from snakescribe.formats.export import Written, export_batch
from snakescribe.formats.listing import Listing
from snakescribe.formats.registry import FORMATS
from snakescribe.layout import Results

B1, B2 = "b000001", "b000002"
FULL, BESIDE = SubtitleOptions(name="full"), SubtitleOptions(name="beside")
MINE = "1\n00:00:00,000 --> 00:00:02,000\n내가 고쳤다\n\n"


def said(path: str, text: str = "", **columns: Any) -> dict[str, Any]:
    return row(path, segment(0, 2, text or path, words=text or path), **columns)


def texts(results: Results) -> dict[str, str]:
    found = results.transcripts.rglob("*")
    return {str(p.relative_to(results.transcripts)): p.read_text() for p in found if p.is_file()}


def listed(results: Results, batch: str) -> set[str]:
    return {os.fsdecode(name) for name in Listing.read(results.exported(batch)).files}


def test_short_names_where_nothing_collides(tmp_path: Path) -> None:
    paths = ("a/x.mkv", "a/y.mp3", "a/y.wav", "b/y.mp3", "z", "z.mp3", "u.new.mp3", ".mkv", "v/w.mp3")
    rows = [*map(said, paths), said("v/w.mp3") | {"recording_id": "caller-1"}]
    results = finish(tmp_path, {B1: rows})
    export_batch(results, ["srt"], B1, subtitles=BESIDE)
    assert texts(results).keys() == {
        "a/x.srt",
        "a/y.mp3.srt",
        "a/y.wav.srt",
        "b/y.srt",
        "z.srt",
        "z.mp3.srt",
        "u.new.mp3.srt",
        ".mkv.srt",
        "v/w.mp3.srt",
        "v/w.mp3~caller-1.srt",
    }
    assert "\nz\n" in texts(results)["z.srt"]
    assert listed(results, B1) == texts(results).keys()


def test_only_subtitles_have_them(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [said("x.mkv")]})
    export_batch(results, FORMATS, B1, subtitles=BESIDE)
    names = {path.name for path in results.transcripts.iterdir()}
    assert {name for name in names if not name.startswith("x.mkv.")} == {"x.srt", "x.vtt", "x.ass"}
    assert len(names) == len(FORMATS)


def test_a_rerun_with_another_name_leaves_no_old_ones(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [said("x.mkv"), said("y.mp3"), said("y.wav")]})
    export_batch(results, ["srt", "txt"], B1, subtitles=FULL)
    before = texts(results)
    assert export_batch(results, ["srt", "txt"], B1, subtitles=BESIDE) == Written(kept=6)
    assert texts(results) == {name.replace("x.mkv.srt", "x.srt"): text for name, text in before.items()}
    assert export_batch(results, ["srt", "txt"], B1, subtitles=FULL) == Written(kept=6)
    assert texts(results) == before
    export_batch(results, ["srt"], B1, subtitles=BESIDE)
    assert export_batch(results, ["txt"], B1, subtitles=FULL) == Written(written=3, removed=3)
    assert texts(results).keys() == {"x.mkv.txt", "y.mp3.txt", "y.wav.txt"}


def test_a_correction_follows_the_name(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [said("x.mkv")]})
    export_batch(results, ["srt"], B1)
    (results.transcripts / "x.mkv.srt").write_text(MINE)
    export_batch(results, ["srt"], B1)
    for options, name in ((BESIDE, "x"), (FULL, "x.mkv")):
        assert export_batch(results, ["srt"], B1, subtitles=options) == Written(kept=1, corrected=1)
        assert texts(results)[f"{name}.srt"] == MINE
        assert texts(results).keys() == {f"{name}.srt", f"{name}.new.srt"}


@pytest.mark.parametrize(("rival", "names"), [("x.mp3", {"x.mp3.srt", "x.mkv.srt"}), ("x", {"x.srt", "x.mkv.srt"})])
def test_a_later_batch_with_a_rival_takes_the_short_name_away(tmp_path: Path, rival: str, names: set[str]) -> None:
    export_batch(finish(tmp_path, {B1: [said("x.mkv")]}), ["srt"], B1, subtitles=BESIDE)
    (tmp_path / "inventory/ledger.sqlite").unlink()
    results = finish(tmp_path, {B1: [said("x.mkv")], B2: [said(rival)]})
    assert texts(results).keys() == {"x.srt"}
    assert export_batch(results, ["srt"], B2, subtitles=BESIDE) == Written(kept=1, written=1)
    assert texts(results).keys() == names
    assert f"\n{rival}\n" in texts(results)[f"{rival}.srt"]
    assert listed(results, B1) == {"x.mkv.srt"} and listed(results, B2) == {f"{rival}.srt"}
    assert export_batch(results, ["srt"], B1, subtitles=BESIDE) == Written(kept=1)


def test_a_file_of_nobody_knows_whom_is_left(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [said("x.mkv"), said("x.mp3")]})
    (results.transcripts).mkdir()
    (results.transcripts / "x.srt").write_text(MINE)
    export_batch(results, ["srt"], B1, subtitles=BESIDE)
    assert texts(results)["x.srt"] == MINE
    assert texts(results).keys() == {"x.srt", "x.mkv.srt", "x.mp3.srt"}


def test_a_forgotten_recording_takes_its_short_names_along(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [said("x.mkv"), said("y.mkv")]}, subtitles={"name": "beside"})
    export_batch(results, ["srt", "txt"], B1, subtitles=BESIDE)
    (results.transcripts / "x.txt").write_text("mine")
    assert main(["forget", "x.mkv", "--results", str(tmp_path)]) == 0
    assert texts(results).keys() == {"x.txt", "y.srt", "y.mkv.txt"}
    assert listed(results, B1) == {"y.srt", "y.mkv.txt"}


def test_so_it_does_when_its_batch_is_exported_again(tmp_path: Path) -> None:
    rows = [said("x.mkv"), said("y.mkv")]
    results = finish(tmp_path, {B1: rows})
    export_batch(results, ["srt"], B1, subtitles=BESIDE)
    results.ledger.unlink()
    results = finish(tmp_path, {B1: rows}, known={rows[0]["recording_id"]: {"forgotten": True}})
    export_batch(results, ["srt"], B1, subtitles=BESIDE)
    assert texts(results).keys() == {"y.srt"}


def test_what_an_older_version_wrote_is_replaced_unless_corrected(tmp_path: Path) -> None:
    """It laid subtitles out in another way; what it wrote stands in its record."""
    results = finish(tmp_path, {B1: [said("x.mkv"), said("y.mkv")]})
    older = "1\n00:00:00,000 --> 00:00:02,500\nx.mkv\n\n"
    results.transcripts.mkdir()
    for name, text in (("x", older), ("y", MINE)):
        (results.transcripts / f"{name}.mkv.srt").write_text(text)
        Digests(results.digests(B1)).remember(said(f"{name}.mkv")["recording_id"], {"srt": older.encode()})
    assert export_batch(results, ["srt"], B1, subtitles=BESIDE) == Written(written=2, corrected=1)
    now = texts(results)
    assert now.keys() == {"x.srt", "y.srt", "y.new.srt"} and older not in now.values() and now["y.srt"] == MINE


def test_the_commands_go_by_the_option(tmp_path: Path) -> None:
    results = finish(tmp_path, {B1: [said("x.mkv")]}, outputs=["vtt"], words=True, subtitles={"name": "beside"})
    assert main(["export", "--config", str(results.config), "--batch", B1]) == 0
    assert "<c>" not in texts(results)["x.vtt"]
    options = {"name": "full", "highlight": True}
    results.ledger.unlink()
    results = finish(tmp_path, {B1: [said("x.mkv", "eins zwei")]}, outputs=["vtt"], words=True, subtitles=options)
    assert main(["export", "--force", "--results", str(tmp_path)]) == 0
    assert texts(results).keys() == {"x.mkv.vtt"}
    assert "<c>eins</c> <00:00:01.000><c>zwei</c>" in texts(results)["x.mkv.vtt"]
