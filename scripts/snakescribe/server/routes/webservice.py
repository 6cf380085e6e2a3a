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
from snakescribe.server.routes import common
from snakescribe.server.state import server_of

FORMS: dict[str, ResponseFormat] = {"txt": "text", "srt": "srt", "vtt": "vtt", "json": "verbose_json"}
RAW = "samples.sln16"
"""The name under which headerless sound is read as 16 bits, 16 kHz, mono: what is sent with ``encode=false``."""
HEAD = 120.0
"""Seconds in which the language is looked for: in the first half minute of a film nobody may speak."""
ENGINE = {"Asr-Engine": "snakescribe"}
TSV = {"text/tab-separated-values": {"schema": {"type": "string"}}}

router = APIRouter(tags=["whisper-asr-webservice's API"])

Encode = Annotated[bool, Query(description="false: `audio_file` holds only samples, 16 bits, 16 kHz, mono")]


class Sound(common.Upload):
    """The body."""

    audio_file: UploadFile = File(description="any container and codec, or 16-bit samples at 16 kHz")


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
    responses=common.transcript_responses(Heard, **TSV) | common.NO_TEXT,
    response_class=Response,
)
async def asr(
    request: Request,
    sound: Annotated[Sound, common.AsForm],
    task: Annotated[Literal["transcribe", "translate"], Query()] = "transcribe",
    language: Annotated[common.Language | Literal[""] | None, Query()] = None,
    initial_prompt: Annotated[common.Prompt | None, Query()] = None,
    output: Annotated[Literal["txt", "srt", "vtt", "tsv", "json"], Query()] = "txt",
    encode: Encode = True,
    word_timestamps: Annotated[bool, Query(description="times of words, in `json`")] = False,
) -> Response:
    """What is said, in one of five forms; speech is always looked for first (`vad_filter`)."""
    config = server_of(request).config
    asked = RequestOptions(language or None, initial_prompt, task, words=word_timestamps and output == "json")
    entry, headers = await common.said_in(request, sound, sound.audio_file, "" if encode else RAW, asked)
    if output == "tsv":
        return Response(_tsv(entry), headers=headers | ENGINE, media_type="text/tab-separated-values; charset=utf-8")
    form = FORMS[output]
    text = answer(entry, asked.config(config), form, ("segment", "word") if asked.words else ("segment",))
    if output == "json":  # the language by its code, and words within their segments
        found = json.loads(text)
        for one in found["segments"]:
            one["words"] = [word for word in found.get("words", ()) if one["start"] <= word["start"] < one["end"]]
        text = Heard(**found | {"language": found["language_code"]}).model_dump_json()
    return Response(text, headers=headers | ENGINE, media_type=TYPES[form])


@router.post("/detect-language", summary="Which language?", responses=common.NO_TEXT)
async def detect_language(request: Request, sound: Annotated[Sound, common.AsForm], encode: Encode = True) -> Detected:
    """The language of the first two minutes; `und` where nobody speaks."""
    asked = RequestOptions("auto", head=HEAD)
    heard = (await common.said_in(request, sound, sound.audio_file, "" if encode else RAW, asked))[0].transcript
    code = heard.language or "und"
    name = LANGUAGES.get(code, "unknown")
    return Detected(detected_language=name, language_code=code, confidence=heard.language_probability or 0.0)


def _tsv(entry: Said) -> str:
    """Whole milliseconds and text, as whisper's own writer has them."""
    segments = entry.transcript.segments
    rows = [(round(one.start * 1000), round(one.end * 1000), one.text.replace("\t", " ")) for one in segments]
    return "".join("\t".join(map(str, row)) + "\n" for row in [("start", "end", "text"), *rows])
