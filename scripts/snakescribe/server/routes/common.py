"""What the routes share: fields, refusals, and the one way from an upload to what is said in it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import re
import tempfile
from collections.abc import Callable, Coroutine
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Form, Request, UploadFile
from fastapi.routing import APIRoute
from pydantic import AfterValidator, AliasChoices, BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as FormFile
from starlette.responses import Response

from snakescribe.config import Config
from snakescribe.config.languages import DETECTED, as_written
from snakescribe.config.options import MOST_SPEAKERS
from snakescribe.errors import CrashError, ModelError
from snakescribe.models.configured import configured_store
from snakescribe.recording import Recording
from snakescribe.server.http_errors import ErrorAnswer, HttpError
from snakescribe.server.intake import Intake, RequestOptions, Said, copied
from snakescribe.server.state import Server, in_time, server_of, while_wanted

LOG = logging.getLogger(__name__)
MODEL, CACHE, IGNORED, FLAGS = SAID = tuple(f"x-snakescribe-{name}" for name in ("model", "cache", "ignored", "flags"))
"""Headers of an answer: what read it, whether the cache had it (hit or miss), fields that have no effect, and what to
look at (a cut file), in forms of the text that cannot say it."""
FORM_LIMITS: Any = {"max_files": 1, "max_fields": 40, "max_part_size": 512 * 1024}
"""A form has one file and a few fields, JSON no more than that; in bytes, a sample of a known speaker (ten seconds in
base64, unused)."""
MOST_JSON = 36_000_000
"""Bytes of a JSON body, which is held in memory: 27 MB of sound, as much as OpenAI takes."""
NAME = re.compile(r"[\w.\[\]-]{1,64}", re.ASCII)
"""Names of fields that can stand in a header."""

REFUSALS = {
    400: "a field is missing or wrong",
    401: "no key, or a wrong one",
    403: "a web page that may not ask",
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
SECONDS = {"headers": {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for the OpenAPI document."""
    return {
        status: {"model": ErrorAnswer, "description": REFUSALS[status]} | (SECONDS if status in (429, 503) else {})
        for status in (*statuses, *((403,) if 401 in statuses else ()))
    }


def transcript_responses(model: object, **more: object) -> dict[int | str, dict[str, Any]]:
    """The answers with a transcript: as JSON (``model``), and in other forms."""
    forms = ("text/plain", "application/x-subrip", "text/vtt", "text/x-ssa")
    content = {form: {"schema": {"type": "string"}} for form in forms} | more
    return {200: {"model": model, "description": "the transcript in the form that was asked for", "content": content}}


NO_TEXT = error_responses(400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504, 507)


def _spoken(language: str) -> str:
    if code := as_written(language):
        return code
    raise ValueError(f"{language!r} is no language that Whisper knows; use auto, mixed or a code like ko, en, ja, zh")


def several(name: str) -> AliasChoices:
    """A field that comes more than once: with brackets at the end or, from some clients, without."""
    return AliasChoices(f"{name}[]", name)


Language = Annotated[str, AfterValidator(_spoken)]
MOST_PROMPT = 10_000
"""Characters; Whisper looks at the last 224 tokens."""
Prompt = Annotated[str, Field(max_length=MOST_PROMPT)]
Nothing = SkipJsonSchema[None]
"""What a field is that was left out; a form has no null."""
SPEAKERS = ("off", "auto", *map(str, range(1, MOST_SPEAKERS + 1)))
Voices = Literal[*SPEAKERS]  # type: ignore[valid-type]
AsForm = Form(media_type="multipart/form-data")


class Upload(BaseModel, extra="allow"):
    """A form; fields that it does not have are taken and change nothing."""

    def headers(self, config: Config) -> dict[str, str]:
        """Which model reads it, and what of the form has no effect."""
        unknown = [name for name in self.model_extra or () if NAME.fullmatch(name)]
        told = {MODEL: quote(Path(config.model).name)}
        return told | ({IGNORED: ", ".join(unknown[:20])} if unknown else {})


class Fields(BaseModel):
    """What may be asked of every recording."""

    model: str | Nothing = Field(None, description="a name that `/v1/models` gives; left out, the one that there is")
    prompt: Prompt | Nothing = Field(None, description="what was said before: names, spelling, style")
    temperature: float = Field(
        0.0,
        ge=0,
        le=1,
        description="text comes from beam search; where a guard refuses it, sampling begins at this temperature",
    )


class SpokenFields(Fields):
    """What may be asked of one that is not translated."""

    language: Language | Nothing = Field(
        None,
        description="spoken language (`ko`, `ko-KR`, `kor`, `Korean`), `auto` or `mixed`; left out, the server's own",
    )
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        default_factory=list, validation_alias=several("timestamp_granularities"), description="of `verbose_json`"
    )
    languages: list[Language] = Field(
        default_factory=list, validation_alias=several("languages"), description="one of these is spoken"
    )
    keywords: list[Prompt] = Field(
        default_factory=list, validation_alias=several("keywords"), description="words to expect"
    )
    speakers: Voices | Nothing = Field(
        None, description="tell voices apart: how many there are, or `auto`; in all forms of the text that can show it"
    )

    def spoken(self, config: Config) -> tuple[str | None, str | None]:
        """Language and prompt of :class:`RequestOptions`; key words stand before the prompt, like hotwords."""
        detected = next((one for one in self.languages if one in DETECTED), None)
        language = self.language or detected or ",".join(dict.fromkeys(self.languages)) or None
        before = config.prompt if self.prompt is None else self.prompt
        return language, f"{', '.join(self.keywords)} {before}" if self.keywords else self.prompt


class FormOrJson(APIRoute):
    """A form, or all of it as JSON with ``input_audio``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Make the form before the framework asks for it."""
        handle = super().get_route_handler()

        async def either(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if self.body_field and kind == "application/json":
                request._form = await _form_of_json(request)
            return await handle(request)

        return either


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
    each = ((key, one) for key, some in fields.items() for one in (some if isinstance(some, list) else [some]))
    given = [(key, str(one)) for key, one in islice(each, FORM_LIMITS["max_fields"] + 1) if one is not None]
    if len(given) > FORM_LIMITS["max_fields"] or sum(len(one) for _, one in given) > FORM_LIMITS["max_part_size"]:
        message = f"a JSON body has at most {FORM_LIMITS['max_fields']} short values beside input_audio"
        raise HttpError(400, message, "invalid_value")
    return FormData([("file", FormFile(io.BytesIO(sound), filename=name)), *given])


def served_names(config: Config) -> list[str]:
    """The model's own name, and those that it answers to."""
    return list(dict.fromkeys([Path(config.model).name, *(name for name in config.server.aliases if name != "*")]))


def check_model(config: Config, name: str | None) -> None:
    """Refuse the name of a model that is not here."""
    there = served_names(config)
    if name is not None and name not in there and "*" not in config.server.aliases:
        raise HttpError(404, f"there is no model {name!r} here; use {' or '.join(there)}", "model_not_found", "model")


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


async def received(request: Request, file: UploadFile, name: str, asked: RequestOptions) -> Recording:
    """An upload on disk, as long as its answer takes; its ``name`` says only how it is read if it has no header."""
    server = server_of(request)
    check_asked(server.intake, asked)
    if server.intake.engine.ready is None:
        raise CrashError(server.intake.engine.absence)
    folder = request.state.ending.enter_context(tempfile.TemporaryDirectory(dir=server.jobs.uploads, prefix="request-"))
    source = Path(folder, "recording" + server.config.audio.raw_suffix(name))
    recording = await asyncio.to_thread(copied, file.file, source)
    await file.close()
    return recording


async def said_in(
    request: Request, form: Upload, file: UploadFile, name: str, asked: RequestOptions
) -> tuple[Said, dict[str, str]]:
    """What is said in an upload (:func:`received`), and the headers of the answer."""
    server, recording = server_of(request), await received(request, file, name, asked)
    entry, cached = await while_wanted(request, in_time(server, server.intake.transcribe(recording, asked)))
    log_text(request, server, entry)
    flags = ", ".join(sorted({*entry.flags, *entry.transcript.flags}))
    told = {CACHE: "hit" if cached else "miss"} | ({FLAGS: flags} if flags else {})
    return entry, form.headers(server.config) | told


def log_text(request: Request, server: Server, entry: Said) -> None:
    """Write the text into the log, if that is wanted."""
    if server.config.server.log_text:
        LOG.info("transcript", extra={"request_id": request.state.request_id, "text": entry.transcript.text})
