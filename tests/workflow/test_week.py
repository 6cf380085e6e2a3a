"""A week of a drop folder: each night reads what is new, and nothing else.

`pytest -m slow -s tests/workflow/test_week.py` prints the table of docs/decisions/workflow.md.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from snakescribe.ending import Ending
from tests.workflow.faults import cached
from tests.workflow.runs import Site, cut

SETTLE = 3600
NIGHTS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Folder:
    """Calls of five seconds, each another piece of the sample, as somebody's recorder and copying leave them."""

    def __init__(self, site: Site, sample: Path) -> None:
        self.site, self._sample, self._calls = site, sample, 0

    def call(self, name: str) -> Path:
        """A call that was there long before the night."""
        path = self.site.recordings / name
        path.parent.mkdir(exist_ok=True)
        cut(self._sample, path, self._calls * 3.5, 5)
        self._calls += 1
        return self.old(path)

    def copying(self, name: str) -> tuple[Path, bytes]:
        """One of which the first half has been copied so far, and what it is to be."""
        whole = self.call(name)
        content = whole.read_bytes()
        whole.write_bytes(content[: len(content) // 2])
        return whole, content

    def old(self, path: Path) -> Path:
        evening = time.time() - 2 * SETTLE
        os.utime(path, (evening, evening))
        return path


@pytest.mark.slow
def test_a_week(tmp_path: Path, speech: dict[str, Path], models_root: Path) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en", "settle": SETTLE})
    folder = Folder(site, speech["two_cities"])
    lines: list[str] = []

    def night(what: str, texts: int, rows: int, removed: int, failed: int = 0) -> None:
        """A run: so many texts that were not there, so many rows in the end, gone from the folder, failed."""
        before = cached(site)
        began = time.monotonic()
        ended = site.run(code=1 if failed else 0)
        seconds = time.monotonic() - began
        ending = Ending.model_validate_json(site.results.ending.read_bytes())
        after = cached(site)
        assert {key: after[key] for key in before} == before
        assert (len(after) - len(before), ending.transcribed) == (texts, texts), ended.said
        there = site.rows()
        assert len(there) == rows
        assert sum(row["source_state"] == "removed" for row in there) == removed
        assert sum(row["status"] == "failed" for row in there) == failed
        texts_of: dict[str, set[str]] = {}
        for row in there:
            texts_of.setdefault(row["sha256"], set()).add(row["text"])
        assert all(len(texts) == 1 for texts in texts_of.values()), "one content, one text"
        jobs = site.jobs()
        lines.append(f"| {NIGHTS[len(lines)]} | {what} | {texts} | {rows} | {jobs.total()} | {seconds:.1f} |")

    for number in range(6):
        folder.call(f"통화 {number}.wav")
    half, whole = folder.copying("회의.wav")
    part = folder.call("download.wav").rename(site.recordings / "download.wav.part")
    night("six calls; one half copied, one `.part`", texts=6, rows=6, removed=0)

    half.write_bytes(whole)
    folder.old(half)
    part.rename(part.with_suffix(""))
    (site.recordings / "통화 0 (1).wav").write_bytes((site.recordings / "통화 0.wav").read_bytes())
    folder.old(site.recordings / "통화 0 (1).wav")
    night("both are whole; a copy under another name", texts=2, rows=9, removed=0)

    night("nothing", texts=0, rows=9, removed=0)

    (site.recordings / "통화 1.wav").rename(site.recordings / "환불 1.wav")
    (site.recordings / "3월").mkdir()
    (site.recordings / "통화 2.wav").rename(site.recordings / "3월/통화 2.wav")
    away = (site.recordings / "통화 3.wav").rename(tmp_path / "away.wav")
    night("one renamed, one moved into a folder, one taken away", texts=0, rows=11, removed=3)

    folder.call("통화 4.wav")
    broken = site.recordings / "깨진.mp3"
    broken.write_bytes(b"no recording " * 50)
    folder.old(broken)
    night("another call under an old name; a broken file", texts=1, rows=12, removed=3, failed=1)

    away.rename(site.recordings / "통화 3.wav")
    broken.write_bytes(folder.call("good.wav").rename(tmp_path / "good.wav").read_bytes())
    folder.old(broken)
    night("one is back; the broken one was copied again", texts=1, rows=12, removed=2)

    night("nothing", texts=0, rows=12, removed=2)
    assert not site.jobs(), "an idle night has no job"
    print("\n| night | in the folder | texts read | rows | jobs | s |\n|---|---|---|---|---|---|", *lines, sep="\n")
