"""Start real servers for the tests: the command, a free port, a state folder of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

PATIENCE = 600.0
"""Seconds after which a server hangs: whatever is waited for comes much sooner, however busy the machine is."""


class Served:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], url: str, key: str | None, folder: Path, log: list[str]) -> None:
        self.process, self.url, self.key, self.folder = process, url, key, folder
        self._log = log
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=PATIENCE)

    @property
    def state(self) -> Path:
        """Its ``server.state``."""
        return self.folder / "state"

    def log(self) -> list[dict[str, Any]]:
        """What it wrote so far; lines that are not JSON stand under ``plain``."""
        lines: list[dict[str, Any]] = []
        for line in list(self._log):
            try:
                lines.append(json.loads(line))
            except ValueError:
                lines.append({"plain": line})
        return lines

    def post(self, source: Path, **fields: Any) -> httpx.Response:
        """A transcription of ``source``."""
        with source.open("rb") as file:
            return self.http.post("/v1/audio/transcriptions", files={"file": (source.name, file)}, data=fields)

    def figure(self, name: str) -> float:
        """A figure of ``/metrics`` that has no labels."""
        lines = (line.split() for line in self.http.get("/metrics").text.splitlines())
        return next(float(line[1]) for line in lines if line[0] == f"snakescribe_{name}")

    @contextmanager
    def places_taken(self, count: int) -> Iterator[None]:
        """So many places are held by uploads that do not come forward."""
        address = urlsplit(self.url)
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n"
        head += "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\n"
        with ExitStack() as held:
            for _ in range(count):
                upload = held.enter_context(socket.create_connection((address.hostname, address.port)))
                upload.sendall(head.encode())
            self.wait_figure("queue", count)
            yield
        self.wait_figure("queue", 0)

    def wait_figure(self, name: str, value: float) -> None:
        """Until a figure has this value."""
        deadline = time.monotonic() + PATIENCE
        while self.figure(name) != value:
            assert time.monotonic() < deadline, f"{name} is {self.figure(name)}, not {value}"
            time.sleep(0.05)

    def engine_pid(self) -> int:
        """The engine's process: the server's child that holds the model."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return max((int(pid) for pid in children), key=_memory)

    def wait_ready(self) -> None:
        """Until ``/readyz`` says so."""
        deadline = time.monotonic() + PATIENCE
        while self.http.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, self.log()[-5:]
            time.sleep(0.2)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1])


@contextmanager
def serving(
    models_root: Path,
    folder: Path,
    key: str | None = None,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
) -> Iterator[Served]:
    """A server with its state and cache in ``folder``; the same ``folder`` again is the same server restarted.

    Args:
        models_root: the model store.
        folder: for state and cache.
        key: the API key it asks for.
        options: dotted names as of ``--config``.
        environ: more environment variables.
        before: a command that starts the server's.
    """
    env = {name: value for name, value in os.environ.items() if name not in ("STT_DEVICE", "SNAKESCRIBE_API_KEY")}
    env |= {"SNAKESCRIBE_MODELS": str(models_root), "PYTHONUNBUFFERED": "1", **(environ or {})}
    if key:
        env["SNAKESCRIBE_API_KEY"] = key
    given = {"server.state": str(folder / "state"), "cache.path": str(folder / "cache"), **(options or {})}
    command = [*before, sys.executable, "-m", "snakescribe", "serve", "--port", "0", "--config"]
    command += [f"{name}={value}" for name, value in given.items()]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, cwd=folder)
    log: list[str] = []
    found: list[str] = []
    listening = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            log.append(line.rstrip("\n"))
            if '"event": "listening"' in line:
                found.append(json.loads(line)["url"])
                listening.set()
        listening.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        assert listening.wait(PATIENCE) and found, f"the server did not start: {log}"
        yield Served(process, found[0], key, folder, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder whose name has a space and Hangul."""
    return tempfile.TemporaryDirectory(prefix="snakescribe 서버 ")
