"""What machines that watch are told, and what is written into the log and what is not."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.serving import PATIENCE, Served, scratch, serving

KEY = "sk-a-key-of-ours"
ROUTE = "/v1/audio/transcriptions"
SAID = "best of times"
"""In the recording of forty-four seconds."""


@pytest.fixture(scope="module")
def guarded(models_root: Path) -> Iterator[Served]:
    """A server with a key that writes transcripts into its log."""
    with scratch() as folder, serving(models_root, Path(folder), KEY, {"server.log_text": "true"}) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """A file that is no recording."""
    path = tmp_path / "letter.wav"
    path.write_text("This is a letter.", encoding="utf-8")
    return path


def figures(server: Served) -> dict[str, float]:
    """Every sample of ``/metrics`` by name and labels, as Prometheus reads them."""
    answer = server.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {
        sample.name + "".join(f" {name}={sample.labels[name]}" for name in sorted(sample.labels)): sample.value
        for sample in samples
    }


def at_rest(server: Served) -> dict[str, float]:
    """The figures once nothing runs that other tests left behind."""
    deadline = time.monotonic() + PATIENCE
    while (told := figures(server))["snakescribe_jobs state=queued"] + told["snakescribe_jobs state=running"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return told


def test_alive_ready_and_about(served: Served) -> None:
    assert served.http.get("/livez").json() == {"status": "alive"}
    ready = served.http.get("/readyz")
    assert ready.status_code == 200
    told = ready.json()
    assert (told["status"], told["model"]) == ("ready", "base")
    assert re.fullmatch(r"(cpu|cuda) \(.+\)", told["device"])
    assert told["engine"] in ("openvino", "ctranslate2", "torch_whisper")
    about = served.http.get("/about").json()
    assert about["needs_key"] is False
    assert about["model"] == "base"
    assert {"ko", "en"} < set(about["languages"])
    assert about["tasks"] == ["transcribe", "translate"]
    assert about["max_minutes"] > 0 < about["max_upload_mb"]


def test_figures_after_a_good_and_a_bad_request(served: Served, two_cities: Path, letter: Path) -> None:
    before = at_rest(served)
    good = served.post(two_cities, prompt="a prompt that is in no cache")
    bad = served.post(letter)
    assert (good.status_code, bad.status_code) == (200, 415)
    after = figures(served)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown[f"snakescribe_requests_total route={ROUTE} status=200"] == 1
    assert grown[f"snakescribe_requests_total route={ROUTE} status=415"] == 1
    assert grown[f"snakescribe_request_seconds_count route={ROUTE}"] == 2
    assert grown["snakescribe_errors_total error=UnreadableRecording"] == 1
    assert grown["snakescribe_audio_seconds_total"] == pytest.approx(44, abs=1)
    assert grown["snakescribe_real_time_factor_count"] == 1
    assert grown["snakescribe_real_time_factor_sum"] > 0
    turns = grown["snakescribe_batch_recordings_count"]
    assert turns >= 1
    assert grown["snakescribe_batch_recordings_sum"] >= turns
    assert after["snakescribe_queue"] == 0
    assert after["snakescribe_jobs state=failed"] >= 0
    assert after["snakescribe_engine_ready"] == 1
    assert abs(time.time() - after["snakescribe_proved_timestamp_seconds"]) < 3600


def test_without_an_engine_it_is_alive_and_not_ready(models_root: Path) -> None:
    with scratch() as folder, serving(models_root, Path(folder), options={"model": "tiny.en"}) as server:
        server.wait_ready()
        os.kill(server.engine_pid(), signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while (answer := server.http.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline
        assert server.http.get("/livez").status_code == 200
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "not_ready"
        assert int(answer.headers["retry-after"]) > 0
        server.wait_ready()
        assert figures(server)["snakescribe_engine_restarts"] == 1


@pytest.mark.parametrize("given", ["a.request-7_of_mine", "x" * 64])
def test_request_id_of_the_caller_is_kept(served: Served, given: str) -> None:
    assert served.http.get("/livez", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", [b"", b"two words", b'"}, {"event": "forged', b"x" * 65, b"%0aforged", b"\xed\x95\x9c", None]
)
def test_any_other_request_id_is_ours(served: Served, given: bytes | None) -> None:
    headers = [] if given is None else [(b"x-request-id", given)]
    assert re.fullmatch("req_[0-9a-f]{32}", served.http.get("/livez", headers=headers).headers["x-request-id"])


def test_log_has_a_line_per_request_and_no_word_of_it(served: Served, two_cities: Path) -> None:
    sent = served.post(two_cities, prompt="nobody else knows this", response_format="verbose_json")
    assert SAID in sent.json()["text"].lower()
    streamed = served.post(two_cities, prompt="nobody else knows that", stream="true")
    assert SAID in streamed.text.lower()
    missing = served.http.get("/v1/jobs/job_of_nobody")
    for answer, path in ((sent, ROUTE), (streamed, ROUTE), (missing, "/v1/jobs/job_of_nobody")):
        (line,) = lines_of(served, answer.headers["x-request-id"])
        assert (line["event"], line["level"]) == ("request", "info")
        assert (line["method"], line["path"]) == (answer.request.method, path)
        assert line["status"] == answer.status_code
        assert line["seconds"] > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
        assert line["received_bytes"] == int(answer.request.headers.get("content-length", 0))
    everything = json.dumps(served.log(), ensure_ascii=False)
    assert '"plain"' not in everything
    assert SAID not in everything.lower()
    assert "nobody else" not in everything
    assert two_cities.name not in everything


def test_log_has_the_text_when_asked_and_never_a_key(guarded: Served, beckett: Path) -> None:
    assert guarded.http.get("/readyz").json()["status"] == "ready"  # needs no key, and says so:
    assert guarded.http.get("/about").json()["needs_key"] is True
    plain, streamed = guarded.post(beckett), guarded.post(beckett, stream="true")
    for answer in (plain, streamed):
        texts = [line for line in lines_of(guarded, answer.headers["x-request-id"]) if line["event"] == "transcript"]
        assert [line["text"] for line in texts] == [plain.json()["text"]]
    for header in (f"Bearer {KEY}x", f"Basic {KEY}", f"bearer{KEY}"):
        refused = guarded.http.get(f"/metrics?key={KEY}", headers={"Authorization": header})
        assert refused.status_code == 401
        assert KEY not in refused.text + str(refused.headers)
    assert guarded.http.get("/metrics").status_code == 200
    assert KEY not in json.dumps(guarded.log())


def lines_of(server: Served, request_id: str) -> list[dict[str, Any]]:
    """What the log says of a request; its line comes when the last byte has gone out."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = [line for line in server.log() if line.get("request_id") == request_id]
        if any(line["event"] == "request" for line in lines):
            return lines
        assert time.monotonic() < deadline, f"no line of {request_id}"
        time.sleep(0.05)
