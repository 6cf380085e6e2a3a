"""A disk that is full for a while: whoever asks meanwhile is told so."""

from __future__ import annotations

from pathlib import Path

from tests.disks import fill
from tests.server.handling import Clips
from tests.server.serving import serving


def test_requests_are_told_that_the_disk_is_full(models_root: Path, mounted: Path, clips: Clips) -> None:
    with serving(models_root, mounted, options={"model": "tiny.en", "cache.mode": "off"}) as server:
        server.wait_ready()
        fill(mounted)
        for path in ("/v1/jobs", "/v1/audio/transcriptions"):
            answer = server.http.post(path, files={"file": ("x.wav", bytes(1 << 21))})
            assert answer.status_code == 500 and "the server's disk is full" in answer.text
        (mounted / "filler").unlink()
        uploads = server.state / "uploads"
        uploads.rename(uploads.with_name("elsewhere"))  # stands for a disk that is read-only, or fails
        answer = server.http.post("/v1/audio/transcriptions", files={"file": ("x.wav", bytes(1 << 21))})
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
        assert any(line["event"].startswith("an upload could not be written") for line in server.log())
        uploads.with_name("elsewhere").rename(uploads)
        assert server.post(clips.make()).status_code == 200
