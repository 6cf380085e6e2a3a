"""Which transcript formats there are: the only place that knows their suffixes, media types and writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, Literal

from snakescribe.config.options import OutputFormat
from snakescribe.formats.document import json_document, text_document
from snakescribe.formats.notation import ass, srt, vtt
from snakescribe.formats.subtitles import Cue, cues

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "ass"]
"""OpenAI's names (``response_format``) and ours; its ``json`` is the text alone, which no transcript file is."""


@dataclass
class Spoken:
    """What a transcript file is written from."""

    row: Mapping[str, Any]
    """A recording's row of the batch file; all but JSON need only ``segments``, ``language`` and ``duration``."""
    highlight: bool = False
    """Whether subtitles that can shall highlight the word that is said."""

    @property
    def segments(self) -> list[dict[str, Any]]:
        """Its segments, none when it failed."""
        return self.row["segments"] or []

    @cached_property
    def cues(self) -> list[Cue]:
        """Its subtitles, laid out once for all formats."""
        return cues(self.segments, self.row["language"], self.row["duration"] or inf)


@dataclass(frozen=True)
class TranscriptFormat:
    """One kind of transcript file."""

    name: OutputFormat
    """As in the option ``outputs``; also the file's suffix."""
    media_type: str
    response: ResponseFormat
    """What the server's callers ask for to get it."""
    write: Callable[[Spoken], str]
    of_failed: bool = False
    """Whether a recording that failed has one, too."""
    subtitles: bool = False
    """Whether players look for it beside the recording, so that ``subtitles.name`` is about it."""


FORMATS = {
    one.name: one
    for one in (
        TranscriptFormat("txt", "text/plain; charset=utf-8", "text", lambda said: text_document(said.segments)),
        TranscriptFormat(
            "srt", "application/x-subrip; charset=utf-8", "srt", lambda said: srt(said.cues), subtitles=True
        ),
        TranscriptFormat(
            "vtt", "text/vtt; charset=utf-8", "vtt", lambda said: vtt(said.cues, said.highlight), subtitles=True
        ),
        TranscriptFormat(
            "ass", "text/x-ssa; charset=utf-8", "ass", lambda said: ass(said.cues, said.highlight), subtitles=True
        ),
        TranscriptFormat(
            "json", "application/json", "verbose_json", lambda said: json_document(said.row), of_failed=True
        ),
    )
}
"""By name, in the order in which the page offers them."""
