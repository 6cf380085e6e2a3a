"""Servers and engines that are killed, stopped, hang or cannot start: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import torch

from snakescribe.config import load_config
from snakescribe.errors import ConfigError
from snakescribe.server.main import api_key
from tests.conftest import ROOT
from tests.server.handling import (
    Clips,
    Watch,
    alive,
    decoded,
    descendants,
    ended,
    held,
    job,
    leftovers,
    queue,
    until,
    windows,
)
from tests.server.serving import PATIENCE, Served, scratch, serving

TINY = {"model": "tiny.en", "cache.mode": "off"}
AT_ONCE = 4
BECKETT = re.compile(r"fail better", re.IGNORECASE)


@pytest.fixture(scope="module")
def clips(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(models_root, tmp_path_factory.mktemp("clips"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """For the state of a server that is started more than once."""
    with scratch() as folder:
        yield Path(folder)


def test_killed_server_goes_on_where_it_was(models_root: Path, folder: Path, clips: Clips) -> None:
    journal = folder / "state/engine.jsonl"
    long, short = clips.make(150), clips.make()
    with serving(models_root, folder, options=TINY) as first:
        early = ended(first, queue(first, short))
        until(lambda: not leftovers(first))
        jobs = [queue(first, source) for source in (long, *(clips.make() for _ in range(AT_ONCE + 1)))]
        until(lambda: (job(first, jobs[0])["progress"] or {}).get("done_seconds"), "the long one has begun")
        processes = descendants(first.process.pid)
        first.process.kill()
        first.process.wait()
        until(lambda: not any(alive(pid) for pid in processes), "no process is left")
    before = journal.read_text(encoding="utf-8")
    assert windows(before) and '"died"' not in before
    (journal.parent / f".{'0' * 16}.part").write_text("fail better")  # killed while it rewrote its journal
    watch = Watch(journal)
    with serving(models_root, folder, options=TINY) as second:
        assert ended(second, early)["state"] == "done"
        finished = [ended(second, known) for known in jobs]
        assert {known["state"] for known in finished} == {"done"}
        until(lambda: not leftovers(second), lambda: leftovers(second))
        begun = watch.begun()
        resumed = second.http.get(finished[0]["links"]["txt"]).text
        assert resumed == second.post(long, response_format="text").text
        assert BECKETT.search(second.http.get(early["links"]["self"] + "/transcript.txt").text)
    assert begun and not windows(before) & set(begun)
    assert not [line for line in second.log() if line.get("level") == "error"]
    with serving(models_root, folder, options=TINY | {"server.keep_hours": "0.000001"}) as third:
        until(lambda: third.http.get(early["links"]["self"]).status_code == 404 and not leftovers(third))
        said = [path for path in folder.rglob("*") if path.is_file() and b"ail better" in path.read_bytes()]
        assert said == [], "forgotten, and still on the disk"


@pytest.fixture(scope="module")
def server(models_root: Path) -> Iterator[Served]:
    """Open to all, and impatient with its engine."""
    options = TINY | {"server.host": "0.0.0.0", "server.open": True, "server.proof_minutes": 0.02}
    with scratch() as state, serving(models_root, Path(state), options=options) as served:
        served.wait_ready()
        yield served


def ready(served: Served) -> int:
    """Status of ``/readyz``."""
    return served.http.get("/readyz").status_code


def test_killed_engine_is_started_again(server: Served, clips: Clips) -> None:
    clip, restarts = clips.make(60), server.figure("engine_restarts")
    with ThreadPoolExecutor(1) as pool:
        with held(server):
            jobs = [queue(server, clips.make(40)) for _ in range(2)]
            asked = pool.submit(server.post, clip)
            until(lambda: decoded(server) == [40.0, 40.0, 60.0])
            time.sleep(0.2)
            os.kill(server.engine_pid(), signal.SIGKILL)
            killed = time.time()
            until(lambda: ready(server) == 503)
            refused = server.post(clip)
            assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
            assert httpx.get(f"{server.url}/livez").status_code == 200
            until(lambda: ready(server) == 200)
            assert server.figure("proved_timestamp_seconds") > killed  # what the last engine heard says nothing
        answer = asked.result(timeout=PATIENCE)
        assert answer.status_code == 200 and BECKETT.search(answer.text)
        assert answer.json() == server.post(clip).json()
    assert {ended(server, known)["state"] for known in jobs} == {"done"}
    assert server.figure("engine_restarts") == restarts + 1
    died = [line for line in server.log() if line.get("event") == "the engine died"]
    assert died[-1]["exit_code"] == -signal.SIGKILL and died[-1]["unfinished"] >= 3


def test_an_engine_that_cannot_be_started_again_is_tried_again(server: Served) -> None:
    """There is no descriptor for its pipe for a while."""
    until(lambda: ready(server) == 200)
    _, hard = before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    engine = server.engine_pid()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (5, hard))
    os.kill(engine, signal.SIGKILL)
    try:
        until(lambda: "cannot be started again" in str(server.log()[-1]["event"]))
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
    until(lambda: ready(server) == 200)


def test_a_first_engine_that_cannot_be_started_ends_the_server(models_root: Path, tmp_path: Path) -> None:
    few = ["sh", "-c", 'ulimit -n 14; exec "$@"', "sh", str(ROOT / ".venv/bin/snakescribe"), "serve", "--port", "0"]
    options = ["--config", "model=tiny.en", f"models={models_root}", f"server.state={tmp_path}"]
    done = subprocess.run([*few, *options], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 10 and "Too many open files" in done.stderr, done.stderr


def test_engine_that_hangs_is_not_ready(server: Served) -> None:
    until(lambda: ready(server) == 200)
    with held(server):
        until(lambda: ready(server) == 503)
        why = server.http.get("/readyz").json()["error"]
        assert re.search(r"last heard \d+ s ago", why["message"])
        assert httpx.get(f"{server.url}/livez", timeout=PATIENCE).status_code == 200
    until(lambda: ready(server) == 200)


def command(models_root: Path, *arguments: str, **options: object) -> tuple[int, list[str]]:
    """Exit status and stderr of a server that does not come up."""
    environ = {name: value for name, value in os.environ.items() if name not in ("STT_DEVICE", "SNAKESCRIBE_API_KEY")}
    environ["SNAKESCRIBE_MODELS"] = str(models_root)
    given = [f"{name.replace('__', '.')}={value}" for name, value in options.items()]
    full = [sys.executable, "-m", "snakescribe", "serve", *arguments, "--config", *given]
    run = subprocess.run(full, capture_output=True, text=True, env=environ, timeout=PATIENCE, check=False)
    return run.returncode, run.stderr.splitlines()


def test_second_server_on_the_same_state(server: Served, models_root: Path) -> None:
    code, said = command(models_root, "--port", "0", server__state=server.state)
    assert code == 75 and len(said) == 1 and "another server uses" in said[0], said
    until(lambda: ready(server) == 200)


def test_a_key_of_spaces_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAKESCRIBE_API_KEY", "  ")
    with pytest.raises(ConfigError, match=r"^SNAKESCRIBE_API_KEY: the key is empty; make one with"):
        api_key(load_config({}, tmp_path, {}))


def test_open_to_all_is_warned_of(server: Served) -> None:
    warned = [line for line in server.log() if line.get("level") == "warning"]
    assert len(warned) == 1 and "SNAKESCRIBE_API_KEY" in warned[0]["event"]


def test_what_cannot_start(server: Served, models_root: Path, tmp_path: Path) -> None:
    """One line, and the exit code that a batch would have."""
    state = tmp_path / "state"
    port = str(urlsplit(server.url).port)
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.touch()
    key = tmp_path / "key"
    key.write_text("k" * 32)
    foreign = tmp_path / "foreign"
    foreign.write_text("한글키")
    (tmp_path / "old").mkdir()
    (tmp_path / "old/jobs.sqlite").touch()
    wide = ["--host", "0.0.0.0", "--port", "0"]
    for arguments, options, expected, reason in (
        (["--port", port], {}, 75, f"cannot listen on 127.0.0.1 port {port}"),
        (["--host", "203.0.113.1", "--port", "0"], {"server__key_file": key}, 2, "cannot listen on 203.0.113.1"),
        (wide, {}, 2, "set an API key"),
        (wide, {"server__key_file": missing}, 2, "cannot be read"),
        (wide, {"server__key_file": empty}, 2, "is empty"),
        (wide, {"server__key_file": foreign}, 2, "! to ~"),
        (["--port", "0"], {"server__folder": missing}, 2, "is no folder"),
        (["--port", "0"], {"model": "large-v2"}, 5, "large-v2"),
        (["--port", "0"], {"server__state": tmp_path / "old"}, 4, "jobs.sqlite: written by another version"),
    ):
        code, said = command(models_root, *arguments, **{"server__state": state} | options)
        assert code == expected and len(said) == 1 and reason in said[0], (arguments, code, said)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(models_root: Path, tmp_path: Path) -> None:
    code, said = command(models_root, "--port", "0", server__state=tmp_path / "state", device="cuda")
    assert code == 6 and len(said) == 1 and "cuda was asked for" in said[0], said


def test_told_to_stop_it_finishes_what_runs_and_keeps_the_rest(models_root: Path, folder: Path, clips: Clips) -> None:
    patient = TINY | {"server.shutdown_seconds": 2 * PATIENCE}
    with serving(models_root, folder, options=patient) as first, ThreadPoolExecutor(2) as pool:
        first.wait_ready()
        address = urlsplit(first.url)
        with held(first):
            jobs = [queue(first, clips.make()) for _ in range(AT_ONCE + 2)]
            until(lambda: job(first, jobs[AT_ONCE - 1])["state"] == "running")
            asked = [pool.submit(first.post, clips.make(), stream=stream) for stream in ("false", "true")]
            until(lambda: decoded(first) == [9.5] * (AT_ONCE + 2))
            processes = descendants(first.process.pid)
            first.process.send_signal(signal.SIGTERM)
            until(lambda: _refused(address.hostname or "", address.port or 0))
            time.sleep(0.5)
            assert first.process.poll() is None and not any(one.done() for one in asked)
        answers = [one.result(timeout=PATIENCE) for one in asked]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert all(BECKETT.search(answer.text) for answer in answers)
        assert '"transcript.text.done"' in answers[1].text
        assert first.process.wait(timeout=PATIENCE) == 0, "not until server.shutdown_seconds are over"
        until(lambda: not any(alive(pid) for pid in processes))
    events = [line.get("event") for line in first.log()]
    assert events.count("stopping") == 1 and events.count("job") == AT_ONCE
    assert not [line for line in first.log() if line.get("level") != "info"], first.log()
    stopped = time.time()
    with serving(models_root, folder, options=TINY) as second:
        finished = [ended(second, known) for known in jobs]
        assert {known["state"] for known in finished} == {"done"}
        assert [known["finished_at"] > int(stopped) for known in finished] == [False] * AT_ONCE + [True] * 2
        with held(second):  # what takes too long waits for the next start
            late = queue(second, clips.make())
            until(lambda: job(second, late)["progress"])
            second.process.send_signal(signal.SIGINT)
            until(lambda: "stopping" in [line.get("event") for line in second.log()])
            second.process.send_signal(signal.SIGINT)  # and who asks twice need not wait
            assert second.process.wait(timeout=PATIENCE) == 130
    with serving(models_root, folder, options=TINY) as third:
        assert ended(third, late)["state"] == "done"


def _refused(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False
