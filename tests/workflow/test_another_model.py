"""Another model transcribes everything again; the first one, asked for again, has kept what it read."""

from __future__ import annotations

import re
from pathlib import Path

from runs import Site, cut


def test_another_model_and_back(tmp_path: Path, models_root: Path, speech: dict[str, Path]) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en"})
    cut(speech["two_cities"], site.recordings / "as it was.wav", 0, 4)
    removed = site.recordings / "to be removed.wav"
    cut(speech["beckett"], removed, 0, 4)
    changed = site.recordings / "to be changed.wav"
    cut(speech["beckett"], changed, 4, 4)
    site.run()
    rows = site.by_path()
    removed.unlink()
    cut(speech["endgame"], changed, 12, 4)

    site.run(model="base")
    now, current = site.by_path(), {row["batch"] for row in site.rows()}
    assert site.jobs()["transcribe"] == len(current)
    assert {row["model"] for row in now.values() if row["source_state"] == "present"} == {"base"}
    was = rows[b"to be removed.wav"]
    assert now[b"to be removed.wav"] == was | {"source_state": "removed"}, "its text stays, of the old model"
    old = site.cache / "snakescribe" / rows[b"to be changed.wav"]["sha256"][:2] / rows[b"to be changed.wav"]["sha256"]
    assert len(list(old.iterdir())) == 1, "the new content is not taken for the old one, though as large"

    site.run()
    assert site.jobs()["transcribe"] == len(current)
    back = site.by_path()
    new = back[b"to be changed.wav"]["batch"]
    loaded = re.findall(r"(b\d+): \w+ on", site.log())
    assert loaded == [new], "no model was loaded but for what tiny.en had never read"
    assert site.log().count("from the cache") == len(current)
    texts = {name: row["text"] for name, row in back.items() if name != b"to be changed.wav"}
    assert texts == {name: rows[name]["text"] for name in texts}
    fresh = {name for name, row in back.items() if row["status"] == "ok" and not row["cached"]}
    assert fresh == {b"to be changed.wav"}, "all else came from the cache"


def test_what_is_in_the_cache_fails_as_if_it_were_read_again(
    tmp_path: Path, models_root: Path, speech: dict[str, Path]
) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en"})
    cut(speech["beckett"], site.recordings / "whole.wav", 0, 4)
    whole = (site.recordings / "whole.wav").read_bytes()
    begin = whole.index(b"data")
    (site.recordings / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (site.recordings / "two chunks.wav").write_bytes(whole + whole[begin:])
    site.run()
    assert {row["path"]: row["flags"] for row in site.rows()} == {
        "cut.wav": ["truncated"],
        "two chunks.wav": ["incomplete"],
        "whole.wav": [],
    }
    site.run(code=1, audio={"truncated": "fail"})
    said = {row["path"]: row["error_message"] for row in site.rows()}
    assert said["cut.wav"].startswith("the file ends early, after ") and said["whole.wav"] is None
    assert said["two chunks.wav"].startswith("part of the file cannot be decoded")
    site.run()
    assert {row["status"] for row in site.rows()} == {"ok"} and all(row["cached"] for row in site.rows())
