"""The disk fills up in the middle of a step: a clear line, exit code 4, and the next run goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runs import Site, cut, finished, journal, until

from tests.disks import fill


def test_a_full_disk_at_every_stage(tmp_path: Path, mounted: Path, models_root: Path, speech: dict[str, Path]) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en", "cache": {"mode": "off"}}, mounted / "결과 folder")
    lengths = (4, 6, 8, 10, 12, 14, 16, 20, 24)
    for seconds in lengths:
        cut(speech["two_cities"], site.recordings / f"{seconds}.wav", 0, seconds)
    results, batch = site.results, "b000001"
    free = mounted / "filler"

    def out_of_room(moment: Callable[[], object] | None = None) -> None:
        process = site.start()
        if moment:
            until(moment, process)
            fill(mounted)
        ended = finished(process, 4)
        assert "ResultsError: the disk is full" in ended.said, ended.said
        assert "free some space and run again" in ended.said
        assert "Traceback" not in ended.said
        free.unlink()

    fill(mounted, leave=1 << 20)  # less than the samples of 114 s
    out_of_room()
    assert results.manifest(batch).exists()
    assert not results.samples(batch).exists()

    out_of_room(lambda: len(journal(results.journal(batch))[1]) > 0)
    known = journal(results.journal(batch))[1]
    assert known
    assert not results.batch(batch).exists()

    out_of_room((results.root / "logs/tables.log").exists)
    transcribed = site.state("batches/*")
    assert transcribed
    assert not results.table("recordings", "parquet").exists()

    finished(site.start(), 0)
    assert not site.jobs()["transcribe"]
    assert site.state("batches/*") == transcribed
    assert [row["status"] for row in site.rows()] == ["ok"] * len(lengths)
    assert len([path for path in results.transcripts.iterdir() if path.suffix == ".txt"]) == len(lengths)
