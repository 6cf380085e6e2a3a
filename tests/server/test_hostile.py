"""Uploads, paths and keys from people who mean harm: refused in words, nothing read or left that should not be."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from snakescribe.config import load_config
from snakescribe.server.metrics import Metrics
from snakescribe.server.middleware import Gate, Middleware
from tests.server.serving import PATIENCE, Served, scratch, serving
from tests.unit.audio_files import ffmpeg

TRANSCRIPTIONS = "/v1/audio/transcriptions"
KEPT = {"lock", "engine.jsonl"}
"""What a server that has nothing to do has in its state folder."""


class Canary:
    """Things that nobody may touch: a file, a pipe, and a port of this machine."""

    def __init__(self, folder: Path, beckett: Path) -> None:
        """The file is speech, so that reading it would give a text."""
        self.file = folder / "canary.wav"
        self.file.write_bytes(beckett.read_bytes())
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/canary.wav"
        os.utime(self.file, (0, self.file.stat().st_mtime))

    def check(self) -> None:
        """It sings."""
        assert self.file.stat().st_atime == 0, "the file was read"
        with pytest.raises(BlockingIOError):
            self._listening.accept()

    def close(self) -> None:
        """No more."""
        self._listening.close()


@pytest.fixture
def canary(tmp_path: Path, beckett: Path) -> Iterator[Canary]:
    """A canary that was still alive at the end."""
    bird = Canary(tmp_path, beckett)
    yield bird
    bird.check()
    bird.close()


@pytest.fixture(autouse=True)
def nothing_left(closed: Served) -> Iterator[None]:
    """After every test: the server answers, and its disk is as it was."""
    before, lines = files(closed), len(closed.log())
    yield
    assert closed.http.get("/livez").status_code == 200
    deadline = time.monotonic() + PATIENCE
    while files(closed) != before and time.monotonic() < deadline:  # the answer is sent before the file is removed
        time.sleep(0.05)
    assert files(closed) == before
    assert not [line for line in closed.log()[lines:] if line.get("level") == "error" or "plain" in line]


def files(server: Served) -> set[str]:
    """Everything below the server's folder but its cache and what it always has."""
    found = {str(path.relative_to(server.folder)) for path in server.folder.rglob("*") if not path.is_dir()}
    kept = {f"state/{name}" for name in KEPT}
    return {name for name in found - kept if not name.startswith(("cache/", "녹음 recordings/", "state/jobs/"))}


def refused(answer: httpx.Response, status: int, code: str, param: str | None = "file") -> str:
    """An answer is OpenAI's error object; returns its message."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param), error
    assert answer.headers["x-request-id"].startswith("req_")
    return str(error["message"])


def upload(server: Served, name: str, data: bytes, path: str = TRANSCRIPTIONS, **fields: str) -> httpx.Response:
    """An upload under a name."""
    return server.http.post(path, files={"file": (name, data)}, data=fields)


def scripts(file: str, url: str) -> dict[str, str]:
    """Files that tell a reader to open others."""
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period><AdaptationSet mimeType="audio/mp4">'
        '<Representation id="1" bandwidth="64000"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
        '<image xlink:href="{}" width="9" height="9"/></svg>'
    )
    return {
        "list.m3u8": hls.format(file),
        "list.mp3": hls.format(f"file://{file}"),
        "far.m3u8": hls.format(url),
        "far.wav": hls.format(f"{url}\n#EXTINF:10,\n{file}"),
        "script.ffconcat": f"ffconcat version 1.0\nfile '{file}'\n",
        "script.wav": f"ffconcat version 1.0\nfile '{url}'\n",
        "concat.txt": f"concat:{file}|{file}",
        "dash.mpd": dash.format(url),
        "dash.mp4": dash.format(f"file://{file}"),
        "picture.svg": svg.format(url),
        "picture.mvg": f"push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 '{url}'\npop graphic-context\n",
        "stream.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "list.asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    }


@pytest.mark.parametrize("name", scripts("", ""))
def test_scripts_are_not_followed(closed: Served, canary: Canary, name: str) -> None:
    data = scripts(str(canary.file), canary.url)[name].encode()
    message = refused(upload(closed, name, data), 415, "unreadable_recording")
    assert str(canary.file) not in message and "recordings" not in message
    job = ended(closed, upload(closed, name, data, "/v1/jobs"))
    assert (job["state"], job["error"]["code"]) == ("failed", "unreadable_recording")


def test_the_canary_would_be_seen(canary: Canary) -> None:
    canary.file.read_bytes()
    with pytest.raises(AssertionError, match="the file was read"):
        canary.check()
    os.utime(canary.file, (0, canary.file.stat().st_mtime))
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(canary.url, timeout=0.1)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        canary.check()


@pytest.mark.parametrize("name", ["http", "file", "concat", "fd", "dash"])
def test_a_name_is_only_a_name(closed: Served, canary: Canary, beckett: Path, name: str) -> None:
    names = {
        "http": canary.url,
        "file": f"file:{canary.file}",
        "concat": f"concat:{canary.file}|{canary.file}",
        "fd": "pipe:0",
        "dash": "-i",
    }
    assert "fail better" in upload(closed, names[name], beckett.read_bytes()).json()["text"].lower()


HOSTILE_NAMES = {
    "parent": "../../../../../../tmp/snakescribe-escaped.wav",
    "absolute": "/tmp/snakescribe-escaped.wav",
    "windows": "..\\..\\snakescribe-escaped.wav",
    "encoded": "..%2f..%2fsnakescribe-escaped.wav",
    "null": "a\0b.wav",
    "newline": "a\r\nX-Injected: 1\r\n.wav",
    "long": "가" * 5000 + ".wav",
    "hangul": "회의 녹음 (최종) 😀.wav",
    "nfd": "회의.wav",
    "empty": "..",
    "quote": 'a"; x="b.wav',
}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names(closed: Served, beckett: Path, name: str) -> None:
    """They are taken (or refused as a form that is none), shown, and never used."""
    given = HOSTILE_NAMES[name]
    answer = upload(closed, given, beckett.read_bytes(), "/v1/jobs")
    if answer.status_code == 400:
        assert name == "long"  # a part's head has a limit
        refused(answer, 400, "invalid_form", None)
        return
    job = ended(closed, answer)
    assert job["state"] == "done", job
    assert "/" not in job["name"] and len(job["name"]) <= 255
    assert not Path("/tmp/snakescribe-escaped.wav").exists()
    transcript = closed.http.get(job["links"]["txt"])
    assert "fail better" in transcript.text.lower() and "x-injected" not in transcript.headers
    assert transcript.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    if name in ("hangul", "nfd"):
        assert job["name"] == given and quote(given.removesuffix(".wav")) in transcript.headers["content-disposition"]


def test_a_name_that_no_disk_can_hold(closed: Served, beckett: Path) -> None:
    """An encoding of the sender's choice can make characters that UTF-8 has no form for."""
    part = b'Content-Disposition: form-data; name="file"; filename="a\\ud800b.wav"\r\n\r\n' + beckett.read_bytes()
    prompt = b'Content-Disposition: form-data; name="prompt"\r\n\r\na\\ud800b'
    kind = "multipart/form-data; boundary=x; charset=unicode_escape"
    job = ended(closed, closed.http.post("/v1/jobs", content=multipart(part), headers={"Content-Type": kind}))
    assert job["state"] == "done" and job["name"] == "a\\ud800b.wav"
    answer = closed.http.post("/v1/jobs", content=multipart(part, prompt), headers={"Content-Type": kind})
    refused(answer, 400, "invalid_value", "prompt")


def test_what_is_no_recording(closed: Served, tmp_path: Path) -> None:
    refused(upload(closed, "empty.wav", b""), 422, "empty_recording")
    refused(upload(closed, "noise.mp3", random.Random(4).randbytes(200_000)), 415, "unreadable_recording")
    refused(upload(closed, "null.wav", bytes(200_000)), 415, "unreadable_recording")
    picture, film = tmp_path / "picture.png", tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=1", "-frames:v", "1", str(picture))
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5", "-t", "2", str(film))
    for source in (picture, film):
        for name in (source.name, "renamed.wav"):
            refused(upload(closed, name, source.read_bytes()), 415, "no_audio_track")
    bare = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\xff\xff\xff\xff"
    refused(upload(closed, "bare.wav", bare), 422, "empty_recording")


def test_hours_of_silence_in_a_small_file(closed: Served, tmp_path: Path) -> None:
    bomb = tmp_path / "silence.flac"
    quiet = ["-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", str(12 * 3600)]
    ffmpeg(*quiet, "-frame_size", "16384", "-compression_level", "0", str(bomb))
    assert bomb.stat().st_size < 400_000  # 1.4 GB when decoded
    largest, over = 0, threading.Event()

    def look() -> None:
        nonlocal largest
        while not over.wait(0.005):
            with contextlib.suppress(OSError):
                largest = max(largest, sum(path.stat().st_size for path in (closed.state / "work").iterdir()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        message = refused(upload(closed, "quiet.flac", bomb.read_bytes()), 422, "too_long")
    finally:
        over.set()
        looking.join()
    assert message == "the recording is longer than 1 minutes, which is the limit here"
    assert 0 < largest < 5_000_000, "it is not decoded to its end"
    assert ended(closed, upload(closed, "quiet.flac", bomb.read_bytes(), "/v1/jobs"))["error"]["code"] == "too_long"


def multipart(*parts: bytes) -> bytes:
    """A body with ``x`` as boundary."""
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"


FILE = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
BROKEN = {
    "tiny fields": multipart(*[b'Content-Disposition: form-data; name="a%d"\r\n\r\n' % n for n in range(10_000)]),
    "tiny files": multipart(*[FILE.replace(b"a.wav", b"%d" % n) for n in range(10_000)]),
    "no name": multipart(b'Content-Disposition: form-data; filename="a.wav"\r\n\r\nx'),
    "no head": multipart(b"\r\nx"),
    "another boundary": b"--y\r\n" + FILE + b"x\r\n--y--\r\n",
    "no end": b"--x\r\n" + FILE + b"x",
    "endless head": multipart(b"X-Much: " + b"x" * 500_000 + b"\r\n" + FILE),
    "many heads": multipart(b"X-Much: x\r\n" * 50_000 + FILE),
    "large field": multipart(b'Content-Disposition: form-data; name="prompt"\r\n\r\n' + b"x" * 100_000),
    "nothing": b"",
}


@pytest.mark.parametrize("path", [TRANSCRIPTIONS, "/v1/audio/translations", "/v1/jobs"])
@pytest.mark.parametrize("name", BROKEN)
def test_forms_that_are_none(closed: Served, name: str, path: str) -> None:
    answer = closed.http.post(path, content=BROKEN[name], headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/json", "text/plain; charset=\xff", "x", "", None])
def test_bodies_of_another_kind(closed: Served, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind.encode("latin-1")}
    for body in (BROKEN["no end"], b'{"file": "x"}', b"file=x"):
        assert closed.http.post(TRANSCRIPTIONS, content=body, headers=headers).status_code == 400


def test_fields_in_an_url_encoded_form(closed: Served) -> None:
    refused(closed.http.post(TRANSCRIPTIONS, data={"file": "x", "model": "whisper-1"}), 400, "invalid_value")


@pytest.mark.parametrize("path", [TRANSCRIPTIONS, "/v1/jobs"])
def test_more_bytes_than_allowed(closed: Served, path: str) -> None:
    refused(upload(closed, "a.wav", bytes(2_100_000), path), 413, "too_large")
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        yield b"--x\r\n" + FILE
        for _ in range(200):
            sent += 100_000
            yield bytes(100_000)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}  # and chunked, without a length
    whole = b"--x\r\n" + FILE + bytes(2_000_000) + b"\r\n--x--\r\n"  # too large with its last piece
    refused(closed.http.post(path, content=iter([whole]), headers=kind), 413, "too_large")
    refused(closed.http.post(path, content=pieces(), headers=kind), 413, "too_large")
    log = [line for line in closed.log() if line.get("event") == "request"][-1]
    ahead = 65_536 + 262_144  # uvicorn stops reading above the first, asyncio reads up to the second at once
    assert log["status"] == 413 and log["received_bytes"] <= 2_000_000 + ahead


def test_an_upload_that_does_not_end(models_root: Path) -> None:
    with (
        scratch() as folder,
        serving(models_root, Path(folder), options={"model": "tiny.en", "server.request_seconds": 1.5}) as server,
    ):
        address = urlsplit(server.url)
        for path in (TRANSCRIPTIONS, "/v1/jobs"):
            began = time.monotonic()
            with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as slow:
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                slow.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n" + FILE)
                stop = threading.Event()
                trickling = threading.Thread(target=trickle, args=(slow, stop))
                trickling.start()
                try:
                    answer = http.client.HTTPResponse(slow)
                    answer.begin()
                    assert answer.status == 408 and b'"timed_out"' in answer.read()
                finally:
                    stop.set()
                    trickling.join()
            assert time.monotonic() - began > 1
            server.wait_figure("queue", 0)
        assert not any((server.state / "uploads").iterdir())


def trickle(slow: socket.socket, stop: threading.Event) -> None:
    """A byte now and then."""
    while not stop.wait(0.05):
        slow.send(b"x")


def test_clients_that_go_away_in_the_middle(closed: Served, two_cities: Path) -> None:
    address = urlsplit(closed.url)
    body = b"--x\r\n" + FILE + two_cities.read_bytes()[:1_900_000]
    end = b'\r\n--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n--x--\r\n'
    for sent in (body[: len(body) // 2], body + end):
        with socket.create_connection((address.hostname, address.port)) as client:
            head = f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {closed.key}\r\n"
            head += f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body + end)}\r\n\r\n"
            client.sendall(head.encode() + sent)
            closed.wait_figure("queue", 1)
        closed.wait_figure("queue", 0)


def ended(server: Served, answer: httpx.Response) -> dict[str, Any]:
    """A job once it has ended."""
    assert answer.status_code == 202, answer.text
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        job: dict[str, Any] = server.http.get(answer.headers["location"]).json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"the job does not end: {job}")


@pytest.fixture
def shelf(closed: Served, canary: Canary, beckett: Path) -> Iterator[Path]:
    """The server's folder, with a recording and with ways out of it."""
    folder = closed.folder / "녹음 recordings"
    (folder / "안").mkdir()
    inside = folder / "안" / "좋은 것.wav"
    inside.write_bytes(beckett.read_bytes())
    (folder / "inside.wav").symlink_to(inside)
    (folder / "outside.wav").symlink_to(canary.file)
    (folder / "up").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    (folder / "device").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.wav")
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_paths_below_the_folder(closed: Served, shelf: Path) -> None:
    for path in ("안/좋은 것.wav", "inside.wav", "안/../안/./좋은 것.wav", str(shelf / "inside.wav")):
        job = ended(closed, closed.http.post("/v1/jobs", data={"path": path}))
        assert job["state"] == "done" and job["name"] == Path(path).name
    assert (shelf / "안" / "좋은 것.wav").exists()


def test_paths_that_lead_out_of_the_folder(closed: Served, shelf: Path, canary: Canary) -> None:
    sneaky = [
        "nothing.wav",
        f"../{canary.file.name}",
        "../state/engine.jsonl",
        "up/state/engine.jsonl",
        "안/../../state/lock",
        str(canary.file),
        "/etc/passwd",
        "/proc/self/environ",
        "outside.wav",
        "loop",
        "device",
        "pipe.wav",
        "안",
        ".",
        "..",
        "~",
        f"{shelf}x",
        "안/좋은 것.wav/x",
        "안\0/좋은 것.wav",
        "가" * 300,
        "a/" * 2000,
        f"file:{canary.file}",
        canary.url,
    ]
    answers = [closed.http.post("/v1/jobs", data={"path": path}) for path in sneaky]
    messages = {refused(answer, 404, "not_found", "path") for answer in answers}
    assert len(messages) == 1  # nobody learns what is there
    refused(closed.http.post("/v1/jobs", data={"path": "x" * 4097}), 400, "invalid_value", "path")
    refused(closed.http.post("/v1/jobs", data={"path": ""}), 400, "invalid_value", "file")
    refused(closed.http.post("/v1/jobs", data={"path": "inside.wav"}, files={"file": b"x"}), 400, "invalid_value")


def test_the_key(closed: Served) -> None:
    with httpx.Client(base_url=closed.url) as stranger:
        for path in ("/livez", "/readyz", "/about", "/", "/openapi.json", "/page/style.css"):
            assert stranger.get(path).status_code in (200, 503), path
        hidden = [
            "/v1/models",
            "/v1/jobs/x",
            "/v1/nothing",
            "/metrics",
            "/v1/models/tiny.en",
            "/v1/%6dodels",
            "/%76%31/models",
        ]
        hidden += [f"{path}%0A" for path in hidden] + [f"{path}/" for path in hidden]
        for path in hidden:
            answer = stranger.get(path)
            assert refused(answer, 401, "invalid_api_key", None).startswith("an API key is needed"), path
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in (TRANSCRIPTIONS, f"{TRANSCRIPTIONS}%0A", f"{TRANSCRIPTIONS}%0D%0A", "/v1/jobs%0A", "/v1/jobs/x%0A"):
            for method in ("POST", "DELETE", "PUT", "OPTIONS"):
                assert stranger.request(method, path, files={"file": b"x"}).status_code == 401, (method, path)
        assert stranger.get("//v1/models").status_code == 404

        wrong: list[bytes] = [b"Bearer wrong", b"Bearer a-ke", b"Bearer a-key-", b"Bearer a-key a-key", b"bearer A-KEY"]
        wrong += [
            b"Basic YTphLWtleQ==",
            b"Basic a-key",
            b"Bearer \xff\xfe",
            "Bearer 열쇠".encode(),
            b"Bearer " + b"x" * 9000,
        ]
        said = {
            refused(stranger.get("/v1/models", headers={"Authorization": header}), 401, "invalid_api_key", None)
            for header in wrong
        }
        assert said == {"the API key is wrong"}
        for right in (b"Bearer a-key", b"bearer a-key", b"BEARER  a-key"):
            assert stranger.get("/v1/models", headers={"Authorization": right}).status_code == 200, right


def test_a_key_that_is_not_ascii() -> None:
    """As clients send it: the bytes of UTF-8."""

    async def status(header: bytes) -> int:
        statuses: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        config, intake = load_config({"recordings": "x"}, Path(), {}), SimpleNamespace(metrics=Metrics())
        server: Any = SimpleNamespace(config=config, intake=intake)
        gate = Middleware(Gate(app, server, "열쇠 1"), server)
        scope = {"type": "http", "method": "GET", "path": "/v1/models", "headers": [(b"authorization", header)]}
        await gate(scope, receive, send)
        return statuses[0]

    assert asyncio.run(status(b"Bearer " + "열쇠 1".encode())) == 200
    for wrong in ("열쇠 2".encode(), "열쇠 1".encode("euc-kr"), b"", b"\xff"):
        assert asyncio.run(status(b"Bearer " + wrong)) == 401


def test_request_ids_are_ours_unless_harmless(closed: Served) -> None:
    given = {"mine-1.a_B": True, "x" * 65: False, 'x", "level": "error': False, "가": False, "a b": False, "": False}
    for name, taken in given.items():
        answer = closed.http.get("/livez", headers={"x-request-id": name.encode()})
        assert (answer.headers["x-request-id"] == name) is taken
