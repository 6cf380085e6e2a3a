"""Callers who wait: they share work, lose patience, go away; and nothing of it is left behind."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.handling import Clips, Watch, decoded, ended, held, leftovers, queue, until
from tests.server.serving import PATIENCE, Served, scratch, serving

BECKETT = re.compile(r"fail better", re.IGNORECASE)
LONG = 600
"""Seconds of a recording that nobody waits for in these tests."""


@pytest.fixture(scope="module")
def server(models_root: Path) -> Iterator[Served]:
    options = {"model": "tiny.en", "cache.mode": "off"}
    with scratch() as state, serving(models_root, Path(state), options=options) as served:
        served.wait_ready()
        yield served


@pytest.fixture(scope="module")
def long(clips: Clips) -> Path:
    return clips.make(LONG)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(80) as pool:
        yield pool


class Caller:
    """One who posts a recording from a connection of its own, and may leave."""

    def __init__(self, served: Served, pool: ThreadPoolExecutor, source: Path, **fields: Any) -> None:
        before = served.figure("queue")
        self._http = httpx.Client(base_url=served.url, timeout=PATIENCE)
        self.answer: Future[httpx.Response] = pool.submit(self._post, source, fields)
        until(lambda: served.figure("queue") > before or self.answer.done())

    def _post(self, source: Path, fields: dict[str, Any]) -> httpx.Response:
        with source.open("rb") as file:
            return self._http.post("/v1/audio/transcriptions", files={"file": (source.name, file)}, data=fields)

    @property
    def text(self) -> str:
        answer = self.answer.result(timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["text"])

    def leave(self, served: Served) -> None:
        """Close the connection in the middle of waiting."""
        before = served.figure("queue")
        for connection in self._http._transport._pool.connections:  # type: ignore[attr-defined]
            connection._connection._network_stream.get_extra_info("socket").shutdown(2)
        until(lambda: served.figure("queue") < before)


def gone(served: Served) -> None:
    """Nothing is computed any more, nothing lies around."""
    until(lambda: not leftovers(served), lambda: leftovers(served))


def test_who_goes_away_stops_the_work(server: Served, pool: ThreadPoolExecutor, clips: Clips) -> None:
    gone(server)  # the known clip was heard
    before, watch = server.figure("audio_seconds_total"), Watch(server.state / "engine.jsonl")
    with held(server):
        callers = [Caller(server, pool, clips.make(), stream=stream) for stream in ("false", "true")]
        until(lambda: decoded(server) == [9.5, 9.5])
        time.sleep(0.2)  # it is the engine's turn now
        for caller in callers:
            caller.leave(server)
    assert server.post(clips.make(3)).status_code == 200
    gone(server)
    assert server.figure("audio_seconds_total") == before + 3
    assert len({key for key, *_ in watch.begun()}) == 1, "only the last one was read"
    posted = [line for line in server.log() if line.get("event") == "request" and line["method"] == "POST"]
    assert len(posted) == 3 and all(line["received_bytes"] > 3 * 32_000 for line in posted)


def test_who_leaves_in_the_middle_of_a_stream(server: Served, long: Path) -> None:
    before = server.figure("audio_seconds_total")
    with (
        httpx.Client(base_url=server.url, timeout=PATIENCE) as http,
        long.open("rb") as file,
        http.stream("POST", "/v1/audio/transcriptions", files={"file": file}, data={"stream": "true"}) as answer,
    ):
        first = next(line for line in answer.iter_lines() if line and not line.startswith(":"))
        assert first == "event: transcript.text.delta"
        assert b'"window"' in (server.state / "engine.jsonl").read_bytes()  # so gone() means something
    gone(server)
    assert server.figure("audio_seconds_total") == before


def test_who_leaves_at_once_leaves_nothing(server: Served, pool: ThreadPoolExecutor, long: Path) -> None:
    """While the upload is copied, ffmpeg runs, or speech is looked for: whatever comes first."""
    before = server.figure("audio_seconds_total")
    for wait in (0.0, 0.1, 0.3, 0.6):
        caller = Caller(server, pool, long)
        time.sleep(wait)
        caller.leave(server)
    gone(server)
    assert server.figure("audio_seconds_total") == before


def test_equal_content_at_once_is_computed_once(server: Served, pool: ThreadPoolExecutor, clips: Clips) -> None:
    clip, before = clips.make(), server.figure("audio_seconds_total")
    with held(server):
        callers = [Caller(server, pool, clip) for _ in range(3)]
        other = Caller(server, pool, clip, prompt="Something else.")
        until(lambda: decoded(server) == [9.5, 9.5], "one for each that is asked for")
    assert BECKETT.search(callers[0].text) and len({caller.text for caller in callers}) == 1
    assert other.text
    assert server.figure("audio_seconds_total") == before + 2 * 9.5


def test_one_leaves_and_the_other_still_gets_its_text(server: Served, pool: ThreadPoolExecutor, clips: Clips) -> None:
    clip = clips.make()
    with held(server):
        first, second = Caller(server, pool, clip), Caller(server, pool, clip)
        first.leave(server)
    assert BECKETT.search(second.text)


def test_all_leave_and_one_comes_back(server: Served, pool: ThreadPoolExecutor, clips: Clips) -> None:
    """The engine hears of the same recording again while it has not yet let go of it."""
    clip, before = clips.make(), server.figure("audio_seconds_total")
    with held(server):
        for _ in range(3):
            Caller(server, pool, clip).leave(server)
        last = Caller(server, pool, clip)
    assert len(BECKETT.findall(last.text)) == 1
    assert server.figure("audio_seconds_total") == before + 9.5
    gone(server)


def test_an_engine_that_hangs_does_not_hang_the_server(server: Served, pool: ThreadPoolExecutor, clips: Clips) -> None:
    """Also not when more is sent to it than a pipe holds (some 50 recordings)."""
    with held(server):
        callers = [pool.submit(server.post, clips.make(2.5)) for _ in range(60)]
        until(lambda: decoded(server) == [2.5] * 60)
        for _ in range(20):
            assert httpx.get(f"{server.url}/livez", timeout=PATIENCE).status_code == 200
    answers = [caller.result(timeout=PATIENCE) for caller in callers]
    assert {answer.status_code for answer in answers} == {200}
    assert all("ever" in answer.json()["text"].lower() for answer in answers)
    gone(server)


@pytest.fixture(scope="module")
def hasty(models_root: Path) -> Iterator[Served]:
    options = {"model": "tiny.en", "cache.mode": "off", "server.request_seconds": 6, "server.queue": 2}
    with scratch() as state, serving(models_root, Path(state), options=options) as served:
        served.wait_ready()
        yield served


def test_not_finished_in_time(hasty: Served, pool: ThreadPoolExecutor, clips: Clips, long: Path) -> None:
    with held(hasty):
        plain = Caller(hasty, pool, clips.make())
        stream = Caller(hasty, pool, clips.make(), stream="true")
        full = hasty.post(clips.make())
        assert full.status_code == 429 and int(full.headers["retry-after"]) > 0
        late = plain.answer.result(timeout=PATIENCE)
        assert late.status_code == 504 and late.json()["error"]["code"] == "timed_out"
        assert "/v1/jobs" in late.json()["error"]["message"]
        told = stream.answer.result(timeout=PATIENCE)
        assert told.status_code == 200  # it had begun
        events = [json.loads(line[6:]) for line in told.text.splitlines() if line.startswith("data: ")]
        assert [event["error"]["code"] for event in events] == ["timed_out"]
    gone(hasty)
    late = hasty.post(long)  # nothing is wrong with the engine: it is just long
    assert late.status_code == 504
    assert hasty.figure("audio_seconds_total") == 0
    gone(hasty)
    assert ended(hasty, queue(hasty, clips.make()))["state"] == "done"  # jobs have no limit
