"""Connections that say nothing, take nothing or leave, and what the log has of them: few descriptors, short limits."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server.handling import ended, leftovers, queue, until
from tests.server.serving import PATIENCE, Served, scratch, serving

DESCRIPTORS, LIMIT = 256, 5
ORIGIN = "https://notes.example.org"
HEADS = (b"", b"GET /livez HTTP/1.1\r\nX: ")
BIG = "/swagger/swagger-ui-bundle.js"


@pytest.fixture(scope="module")
def server(models_root: Path) -> Iterator[Served]:
    """A letter becomes 100 kB, so that a stream is more than the kernel takes (some 4 MB)."""
    options = {"model": "tiny.en", "server.proof_minutes": 60, "server.origins": json.dumps([ORIGIN])}
    options |= {"server.request_seconds": LIMIT, "glossary": json.dumps({"e": "e" * 100_000})}
    few = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh"]
    with scratch() as folder, serving(models_root, Path(folder), options=options, before=few) as served:
        served.wait_ready()
        yield served


@pytest.fixture(autouse=True)
def nothing_fails(server: Served) -> Iterator[None]:
    """Nothing goes wrong inside, and all descriptors come back."""
    lines, before = len(server.log()), descriptors(server)
    yield
    assert not [line for line in server.log()[lines:] if line.get("level") != "info"]
    until(lambda: descriptors(server) <= before + 1, lambda: descriptors(server))


def descriptors(server: Served) -> int:
    """Those that the server has open."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def connected(server: Served, *options: int) -> socket.socket:
    """A connection of its own, with a small window if the size of its buffer is given."""
    address, found = urlsplit(server.url), socket.socket()
    found.settimeout(PATIENCE)
    for size in options:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    found.connect((address.hostname, address.port))
    return found


def closed(connection: socket.socket) -> bool:
    """The server has let go of it, whether in good order or not."""
    connection.setblocking(False)
    try:
        return connection.recv(1_000_000) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def line_of(server: Served, request_id: str) -> dict[str, Any]:
    """What the log says of a request."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in server.log() if (line["event"], line.get("request_id")) == ("request", request_id)]

    (found,) = until(lines, request_id)
    return dict(found)


def head(method: str, path: str, request_id: str, *more: str) -> bytes:
    """Of a request."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", f"X-Request-Id: {request_id}", *more, "", "")).encode()


@pytest.mark.parametrize("said", HEADS)
def test_more_silent_connections_than_descriptors(server: Served, said: bytes) -> None:
    lines = len(server.log())
    with ExitStack() as stack:
        silent = []
        for _ in range(DESCRIPTORS + 44):
            silent.append(stack.enter_context(connected(server)))
            silent[-1].sendall(said)
        for _ in range(20):
            assert httpx.get(f"{server.url}/livez", timeout=PATIENCE).status_code == 200
            assert descriptors(server) < DESCRIPTORS * 3 / 4
        until(lambda: all(map(closed, silent)))
    told = [line.get("path") for line in server.log()[lines:]]
    assert [path for path in told if path != "/readyz"] == ["/livez"] * 20  # the fixture asked for that one


def test_the_oldest_of_those_that_are_kept_makes_room(server: Served) -> None:
    with ExitStack() as stack:
        kept = []
        for _ in range(DESCRIPTORS):
            kept.append(stack.enter_context(connected(server)))
            kept[-1].sendall(head("GET", "/livez", "kept"))
            assert kept[-1].recv(100_000).startswith(b"HTTP/1.1 200 OK"), "nobody who asks is put out"
        until(lambda: closed(kept[0]))
        assert httpx.get(f"{server.url}/livez", timeout=PATIENCE).status_code == 200
        assert not closed(kept[-1])


def test_heads_that_do_not_end(server: Served) -> None:
    """The first of a connection, the second, and the rest of a body that nobody waits for."""
    refused = head("POST", "/livez", "refused", "Content-Length: 1000000")
    for before in (b"", head("GET", "/livez", "kept"), refused):
        with connected(server) as slow:
            slow.sendall(before)
            if before:
                assert slow.recv(100_000)
                time.sleep(LIMIT + 1)  # it may be silent for longer here
            began = time.monotonic()
            slow.sendall(HEADS[1])
            while not closed(slow):
                time.sleep(0.1)
                try:
                    slow.send(b"x")
                except ConnectionError:
                    break
            assert LIMIT - 1 < time.monotonic() - began < PATIENCE


def test_a_connection_is_kept_while_it_asks(server: Served) -> None:
    steady = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)
    steady.connect()
    ours = steady.sock
    for _ in range(4):
        steady.request("GET", "/livez")
        assert steady.getresponse().read() == b'{"status":"alive"}'
        time.sleep(LIMIT / 2)
    assert steady.sock is ours
    steady.close()


def test_who_never_reads_is_let_go(server: Served, two_cities: Path) -> None:
    """Place and upload are free again."""
    known(server, two_cities)
    body = b'--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n--x\r\n'
    body += b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body += two_cities.read_bytes() + b"\r\n--x--\r\n"
    kind = ("Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(body)}")
    with connected(server, 1) as deaf:
        deaf.sendall(head("POST", "/v1/audio/transcriptions", "deaf", *kind) + body)
        server.wait_figure("queue", 1)
        began = time.monotonic()
        server.wait_figure("queue", 0)
        assert time.monotonic() - began > LIMIT - 1
        assert line_of(server, "deaf")["status"] == 499
        until(lambda: not leftovers(server), lambda: leftovers(server))


def test_who_reads_slowly_is_served(server: Served, two_cities: Path) -> None:
    known(server, two_cities)
    asked: dict[str, Any] = {"files": {"file": two_cities.read_bytes()}, "data": {"stream": "true"}}
    with server.http.stream("POST", "/v1/audio/transcriptions", **asked) as answer:
        size = 0
        for piece in answer.iter_raw(1_000_000):
            size += len(piece)
            time.sleep(LIMIT / 4)
    assert size > 5_000_000 and answer.status_code == 200


def known(server: Served, source: Path) -> None:
    """Its text is in the cache, so that a stream of it is there at once."""
    ended(server, queue(server, source))
    until(lambda: server.post(source).status_code == 200)


def test_lines_of_who_leaves_and_of_heads(server: Served) -> None:
    with connected(server, 1) as leaving:
        leaving.sendall(head("GET", BIG, "leaving"))
        assert leaving.recv(100)
    assert line_of(server, "leaving")["status"] == 499
    for method in ("HEAD", "GET"):
        answer = server.http.request(method, BIG, headers={"x-request-id": f"{method}-of-it"})
        line = line_of(server, f"{method}-of-it")
        assert (line["method"], line["status"], answer.status_code) == (method, 200, 200)


def test_preflights_have_a_line(server: Served) -> None:
    for method, status in (("POST", 200), ("HEAD", 200), ("PUT", 400)):
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
        answer = server.http.options("/v1/models", headers=asked)
        assert answer.status_code == status and answer.headers["access-control-allow-origin"] == ORIGIN
        line = line_of(server, answer.headers["x-request-id"])
        assert (line["method"], line["path"], line["status"]) == ("OPTIONS", "/v1/models", status)
        if status == 400:
            assert answer.text == "Disallowed CORS method"


def test_pages_of_others_find_no_keyless_server(server: Served) -> None:
    """Neither by a form that needs no preflight, nor by a name of their own that leads here; our own page does."""
    port = urlsplit(server.url).port
    own = [f"127.0.0.1:{port}", f"localhost:{port}"]
    cases = [(ORIGIN, own[0], 200), ("https://evil.example.org", own[0], 403), ("null", own[0], 403)]
    cases += [(f"http://evil.example.org:{port}", f"evil.example.org:{port}", 403)]
    cases += [(f"http://{host}", host, 200) for host in own]
    for origin, host, status in cases:
        answer = server.http.get("/v1/models", headers={"Origin": origin, "Host": host})
        assert answer.status_code == status, (origin, host)
        if status == 403:
            assert answer.json()["error"]["code"] == "origin_refused" and origin in answer.text
            assert server.http.get("/", headers={"Origin": origin, "Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/style.css"])
@pytest.mark.parametrize(
    ("asked", "status"), [("bytes=x", 400), ("x", 400), ("bytes=99999999-", 416), ("bytes=0-0", 206)]
)
def test_ranges(server: Served, path: str, asked: str, status: int) -> None:
    for method in ("GET", "HEAD"):
        answer = server.http.request(method, path, headers={"Range": asked})
        assert answer.status_code == status
        assert line_of(server, answer.headers["x-request-id"])["status"] == status
        if status == 416:
            assert answer.headers["content-range"].startswith("bytes */")
