"""Transcripts that a person has corrected, through everything that makes the texts anew; real runs."""

from __future__ import annotations

import json
from pathlib import Path

from runs import Site, cut

MINE = "1\n00:00:00,000 --> 00:00:04,000\n내가 고친 글 {그대로}\n\n"
NOTE = '{"note": "Mikrofon war aus"}'
KEPT = "2 transcripts were corrected by hand and kept; the new text is beside them as NAME.new.EXT"


def test_corrected_transcripts_survive_everything(tmp_path: Path, models_root: Path, speech: dict[str, Path]) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en", "on_error": "report", "outputs": ["json", "srt"]})
    cut(speech["beckett"], site.recordings / "통화 1.wav", 0, 5)
    (site.recordings / "broken.wav").write_bytes(b"this is no recording " * 50)
    site.run()
    folder = site.results.transcripts
    subtitles, note = folder / "통화 1.wav.srt", folder / "broken.wav.json"
    beside = folder / "통화 1.wav.new.srt"
    first = subtitles.read_text()
    subtitles.write_text(MINE)
    note.write_text(NOTE)

    def kept() -> None:
        assert subtitles.read_text() == MINE
        assert note.read_text() == NOTE

    site.run(outputs=["json", "srt", "txt"])
    assert set(site.jobs()) == {"export", "check"}
    kept()
    assert beside.read_text() == first
    assert KEPT in site.results.summary.read_text().splitlines()
    site.run(outputs=["json", "srt", "txt"])
    assert not site.jobs(), "what is kept is no reason to export again"

    assert "1 transcript was" in site.run(outputs=["json"]).said
    kept()
    assert not beside.exists()
    site.run(model="base")
    assert site.by_path()["통화 1.wav".encode()]["model"] == "base"
    kept()
    assert json.loads((folder / "통화 1.wav.json").read_text())["model"] == "base", "what nobody corrected is new"
    assert beside.exists()

    site.run("--retry-failed")
    assert (site.by_path()[b"broken.wav"]["attempt"], len(site.batches())) == (2, 2)
    kept()
    assert json.loads((folder / "broken.wav.new.json").read_text())["attempt"] == 2

    cut(speech["endgame"], site.recordings / "통화 1.wav", 12, 4)
    assert KEPT in site.run().said
    kept()
    row = site.by_path()["통화 1.wav".encode()]
    assert (row["attempt"], row["batch"]) == (2, site.batches()[-1])
    changed = beside.read_text()
    assert changed != first
    assert json.loads((folder / "통화 1.wav.json").read_text())["text"] == row["text"]

    site.tell("export", "--force", "--results", str(site.results.root))
    assert (subtitles.read_text(), json.loads(note.read_text())["attempt"]) == (changed, 2)
    assert not list(folder.rglob("*.new.*"))
    assert "by hand" not in site.results.summary.read_text()
    assert "by hand" not in site.run().said
    assert set(site.jobs()) == {"check"}
