"""A step fails, its cause is mended, the same command again: nothing passes for done that is not.

Snakemake alone would find nothing to do: it puts the older version of a failed job's output back, and forgets what that
was made from.
"""

from __future__ import annotations

import os
from pathlib import Path

from runs import Site, cut

from snakescribe.files import hold_lock


def test_the_same_command_goes_on(models_root: Path, speech: dict[str, Path], tmp_path: Path) -> None:
    site = Site(tmp_path, models_root, {"model": "tiny.en", "cache": {"mode": "off"}})
    cut(speech["beckett"], site.recordings / "하나.wav", 0, 3)
    site.run()
    results, batch = site.results, "b000001"

    lock = hold_lock(results.journal(batch).with_suffix(".lock"), "")
    site.run(code=75, words=True)
    os.close(lock)
    site.run(words=True)
    assert site.rows("words"), "the batch is made with the new option"

    good = results.ledger.read_bytes()
    results.ledger.write_bytes(good[:1000])
    cut(speech["beckett"], site.recordings / "둘.wav", 3, 3)
    site.run(code=4, words=True, outputs=["txt"])
    results.ledger.write_bytes(good)
    site.run(words=True, outputs=["txt"])
    assert len(site.rows()) == 2, "the inventory sees the new recording"
    assert {path.suffix for path in results.transcripts.iterdir()} == {".txt"}, "every batch is exported anew"

    results.batch(batch).unlink()
    site.run(words=True, outputs=["txt"])
    assert results.batch(batch).exists() and site.jobs()["transcribe"] == 1
    assert "nothing new" in site.run(words=True, outputs=["txt"]).said
