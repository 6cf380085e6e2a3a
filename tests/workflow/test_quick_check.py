"""Weights that were damaged after they were fetched: the job says so at its start, and nothing is transcribed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runs import Site, cut

from snakescribe.models.unchanged import NOTE


def test_damaged_weights_end_the_job_with_the_sentence(
    tmp_path: Path, models_root: Path, speech: dict[str, Path]
) -> None:
    models = tmp_path / "models"
    shutil.copytree(models_root / "tiny.en", models / "tiny.en", ignore=shutil.ignore_patterns(NOTE))
    shutil.copyfile(models_root / "silero_vad.onnx", models / "silero_vad.onnx")
    site = Site(tmp_path / "site", models, {"model": "tiny.en", "device": "cpu"})
    cut(speech["beckett"], site.recordings / "one.wav", 0, 3)
    site.run()
    assert (models / "tiny.en" / NOTE).exists()
    cut(speech["beckett"], site.recordings / "two.wav", 3, 3)
    weights = models / "tiny.en/ctranslate2/model.bin"
    with weights.open("r+b") as file:
        file.seek(weights.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    said = site.run(code=5).said
    assert f"ModelError: {weights}: damaged: expected sha256 " in said and "models fetch tiny.en" in said
    assert "Traceback" not in said
