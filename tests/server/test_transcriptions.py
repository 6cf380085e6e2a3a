"""Requests that wait for their text."""

from __future__ import annotations

import subprocess
from pathlib import Path

from snakescribe.audio.decoder import ffmpeg_path
from tests.server.serving import Served


def test_text_comes_from_the_engine_and_then_from_the_cache(served: Served, two_cities: Path) -> None:
    first = served.post(two_cities, response_format="verbose_json", prompt="a prompt of its own")
    assert first.status_code == 200, first.text
    assert "best of times" in first.json()["text"].lower()
    figures = served.http.get("/metrics").text
    again = served.post(two_cities, response_format="verbose_json", prompt="a prompt of its own")
    assert again.json() == first.json()
    assert [answer.headers["x-snakescribe-cache"] for answer in (first, again)] == ["miss", "hit"]
    counted = [line for line in figures.splitlines() if line.startswith("snakescribe_audio_seconds_total")]
    assert counted == [
        line
        for line in served.http.get("/metrics").text.splitlines()
        if line.startswith("snakescribe_audio_seconds_total")
    ]


def test_head_is_get_without_the_body(served: Served) -> None:
    for path in ("/", "/livez", "/docs", "/v1/models"):
        answer = served.http.head(path)
        assert answer.status_code == 200 and not answer.content, path
    assert served.http.head("/v1/nothing").status_code == 404


def test_a_file_without_a_header_is_read_by_its_extension(served: Served, two_cities: Path, tmp_path: Path) -> None:
    """The one thing that a name is good for: the same as in a folder."""
    command = [ffmpeg_path(), "-v", "error", "-t", "9", "-i", str(two_cities), "-ac", "1", "-ar", "8000", "-f", "mulaw"]
    subprocess.run([*command, str(tmp_path / "call.ulaw")], check=True)
    heard = served.post(tmp_path / "call.ulaw")
    assert heard.status_code == 200 and "best of times" in heard.json()["text"].lower()
    (tmp_path / "call.pcm").write_bytes((tmp_path / "call.ulaw").read_bytes())
    refused = served.post(tmp_path / "call.pcm")
    assert refused.status_code == 415 and "audio.raw: {pcm: " in refused.json()["error"]["message"]
