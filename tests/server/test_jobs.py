"""Jobs: from 202 to the transcript, or to the reason why there is none."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast
from unicodedata import normalize
from urllib.parse import unquote

import pysubs2
import pytest

from snakescribe.server.intake import Ticket
from snakescribe.server.routes.jobs import progress_of
from tests.server.handling import Clips, ended, held, job, leftovers, queue, until
from tests.server.serving import PATIENCE, Served, scratch, serving

AT_ONCE = 4
WAITING = 3
LONG = 720.0
"""Seconds that take several turns even where two minutes are read in a second."""
BECKETT = re.compile(r"fail better", re.IGNORECASE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What jobs may name."""
    return tmp_path_factory.mktemp("녹음 파일")


@pytest.fixture(scope="module")
def server(models_root: Path, folder: Path) -> Iterator[Served]:
    options = {"model": "tiny.en", "cache.mode": "off", "server.folder": str(folder), "server.jobs": WAITING}
    with scratch() as state, serving(models_root, Path(state), options=options) as served:
        served.wait_ready()
        yield served


@pytest.fixture(autouse=True)
def nothing_is_left(server: Served) -> Iterator[None]:
    """After every test all uploads, samples and journalled texts are gone."""
    yield
    until(lambda: not leftovers(server), lambda: leftovers(server))


def test_life_of_a_job(server: Served, clips: Clips) -> None:
    with held(server):
        jobs = [queue(server, clips.make(name=f"회의 녹음 ({number}차).wav")) for number in range(AT_ONCE + 2)]
        running = [until(lambda known=known: _decoded(server, known)) for known in jobs[:AT_ONCE]]
        waiting = [job(server, known) for known in jobs[AT_ONCE:]]
    for known in running:
        assert known["state"] == "running" and known["position"] is None and known["error"] is None
        assert known["progress"] == {"audio_seconds": 9.5, "done_seconds": 0.0, "remaining_seconds": None}
        assert known["links"].keys() == {"self"}
    assert [(known["state"], known["position"], known["progress"]) for known in waiting] == [
        ("queued", 0, None),
        ("queued", 1, None),
    ]
    for number, known in enumerate(jobs):
        done = ended(server, known)
        assert done["state"] == "done" and done["error"] is None and done["progress"] is None
        assert done["name"] == f"회의 녹음 ({number}차).wav"
        assert done["created_at"] <= done["finished_at"]
    _check_texts(server, done, f"회의 녹음 ({number}차)")


def _decoded(server: Served, known: dict[str, Any]) -> dict[str, Any] | None:
    found = job(server, known)
    return found if found["progress"] and found["progress"]["audio_seconds"] else None


def _check_texts(server: Served, done: dict[str, Any], stem: str) -> None:
    texts = {}
    types = {"json": "application/json", "txt": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
    types["ass"] = "text/x-ssa"
    assert done["links"].keys() == {"self", *types}
    for form, kind in types.items():
        answer = server.http.get(done["links"][form])
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
        given, name = answer.headers["content-disposition"].split("; filename*=UTF-8''")
        assert given == "attachment" and unquote(name) == f"{stem}.{form}"
        texts[form] = answer
    assert BECKETT.search(texts["txt"].text)
    assert " ".join(texts["txt"].text.split()) == texts["json"].json()["text"]
    assert texts["json"].json()["segments"][0]["start"] < 2
    assert BECKETT.search(pysubs2.SSAFile.from_string(texts["srt"].text, format_="srt")[-1].plaintext)
    assert texts["vtt"].text.startswith("WEBVTT")


def test_progress_of_a_long_one(server: Served, clips: Clips) -> None:
    known = queue(server, clips.make(LONG))
    seen: list[dict[str, Any]] = []

    def finished() -> bool:
        found = job(server, known)
        if found["progress"] and found["progress"] not in seen:
            seen.append(found["progress"])
        return bool(found["state"] == "done")

    until(finished, known)
    lengths = [progress["audio_seconds"] for progress in seen]
    assert lengths == sorted(lengths, key=lambda seconds: seconds is not None) and set(lengths) <= {None, LONG}
    done = [progress["done_seconds"] for progress in seen]
    assert done == sorted(done), seen
    assert any(0 < seconds < LONG for seconds in done), seen
    first = next(seconds for seconds in done if seconds)
    assert all(progress["remaining_seconds"] is None for progress in seen if progress["done_seconds"] <= first), seen
    assert server.http.get(job(server, known)["links"]["json"]).json()["duration"] == LONG


def test_what_remains_by_what_this_process_has_read() -> None:
    """Half an hour was read by an earlier one, ten minutes in the five before the last step, two seconds ago."""
    now = time.monotonic()
    ticket = Ticket("key", cast(Any, None), cast(Any, None), audio_seconds=7200.0)
    ticket.steps, ticket.done = [(now - 7, 0.25), (now - 2, 1 / 3)], 1 / 3
    told = progress_of(ticket).remaining_seconds
    assert told is not None and 37.0 < told <= 38.0
    ticket.steps = [(now - 95, 0.25), (now - 90, 1 / 3)]
    assert progress_of(ticket).remaining_seconds == 0.0


def test_words_and_language_are_asked_for_like_in_a_request(server: Served, clips: Clips) -> None:
    done = ended(server, queue(server, clips.make(), **{"timestamp_granularities[]": "word", "language": "en"}))
    found = server.http.get(done["links"]["json"]).json()
    assert [word["word"] for word in found["words"]] == found["text"].split()
    done = ended(server, queue(server, clips.make(), timestamp_granularities="word"))
    assert server.http.get(done["links"]["json"]).json()["words"], "as clients without brackets ask"
    clip = clips.make()
    texts = [ended(server, queue(server, clip, **more)) for more in ({}, {"keywords[]": "EVER TRIED, EVER FAILED"})]
    plain, expected = (server.http.get(one["links"]["txt"]).text for one in texts)
    assert plain != expected
    refused = server.http.post("/v1/jobs", files={"file": clips.make().open("rb")}, data={"task": "translate"})
    assert refused.status_code == 400 and "cannot translate" in refused.json()["error"]["message"]


def test_failed_says_why_and_has_no_transcript(server: Served, tmp_path: Path) -> None:
    letter = tmp_path / "편지.wav"
    letter.write_text("This is no recording.", encoding="utf-8")
    failed = ended(server, queue(server, letter))
    assert failed["state"] == "failed" and failed["links"].keys() == {"self"}
    assert failed["error"]["code"] == "unreadable_recording" and failed["error"]["message"]
    assert failed["finished_at"] >= failed["created_at"]
    answer = server.http.get(f"{failed['links']['self']}/transcript.txt")
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "not_done"
    assert 'snakescribe_errors_total{error="UnreadableRecording"}' in server.http.get("/metrics").text


def test_cancelled_running_and_queued(server: Served, clips: Clips) -> None:
    with held(server):
        jobs = [queue(server, clips.make(30)) for _ in range(AT_ONCE + 2)]
        until(lambda: _decoded(server, jobs[0]))
        for known in (jobs[0], jobs[-1]):
            answer = server.http.delete(known["links"]["self"])
            assert answer.status_code == 200 and answer.json()["state"] == "cancelled"
            assert not (server.state / "uploads" / known["id"]).exists()
        until(lambda: job(server, jobs[AT_ONCE])["state"] == "running", "the place is free for the next one")
        assert job(server, jobs[-1])["state"] == "cancelled"
        for known in jobs[1 : AT_ONCE + 1]:
            server.http.delete(known["links"]["self"])
        until(lambda: not list((server.state / "work").iterdir()), "their samples are gone at once")
    done = ended(server, queue(server, clips.make()))
    assert server.http.delete(done["links"]["self"]).json() == done  # it has ended: now it is erased
    assert server.http.get(done["links"]["self"]).status_code == 404
    assert server.http.get(done["links"]["txt"]).status_code == 404
    assert server.http.delete("/v1/jobs/job_0").status_code == 404


def test_what_the_disk_refuses_for_a_moment_is_not_lost(server: Served, clips: Clips) -> None:
    """A folder in place of the transcript can neither be read nor removed, whoever asks."""
    done = ended(server, queue(server, clips.make()))
    transcript = server.state / f"jobs/{done['id']}.transcript"
    aside = transcript.rename(server.folder / "aside")
    transcript.mkdir()
    for method, link in (("GET", done["links"]["txt"]), ("DELETE", done["links"]["self"])):
        assert server.http.request(method, link).status_code == 500
        assert job(server, done) == done
    transcript.rmdir()
    aside.rename(transcript)
    assert BECKETT.search(server.http.get(done["links"]["txt"]).text)
    assert server.http.delete(done["links"]["self"]).json() == done
    assert server.http.get(done["links"]["self"]).status_code == 404
    assert not list((server.state / "jobs").glob(f"{done['id']}*"))


def test_a_damaged_transcript_is_said_so(server: Served, clips: Clips) -> None:
    done = ended(server, queue(server, clips.make()))
    (server.state / f"jobs/{done['id']}.transcript").write_text("{")
    answer = server.http.get(done["links"]["txt"])
    assert answer.status_code == 500 and "send the recording again" in answer.json()["error"]["message"]
    assert server.http.delete(done["links"]["self"]).json() == done


def test_too_many_are_told_to_come_back(server: Served, clips: Clips) -> None:
    with held(server):
        jobs = [queue(server, clips.make()) for _ in range(AT_ONCE)]
        until(lambda: all(job(server, known)["state"] == "running" for known in jobs))
        jobs += [queue(server, clips.make()) for _ in range(WAITING)]
        files = set((server.state / "uploads").iterdir())
        for fields in ({"files": {"file": clips.make().open("rb")}}, {"data": {"path": "nothing.wav"}}):
            refused = server.http.post("/v1/jobs", **fields)  # type: ignore[arg-type]
            assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
            assert refused.json()["error"]["type"] == "rate_limit_error"
        assert set((server.state / "uploads").iterdir()) == files
    assert {ended(server, known)["state"] for known in jobs} == {"done"}


def test_too_many_at_once_find_no_more_places(server: Served, clips: Clips) -> None:
    """Their last bytes come together, and the recordings take a while to copy."""
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
    together, kind = threading.Barrier(20), {"content-type": "multipart/form-data; boundary=x"}

    def body() -> Iterator[bytes]:
        yield head.encode() + bytes(8_000_000)
        together.wait(PATIENCE)
        yield b"\r\n--x--\r\n"

    with held(server), ThreadPoolExecutor(together.parties) as pool:
        jobs = [queue(server, clips.make()) for _ in range(AT_ONCE)]
        until(lambda: all(job(server, known)["state"] == "running" for known in jobs))
        posts = [
            pool.submit(server.http.post, "/v1/jobs", content=body(), headers=kind) for _ in range(together.parties)
        ]
        taken = [post.result().json() for post in posts if post.result().status_code == 202]
        assert len(taken) == WAITING
        for known in taken:
            server.http.delete(known["links"]["self"])
        for _ in range(WAITING):  # what is not taken gives its place back
            assert server.http.post("/v1/jobs", data={"path": "missing.wav"}).status_code == 404
        jobs += [queue(server, clips.make()) for _ in range(WAITING)]
        for known in jobs:
            server.http.delete(known["links"]["self"])


def test_path_below_the_folder(server: Served, folder: Path, clips: Clips, tmp_path: Path) -> None:
    for name in ("a.wav", "둘째 회의/b {1} 'x'.wav", "link.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        if name == "link.wav":
            (folder / name).symlink_to(folder / "a.wav")
        else:
            (folder / name).write_bytes(clips.make().read_bytes())
        answer = server.http.post("/v1/jobs", data={"path": name})
        assert answer.status_code == 202, answer.text
        done = ended(server, answer.json())
        assert done["state"] == "done" and done["name"] == Path(name).name
        _check_texts(server, done, Path(name).stem)
        assert (folder / name).exists()  # not ours: it stays
    for number, forms in enumerate((("NFD", "NFD"), ("NFC", "NFD"), ("NFD", "NFC"))):  # the first as a Mac writes it
        typed = f"셋째 회의 {number}/요약.wav"
        apart = folder.joinpath(*(normalize(form, part) for form, part in zip(forms, typed.split("/"), strict=True)))
        apart.parent.mkdir()
        apart.write_bytes(clips.make().read_bytes())
        answer = server.http.post("/v1/jobs", data={"path": typed, "stream": "true"})
        assert (answer.status_code, answer.headers["x-snakescribe-ignored"]) == (202, "stream")
        assert ended(server, answer.json())["state"] == "done"
    outside = clips.make(name="outside.wav")
    (folder / "out.wav").symlink_to(outside)
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    wrong = [str(outside), "out.wav", "loop.wav", "missing.wav", "둘째 회의", "", "x" * 300]
    wrong += [f"../{outside.parent.name}/outside.wav", "/etc/passwd", "a.wav/b.wav"]
    for name in wrong:
        refused = server.http.post("/v1/jobs", data={"path": name})
        assert refused.status_code in (400, 404), name
        assert str(outside.parent) not in refused.text and refused.json()["error"]["param"] in ("path", "file")
    whole = str(folder / "a.wav")
    assert server.http.post("/v1/jobs", data={"path": whole}).status_code == 202  # it is below the folder
    both = server.http.post("/v1/jobs", data={"path": "a.wav"}, files={"file": outside.open("rb")})
    assert both.status_code == 400
    assert server.http.post("/v1/jobs", data={"language": "en"}).status_code == 400


def test_without_a_folder_no_path(served: Served) -> None:
    refused = served.http.post("/v1/jobs", data={"path": "a.wav"})
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "no_folder"
