"""The OpenAPI document: schemathesis tries what it allows and what it forbids, and every answer must be in it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import schemathesis
from schemathesis.specs.openapi.schemas import OpenApiSchema

from snakescribe.config import load_config
from snakescribe.server.app import create_app
from snakescribe.server.metrics import Metrics
from tests.conftest import ROOT
from tests.server.serving import PATIENCE, Served, scratch, serving

UNFIT = {
    "positive_data_acceptance": "some fields need others, which a schema of single fields cannot say",
    "use_after_free": "a job that was cancelled can still be looked at",
}
"""Checks left out, and why."""
WORDY = {"response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]}


@pytest.fixture(scope="module")
def described(models_root: Path) -> Iterator[Served]:
    """A server with a key and narrow limits, with ``base``."""
    limits = {"max_upload_mb": 2, "max_minutes": 1, "queue": 8, "jobs": 20, "proof_minutes": 60}
    with scratch() as folder:
        options = {f"server.{name}": value for name, value in limits.items()}
        with serving(models_root, Path(folder), "a-key", options) as server:
            server.wait_ready()
            yield server


@pytest.fixture(scope="module")
def schema(described: Served) -> OpenApiSchema:
    """Its document."""
    found = schemathesis.openapi.from_url(f"{described.url}/openapi.json")
    assert isinstance(found, OpenApiSchema)
    return found


def test_schemathesis_finds_nothing(described: Served, beckett: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{described.url}/openapi.json"]
    command += ["-H", f"Authorization: Bearer {described.key}", "--generation-deterministic", "--max-examples", "8"]
    command += ["--exclude-checks", ",".join(UNFIT), "--request-timeout", str(PATIENCE), "--continue-on-failure"]
    env = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.server.fuzzing",
        "SNAKESCRIBE_FUZZ_SPEECH": str(beckett),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [line for line in described.log() if line.get("level") == "error"]
    answered = {line["path"].rpartition("/")[0] for line in described.log() if line.get("status") in (200, 202)}
    assert answered >= {"/v1/audio", "/v1/models", "/v1/jobs", "/v1"}
    assert {"/asr", "/detect-language"} <= {line.get("path") for line in described.log() if line.get("status") == 200}


def test_every_answer_is_described(described: Served, schema: OpenApiSchema, beckett: Path) -> None:
    """What schemathesis meets by luck only: all forms of a text, a job to its end, and each refusal."""

    def check(path: str, method: str, status: int, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == status, answer.text
        described = schema.raw_schema["paths"][path][method.lower()]["responses"][str(status)]
        assert answer.headers["content-type"].partition(";")[0] in described["content"]
        answer.request.read()
        schema[path][method].validate_response(answer)
        return answer

    def upload(path: str, status: int, name: str = "a.wav", data: bytes | None = None, **fields: Any) -> httpx.Response:
        file = {"file": (name, beckett.read_bytes() if data is None else data)}
        return check(path, "POST", status, described.http.post(path, files=file, data=fields))

    for path in ("/v1/audio/transcriptions", "/v1/audio/translations"):
        for form in ("json", "text", "srt", "vtt", "ass", "verbose_json"):
            upload(path, 200, response_format=form)
        upload(path, 422, data=b"")
        upload(path, 415, data=b"x")
        upload(path, 413, data=bytes(2_100_000))
        upload(path, 404, model="x")
        upload(path, 400, temperature=2)
        with described.places_taken(8):
            upload(path, 429)
    upload("/v1/audio/transcriptions", 200, **WORDY)
    upload("/v1/audio/transcriptions", 200, stream="true")

    upload("/v1/audio/transcriptions", 200, response_format="diarized_json", stream="true")
    upload("/v1/audio/transcriptions", 200, response_format="diarized_json")
    for path in ("/asr", "/detect-language"):
        for status, data in ((200, beckett.read_bytes()), (415, b"x"), (422, b"")):
            check(path, "POST", status, described.http.post(path, files={"audio_file": data}))

    job = upload("/v1/jobs", 202, **{"timestamp_granularities[]": "word"}).json()
    here, deadline = job["links"]["self"], time.monotonic() + PATIENCE
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        job = check("/v1/jobs/{job_id}", "GET", 200, described.http.get(here)).json()
    for form in ("json", "txt", "srt", "vtt", "ass"):
        check("/v1/jobs/{job_id}/transcript.{form}", "GET", 200, described.http.get(job["links"][form]))
    check("/v1/jobs/{job_id}/transcript.{form}", "GET", 400, described.http.get(f"{here}/transcript.doc"))
    check("/v1/jobs/{job_id}", "DELETE", 200, described.http.delete(here))
    failed = upload("/v1/jobs", 202, data=b"x").headers["location"]
    check("/v1/jobs/{job_id}/transcript.{form}", "GET", 409, described.http.get(f"{failed}/transcript.json"))


def test_the_document_reads_well(schema: OpenApiSchema) -> None:
    raw = schema.raw_schema
    for path, methods in raw["paths"].items():
        for operation in methods.values():
            assert operation["summary"] and operation["description"] and len(operation["tags"]) == 1
            assert bool(operation.get("security")) is path.startswith(("/v1", "/metrics", "/asr", "/detect"))
            for status, answer in operation["responses"].items():
                assert len(answer["description"]) > 3, (path, status)
                assert "HTTPValidationError" not in str(answer)
                assert ("Retry-After" in answer.get("headers", {})) is (status in ("429", "503")), (path, status)
    jobs = raw["paths"]["/v1/jobs"]["post"]
    assert "Location" in jobs["responses"]["202"]["headers"]
    form = raw["components"]["schemas"]["Transcription"]
    assert form["required"] == ["file"] and "null" not in str(form)
    assert {"file", "model", "language", "prompt", "temperature", "timestamp_granularities[]", "stream"} <= set(
        form["properties"]
    )


def test_a_server_without_a_key_asks_for_none() -> None:
    config, intake = load_config({"recordings": "x"}, Path(), {}), SimpleNamespace(metrics=Metrics())
    server = SimpleNamespace(config=config, intake=intake)
    app = cast(Any, create_app(cast(Any, server), None))

    async def document() -> dict[str, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return cast(dict[str, Any], (await client.get("/openapi.json")).json())

    assert "security" not in str(asyncio.run(document())["paths"])
