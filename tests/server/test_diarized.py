"""Who said it, through the server: by OpenAI's client, as jobs, and what becomes of the process that hears voices."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.audio import TranscriptionDiarized

from snakescribe.server.voices import Cores
from tests.server.handling import Clips, ended, queue, until
from tests.server.serving import Served, scratch, serving
from tests.workflow.runs import Site

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of a constant in the client


@pytest.fixture(scope="module")
def site(models_root: Path) -> Iterator[Site]:
    """A batch with the dialogue of two in it, not run yet."""
    with scratch() as folder:
        site = Site(Path(folder), models_root, {"model": "tiny.en", "words": True, "speakers": "auto"})
        (site.recordings / "대화.wav").write_bytes((models_root / "samples/endgame_nagg_nell.wav").read_bytes())
        yield site


@pytest.fixture(scope="module")
def server(site: Site, models_root: Path) -> Iterator[Served]:
    """A server that shares the batch's cache."""
    options = {"model": "tiny.en", "cache.path": str(site.cache / "snakescribe"), "server.proof_minutes": 60}
    with serving(models_root, site.folder, options=options) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def client(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def hearers(server: Served) -> list[int]:
    """Processes that hear voices: all children but the engine, and what Python keeps beside them."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    spawned = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [pid for pid in spawned if pid != min(spawned)]  # the engine came first


def test_two_voices_have_the_labels_of_the_batch(site: Site, server: Served, client: openai.OpenAI) -> None:
    recording = site.recordings / "대화.wav"
    answer = client.audio.transcriptions.create(
        file=recording,
        model="whisper-1",
        response_format="diarized_json",
        chunking_strategy="auto",
        known_speaker_names=["Nagg"],
        known_speaker_references=["data:audio/wav;base64," + "A" * 430_000],  # ten seconds
    )
    assert isinstance(answer, TranscriptionDiarized) and answer.task == "transcribe"
    assert answer.duration == pytest.approx(28.4, abs=0.2) and answer.usage is not None
    assert {segment.speaker for segment in answer.segments} == {"SPEAKER_00", "SPEAKER_01"}
    assert [segment.id for segment in answer.segments] == [f"seg_{n:03d}" for n in range(len(answer.segments))]
    assert " ".join(segment.text for segment in answer.segments) == answer.text

    site.run()
    (batch,) = site.batches()
    assert f"{batch}: voices of 0 recordings to hear, 1 from the cache" in site.log()
    row = json.loads((site.results.transcripts / "대화.wav.json").read_text())
    assert [(s["start"], s["end"], s["speaker"], s["text"]) for s in row["segments"]] == [
        (s.start, s.end, s.speaker, s.text) for s in answer.segments
    ]
    again = server.post(recording, response_format="srt", speakers="1")
    assert again.headers["x-snakescribe-cache"] == "hit" and "[SPEAKER_00] " in again.text
    assert "SPEAKER_01" not in again.text
    verbose = server.post(recording, response_format="verbose_json", speakers="auto").json()
    assert {segment["speaker"] for segment in verbose["segments"]} == {"SPEAKER_00", "SPEAKER_01"}
    plain = server.post(recording, response_format="verbose_json").json()
    assert {segment["speaker"] for segment in plain["segments"]} == {None}


def test_a_stream_tells_the_text_and_then_who_said_it(client: openai.OpenAI, site: Site) -> None:
    stream = client.audio.transcriptions.create(
        file=site.recordings / "대화.wav", model="whisper-1", response_format="diarized_json", stream=True
    )
    kinds: list[Any] = []
    for event in stream:
        if not kinds or kinds[-1][0] != event.type:
            kinds.append((event.type, []))
        kinds[-1][1].append(event)
    assert [kind for kind, _ in kinds] == [f"transcript.text.{name}" for name in ("delta", "segment", "done")]
    said = [[event.delta for event in kinds[0][1]], [event.text for event in kinds[1][1]]]
    assert "".join(said[0]) == " ".join(said[1]) == kinds[2][1][0].text
    assert len({event.speaker for event in kinds[1][1]}) == 2


def test_a_job_asks_when_it_is_queued(server: Served, site: Site) -> None:
    recording = site.recordings / "대화.wav"
    asked, plain = (ended(server, queue(server, recording, **fields)) for fields in ({"speakers": "auto"}, {}))
    answer = server.http.get(asked["links"]["diarized_json"])
    assert {s["speaker"] for s in answer.json()["segments"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert ".diarized.json" in answer.headers["content-disposition"]
    assert "<v SPEAKER_01>" in server.http.get(asked["links"]["vtt"]).text
    assert "diarized_json" not in plain["links"]
    refused = server.http.get(f"{plain['links']['self']}/transcript.diarized_json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_speakers")
    assert "SPEAKER" not in server.http.get(plain["links"]["txt"]).text


def test_short_ones_do_not_wait_and_deaths_cost_nothing(server: Served, clips: Clips) -> None:
    """The voices of eleven minutes are heard; its process is killed, and so is the engine."""
    long, short = clips.make(660), clips.make(12)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.post, long, response_format="diarized_json")
        (first,) = until(lambda: hearers(server))
        for fields in ({}, {"response_format": "diarized_json"}):
            assert server.post(short, **fields).status_code == 200
        assert not waiting.done() and first in hearers(server)
        os.kill(first, signal.SIGKILL)
        until(lambda: set(hearers(server)) - {first})
        os.kill(server.engine_pid(), signal.SIGKILL)
        assert server.post(clips.make(5)).status_code in (200, 503)
        assert len({s["speaker"] for s in waiting.result().json()["segments"]}) == 3
    assert "the process that hears voices died" in [line.get("event") for line in server.log()]
    server.wait_ready()


def test_voices_that_two_ask_for_are_heard_once(server: Served, clips: Clips) -> None:
    clip = clips.make(25)
    server.post(clip, response_format="verbose_json", **{"timestamp_granularities[]": "word"})  # the same text
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(server.post, clip, response_format="srt", speakers=count) for count in ("1", "2")]
    assert sorted(one.result().headers["x-snakescribe-cache"] for one in asked) == ["hit", "miss"]
    assert ["SPEAKER_01" in one.result().text for one in asked] == [False, True]


def test_who_leaves_the_line_takes_nothing_from_those_behind(server: Served, clips: Clips) -> None:
    """Two ask the same while the voices of another one are heard; the first goes, and its upload with it."""
    clip = clips.make(12)
    server.post(clip, response_format="verbose_json", **{"timestamp_granularities[]": "word"})  # the text is known

    def uploads() -> int:
        return len(list((server.state / "uploads").glob("request-*")))

    until(lambda: not hearers(server))  # that of an earlier test may still be ending
    with ThreadPoolExecutor(3) as pool:
        heard = pool.submit(server.post, clips.make(30), response_format="diarized_json")
        (hearer,) = until(lambda: hearers(server))
        os.kill(hearer, signal.SIGSTOP)
        with httpx.Client(base_url=server.url, timeout=5) as hasty:
            files, data = {"file": clip.read_bytes()}, {"response_format": "diarized_json"}
            first = pool.submit(hasty.post, "/v1/audio/transcriptions", files=files, data=data)
            until(lambda: uploads() == 2)
            second = pool.submit(server.post, clip, response_format="diarized_json")
            until(lambda: uploads() == 3)
            with pytest.raises(httpx.ReadTimeout):
                first.result()
        until(lambda: uploads() == 2)
        os.kill(hearer, signal.SIGCONT)
        assert [one.result().status_code for one in (heard, second)] == [200, 200]
    until(lambda: not list((server.state / "work").iterdir()))


def test_a_stream_that_fails_inside_ends_with_its_error(server: Served, clips: Clips) -> None:
    """Its voices cannot be decoded when their turn comes: the folder has gone while it stood in line."""
    work, lines = server.state / "work", []
    files, data = {"file": clips.make(12).read_bytes()}, {"response_format": "diarized_json", "stream": "true"}
    until(lambda: not hearers(server))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.post, clips.make(30), response_format="diarized_json")
        (hearer,) = until(lambda: hearers(server))
        os.kill(hearer, signal.SIGSTOP)
        with server.http.stream("POST", "/v1/audio/transcriptions", files=files, data=data) as answer:
            for line in answer.iter_lines():
                lines += [line] if line.startswith("data: ") else []
                if len(lines) == 1 and work.exists():
                    work.rename(work.with_name("elsewhere"))
                    os.kill(hearer, signal.SIGKILL)
    work.with_name("elsewhere").rename(work)
    for left in work.iterdir():
        left.unlink()
    said = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert said[0]["type"] == "transcript.text.delta" and said[-1]["error"]["code"] == "internal_error"
    assert "a stream failed" in [line.get("event") for line in server.log()]


def test_a_caller_who_goes_ends_the_process(server: Served, clips: Clips) -> None:
    source = clips.make(200)
    with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=server.url, timeout=httpx.Timeout(600)) as http:
        gone = threading.Event()

        def leave() -> None:
            until(lambda: hearers(server))
            gone.set()

        threading.Thread(target=leave).start()
        with http.stream(
            "POST",
            "/v1/audio/transcriptions",
            files={"file": source.read_bytes()},
            data={"response_format": "diarized_json", "stream": "true"},
        ) as answer:
            for _ in answer.iter_lines():
                if gone.is_set():
                    break
        raise httpx.ReadTimeout("we have gone")
    until(lambda: not hearers(server))
    until(lambda: not list((server.state / "work").iterdir()))


def test_without_the_weights_it_says_what_to_fetch(models_root: Path, beckett: Path) -> None:
    with scratch() as name:
        store = Path(name, "models")
        store.mkdir()
        for path in models_root.iterdir():
            if path.name != "campplus.pt":
                (store / path.name).symlink_to(path)
        with serving(store, Path(name), options={"model": "tiny.en"}) as server:
            refused = server.post(beckett, response_format="diarized_json")
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (400, "no_speakers")
            assert "models fetch speakers" in error["message"]
            with beckett.open("rb") as file:
                job = server.http.post("/v1/jobs", files={"file": file}, data={"speakers": "2"})
            assert (job.status_code, job.json()["error"]["code"]) == (400, "no_speakers")
            assert server.post(beckett).status_code == 200


def _compute(folder: Path, number: int) -> None:
    cores = Cores(folder)
    with Path(folder, f"times {number}").open("w") as times:
        while True:
            with cores.held():
                begin = time.monotonic()
                time.sleep(0.02)
                print(begin, time.monotonic(), number, file=times, flush=True)


def test_whoever_waits_for_the_threads_is_next(tmp_path: Path) -> None:
    """Two processes that always want them compute by turns and never at once; one that dies lets go."""
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_compute, args=(tmp_path, number)) for number in (1, 2)]
    times = [tmp_path / f"times {number}" for number in (1, 2)]
    for process in both:
        process.start()
    until(lambda: all(path.exists() and path.read_text().count("\n") > 20 for path in times))  # however late one comes
    cores = Cores(tmp_path)
    with cores.held():  # a third one has its turn, too
        for process in both:
            process.kill()
            process.join()
        cores.pass_on()
    spans = sorted(tuple(map(float, line.split())) for path in times for line in path.read_text().splitlines())
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    assert [oct(path.stat().st_mode)[-3:] for path in tmp_path.glob("*.lock")] == ["600", "600"]
    together = spans[max(next(n for n, span in enumerate(spans) if span[2] == number) for number in (1, 2)) :][:40]
    assert all(earlier[2] != later[2] for earlier, later in pairwise(together))
    with cores.held():
        pass
