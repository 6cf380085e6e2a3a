"""Speakers through the whole workflow: put in, changed, named, taken out again, nothing transcribed anew; real runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
from runs import Site, cut

from snakescribe.formats.listing import Listing
from snakescribe.speakers.names import Given, add_names

CALL, READ, BROKEN = "통화 a.wav", "read.wav", "broken.wav"


def test_who_said_it(tmp_path: Path, models_root: Path, speech: dict[str, Path]) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en", "words": True, "on_error": "report", "report": True})
    results = site.results
    cut(speech["endgame"], site.recordings / CALL, 0, 18)
    cut(speech["beckett"], site.recordings / READ, 0, 6)
    (site.recordings / BROKEN).write_bytes(b"no recording " * 50)
    site.run()
    (batch,) = site.batches()
    assert not results.speakers(batch).exists()
    made, plain = results.batch(batch).read_bytes(), (results.transcripts / f"{CALL}.txt").read_text()
    assert "speaker" not in json.loads((results.transcripts / f"{CALL}.json").read_text())["segments"][0]

    site.run(speakers="auto")
    told = {"speakers", "export", "tables", "report", "check"}
    assert set(site.jobs()) == {"normalise", "transcribe", "voices", *told}
    assert "transcribed already" in site.log()
    assert results.batch(batch).read_bytes() == made, "nothing is transcribed again"
    rows = {row["path"]: row for row in site.rows()}
    assert [(rows[name]["speakers_found"], rows[name]["speakers_given"]) for name in (CALL, READ, BROKEN)] == [
        (2, "auto"),
        (1, "auto"),
        (None, None),
    ]
    assert [(row["path"], row["speaker"], row["name"]) for row in site.rows("speakers")] == [
        (READ, "SPEAKER_00", None),
        (CALL, "SPEAKER_00", None),
        (CALL, "SPEAKER_01", None),
    ]
    assert {row["speaker"] for row in site.rows("words") if row["path"] == CALL} == {"SPEAKER_00", "SPEAKER_01"}
    lines = (results.transcripts / f"{CALL}.txt").read_text().splitlines()
    assert {line.split("] ")[0] for line in lines} == {"[SPEAKER_00", "[SPEAKER_01"}
    assert " ".join(line.split("] ")[1] for line in lines).split() == plain.split(), "the same words"
    assert "<v SPEAKER_01>" in (results.transcripts / f"{CALL}.vtt").read_text()

    heard, rows_there = site.state("voices/*"), site.state("batches/*")
    voices = results.voices(batch)
    whole = voices.read_bytes()
    voices.write_bytes(whole[:-100])
    for _ in range(2):  # and a failed step is not forgotten
        assert "is damaged" in site.run(speakers=1, code=4).said
    voices.write_bytes(whole)
    heard = site.state("voices/*")
    site.run(speakers=1)
    assert set(site.jobs()) == told
    assert (site.state("voices/*"), site.state("batches/*")) == (heard, rows_there)
    assert {row["speakers_found"] for row in site.rows() if row["status"] == "ok"} == {1}

    sheet = tmp_path / "names.csv"
    with sheet.open("w", newline="", encoding="utf-8") as file:
        named = [(CALL, "SPEAKER_00", "네이그"), (CALL, "SPEAKER_07", "아무도"), ("away.wav", "SPEAKER_00", "x")]
        csv.writer(file).writerows([("recording", "label", "name"), *named])
    options = {"speakers": "auto", "speaker_names": str(sheet)}
    site.run(**options)
    assert set(site.jobs()) == told
    assert "'아무도' is said to be SPEAKER_07, whom it has not" in site.log()
    assert "names speakers of 'away.wav', which is no recording here" in site.log()
    assert "[네이그] " in (results.transcripts / f"{CALL}.txt").read_text()

    where = ["--results", str(results.root)]
    site.tell("speakers", "name", CALL, "SPEAKER_01=넬", *where)
    assert {line.split("] ")[0] for line in (results.transcripts / f"{CALL}.txt").read_text().splitlines()} == {
        "[네이그",
        "[넬",
    }
    assert {row["name"] for row in site.rows("speakers") if row["path"] == CALL} == {"네이그", "넬"}
    edited = results.transcripts / f"{CALL}.srt"
    ours = edited.read_text()
    edited.write_text(ours.replace("[넬]", "[Nell]"))
    assert "nobody is called [Nell]" in site.tell("corrections", "import", edited, *where, code=3).said
    edited.write_text(ours)
    assert "SPEAKER_01 넬" in site.tell("speakers", "list", CALL, *where).said
    assert "no speaker 'SPEAKER_07'" in site.tell("speakers", "name", CALL, "SPEAKER_07=x", *where, code=3).said
    site.run(**options)
    assert not site.jobs(), "names are nothing new"

    site.tell("forget", READ, *where)
    assert READ not in [row["path"] for row in site.rows("speakers")]
    kept = {
        row["recording_id"]
        for path in (results.voices(batch), results.speakers(batch))
        for row in pq.read_table(path, columns=["recording_id"]).to_pylist()
    }
    assert kept == {rows[CALL]["recording_id"], rows[BROKEN]["recording_id"]}

    site.run()
    assert not results.speakers(batch).exists()
    assert not results.table("speakers", "parquet").exists()
    assert (results.transcripts / f"{CALL}.txt").read_text() == plain
    assert "speakers" not in Listing.read(results.exported(batch)).layout


def test_one_voice_has_one_label_in_a_folder(tmp_path: Path, models_root: Path, speech: dict[str, Path]) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en", "speakers": "auto", "speakers_across": True})
    results = site.results
    for folder in ("회의", "다른"):
        (site.recordings / folder).mkdir()
    cut(speech["endgame"], site.recordings / "회의/b.wav", 0, 16)
    cut(speech["endgame"], site.recordings / "회의/c.wav", 8, 28)
    cut(speech["endgame"], site.recordings / "다른/b.wav", 0, 16)
    site.run()

    def labels() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in site.rows("speakers"):
            found.setdefault(row["path"], []).append(row["speaker"])
        return found

    first = labels()
    assert first["회의/b.wav"] == first["다른/b.wav"] == ["SPEAKER_00", "SPEAKER_01"]
    assert sorted(first["회의/c.wav"]) == ["SPEAKER_00", "SPEAKER_01"]
    assert json.loads(results.across.read_text())["folders"] == {"다른": 2, "회의": 2}
    assert {row["speaker"] for row in site.rows("segments") if row["path"] == "회의/c.wav"} <= set(first["회의/c.wav"])

    # Another night: one who reads alone, first by name and yet a new voice; nothing else is exported again.
    cut(speech["beckett"], site.recordings / "회의/a.wav", 0, 8)
    cut(speech["endgame"], site.recordings / "회의/d.wav", 0, 16)
    before = site.state("exported/*.json")
    site.run()
    assert labels() == first | {"회의/a.wav": ["SPEAKER_02"], "회의/d.wav": first["회의/b.wav"]}
    after = site.state("exported/*.json")
    assert len(after) == len(before) + 1
    assert before.items() <= after.items()
    assert site.jobs()["export"] == 1

    where = ["--results", str(results.root)]
    site.tell("speakers", "name", "회의/d.wav", "SPEAKER_01=넬", *where)
    site.tell("speakers", "name", "회의/a.wav", "SPEAKER_02=베케트", *where)
    for name in ("b", "c", "d"):
        assert "[넬] " in (results.transcripts / f"회의/{name}.wav.txt").read_text()
    assert "넬" not in (results.transcripts / "다른/b.wav.txt").read_text()
    assert {row["name"] for row in site.rows("speakers")} == {None, "넬", "베케트"}
    site.run()
    assert not site.jobs(), "names are nothing new"

    # The first one goes, another one is replaced by whoever reads alone: labels and names of the others stay.
    named = {row["path"]: row["name"] for row in site.rows("speakers") if row["name"]}
    site.tell("forget", "회의/b.wav", *where)
    cut(speech["beckett"], site.recordings / "회의/c.wav", 0, 9)
    site.run()
    assert labels() == {
        "다른/b.wav": ["SPEAKER_00", "SPEAKER_01"],
        "회의/a.wav": ["SPEAKER_02"],
        "회의/c.wav": ["SPEAKER_02"],
        "회의/d.wav": ["SPEAKER_00", "SPEAKER_01"],
    }
    kept = {row["path"]: row["name"] for row in site.rows("speakers") if row["name"]}
    assert kept == {"회의/a.wav": "베케트", "회의/c.wav": "베케트", "회의/d.wav": named["회의/d.wav"]}

    # Killed while it names, whatever it had done: the next run brings the names into everything.
    add_names(results, [Given("회의/", "SPEAKER_00", "네이그")])
    results.naming.touch()
    site.run()
    assert "[네이그] " in (results.transcripts / "회의/d.wav.txt").read_text()
    assert {row["name"] for row in site.rows("speakers") if row["path"] == "회의/d.wav"} == {"네이그", "넬"}

    site.run(speakers_across=False)
    assert labels()["회의/a.wav"] == ["SPEAKER_00"]
    assert "[SPEAKER_01] " in (results.transcripts / "회의/d.wav.txt").read_text(), "a name was the folder's"
