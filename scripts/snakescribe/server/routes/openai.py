"""OpenAI's audio API: ``/v1/audio/transcriptions``, ``/v1/audio/translations`` and ``/v1/models``."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.sse import KEEPALIVE_COMMENT
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from snakescribe import glossary
from snakescribe.errors import RecordingError, SnakescribeError
from snakescribe.formats.registry import ResponseFormat
from snakescribe.recording import Recording
from snakescribe.server.http_errors import HttpError, refusal
from snakescribe.server.intake import RequestOptions, Ticket
from snakescribe.server.responses import TYPES, Diarized, Text, Usage, Verbose, answer, by_speaker, event, texts
from snakescribe.server.routes import common
from snakescribe.server.state import Server, in_time, server_of, while_wanted

LOG = logging.getLogger(__name__)
QUIET = 15.0
"""Seconds after which a comment says that the connection lives; proxies hang up after 30 or 60."""
STREAMED = ("json", "text", "diarized_json")
"""Forms that `stream` makes events of; with others OpenAI takes no notice of it, and some clients always send it."""
TEXT = {"type": "string"}
AUDIO = {"type": "object", "required": ["data", "format"], "properties": {"data": TEXT, "format": TEXT}}
AS_JSON = {"type": "object", "required": ["input_audio"], "properties": {"input_audio": AUDIO}}
"""The other body of a transcription: ``data`` in base64, and any of the form's other fields."""
EVENT = TEXT | {
    "contentMediaType": "application/json",
    "description": "`type` transcript.text.delta with `delta`, transcript.text.segment of one speaker, or "
    "transcript.text.done with `text`; or `error`",
}
EVENTS = {"text/event-stream": {"itemSchema": {"type": "object", "required": ["data"], "properties": {"data": EVENT}}}}

router = APIRouter(tags=["OpenAI's audio API"], route_class=common.FormOrJson)


class Translation(common.Fields, common.Upload):
    """The form of a translation."""

    file: UploadFile = File(
        description="any container and codec that ffmpeg reads; without a header, by its name (`.ulaw`, `.sln16`, …)"
    )
    response_format: ResponseFormat = "json"


class Transcription(common.SpokenFields, Translation):
    """The form of a transcription."""

    stream: bool = Field(False, description="events with the text as it comes")


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
    responses=common.transcript_responses(Verbose | Diarized | Text, **EVENTS) | common.NO_TEXT,
    response_class=Response,
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": AS_JSON}}}},
)
async def transcriptions(request: Request, form: Annotated[Transcription, common.AsForm]) -> Response:
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
    server, speakers = server_of(request), form.speakers
    words = "word" in form.timestamp_granularities
    if words and form.response_format != "verbose_json":
        raise HttpError(400, "words need response_format=verbose_json", "invalid_value", "timestamp_granularities[]")
    if form.response_format == "diarized_json" and speakers in (None, "off"):
        speakers = "auto" if server.config.speakers == "off" else str(server.config.speakers)
    elif form.response_format == "json" or speakers == "off":  # the first could not tell them
        speakers = None
    asked = RequestOptions(*form.spoken(server.config), "transcribe", form.temperature, words, speakers)
    return await _answered(request, form, asked, form.stream and form.response_format in STREAMED)


@router.post(
    "/v1/audio/translations",
    summary="Translate a recording into English",
    responses=common.transcript_responses(Verbose | Text) | common.NO_TEXT,
    response_class=Response,
)
async def translations(request: Request, form: Annotated[Translation, common.AsForm]) -> Response:
    """Write down in English what is said in another language; English-only models and `turbo` cannot."""
    if form.response_format == "diarized_json":
        raise HttpError(400, "a translation has no speakers", "invalid_value", "response_format")
    return await _answered(request, form, RequestOptions(None, form.prompt, "translate", form.temperature))


@router.get("/v1/models", summary="List the models", responses=common.error_responses(401))
async def models(request: Request) -> ModelList:
    """The one model of this server, under its own name and under those that clients send (option `server.aliases`)."""
    return ModelList(data=[Model(id=name) for name in common.served_names(server_of(request).config)])


@router.get("/v1/models/{name:path}", summary="Look at a model", responses=common.error_responses(401, 404))
async def one_model(request: Request, name: str) -> Model:
    """The model under one of its names."""
    common.check_model(server_of(request).config, name)
    return Model(id=name)


async def _answered(request: Request, form: Translation, asked: RequestOptions, stream: bool = False) -> Response:
    server, name = server_of(request), form.file.filename or ""
    common.check_model(server.config, form.model)
    if not stream:
        entry, headers = await common.said_in(request, form, form.file, name, asked)
        parts = getattr(form, "timestamp_granularities", ()) or ("segment",)
        body = answer(entry, asked.config(server.config), form.response_format, parts)
        return Response(body, headers=headers, media_type=TYPES[form.response_format])
    recording = await common.received(request, form.file, name, asked)
    told = events(request, server, recording, asked, form.response_format == "diarized_json")
    request.state.ending.push_async_callback(told.aclose)
    await while_wanted(request, anext(told))
    headers = form.headers(server.config) | {"X-Accel-Buffering": "no"}  # has nginx pass on every event at once
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def events(
    request: Request, server: Server, recording: Recording, asked: RequestOptions, diarized: bool
) -> AsyncGenerator[bytes]:
    """Text in order as it comes, and the whole of it at the end.

    What comes first is empty, as soon as it is decoded, but no later than a proxy waits for the first byte: a failure
    before that is raised, so that a file that is no recording still gets a proper refusal.
    """
    config, news, tickets = asked.config(server.config), asyncio.Event(), list[Ticket]()

    def watch(ticket: Ticket) -> None:
        tickets[:] = [ticket]
        news.set()

    work = asyncio.create_task(in_time(server, server.intake.transcribe(recording, asked, watch)))
    work.add_done_callback(lambda _: news.set())
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), QUIET)
        if work.done():
            work.result()
        yield b""
        try:
            told, space = 0, ""
            while True:
                news.clear()
                over = work.done()
                heard = over and not work.exception()  # from the cache, or all at once
                segments = work.result()[0].transcript.segments if heard else tickets[0].segments if tickets else ()
                for text in texts(segments[told:], config):
                    yield event({"type": "transcript.text.delta", "delta": space + text})
                    space = " "
                if over:
                    break
                told = len(segments)
                try:
                    await asyncio.wait_for(news.wait(), QUIET)
                except TimeoutError:
                    yield KEEPALIVE_COMMENT
            entry, _ = work.result()
        except Exception as failure:
            if not isinstance(failure, HttpError | RecordingError | SnakescribeError):
                LOG.exception("a stream failed", extra={"request_id": request.state.request_id})
            yield event({"error": refusal(failure).error.model_dump()})
            return
        common.log_text(request, server, entry)
        for segment in by_speaker(entry, config) if diarized else ():
            yield event(segment.model_dump())
        text = glossary.apply(entry.transcript, config.glossary).text
        usage = Usage(seconds=math.ceil(entry.transcript.duration)).model_dump()
        yield event({"type": "transcript.text.done", "text": text, "usage": usage})
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
