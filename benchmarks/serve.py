"""What the server does under load: many clients with short clips against one, from a process of its own.

``python -m benchmarks.serve --data FOLDER`` starts a server without a cache (or takes ``--url``), has every clip of the
folder transcribed alone, then lets one client and then many post clips for a while, no two the same clip at a time
(equal content is computed once). No answer may be missing, and every text must be the one that the clip had alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

LONGEST = 15.0
"""Seconds of a clip."""
LARGEST = 8 << 20
"""Bytes of a file that may be a clip."""
PROBES = 0.05
"""Seconds between two looks at ``/livez``."""
PATIENCE = 300.0
"""Seconds that an answer may take."""


@dataclass(frozen=True)
class Server:
    """Where to post."""

    url: str
    key: str | None = None
    pid: int | None = None
    """Of a server of this machine, to see its memory."""


@dataclass(frozen=True)
class Clip:
    """A recording and what it says when nothing else is asked."""

    name: str
    data: bytes
    seconds: float
    text: str


@dataclass
class Load:
    """What some clients got in some time."""

    clients: int
    seconds: float = 0.0
    audio_seconds: float = 0.0
    took: list[float] = field(default_factory=list)
    """Seconds from a request to its text."""
    lost: list[str] = field(default_factory=list)
    """Requests without a text, and why."""
    different: list[str] = field(default_factory=list)
    """Texts that are not those of the clip alone."""

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.audio_seconds / self.seconds

    def __str__(self) -> str:
        """One line of the report."""
        times = f"{_quantile(self.took, 0.5):.2f} s, p99 {_quantile(self.took, 0.99):.2f} s"
        rate = f"{len(self.took) / self.seconds:.2f} requests/s, {self.speed:.1f} audio-seconds/s"
        return f"{self.clients} clients, {self.seconds:.0f} s: {len(self.took)} texts, {rate}; p50 {times}"


class Client:
    """One connection, kept open."""

    def __init__(self, server: Server) -> None:
        """Nothing is sent yet."""
        address = urlsplit(server.url)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(address.hostname or "", address.port, timeout=PATIENCE)
        self._headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}

    def get(self, path: str) -> int:
        """The status of a page."""
        return self._asked("GET", path, None, self._headers)[0]

    def post(self, name: str, data: bytes) -> tuple[int, str]:
        """Status and body of a transcription."""
        boundary = uuid.uuid4().hex
        lines = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="response_format"\r\n\r\nverbose_json\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip"\r\n\r\n'
        )
        body = lines.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        headers = self._headers | {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._asked("POST", "/v1/audio/transcriptions", body, headers)

    def _asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str]:
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # it is opened again by the next request
            return 0, f"{type(error).__name__}: {error}"


def read_clips(server: Server, folder: Path) -> list[Clip]:
    """Every recording of ``folder`` that is short enough, transcribed alone."""
    client, clips = Client(server), []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size <= LARGEST):
        data = path.read_bytes()
        status, body = client.post(path.name, data)
        if status == 200 and (answer := json.loads(body))["duration"] < LONGEST:
            clips.append(Clip(path.name, data, answer["duration"], answer["text"]))
    return clips


def put_under_load(server: Server, clips: Sequence[Clip], clients: int, seconds: float) -> Load:
    """Let so many clients post clips for so long; what has begun by then is waited for."""
    if len(clips) < clients:
        raise ValueError(f"{clients} clients need as many clips, not {len(clips)}")
    free, load, lock = deque(clips), Load(clients), threading.Lock()
    began = time.monotonic()

    def work() -> None:
        client = Client(server)
        while time.monotonic() < began + seconds:
            with lock:
                clip = free.popleft()
            asked = time.monotonic()
            status, body = client.post(clip.name, clip.data)
            took = time.monotonic() - asked
            with lock:
                free.append(clip)
                if status != 200:
                    load.lost.append(f"{clip.name}: {status} {body[:200]}")
                    continue
                load.took.append(took)
                load.audio_seconds += clip.seconds
                if json.loads(body)["text"] != clip.text:
                    load.different.append(f"{clip.name}: {json.loads(body)['text']!r}, alone {clip.text!r}")

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.monotonic() - began
    return load


@contextmanager
def probing(server: Server) -> Iterator[list[float]]:
    """Seconds that ``/livez`` takes meanwhile (there at the end), from a third process; infinite if it fails."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_probe, args=(server, theirs), daemon=True)
    process.start()
    ours.recv()
    times: list[float] = []
    try:
        yield times
    finally:
        ours.send(None)
        times += ours.recv()
        process.join()


def _probe(server: Server, connection: Connection) -> None:
    client, times = Client(server), []
    client.get("/livez")
    connection.send(None)
    while not connection.poll(PROBES):
        began = time.perf_counter()
        times.append(time.perf_counter() - began if client.get("/livez") == 200 else float("inf"))
    connection.send(times)


def memory(pid: int) -> dict[str, float]:
    """Resident megabytes of the server and of its engine, the largest of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {"server": _resident(pid), "engine": max((_resident(int(child)) for child in children), default=0.0)}


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _quantile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, round(share * len(times)))] if times else float("nan")


@contextmanager
def started(options: Sequence[str]) -> Iterator[Server]:
    """A server of our own, with a cache that is off and a state that goes with it."""
    with tempfile.TemporaryDirectory() as state:
        given = ["cache.mode=off", f"server.state={state}", *options]
        command = [sys.executable, "-m", "snakescribe", "serve", "--port", "0", "--config", *given]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if '"listening"' in line:
                    threading.Thread(target=process.stderr.read, daemon=True).start()
                    yield Server(json.loads(line)["url"], pid=process.pid)
                    break
            else:
                raise SystemExit(f"the server did not start: {line}")
        finally:
            process.terminate()
            process.wait()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder; what is shorter than 15 s is used")
    parser.add_argument("--seconds", type=float, default=120, help="how long the many clients post")
    parser.add_argument("--alone", type=float, default=30, help="how long the one client posts")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--url", help="of a server that runs with cache.mode=off; left out, one is started")
    parser.add_argument("--key", default=os.environ.get("SNAKESCRIBE_API_KEY"), help="its API key")
    parser.add_argument(
        "--config", nargs="*", default=[], metavar="NAME=VALUE", help="options of the one that is started"
    )
    args = parser.parse_args()
    with ExitStack() as stack:
        server = Server(args.url, args.key) if args.url else stack.enter_context(started(args.config))
        clips = read_clips(server, args.data)
        print(f"{len(clips)} clips of {statistics.mean(clip.seconds for clip in clips):.1f} s on average")
        before = memory(server.pid) if server.pid else {}
        one = put_under_load(server, clips, 1, args.alone)
        print(one, flush=True)
        with probing(server) as live:
            many = put_under_load(server, clips, args.clients, args.seconds)
        print(many)
        print(f"{many.speed / one.speed:.2f} times as much; {len(many.lost)} lost, {len(many.different)} different")
        for line in (*one.lost, *many.lost, *one.different, *many.different):
            print(f"  {line}")
        quick, slow = (_quantile(live, share) * 1000 for share in (0.5, 0.99))
        print(f"/livez meanwhile, {len(live)} times: p50 {quick:.1f} ms, p99 {slow:.1f} ms, most {max(live):.3f} s")
        for name, megabytes in (memory(server.pid) if server.pid else {}).items():
            print(f"{name}: {before[name]:.0f} MB before, {megabytes:.0f} MB after")
    return int(bool(one.lost or many.lost or one.different or many.different))


if __name__ == "__main__":
    sys.exit(main())
