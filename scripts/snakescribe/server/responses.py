"""A transcript in the forms of OpenAI's audio API (and ass), and as the events of a stream."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Literal

from fastapi.sse import format_sse_event
from pydantic import BaseModel, Field

from snakescribe import glossary
from snakescribe.config import Config
from snakescribe.flags import Flag, explained
from snakescribe.formats.openai_json import VerboseText, verbose_fields
from snakescribe.formats.registry import SERVED, ResponseFormat
from snakescribe.formats.spoken import Spoken
from snakescribe.server.intake import Said
from snakescribe.transcript import Gap, Segment, Transcript

FILES = {one.response: one for one in SERVED.values()}
TYPES = dict.fromkeys(("json", "diarized_json"), "application/json")
TYPES |= {form: one.media_type for form, one in FILES.items()}
"""Media types by ``response_format``."""
_NOTHING = Transcript(duration=0.0, speech_seconds=0.0, language=None, language_probability=None, segments=())


class Usage(BaseModel):
    """What OpenAI's clients expect for a model that is paid by the second."""

    type: Literal["duration"] = "duration"
    seconds: int


class Text(BaseModel):
    """`json`: the text alone."""

    text: str
    usage: Usage


class Made(BaseModel):
    """What the text was made with."""

    model: str
    engine: str
    device: str
    compute: str


class Verbose(VerboseText, Text):
    """`verbose_json`: OpenAI's fields, and more (`language_code`, `flags`, `gaps`, `engine`)."""

    task: Literal["transcribe", "translate"]
    language_code: str | None
    flags: list[Flag] = Field(description=f"what to look at: {explained()}")
    gaps: list[Gap] = Field(description="where more than two seconds of speech have no text")
    engine: Made


class SpeakerSegment(BaseModel):
    """What one speaker says; times in seconds."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    start: float
    end: float
    text: str
    speaker: str = Field(description="`SPEAKER_00`, …, or the channel's name where only one speaks on it")


class Diarized(Text):
    """`diarized_json`: who said what."""

    task: Literal["transcribe", "translate"]
    duration: float
    segments: list[SpeakerSegment]


def answer(entry: Said, config: Config, form: ResponseFormat, parts: Container[str] = ("segment",)) -> str:
    """The body of a response; ``parts``: of ``verbose_json``, `segment`, `word` or both."""
    transcript = glossary.apply(entry.transcript, config.glossary)
    text: dict[str, Any] = {"text": transcript.text, "usage": Usage(seconds=math.ceil(transcript.duration))}
    if form == "json":
        return Text(**text).model_dump_json() + "\n"
    text |= {"task": config.task, "duration": transcript.duration}
    if form == "diarized_json":
        return Diarized(**text, segments=list(by_speaker(entry, config))).model_dump_json() + "\n"
    spoken = Spoken(entry.told or transcript.model_dump(), config.subtitles.highlight)
    if form != "verbose_json":
        return FILES[form].write(spoken)
    verbose = Verbose(
        **verbose_fields(spoken) | text,
        language_code=transcript.language,
        flags=sorted({*entry.flags, *spoken.row["flags"]}),
        gaps=list(transcript.gaps),
        engine=Made(**dict(entry.provenance), compute=entry.provenance.compute_type),
    )
    return verbose.model_dump_json(exclude={f"{part}s" for part in ("segment", "word") if part not in parts}) + "\n"


def by_speaker(entry: Said, config: Config) -> Iterator[SpeakerSegment]:
    """Who said what, in order; nobody (an empty name) where no voice was heard."""
    transcript = glossary.apply(entry.transcript, config.glossary)
    for number, one in enumerate(Spoken(entry.told or transcript.model_dump()).segments):
        yield SpeakerSegment(**one | {"id": f"seg_{number:03d}", "speaker": one.get("speaker") or ""})


def texts(segments: Iterable[Segment], config: Config) -> list[str]:
    """What a stream tells of some segments; joined by spaces, it is the text of :func:`done`."""
    some = glossary.apply(_NOTHING.model_copy(update={"segments": tuple(segments)}), config.glossary)
    return [segment.text for segment in some.segments if segment.text]


def event(data: Mapping[str, Any]) -> bytes:
    """One server-sent event, with the line ``event`` that some readers need."""
    return format_sse_event(event=data.get("type", "error"), data_str=json.dumps(data, ensure_ascii=False))
