"""The tables say what made a text: every part of it by the process that did it, on whichever machine that ran."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from snakescribe.audio import decoder
from snakescribe.cli import main
from snakescribe.config import load_config
from snakescribe.files import write_atomically
from snakescribe.inventory.take import take
from snakescribe.layout import Results


def test_ffmpeg_is_the_one_that_decoded(models_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples are made on one node, and the node that transcribes them has no ffmpeg at all."""
    (tmp_path / "in").mkdir()
    shutil.copy(models_root / "samples/beckett.wav", tmp_path / "in")
    elsewhere = tmp_path / "ffmpeg"
    elsewhere.write_text(
        f'#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version 9.9-elsewhere" || exec {decoder.ffmpeg_path()} "$@"\n'
    )
    elsewhere.chmod(0o755)
    options = {"recordings": "in", "results": "out", "models": str(models_root), "model": "tiny.en"}
    config = load_config({**options, "cache": {"mode": "off"}}, tmp_path, {})
    results = Results(Path(config.results))
    take(config)
    write_atomically(results.config, config.model_dump_json().encode())
    step = ["--config", str(results.config), "--batch", "b000001"]

    def on_a_node_with(ffmpeg: Path) -> None:
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(ffmpeg))

    on_a_node_with(elsewhere)
    assert main(["normalise", *step]) == 0
    on_a_node_with(tmp_path / "none")
    assert main(["transcribe", *step, "--threads", "2"]) == 0
    (row,) = pq.read_table(results.batch("b000001"), columns=["status", "versions"]).to_pylist()
    assert row["status"] == "ok" and row["versions"].endswith(", ffmpeg 9.9-elsewhere")
