"""Told to stop: from the first moment on, by whoever ignores nothing else, and nobody gets an empty answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.server.handling import Clips, alive, decoded, descendants, ended, held, job, queue, until
from tests.server.serving import PATIENCE, scratch, serving

TINY = {"model": "tiny.en", "cache.mode": "off"}
AT_ONCE = 4


@contextmanager
def deaf(models_root: Path, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that SIGTERM cannot end unless it listens to it, as process 1 of a container is."""
    environ = os.environ | {"SNAKESCRIBE_MODELS": str(models_root), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "snakescribe", *arguments]
    process = subprocess.Popen(
        command, cwd=folder, env=environ, preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def listens(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM (proc(5), ``SigCgt``)."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def loaded(process: subprocess.Popen[bytes], library: str) -> bool:
    """Whether a process has a library in memory; it must not end before."""
    assert process.poll() is None
    return library in Path(f"/proc/{process.pid}/maps").read_text()


def is_engine(pid: int) -> bool:
    """Whether a process is a server's engine (or was a moment ago)."""
    with suppress(FileNotFoundError):
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@pytest.mark.parametrize("command", ["serve", "run", "selftest", "doctor"])
def test_sigterm_ends_a_command_from_its_first_import_on(models_root: Path, tmp_path: Path, command: str) -> None:
    with deaf(models_root, tmp_path, command) as process:
        until(lambda: loaded(process, "pydantic_core"))
        assert listens(process.pid)
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM


def test_a_server_that_loads_its_model_is_stopped(models_root: Path, tmp_path: Path) -> None:
    options = ("--port", "0", "--config", f"server.state={tmp_path / 'state'}", "model=tiny.en")
    with deaf(models_root, tmp_path, "serve", *options) as process:
        until(lambda: process.poll() is not None or any(map(is_engine, descendants(process.pid))))
        children = descendants(process.pid)
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0
        until(lambda: not any(alive(pid) for pid in children))


def test_a_selftest_that_is_stopped_leaves_nothing(models_root: Path, tmp_path: Path) -> None:
    with deaf(models_root, tmp_path, "selftest") as process:
        until(lambda: process.poll() is not None or descendants(process.pid))
        children = descendants(process.pid)
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
        until(lambda: not any(alive(pid) for pid in children))
    assert not list(tmp_path.glob("snakescribe selftest *"))


def test_what_takes_too_long_is_told_so_and_jobs_go_on_later(models_root: Path, clips: Clips) -> None:
    """In a container that is killed after so many seconds; docker gives ten."""
    with scratch() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        with serving(models_root, folder, options=TINY, environ={"SNAKESCRIBE_STOP_TIMEOUT": "6"}) as first:
            first.wait_ready()
            address = urlsplit(first.url)
            with held(first), socket.create_connection((address.hostname, address.port)) as upload:
                jobs = [queue(first, clips.make()) for _ in range(AT_ONCE + 1)]
                until(lambda: job(first, jobs[AT_ONCE - 1])["state"] == "running")
                asked = [pool.submit(first.post, clips.make(), stream=stream) for stream in ("false", "true")]
                until(lambda: decoded(first) == [9.5] * (AT_ONCE + 2))
                head = "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                upload.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode())
                first.process.terminate()
                plain, stream = (one.result(timeout=PATIENCE) for one in asked)
                assert (plain.status_code, plain.json()["error"]["code"]) == (503, "stopping")
                assert int(plain.headers["retry-after"]) > 0
                assert stream.status_code == 503 or '"code":"stopping"' in stream.text.replace(" ", "")
                upload.settimeout(PATIENCE)
                assert upload.recv(100).startswith(b"HTTP/1.1 503")
            assert first.process.wait(timeout=PATIENCE) == 0
        with serving(models_root, folder, options=TINY) as second:
            assert {ended(second, known)["state"] for known in jobs} == {"done"}
