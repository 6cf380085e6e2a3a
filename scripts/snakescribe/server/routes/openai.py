"""OpenAI's audio API: ``/v1/audio/transcriptions``, ``/v1/audio/translations`` and ``/v1/models``."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from snakescribe.config.languages import DETECTED
from snakescribe.formats.registry import ResponseFormat
from snakescribe.server.http_errors import HttpError
from snakescribe.server.intake import RequestOptions
from snakescribe.server.responses import TYPES, Diarized, Text, Verbose, answer
from snakescribe.server.routes.common import (
    NO_TEXT,
    Ending,
    Language,
    TheFile,
    TheGranularities,
    TheLanguage,
    TheModel,
    ThePrompt,
    TheSpeakers,
    TheTemperature,
    TolerantRoute,
    check_model,
    error_responses,
    headers_of,
    received,
    said_in,
    served_names,
    transcript_responses,
    wanted,
)
from snakescribe.server.state import server_of
from snakescribe.server.stream import Events

STREAMED = ("json", "text", "diarized_json")
"""Forms that `stream` makes events of; with others OpenAI takes no notice of it, and some clients always send it."""
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""Has nginx pass on every event at once."""

TEXT = {"type": "string"}
AUDIO = {"type": "object", "required": ["data", "format"], "properties": {"data": TEXT, "format": TEXT}}
AS_JSON = {
    "application/json": {
        "schema": {"type": "object", "required": ["input_audio"], "properties": {"input_audio": AUDIO}}
    }
}
"""The other body of a transcription: ``data`` in base64, and any of the form's other fields."""

router = APIRouter(tags=["OpenAI's audio API"], route_class=TolerantRoute)

TheFormat = Annotated[ResponseFormat, Form()]
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
    openapi_extra={"requestBody": {"content": AS_JSON}},
)
async def transcriptions(
    request: Request,
    ending: Ending,
    file: TheFile,
    model: TheModel = None,
    language: TheLanguage = None,
    languages: Annotated[list[Language] | None, Form(alias="languages[]", description="one of these is spoken")] = None,
    keywords: Annotated[list[str] | None, Form(alias="keywords[]", description="words to expect")] = None,
    prompt: ThePrompt = None,
    response_format: TheFormat = "json",
    temperature: TheTemperature = 0.0,
    timestamp_granularities: TheGranularities = None,
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
    - An empty field counts as left out; other fields that OpenAI knows are taken and change nothing: the header
      `x-snakescribe-ignored` names them, and `x-snakescribe-model` the model.
    - Instead of a form, JSON is taken, with `input_audio` (`data` in base64, `format`) in place of `file`.
    """
    granularities = tuple(timestamp_granularities or ("segment",))
    words = "word" in granularities
    if words and response_format != "verbose_json":
        raise HttpError(400, "words need response_format=verbose_json", "invalid_value", "timestamp_granularities[]")
    server = server_of(request)
    check_model(server.config, model)
    if response_format == "diarized_json" and speakers in (None, "off"):
        speakers = "auto" if server.config.speakers == "off" else str(server.config.speakers)
    elif response_format == "json":  # it could not tell them
        speakers = None
    if keywords:
        prompt = f"{', '.join(keywords)} {server.config.prompt if prompt is None else prompt}"  # as hotwords are told
    asked = RequestOptions(language or _one_of(languages), prompt, "transcribe", temperature, words, wanted(speakers))
    if not stream or response_format not in STREAMED:
        return await _answered(request, ending, file, asked, response_format, granularities)
    source, content = await received(request, ending, file, file.filename or "", asked)
    config = asked.config(server.config)
    events = Events(request, server, config, source, content, asked, response_format == "diarized_json")
    ending.push_async_callback(events.end)
    await events.begin()
    headers = await headers_of(request) | UNBUFFERED
    return StreamingResponse(events.all(), media_type="text/event-stream", headers=headers)


def _one_of(languages: list[str] | None) -> str | None:
    detected = next((one for one in languages or () if one in DETECTED), None)
    return detected or ",".join(dict.fromkeys(languages or ())) or None


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
    model: TheModel = None,
    prompt: ThePrompt = None,
    response_format: TheFormat = "json",
    temperature: TheTemperature = 0.0,
) -> Response:
    """Write down in English what is said in another language; English-only models and `turbo` cannot."""
    if response_format == "diarized_json":
        raise HttpError(400, "a translation has no speakers", "invalid_value", "response_format")
    check_model(server_of(request).config, model)
    asked = RequestOptions(None, prompt, "translate", temperature)
    return await _answered(request, ending, file, asked, response_format, ("segment",))


@router.get("/v1/models", summary="List the models", responses=error_responses(401))
async def models(request: Request) -> ModelList:
    """The one model of this server, under its own name and under those that clients send (option `server.aliases`)."""
    return ModelList(data=[Model(id=name) for name in served_names(server_of(request).config)])


@router.get("/v1/models/{name:path}", summary="Look at a model", responses=error_responses(401, 404))
async def one_model(request: Request, name: str) -> Model:
    """The model under one of its names."""
    check_model(server_of(request).config, name)
    return Model(id=name)


async def _answered(
    request: Request,
    ending: Ending,
    file: TheFile,
    asked: RequestOptions,
    form: ResponseFormat,
    granularities: tuple[str, ...],
) -> Response:
    source, content = await received(request, ending, file, file.filename or "", asked)
    entry, headers = await said_in(request, source, content, asked)
    config = asked.config(server_of(request).config)
    return Response(answer(entry, config, form, granularities), headers=headers, media_type=TYPES[form])
