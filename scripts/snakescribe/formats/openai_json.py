"""OpenAI's ``verbose_json``, as its API and this package's server give it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from snakescribe.config.languages import LANGUAGES
from snakescribe.formats.spoken import Spoken


def openai_json(said: Spoken) -> str:
    """The fields that OpenAI's clients read; ``words`` where there are any."""
    row = said.row
    document = {
        "text": row["text"] or "",
        "language": LANGUAGES.get(row["language"] or "", ""),
        "duration": row["duration"],
        "segments": [verbose_segment(number, segment) for number, segment in enumerate(said.segments)],
    }
    if words := verbose_words(said.segments):
        document["words"] = words
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def verbose_segment(number: int, segment: Mapping[str, Any]) -> dict[str, Any]:
    """A segment under OpenAI's names; tokens are not kept."""
    return {
        "id": number,
        "seek": 0,
        "start": segment["start"],
        "end": segment["end"],
        "text": segment["text"],
        "tokens": [],
        "temperature": segment["temperature"],
        "avg_logprob": segment["mean_logprob"],
        "compression_ratio": segment["compression_ratio"],
        "no_speech_prob": segment["no_speech_probability"],
        "channel": segment["channel"],
        "flags": segment["flags"],
    }


def verbose_words(segments: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All words under OpenAI's names."""
    return [
        {"word": word["text"], "start": word["start"], "end": word["end"], "probability": word["probability"]}
        for segment in segments
        for word in segment.get("words") or ()
    ]
