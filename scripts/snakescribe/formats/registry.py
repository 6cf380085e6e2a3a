"""Which transcript formats there are: the only place that knows their suffixes, media types and writers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from snakescribe.config.options import OutputFormat
from snakescribe.formats.annotation import eaf, textgrid
from snakescribe.formats.chat import chat
from snakescribe.formats.document import json_document, text_document
from snakescribe.formats.labels import audacity, timed
from snakescribe.formats.notation import ass, srt, vtt
from snakescribe.formats.openai_json import openai_json
from snakescribe.formats.scoring import ctm, rttm, stm
from snakescribe.formats.spoken import Spoken
from snakescribe.formats.word_document import docx

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "ass", "diarized_json"]
"""OpenAI's names (``response_format``) and ours; ``json``, the text alone, and ``diarized_json`` are no files."""
ServedFormat = Literal["json", "txt", "srt", "vtt", "ass"]
"""Names of the formats that the server's jobs give."""


@dataclass(frozen=True)
class TranscriptFormat:
    """One kind of transcript file."""

    name: OutputFormat
    """As in the option ``outputs``."""
    suffix: str
    """Of its files, without the first dot. What another one ends in (``labels.txt``) is no recording's name."""
    write: Callable[[Spoken], str | bytes]
    of_failed: bool = False
    """Whether a recording that failed has one, too."""
    subtitles: bool = False
    """Whether players look for it beside the recording, so that ``subtitles.name`` is about it."""

    def data(self, said: Spoken) -> bytes:
        """What stands in the file."""
        written = self.write(said)
        return written if isinstance(written, bytes) else written.encode()


@dataclass(frozen=True, kw_only=True)
class TextFormat(TranscriptFormat):
    """One that the server gives, too."""

    name: ServedFormat
    write: Callable[[Spoken], str]
    media_type: str
    response: ResponseFormat
    """What the server's callers ask for to get it."""


_ALL: tuple[TranscriptFormat, ...] = (
    TextFormat(
        name="txt",
        suffix="txt",
        write=lambda said: text_document(said.segments),
        media_type="text/plain; charset=utf-8",
        response="text",
    ),
    TextFormat(
        name="srt",
        suffix="srt",
        write=lambda said: srt(said.cues),
        subtitles=True,
        media_type="application/x-subrip; charset=utf-8",
        response="srt",
    ),
    TextFormat(
        name="vtt",
        suffix="vtt",
        write=lambda said: vtt(said.cues, said.highlight),
        subtitles=True,
        media_type="text/vtt; charset=utf-8",
        response="vtt",
    ),
    TextFormat(
        name="ass",
        suffix="ass",
        write=lambda said: ass(said.cues, said.highlight),
        subtitles=True,
        media_type="text/x-ssa; charset=utf-8",
        response="ass",
    ),
    TextFormat(
        name="json",
        suffix="json",
        write=lambda said: json_document(said.row),
        of_failed=True,
        media_type="application/json",
        response="verbose_json",
    ),
    TranscriptFormat("docx", "docx", docx),
    TranscriptFormat("timed", "timed.txt", timed),
    TranscriptFormat("textgrid", "TextGrid", textgrid),
    TranscriptFormat("eaf", "eaf", eaf),
    TranscriptFormat("chat", "cha", chat),
    TranscriptFormat("audacity", "labels.txt", audacity),
    TranscriptFormat("ctm", "ctm", ctm),
    TranscriptFormat("stm", "stm", stm),
    TranscriptFormat("rttm", "rttm", rttm),
    TranscriptFormat("openai", "openai.json", openai_json),
)
FORMATS = {one.name: one for one in _ALL}
SERVED = {one.name: one for one in _ALL if isinstance(one, TextFormat)}
"""Those of the server, in the order in which the page offers them."""
