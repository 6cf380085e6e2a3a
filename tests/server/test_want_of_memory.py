"""An engine that dies of a recording again and again: by the kernel for want of memory, or by anybody's kill."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.server.control_group import control_group
from tests.server.handling import Clips, ended, held, job, queue, until
from tests.server.serving import PATIENCE, Served, scratch, serving

TINY = {"model": "tiny.en", "cache.mode": "off", "server.proof_minutes": 60}


def in_flight(served: Served) -> set[str]:
    """Recordings (the known clip is none) whose windows the model has before it."""
    found: set[tuple[str, int, int, int]] = set()
    lines = (served.state / "engine.jsonl").read_text(encoding="utf-8").splitlines()
    for record in [json.loads(line) for line in lines if line.endswith("}")]:
        found |= {tuple(place) for place in record.get("begun", ())}
        found -= {tuple(place) for place in (*record.get("ended", ()), *record.get("died", ()))}
    return {key for key, *_ in found if " first " not in key}


def killed_while_it_reads(served: Served) -> bool:
    """Kill the engine if it has a recording before it."""
    pid = served.engine_pid()
    with held(served):
        if reads := bool(in_flight(served)):
            os.kill(pid, signal.SIGKILL)
    return reads


def test_the_third_death_of_one_recording_is_its_end(models_root: Path, clips: Clips) -> None:
    with scratch() as name, serving(models_root, Path(name), options=TINY) as served, ThreadPoolExecutor(1) as pool:
        served.wait_ready()
        asked = pool.submit(served.post, clips.make())
        while not asked.done():
            restarts = served.figure("engine_restarts")
            if killed_while_it_reads(served):
                until(lambda before=restarts: served.figure("engine_restarts") > before)  # type: ignore[misc]
                until(lambda: served.figure("engine_ready"))
        answer = asked.result(timeout=PATIENCE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_failure")
        assert "died 3 times on this recording" in answer.json()["error"]["message"]
        served.wait_ready()
        assert "fail better" in served.post(clips.make()).text.lower()


def test_the_kernel_kills_for_memory_and_it_is_named(models_root: Path, clips: Clips) -> None:
    with scratch() as name, control_group() as group, ThreadPoolExecutor(1) as pool:
        with group.joined():
            server = serving(models_root, Path(name), options=TINY)
            served = server.__enter__()
        try:
            served.wait_ready()
            group.leave_only(15_000_000)
            asked = pool.submit(served.post, clips.make(60))
            until(lambda: served.http.get("/readyz").status_code == 503, "an engine that dies is not ready")
            answer = asked.result(timeout=PATIENCE)
            assert (answer.status_code, answer.json()["error"]["code"]) == (507, "out_of_memory")
            assert "MB" in answer.json()["error"]["message"]
            assert answer.headers["x-should-retry"] == "false"
            died = [line for line in served.log() if line.get("event") == "the engine died"]
            assert "want of memory (limit" in died[0]["why"] and died[0]["exit_code"] == -signal.SIGKILL
            waiting = queue(served, clips.make())
            group.unlimit()
            served.wait_ready()
            assert "fail better" in served.post(clips.make()).text.lower()
            assert ended(served, waiting)["state"] in ("done", "failed") and job(served, waiting)["finished_at"]
        finally:
            server.__exit__(None, None, None)
