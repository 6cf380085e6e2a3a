"""Other people's clients: real ones, the bytes of others over a socket, a page of another origin, nginx in front."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.browser import launched, with_chromium
from tests.conftest import ROOT
from tests.server.handling import Clips, held, until
from tests.server.serving import PATIENCE, Served, scratch, serving
from tests.unit.audio_files import write_wav
from tests.unit.espeak import say

CLIENTS = ROOT / ".clients"
with_clients = pytest.mark.skipif(not (CLIENTS / ".done").exists(), reason="no clients: make .clients/.done")
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
KEY = {"Authorization": "Bearer a-key"}
ORIGIN = "http://127.0.0.1:{}"


@pytest.fixture(scope="module")
def spanish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("es") / "안녕하세요.wav"
    write_wav(path, say("Buenos días. Hoy vamos a hablar de la música. Mi hermano trabaja en la ciudad.", "es"))
    return path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a web page that is not the server's."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("<!doctype html><title>a page</title>")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield ORIGIN.format(web.server_port)
        web.shutdown()


@pytest.fixture(scope="module")
def server(models_root: Path, pages: str) -> Iterator[Served]:
    """With a key, a known origin, and names of models."""
    aliases = ["whisper-1", "gpt-4o-transcribe", "../../etc/passwd"]
    options = {"server.origins": json.dumps([pages]), "server.aliases": json.dumps(aliases), "server.proof_minutes": 60}
    with scratch() as folder, serving(models_root, Path(folder), "a-key", options) as server:
        server.wait_ready()
        yield server


def client(command: list[str], server: Served, recording: Path, *more: str) -> dict[str, Any]:
    """What a client's script says."""
    full = [*command, server.url, str(recording), *more]
    done = subprocess.run(full, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@with_clients
@pytest.mark.parametrize("packages", [("openai", "ai", "@ai-sdk/openai"), ("openai6", "ai7", "ai7-openai")])
def test_npm_openai_and_the_ai_sdk(server: Served, spanish: Path, packages: tuple[str, ...]) -> None:
    shutil.copy(ROOT / "tests/server/clients/node.mjs", CLIENTS)
    said = client(["node", str(CLIENTS / "node.mjs")], server, spanish, *packages)
    assert "hermano" in said["text"] and said["words"] > 5 and "-->" in said["srt"]
    assert set(said["speakers"]) == {"SPEAKER_00"}
    assert "".join(said["deltas"]) == server.post(spanish).json()["text"]
    assert said["whisper-1"]["language"] == "es" and said["whisper-1"]["segments"] > 0
    assert said["gpt-4o-transcribe"] == {"text": said["whisper-1"]["text"], "segments": 0}, "it asks for json alone"


@with_clients
def test_litellm(server: Served, spanish: Path) -> None:
    script = str(ROOT / "tests/server/clients/litellm_client.py")
    said = client([str(CLIENTS / "py/bin/python"), script], server, spanish)
    assert {one["text"] for one in said.values()} == {server.post(spanish).json()["text"]}
    assert said["verbose"]["words"] > 5


def test_stream_is_for_forms_that_can(server: Served, beckett: Path) -> None:
    for form in ("verbose_json", "srt", "vtt"):
        answer = server.post(beckett, response_format=form, stream="true")
        assert answer.status_code == 200 and "event-stream" not in answer.headers["content-type"]
    told = server.post(beckett, stream="true").text
    events = [event.split("\n") for event in told.removesuffix("\n\n").split("\n\n")]
    assert len(events) > 2
    for name, data in events:
        assert name == f"event: {json.loads(data.removeprefix('data: '))['type']}"


def test_names_of_models(server: Served, models_root: Path, beckett: Path) -> None:
    for name in ("base", "whisper-1", "gpt-4o-transcribe", "../../etc/passwd", ""):
        answer = server.post(beckett, model=name)
        assert (answer.status_code, answer.headers["x-snakescribe-model"]) == (200, "base")
    unknown = server.post(beckett, model="large-v3")
    assert unknown.status_code == 404 and "gpt-4o-transcribe" in unknown.json()["error"]["message"]
    assert server.http.get("/v1/models/gpt-4o-transcribe").json()["id"] == "gpt-4o-transcribe"
    assert [one["id"] for one in server.http.get("/v1/models").json()["data"]][:2] == ["base", "whisper-1"]
    with (
        scratch() as folder,
        serving(models_root, Path(folder), options={"model": "tiny.en", "server.aliases": '["*"]'}) as any_name,
    ):
        answer = any_name.post(beckett, model="whisper-large-v3-turbo")
        assert (answer.status_code, answer.headers["x-snakescribe-model"]) == (200, "tiny.en")
        assert [one["id"] for one in any_name.http.get("/v1/models").json()["data"]] == ["tiny.en"]


@pytest.mark.parametrize("written", ["ES", "es-ES", "es_MX", "spa", "Spanish", "castilian"])
def test_languages_as_clients_write_them(server: Served, spanish: Path, written: str) -> None:
    for name in ("language", "languages[]", "languages"):
        answer = server.post(spanish, response_format="verbose_json", **{name: written}).json()
        assert answer["language_code"] == "es"


def test_several_languages_limit_the_detection(server: Served, spanish: Path) -> None:
    def heard(*codes: str) -> str:
        answer = server.post(spanish, response_format="verbose_json", **{"languages[]": codes})
        return str(answer.json()["language_code"])

    assert heard() == heard("ko", "es") == "es"
    assert heard("ko", "ja", "zh") in ("ko", "ja", "zh")
    refused = server.post(spanish, **{"languages[]": ["ko", "klingon"]})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "languages[]"


def test_keywords_and_fields_without_effect(server: Served, beckett: Path, models_root: Path) -> None:
    plain = server.post(beckett, language="en")
    said = server.post(beckett, language="en", **{"keywords[]": ["EVER TRIED", "EVER FAILED"]})
    assert said.json()["text"] != plain.json()["text"]
    assert "x-snakescribe-ignored" not in said.headers
    cut = server.http.post("/v1/audio/transcriptions", files={"file": beckett.read_bytes()[:200_000]})
    assert [one.headers.get("x-snakescribe-flags") for one in (said, cut)] == [None, "truncated"]
    more = {
        "chunking_strategy": "auto",
        "include[]": "logprobs",
        "known_speaker_names[]": "A",
        "나": "x",
        "a\r\nb": "x",
    }
    ignored = server.post(beckett, **more).headers["x-snakescribe-ignored"]
    assert ignored == "chunking_strategy, include[], known_speaker_names[]"
    with scratch() as name:
        hotwords = {"hotwords": '["EVER TRIED", "EVER FAILED"]', "model": "base"}
        with serving(models_root, Path(name), options=hotwords) as other:
            assert other.post(beckett, language="en").json()["text"] == said.json()["text"]


def raw(server: Served, head: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of a request sent as these bytes."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as sent:
        lines = head.strip().replace("\n", "\r\n") + f"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        sent.sendall(lines.encode() + body)
        answer = b"".join(iter(lambda: sent.recv(65536), b""))
    start, _, rest = answer.partition(b"\r\n\r\n")
    return int(start.split()[1]), rest


def form(boundary: str, *parts: tuple[str, bytes]) -> bytes:
    """A multipart body: headers and content of each part."""
    lines = (f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts)
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


def test_bazarr(server: Served, beckett: Path) -> None:
    """Samples without a header, and what it wants in the query; it has a key only in a proxy before it."""
    sound = form(
        "b0", ('Content-Disposition: form-data; name="audio_file"; filename="audio_file"', beckett.read_bytes()[44:])
    )
    head = """POST {} HTTP/1.1
Host: x
User-Agent: python-requests/2.32
Authorization: Bearer a-key
Content-Type: multipart/form-data; boundary=b0"""
    status, body = raw(server, head.format("/detect-language?encode=false&video_file=%2Fmovies%2Fx.mkv"), sound)
    found = json.loads(body)
    assert (status, found["language_code"], found["detected_language"]) == (200, "en", "english") and found[
        "confidence"
    ] > 0.5
    status, body = raw(
        server, head.format("/asr?task=transcribe&language=en&output=srt&encode=false&video_file=x"), sound
    )
    assert status == 200 and b" --> " in body and b"ail better" in body
    status, _ = raw(server, head.format("/asr?output=srt").replace("Authorization: Bearer a-key\n", ""), b"")
    assert status == 401


def test_the_forms_of_asr(server: Served, beckett: Path) -> None:
    def asr(**fields: Any) -> httpx.Response:
        with beckett.open("rb") as file:
            return server.http.post("/asr", params=fields, files={"audio_file": ("x.wav", file)})

    tsv = [line.split("\t") for line in asr(output="tsv").text.splitlines()]
    assert tsv[0] == ["start", "end", "text"] and all(int(row[0]) < int(row[1]) for row in tsv[1:])
    whole = asr(output="json", word_timestamps="true", vad_filter="true", language="", initial_prompt="Beckett").json()
    assert whole["language"] == "en" and [word["word"] for one in whole["segments"] for word in one["words"]]
    assert asr(output="vtt").text.startswith("WEBVTT") and asr().headers["content-type"].startswith("text/plain")
    assert asr(task="translate", output="txt").status_code == 200
    assert (asr(output="doc").status_code, asr(language="klingon").status_code) == (400, 400)
    assert server.http.get("/health").json() == server.http.get("/livez").json()
    silence = server.http.post("/detect-language", params={"encode": "false"}, files={"audio_file": bytes(64_000)})
    assert silence.json()["language_code"] == "und"


@pytest.mark.parametrize(
    ("name", "head", "parts"),
    [
        (
            "Subtitle Edit",  # .NET: names in quotes, file first, no quotes around the boundary
            'POST /v1/audio/transcriptions HTTP/1.1\nHost: x\nContent-Type: multipart/form-data; boundary="b1"',
            [("response_format", "verbose_json"), ("language", "en"), ("stream", "true"), ("model", "whisper-1")],
        ),
        (
            "n8n",
            "POST /v1/audio/transcriptions/ HTTP/1.1\nHost: x\nUser-Agent: axios/1.12\n"
            "Content-Type: multipart/form-data; boundary=b1",
            [("model", "whisper-1"), ("language", "en"), ("temperature", "0")],
        ),
        (
            "go-openai",
            "POST /v1/audio/transcriptions HTTP/1.1\nHost: x\nAccept-Encoding: gzip\n"
            "Content-Type: multipart/form-data; boundary=b1",
            [("model", "gpt-4o-transcribe"), ("response_format", "json"), ("timestamp_granularities[]", "segment")],
        ),
    ],
)
def test_forms_of_others(server: Served, beckett: Path, name: str, head: str, parts: list[tuple[str, str]]) -> None:
    fields = [(f'Content-Disposition: form-data; name="{key}"', value.encode()) for key, value in parts]
    file = (
        'Content-Disposition: form-data; name="file"; filename="x.wav"\r\nContent-Type: audio/wav',
        beckett.read_bytes(),
    )
    status, body = raw(server, f"{head}\nAuthorization: Bearer a-key", form("b1", file, *fields))
    assert status == 200 and "ail better" in json.loads(body)["text"], name


def test_open_webui_in_json(server: Served, beckett: Path) -> None:
    audio = {"data": base64.b64encode(beckett.read_bytes()).decode(), "format": "wav"}
    asked = {"model": "whisper-1", "input_audio": audio, "language": "en", "prompt": None, "stream": False}
    answer = server.http.post("/v1/audio/transcriptions", json=asked)
    assert answer.status_code == 200 and answer.json() == server.post(beckett, language="en").json()
    wrong: list[Any] = [{}, [], "x", {"input_audio": "x"}, {"input_audio": {"data": "…", "format": "wav"}}]
    wrong += [{"input_audio": {"data": audio["data"]}}, {"input_audio": {"data": 1, "format": "wav"}}]
    for body in wrong:
        refused = server.http.post("/v1/audio/transcriptions", json=body).json()["error"]
        assert (refused["code"], refused["param"]) == ("invalid_value", "input_audio"), body
    many: list[dict[str, Any]] = [{"keywords": ["word"] * 41}, {"keywords": ["long " * 3000]}, {"x": "x" * 600_000}]
    many += [
        {f"field{number}": "x" for number in range(41)},
        {"keywords": ["\ud800"]},
    ]
    for fields in many:
        body = json.dumps({"input_audio": audio} | fields)
        refused = server.http.post(
            "/v1/audio/transcriptions", content=body, headers={"Content-Type": "application/json"}
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_value"), list(fields)
    path = server.http.post(
        "/v1/audio/transcriptions", json={"input_audio": audio | {"format": "../../x"}, "file": "/etc/passwd"}
    )
    assert path.status_code in (200, 400) and "root:" not in path.text


def test_an_upload_that_is_broken_off(server: Served) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as sent:
        head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-key\r\n"
        head += "X-Request-ID: broken-off\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        head += "Content-Length: 9999\r\n\r\n--x\r\n"
        sent.sendall(head.encode())
        server.wait_figure("queue", 1)

    def line() -> Any:
        return [line for line in server.log() if line.get("request_id") == "broken-off"]

    assert until(line)[0]["status"] == 499


def test_a_slash_too_many_is_no_other_address(server: Served, beckett: Path) -> None:
    for path in ("/v1/models/", "/v1/models//", "/livez/"):
        assert server.http.get(path, follow_redirects=False).status_code == 200, path
    with httpx.Client(base_url=server.url) as stranger:
        assert stranger.get("/v1/models/").status_code == 401


def test_connections_are_kept(server: Served) -> None:
    address = urlsplit(server.url)
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as patient:

        def said() -> bytes:
            patient.sendall(ask)
            answer = b""
            while not answer.endswith(b"}"):
                answer += patient.recv(4096)
            return answer.lower()

        assert b"connection: close" not in said()
        time.sleep(7)  # uvicorn's own time is 5 s
        assert b"200 ok" in said()


ASK = """async ([url, key]) => {
  const body = new FormData();
  body.append("file", new Blob([new Uint8Array(64044)]), "말.sln16");
  const headers = {authorization: "Bearer " + key, "x-stainless-os": "x", "x-request-id": "from-a-page"};
  const answer = await fetch(url + "/v1/audio/transcriptions", {method: "POST", body, headers});
  return [answer.status, answer.headers.get("x-request-id"), answer.headers.get("x-snakescribe-model")];
}"""


@with_chromium
def test_a_page_of_another_origin(server: Served, closed: Served, pages: str) -> None:
    with sync_playwright() as playwright, launched(playwright) as browser:
        page = browser.new_page()
        page.goto(pages)
        assert page.evaluate(ASK, [server.url, "a-key"]) == [200, "from-a-page", "base"]
        assert page.evaluate(ASK, [server.url, "wrong"])[0] == 401, "it may read why"
        with pytest.raises(Exception, match="Failed to fetch"):
            page.evaluate(ASK, [closed.url, "a-key"])


def test_preflights(server: Served, closed: Served, pages: str, models_root: Path) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-stainless-os"}
    with httpx.Client() as stranger:
        for url, origin, allowed in (
            (server.url, pages, True),
            (server.url, pages + "1", False),
            (closed.url, pages, False),
        ):
            answer = stranger.options(f"{url}/v1/audio/transcriptions", headers=asked | {"Origin": origin})
            other = stranger.get(f"{url}/v1/models", headers=KEY | {"Origin": origin})
            assert (answer.status_code, other.status_code) == (200 if allowed else 403, 200)
            for one in (answer, other):
                assert any(name.startswith("access-control") for name in one.headers) is allowed
    for origins, said in (
        ('["*"]', "set an API key"),
        ('["https://x.example/"]', "no path"),
        ('["x.example"]', "no origin"),
    ):
        command = ["snakescribe", "serve", "--config", f"server.origins={origins}"]
        done = subprocess.run([str(ROOT / ".venv/bin" / command[0]), *command[1:]], capture_output=True, text=True)
        assert done.returncode == 2 and said in done.stderr, done.stderr


@contextmanager
def nginx(server: Served, folder: Path, location: str) -> Iterator[str]:
    """Debian's, with its own limits of time, before a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"user root; daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off;\n{kept} server {{ listen 127.0.0.1:{port};\n{location}\n}} }}\n"
    )
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None, (folder / "error.log").read_text()
            try:
                return httpx.get(f"{url}/livez").status_code == 200
            except httpx.TransportError:
                return False

        until(answers)
        yield url
    finally:
        process.terminate()
        process.wait()


with_nginx = pytest.mark.skipif(NGINX is None, reason="no `nginx` (Debian: apt install nginx-light)")


@with_nginx
def test_a_silent_stream_outlives_a_default_nginx(server: Served, clips: Clips, tmp_path: Path) -> None:
    """It hangs up after a minute of silence; the engine is held for longer."""
    source = clips.make(180)
    location = f"client_max_body_size 0; location / {{ proxy_pass {server.url}; }}"
    with nginx(server, tmp_path, location) as url, ThreadPoolExecutor(1) as pool:

        def lines() -> list[str]:
            with (
                httpx.Client(base_url=url, headers=KEY, timeout=PATIENCE) as http,
                source.open("rb") as file,
                http.stream(
                    "POST", "/v1/audio/transcriptions", files={"file": file}, data={"stream": "true"}
                ) as answer,
            ):
                return list(answer.iter_lines())

        with held(server):
            told = pool.submit(lines)
            time.sleep(66)
            assert not told.done()
        found = told.result()
    assert found.count(": ping") >= 4
    assert json.loads(found[-2].removeprefix("data: "))["type"] == "transcript.text.done"


@with_nginx
def test_the_nginx_of_the_documents_keeps_the_port(server: Served, tmp_path: Path) -> None:
    conf = (ROOT / "docs/operations/nginx.conf").read_text().replace("http://127.0.0.1:8003", server.url)
    with nginx(server, tmp_path, conf) as url:
        assert "$http_host" in conf
        assert httpx.get(f"{url}/v1/models/", headers=KEY, follow_redirects=False).status_code == 200
