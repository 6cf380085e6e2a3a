"""What made a text, as the server keeps it beside the text."""

from __future__ import annotations

import json
from pathlib import Path

from snakescribe.audio.decoder import ffmpeg_path
from tests.server.handling import Clips
from tests.server.serving import scratch, serving


def test_ffmpeg_is_the_one_that_decoded(models_root: Path, tmp_path: Path) -> None:
    """A server lives on while the system's ffmpeg is replaced by another version."""
    real, installed = ffmpeg_path(), tmp_path / "ffmpeg"

    def install(version: str) -> None:
        new = tmp_path / "new"
        new.write_text(f'#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version {version}" || exec "{real}" "$@"\n')
        new.chmod(0o755)
        new.replace(installed)

    clips, environ = Clips(models_root, tmp_path), {"IMAGEIO_FFMPEG_EXE": str(installed)}
    install("9.8-before")
    with (
        scratch() as folder,
        serving(models_root, Path(folder), options={"model": "tiny.en"}, environ=environ) as served,
    ):
        for version in ("9.8-before", "9.9-after"):
            install(version)
            before = set(Path(folder).glob("cache/*/*/*.json"))
            assert served.post(clips.make()).status_code == 200
            (made,) = set(Path(folder).glob("cache/*/*/*.json")) - before
            assert json.loads(made.read_bytes())["provenance"]["versions"].endswith(f", ffmpeg {version}")
