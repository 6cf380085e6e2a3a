"""OpenAI's ``verbose_json``, as its API and this package's server give it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from snakescribe.config.languages import LANGUAGES
from snakescribe.flags import SEGMENT_FLAGS
from snakescribe.formats.spoken import Spoken


class SpokenSegment(BaseModel):
    """A sentence, or what was said between two pauses; times in seconds."""

    id: int
    seek: int = 0
    start: float
    end: float
    text: str
    tokens: list[int] = []
    temperature: float
    avg_logprob: float = Field(validation_alias="mean_logprob")
    compression_ratio: float
    no_speech_prob: float = Field(validation_alias="no_speech_probability")
    channel: str | None
    flags: list[Annotated[str, WithJsonSchema({"type": "string", "enum": list(SEGMENT_FLAGS)})]]
    """Of another version's results, too."""
    speaker: str | None = Field(None, description="only where speakers were asked for")


class SpokenWord(BaseModel):
    """A word; times in seconds."""

    word: str = Field(validation_alias="text")
    start: float
    end: float
    probability: float


class VerboseText(BaseModel):
    """The fields that OpenAI's clients read."""

    text: str
    language: str = Field(description="English name; empty if nothing was said")
    duration: float | SkipJsonSchema[None]
    segments: list[SpokenSegment] | SkipJsonSchema[None] = None
    words: list[SpokenWord] | SkipJsonSchema[None] = None


def verbose_fields(said: Spoken) -> dict[str, Any]:
    """Those of :class:`VerboseText`; tokens are not kept."""
    return {
        "text": said.row.get("text") or "",
        "language": LANGUAGES.get(said.row["language"] or "", ""),
        "duration": said.row["duration"],
        "segments": [one | {"id": number} for number, one in enumerate(said.segments)],
        "words": [word for one in said.segments for word in one.get("words") or ()],
    }


def openai_json(said: Spoken) -> str:
    """A file of its own; ``words`` where there are any."""
    found = VerboseText(**verbose_fields(said))
    left_out = {"segments": {"__all__": {"speaker"}}} | ({} if found.words else {"words": True})
    return found.model_dump_json(indent=2, exclude=left_out) + "\n"
