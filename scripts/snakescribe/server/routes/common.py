"""What the routes share: fields, refusals, and the one way from an upload to what is said in it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Depends, File, Form, Request, UploadFile
from fastapi.routing import APIRoute
from pydantic import AfterValidator
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as FormFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from snakescribe.config import Config
from snakescribe.config.languages import as_written
from snakescribe.config.options import MOST_SPEAKERS
from snakescribe.errors import ModelError
from snakescribe.models.configured import configured_store
from snakescribe.server.deadlines import in_time, log_text, while_wanted
from snakescribe.server.http_errors import ErrorAnswer, HttpError
from snakescribe.server.intake import HashedFile, Intake, RequestOptions, Said, copied
from snakescribe.server.state import server_of

MODEL, CACHE, IGNORED = SAID = ("x-snakescribe-model", "x-snakescribe-cache", "x-snakescribe-ignored")
"""Headers of an answer: what read it, whether the cache had it (hit or miss), and fields that have no effect."""
FORM_LIMITS: Any = {"max_files": 1, "max_fields": 40, "max_part_size": 512 * 1024}
"""A form has one file and a few fields; in bytes, a sample of a known speaker (ten seconds in base64, unused)."""
MOST_JSON = 36_000_000
"""Bytes of a JSON body, which is held in memory: 27 MB of sound, as much as OpenAI takes."""
MOST_PROMPT = 10_000
"""Characters; Whisper looks at the last 224 tokens."""
FIELD = re.compile(r"[\w.\[\]-]{1,64}", re.ASCII)
"""Names of fields that can stand in a header."""
LISTS = ("timestamp_granularities", "languages", "keywords")
"""Fields that come more than once, with brackets at the end or, from some clients, without."""

REFUSALS = {
    400: "a field is missing or wrong",
    401: "no key, or a wrong one",
    404: "no such thing",
    408: "the upload took too long",
    409: "the job has no transcript (yet)",
    413: "too many bytes",
    415: "no recording: its content is not audio",
    422: "a recording without a transcript: empty, too long, damaged",
    429: "too many wait; come back after `Retry-After`",
    500: "the engine failed on it",
    503: "the engine is not ready, or the server is being stopped",
    504: "not finished within the time limit",
    507: "there is not enough memory for it",
}
SECONDS = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
TOLD: dict[int, dict[str, Any]] = {429: {"headers": SECONDS}, 503: {"headers": SECONDS}}
"""Headers of refusals."""


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for the OpenAPI document."""
    return {
        status: {"model": ErrorAnswer, "description": REFUSALS[status]} | TOLD.get(status, {}) for status in statuses
    }


def transcript_responses(model: object, **more: object) -> dict[int | str, dict[str, Any]]:
    """The answers with a transcript: as JSON (``model``), and in other forms."""
    forms = ("text/plain", "application/x-subrip", "text/vtt", "text/x-ssa")
    plain = {form: {"schema": {"type": "string"}} for form in forms}
    content = plain | more
    return {200: {"model": model, "description": "the transcript in the form that was asked for", "content": content}}


NO_TEXT = error_responses(400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504, 507)


async def until_answered() -> AsyncIterator[contextlib.AsyncExitStack]:
    """What must end when the answer is sent, or when nobody is there any more to take it."""
    async with contextlib.AsyncExitStack() as ending:
        yield ending


Ending = Annotated[contextlib.AsyncExitStack, Depends(until_answered)]


def _spoken(language: str) -> str:
    code = as_written(language)
    if code is None:
        raise ValueError("no language that Whisper knows")
    return code


Language = Annotated[str, AfterValidator(_spoken)]
TheFile = Annotated[
    UploadFile,
    File(description="any container and codec that ffmpeg reads; without a header, by its name (`.ulaw`, `.sln16`, …)"),
]
TheModel = Annotated[str | None, Form(description="a name that `/v1/models` gives; left out, the one that there is")]
TheLanguage = Annotated[
    Language | None,
    Form(description="spoken language (`ko`, `ko-KR`, `kor`, `Korean`), `auto` or `mixed`; left out, the server's own"),
]
ThePrompt = Annotated[
    str | None, Form(max_length=MOST_PROMPT, description="what was said before: names, spelling, style")
]
TheTemperature = Annotated[
    float,
    Form(
        ge=0,
        le=1,
        description="text comes from beam search; where a guard refuses it, sampling begins at this temperature",
    ),
]
SPEAKERS = ("off", "auto", *map(str, range(1, MOST_SPEAKERS + 1)))
TheSpeakers = Annotated[
    Literal[*SPEAKERS] | None,  # type: ignore[valid-type]
    Form(description="tell voices apart: how many there are, or `auto`; in all forms of the text that can show it"),
]
TheGranularities = Annotated[
    list[Literal["word", "segment"]] | None,
    Form(alias="timestamp_granularities[]", description="of `verbose_json`"),
]


class TolerantRoute(APIRoute):
    """A form as it comes from many hands: lists without brackets, or all of it as JSON with ``input_audio``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read the form before the framework asks for it."""
        handle = super().get_route_handler()

        async def tolerant(request: Request) -> Response:
            if request.method == "POST":
                if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
                    form = await _form_of_json(request)
                else:
                    try:
                        form = await request.form(**FORM_LIMITS)
                    except (
                        OSError
                    ) as error:  # a full disk: as the framework says it, and :func:`http_errors.on_http` reads it
                        raise HTTPException(400, "the form cannot be read") from error
                request._form = FormData(
                    [(f"{name}[]" if name in LISTS else name, value) for name, value in form.multi_items()]
                )
            return await handle(request)

        return tolerant


async def _form_of_json(request: Request) -> FormData:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_JSON:
            raise HttpError(413, f"a JSON body has at most {MOST_JSON} bytes; send a form", "too_large", "input_audio")
    return await asyncio.to_thread(_form_of_object, body)


def _form_of_object(body: bytearray) -> FormData:
    try:
        fields = json.loads(body)
        audio = fields.pop("input_audio")
        sound = base64.b64decode(audio["data"].rpartition(",")[2], validate=True)  # some write `data:…,`
        name = "audio." + audio["format"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        message = "a JSON body has input_audio: {data: a recording in base64, format: wav, mp3, …}; or send a form"
        raise HttpError(400, message, "invalid_value", "input_audio") from None
    several = [(key, one) for key, some in fields.items() for one in (some if isinstance(some, list) else [some])]
    given = [(key, str(one)) for key, one in several if one is not None]
    return FormData([("file", FormFile(io.BytesIO(sound), filename=name)), *given])


def served_names(config: Config) -> list[str]:
    """The model's own name, and those that it answers to."""
    return list(dict.fromkeys([Path(config.model).name, *(name for name in config.server.aliases if name != "*")]))


def check_model(config: Config, name: str | None) -> None:
    """Refuse the name of a model that is not here."""
    there = served_names(config)
    if name is not None and name not in there and "*" not in config.server.aliases:
        raise HttpError(404, f"there is no model {name!r} here; use {' or '.join(there)}", "model_not_found", "model")


def wanted(speakers: str | None) -> str | None:
    """The field or option, where voices are to be told apart."""
    return None if speakers == "off" else speakers


def check_asked(intake: Intake, asked: RequestOptions) -> None:
    """Refuse what the models here cannot do, before anything is computed."""
    model = intake.prepared
    if asked.speakers:
        try:
            configured_store(intake.config).speakers()
        except ModelError as missing:
            raise HttpError(400, str(missing), "no_speakers", "speakers") from None
    if asked.task == "translate" and not model.capabilities.translates:
        raise HttpError(400, f"the model {model.name} cannot translate", "invalid_value", "task")
    for language in (asked.language or "auto").split(","):
        if unknown := model.capabilities.missing_language(language):
            raise HttpError(400, f"the model {model.name} {unknown}", "invalid_value", "language")


async def received(
    request: Request, ending: contextlib.AsyncExitStack, file: UploadFile, name: str, asked: RequestOptions
) -> tuple[Path, HashedFile]:
    """An upload on disk, as long as its answer takes; its ``name`` says only how it is read if it has no header."""
    server = server_of(request)
    check_asked(server.intake, asked)
    if server.intake.engine.ready is None:
        message = f"the engine is being started again: {server.intake.engine.death}"
        raise HttpError(503, message, "engine_not_ready", headers={"Retry-After": "10"})
    folder = ending.enter_context(tempfile.TemporaryDirectory(dir=server.uploads, prefix="request-"))
    source = Path(folder, "recording" + server.config.audio.raw_suffix(name))
    content = await asyncio.to_thread(copied, file.file, source)
    await file.close()
    return source, content


async def said_in(request: Request, source: Path, content: HashedFile, asked: RequestOptions) -> tuple[Said, Any]:
    """What is said in an upload, and the headers of the answer."""
    server = server_of(request)
    work = server.intake.transcribe(source, content, asked)
    entry, cached = await while_wanted(request, in_time(server, work))
    log_text(request, server, entry)
    return entry, await headers_of(request) | {CACHE: "hit" if cached else "miss"}


async def headers_of(request: Request) -> dict[str, str]:
    """Which model reads it, and what of the form has no effect."""
    known = {field.alias for field in request.scope["route"].dependant.body_params}
    unknown = [name for name in await request.form() if name not in known and FIELD.fullmatch(name)]
    told = {MODEL: quote(Path(server_of(request).config.model).name)}
    return told | ({IGNORED: ", ".join(unknown[:20])} if unknown else {})
