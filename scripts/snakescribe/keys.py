"""What makes two transcripts the same: every key and digest by which audio, a text or a batch is found again.

A transcript depends on the audio's content, the model's weights and alignment heads, the options that change words,
and our own code (:data:`TEXT_VERSION`); it does not depend on where a file lies, on the device, or on what is decoded
beside it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from snakescribe.config import Config
from snakescribe.config.options import Channels
from snakescribe.media.raw import extension
from snakescribe.models.store import Prepared
from snakescribe.recording import Overrides, Recording

TEXT_VERSION = 6
"""Raised whenever our own code changes what text comes out of the same audio and options, so that no cache gives an
old one; ``tests/unit/text_versions.json`` keeps a digest of what each version hears."""

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(value: object) -> str:
    """SHA-256 over the canonical JSON of ``value``, as 64 hex digits.

    >>> digest({"b": 1, "a": "네"}) == digest({"a": "네", "b": 1})
    True
    """
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()


def text_options(config: Config) -> dict[str, Any]:
    """All options that change the words of any transcript, except the model.

    ``engine`` and ``compute_type`` are taken as configured, so that ``auto`` is a value and another device reruns
    nothing.
    """
    without = {"truncated", "max_hours", "raw"} | ({"track"} if config.audio.track == "default" else set())
    return {
        "text_version": TEXT_VERSION,
        "language": config.language,
        "task": config.task,
        "prompt": config.prompt,
        "hotwords": config.hotwords,
        "words": config.words,
        "engine": config.engine,
        "compute_type": config.compute_type,
        "audio": config.audio.model_dump(exclude=without),
        "speech": config.speech.model_dump(),
        "decoding": config.decoding.model_dump(exclude={"rows"}),
    }


def recording_options(config: Config, recording: Recording) -> dict[str, Any]:
    """:func:`text_options` of one recording, its own overrides applied; of a file without a header also what is in it,
    so that the same bytes called ``.ulaw`` and ``.alaw`` share nothing.
    """
    options = text_options(config)
    options["language"] = recording.language or options["language"]
    options["prompt"] = config.prompt if recording.prompt is None else recording.prompt
    options["audio"] |= {"channels": _channels(config, recording), **_raw(config, recording)}
    return options


def options_hash(config: Config, recording: Recording) -> str:
    """Digest of :func:`recording_options`, a column of the tables."""
    return digest(recording_options(config, recording))


def transcript_key(config: Config, prepared: Prepared, recording: Recording) -> str:
    """Digest of everything but the audio that a transcript depends on."""
    options = recording_options(config, recording)
    return digest({"options": options, "model": prepared.key, "speech": "silero_vad_v6"})


def content_key(recording: Recording, key: str) -> str:
    """Recordings of equal content and options (``key``) share one transcript; unreadable ones share nothing."""
    return digest([_content(recording), key])


def samples_key(config: Config, recording: Recording) -> str:
    """Recordings of a batch with equal keys have the same samples once they are decoded."""
    return digest([_content(recording), _channels(config, recording), *_raw(config, recording).values()])


def decoding_key(config: Config) -> str:
    """Only recordings with equal keys are decoded together: the rest of what they depend on is theirs alone."""
    return digest({"task": config.task, "words": config.words, "decoding": config.decoding.model_dump()})


def options_digest(config: Config, prepared: Prepared) -> str:
    """Digest of all that a batch file says, apart from the recordings: a batch is made again when it changes.

    That is :func:`text_options`, and what is applied to a finished transcript.
    """
    kept = config.audio.model_dump(include={"truncated", "max_hours", *(["raw"] if config.audio.raw else [])})
    options = text_options(config) | {"glossary": config.glossary, "kept": kept}
    return digest({"model": prepared.key, "options": options})


def fingerprint(content: str, path: bytes, recording: Overrides) -> str:
    """Changes when a listed recording has something new to transcribe; ``content`` tells what is in the file."""
    return digest([content, path.hex(), recording.language, recording.prompt, recording.channel_mode])


def _content(recording: Recording) -> str:
    return recording.sha256 or recording.recording_id


def _channels(config: Config, recording: Overrides) -> Channels:
    return recording.channel_mode or config.audio.channels


def _raw(config: Config, recording: Recording) -> dict[str, Any]:
    raw = config.audio.raw_format(extension(recording.path))
    return {"raw": list(raw)} if raw else {}
