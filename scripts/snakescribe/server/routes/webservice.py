"""The API of whisper-asr-webservice, as Bazarr and others ask for it: ``/asr`` and ``/detect-language``."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Query, Request, UploadFile
from pydantic import BaseModel
from starlette.responses import Response

from snakescribe.config.languages import LANGUAGES
from snakescribe.formats.registry import ResponseFormat
from snakescribe.server.intake import RequestOptions, Said
from snakescribe.server.responses import TYPES, answer
from snakescribe.server.routes.common import (
    MOST_PROMPT,
    NO_TEXT,
    Ending,
    Language,
    received,
    said_in,
    transcript_responses,
)
from snakescribe.server.state import server_of

FORMS: dict[str, ResponseFormat] = {"txt": "text", "srt": "srt", "vtt": "vtt", "json": "verbose_json"}
RAW = "samples.sln16"
"""The name under which headerless sound is read as 16 bits, 16 kHz, mono: what is sent with ``encode=false``."""
HEAD = 120.0
"""Seconds in which the language is looked for: in the first half minute of a film nobody may speak."""
ENGINE = {"Asr-Engine": "snakescribe"}

router = APIRouter(tags=["whisper-asr-webservice's API"])

TheFile = Annotated[UploadFile, File(description="any container and codec, or 16-bit samples at 16 kHz")]
Encode = Annotated[bool, Query(description="false: `audio_file` holds only samples, 16 bits, 16 kHz, mono")]


class Heard(BaseModel):
    """`json`: Whisper's own result."""

    text: str
    segments: list[dict[str, Any]]
    language: str | None


class Detected(BaseModel):
    """The language that is spoken."""

    detected_language: str
    language_code: str
    confidence: float


@router.post(
    "/asr",
    summary="Transcribe or translate",
    responses=transcript_responses(Heard, **{"text/tab-separated-values": {"schema": {"type": "string"}}}) | NO_TEXT,
    response_class=Response,
)
async def asr(
    request: Request,
    ending: Ending,
    audio_file: TheFile,
    task: Annotated[Literal["transcribe", "translate"], Query()] = "transcribe",
    language: Annotated[Language | Literal[""] | None, Query()] = None,
    initial_prompt: Annotated[str | None, Query(max_length=MOST_PROMPT)] = None,
    output: Annotated[Literal["txt", "srt", "vtt", "tsv", "json"], Query()] = "txt",
    encode: Encode = True,
    word_timestamps: Annotated[bool, Query(description="times of words, in `json`")] = False,
) -> Response:
    """What is said, in one of five forms; speech is always looked for first (`vad_filter`)."""
    config = server_of(request).config
    asked = RequestOptions(language or None, initial_prompt, task, words=word_timestamps and output == "json")
    source, content = await received(request, ending, audio_file, "" if encode else RAW, asked)
    entry, headers = await said_in(request, source, content, asked)
    if output == "tsv":
        return Response(_tsv(entry), headers=headers | ENGINE, media_type="text/tab-separated-values; charset=utf-8")
    form = FORMS[output]
    text = answer(entry, asked.config(config), form, ("segment", "word") if asked.words else ("segment",))
    if output == "json":
        text = _as_whisper(json.loads(text)).model_dump_json()
    return Response(text, headers=headers | ENGINE, media_type=TYPES[form])


@router.post("/detect-language", summary="Which language?", responses=NO_TEXT)
async def detect_language(request: Request, ending: Ending, audio_file: TheFile, encode: Encode = True) -> Detected:
    """The language of the first two minutes; `und` where nobody speaks."""
    asked = RequestOptions("auto", head=HEAD)
    source, content = await received(request, ending, audio_file, "" if encode else RAW, asked)
    heard = (await said_in(request, source, content, asked))[0].transcript
    code = heard.language or "und"
    name = LANGUAGES.get(code, "unknown")
    return Detected(detected_language=name, language_code=code, confidence=heard.language_probability or 0.0)


def _tsv(entry: Said) -> str:
    """Whole milliseconds and text, as whisper's own writer has them."""
    segments = entry.transcript.segments
    rows = [(round(one.start * 1000), round(one.end * 1000), one.text.replace("\t", " ")) for one in segments]
    return "".join("\t".join(map(str, row)) + "\n" for row in [("start", "end", "text"), *rows])


def _as_whisper(verbose: dict[str, Any]) -> Heard:
    """The language by its code, and words within their segments."""
    words = verbose.get("words") or []
    for segment in verbose["segments"]:
        segment["words"] = [word for word in words if segment["start"] <= word["start"] < segment["end"]]
    return Heard(text=verbose["text"], segments=verbose["segments"], language=verbose["language_code"])
