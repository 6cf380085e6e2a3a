"""OpenAI's audio API: ``/v1/audio/transcriptions``, ``/v1/audio/translations`` and ``/v1/models``."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from snakescribe.config import Config
from snakescribe.config.languages import DETECTED, LANGUAGES
from snakescribe.config.options import MOST_SPEAKERS
from snakescribe.errors import ModelError
from snakescribe.formats.registry import ResponseFormat
from snakescribe.models.configured import configured_store
from snakescribe.server.deadlines import in_time, log_text, while_wanted
from snakescribe.server.http_errors import ErrorAnswer, HttpError
from snakescribe.server.intake import Intake, RequestOptions, copied
from snakescribe.server.responses import TYPES, Diarized, Text, Verbose, answer
from snakescribe.server.state import server_of
from snakescribe.server.stream import Events

ALIAS = "whisper-1"
"""OpenAI's name, which its clients send: whatever model the server has."""
MOST_PROMPT = 10_000
"""Characters; Whisper looks at the last 224 tokens."""

STREAMED = ("json", "text", "diarized_json")
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""Has nginx pass on every event at once."""

router = APIRouter(tags=["OpenAI's audio API"])

Language = Literal[*DETECTED, *LANGUAGES]  # type: ignore[valid-type]
TheFile = Annotated[
    UploadFile,
    File(description="any container and codec that ffmpeg reads; without a header, by its name (`.ulaw`, `.sln16`, …)"),
]
TheModel = Annotated[str, Form(description=f"`{ALIAS}` or the name that `/v1/models` gives")]
TheLanguage = Annotated[
    Language | None,
    Form(description="spoken language; left out, the server's `language` option (normally: detected)"),
]
ThePrompt = Annotated[
    str | None, Form(max_length=MOST_PROMPT, description="what was said before: names, spelling, style")
]
TheFormat = Annotated[ResponseFormat, Form()]
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
BareGranularities = Annotated[
    list[Literal["word", "segment"]] | None,
    Form(alias="timestamp_granularities", description="the same, as some clients write it"),
]
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
EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "`type` transcript.text.delta with `delta`, transcript.text.segment of one speaker, or "
            "transcript.text.done with `text`; or `error`",
        }
    },
}
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


class Model(BaseModel):
    """A model, as OpenAI's clients read it."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "snakescribe"


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.post(
    "/v1/audio/transcriptions",
    summary="Transcribe a recording",
    responses=transcript_responses(Verbose | Diarized | Text, **{"text/event-stream": {"itemSchema": EVENT}}) | NO_TEXT,
    response_class=Response,
)
async def transcriptions(
    request: Request,
    ending: Ending,
    file: TheFile,
    model: TheModel = ALIAS,
    language: TheLanguage = None,
    prompt: ThePrompt = None,
    response_format: TheFormat = "json",
    temperature: TheTemperature = 0.0,
    timestamp_granularities: TheGranularities = None,
    bare_granularities: BareGranularities = None,
    speakers: TheSpeakers = None,
    stream: Annotated[bool, Form(description="events with the text as it comes")] = False,
) -> Response:
    """Write down what is said, in the language that is spoken.

    The connection stays open until the text is there; for long recordings rather queue a job (`/v1/jobs`).
    The same content with the same fields is answered from the cache, which the batch fills as well.

    - `json` is the text alone, `verbose_json` has the times of segments (and words), `srt`, `vtt` and `ass`
      are subtitles; `diarized_json` says who said what.
    - `stream` sends server-sent events as the text comes: `transcript.text.delta` with a piece each, and
      `transcript.text.done` with the whole text.
    - An empty field counts as left out; other fields that OpenAI knows are taken and change nothing.
    """
    granularities = (*(timestamp_granularities or ()), *(bare_granularities or ())) or ("segment",)
    words = "word" in granularities
    if words and response_format != "verbose_json":
        raise HttpError(400, "words need response_format=verbose_json", "invalid_value", "timestamp_granularities[]")
    if stream and response_format not in STREAMED:
        raise HttpError(400, "a stream is text only; use response_format=json", "invalid_value", "response_format")
    usual = server_of(request).config.speakers
    if response_format == "diarized_json" and speakers in (None, "off"):
        speakers = "auto" if usual == "off" else str(usual)
    asked = RequestOptions(language, prompt, "transcribe", temperature, words, wanted(speakers))
    return await _answered(request, ending, file, model, asked, response_format, granularities, stream)


@router.post(
    "/v1/audio/translations",
    summary="Translate a recording into English",
    responses=transcript_responses(Verbose | Text) | NO_TEXT,
    response_class=Response,
)
async def translations(
    request: Request,
    ending: Ending,
    file: TheFile,
    model: TheModel = ALIAS,
    prompt: ThePrompt = None,
    response_format: TheFormat = "json",
    temperature: TheTemperature = 0.0,
) -> Response:
    """Write down in English what is said in another language; English-only models and `turbo` cannot."""
    if response_format == "diarized_json":
        raise HttpError(400, "a translation has no speakers", "invalid_value", "response_format")
    asked = RequestOptions(None, prompt, "translate", temperature)
    return await _answered(request, ending, file, model, asked, response_format, ("segment",), False)


@router.get("/v1/models", summary="List the models", responses=error_responses(401))
async def models(request: Request) -> ModelList:
    """The one model of this server, under its own name and under the one that OpenAI's clients send."""
    return ModelList(data=[Model(id=name) for name in _names(server_of(request).config)])


@router.get("/v1/models/{name:path}", summary="Look at a model", responses=error_responses(401, 404))
async def one_model(request: Request, name: str) -> Model:
    """The model under one of its names."""
    check_model(server_of(request).config, name)
    return Model(id=name)


def check_model(config: Config, name: str) -> None:
    """Refuse the name of a model that is not here."""
    if name not in _names(config):
        there = " or ".join(_names(config))
        raise HttpError(404, f"there is no model {name!r} here; use {there}", "model_not_found", "model")


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
    if unknown := model.capabilities.missing_language(asked.language):
        raise HttpError(400, f"the model {model.name} {unknown}", "invalid_value", "language")


def _names(config: Config) -> list[str]:
    return [Path(config.model).name, ALIAS]


async def _answered(
    request: Request,
    ending: contextlib.AsyncExitStack,
    file: UploadFile,
    model: str,
    asked: RequestOptions,
    form: ResponseFormat,
    granularities: tuple[str, ...],
    stream: bool,
) -> Response:
    server = server_of(request)
    check_model(server.config, model)
    check_asked(server.intake, asked)
    if server.intake.engine.ready is None:
        message = f"the engine is being started again: {server.intake.engine.death}"
        raise HttpError(503, message, "engine_not_ready", headers={"Retry-After": "10"})
    folder = ending.enter_context(tempfile.TemporaryDirectory(dir=server.uploads, prefix="request-"))
    source = Path(folder, "recording" + server.config.audio.raw_suffix(file.filename or ""))
    content = await asyncio.to_thread(copied, file.file, source)
    await file.close()
    config = asked.config(server.config)
    if stream:
        events = Events(request, server, config, source, content, asked, form == "diarized_json")
        ending.push_async_callback(events.end)
        await events.begin()
        return StreamingResponse(events.all(), media_type="text/event-stream", headers=UNBUFFERED)
    work = server.intake.transcribe(source, content, asked)
    entry, cached = await while_wanted(request, in_time(server, work))
    log_text(request, server, entry)
    told = {"X-Snakescribe-Cache": "hit" if cached else "miss"}
    return Response(answer(entry, config, form, granularities), headers=told, media_type=TYPES[form])
