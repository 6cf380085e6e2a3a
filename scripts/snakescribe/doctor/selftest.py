"""An installation proves itself: its parts, its server with an upload, its workflow, and the text that comes out.

Everything is tried the way people use it: the commands, in processes of their own, on the known clip.
"""

from __future__ import annotations

import contextlib
import csv
import json
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel

from snakescribe import __version__, known_clip
from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.errors import InstallationError

COMMAND = (sys.executable, "-m", "snakescribe")
LIMIT = 600.0
"""Seconds for one step; with a large model on a slow CPU, loading alone takes a minute."""


class ProofStep(BaseModel):
    """One thing that was tried."""

    name: str
    seconds: float
    found: str
    """What came out, in a few words."""


class Proof(BaseModel):
    """Everything that was tried, and worked."""

    version: str = __version__
    steps: list[ProofStep]


def selftest(tell: Callable[[ProofStep], None]) -> Proof:
    """Try everything; ``tell`` hears of each step as it is done.

    Raises:
        InstallationError: what does not work, and what it said.
    """
    steps = []
    with tempfile.TemporaryDirectory(prefix="snakescribe selftest ") as folder:
        for name, work in (("doctor", _doctor), ("server", _server), ("workflow", _workflow)):
            began = time.monotonic()
            found = work(Path(folder))
            steps.append(ProofStep(name=name, seconds=round(time.monotonic() - began, 1), found=found))
            tell(steps[-1])
    return Proof(steps=steps)


def _doctor(folder: Path) -> str:
    """Packages, ffmpeg, weights and device, and the known clip straight through the engine."""
    done = _finished(folder, "doctor")
    return done.splitlines()[0]


def _server(folder: Path) -> str:
    """The server starts, takes an upload, and answers with the right text."""
    options = [f"server.state={folder / 'state'}", "cache.mode=off"]
    command = [*COMMAND, "serve", "--host", "127.0.0.1", "--port", "0", "--config", *options]
    with (
        (folder / "server.log").open("w+", encoding="utf-8") as log,
        _running(subprocess.Popen(command, stderr=log, cwd=folder)) as process,
    ):
        url = _listening(process, Path(log.name))
        text = _transcribed(f"{url}/v1/audio/transcriptions")
        if not known_clip.matches(text):
            raise InstallationError(f"the server heard {text!r} instead of {known_clip.TEXT!r}")
        with urllib.request.urlopen(f"{url}/", timeout=30) as page:
            if b"<html" not in page.read():
                raise InstallationError("the server's page is missing")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=LIMIT)
    return f"an upload was heard right: {text}"


def _workflow(folder: Path) -> str:
    """Snakemake turns two recordings, one with a Korean name, into tables."""
    recordings, results = folder / "recordings", folder / "results"
    recordings.mkdir()
    (recordings / "known clip.flac").write_bytes(known_clip.PATH.read_bytes())
    with wave.open(str(recordings / "아는 소리.wav"), "wb") as file:
        file.setparams((1, SAMPLE_BYTES, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(known_clip.samples().tobytes())
    paths = ["--recordings", str(recordings), "--results", str(results)]
    _finished(folder, "run", *paths, "--config", "cache.mode=off")
    with (results / "tables/recordings.tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    wrong = [row for row in rows if row["status"] != "ok" or not known_clip.matches(row["text"])]
    if wrong or len(rows) != 2:
        found = ", ".join(f"{row['path']}: {row['status']} {row['text'] or row['error_message']}" for row in rows)
        raise InstallationError(
            f"the workflow should have heard {known_clip.TEXT!r} twice; it made {found or 'nothing'}"
        )
    return f"{len(rows)} recordings heard right, on {rows[0]['device_name']}"


def _finished(folder: Path, *arguments: str) -> str:
    """Standard output of one of our commands."""
    try:
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=LIMIT, cwd=folder, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise InstallationError(f"`snakescribe {arguments[0]}` did not end within {LIMIT:g} s") from None
    if done.returncode:
        said = (done.stdout.strip().splitlines()[:1] + done.stderr.strip().splitlines()[-3:]) or ["nothing"]
        raise InstallationError(f"`snakescribe {arguments[0]}` ended with {done.returncode}: {' | '.join(said)}")
    return done.stdout


@contextlib.contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the server says it listens on."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if said.get("event") == "listening":
                    return str(said["url"])
        time.sleep(0.2)
    raise InstallationError(f"the server does not start: {' | '.join(log.read_text().strip().splitlines()[-3:])}")


def _transcribed(url: str) -> str:
    """The text of the known clip, uploaded as a form: what fails where `python-multipart` is missing."""
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="known clip.flac"\r\n\r\n'
    body = head.encode() + known_clip.PATH.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return str(json.load(answer)["text"])
    except urllib.error.HTTPError as error:
        raise InstallationError(
            f"the server refused an upload: {error.read().decode(errors='replace')[:300]}"
        ) from None
