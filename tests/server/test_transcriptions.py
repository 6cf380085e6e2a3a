"""Requests that wait for their text."""

from __future__ import annotations

from pathlib import Path

from tests.server.serving import Served


def test_text_comes_from_the_engine_and_then_from_the_cache(served: Served, two_cities: Path) -> None:
    first = served.post(two_cities, response_format="verbose_json", prompt="a prompt of its own")
    assert first.status_code == 200, first.text
    assert "best of times" in first.json()["text"].lower()
    figures = served.http.get("/metrics").text
    again = served.post(two_cities, response_format="verbose_json", prompt="a prompt of its own")
    assert again.json() == first.json()
    counted = [line for line in figures.splitlines() if line.startswith("snakescribe_audio_seconds_total")]
    assert counted == [
        line
        for line in served.http.get("/metrics").text.splitlines()
        if line.startswith("snakescribe_audio_seconds_total")
    ]
