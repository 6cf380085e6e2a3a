"""Finished transcripts by content: a recording that was transcribed with the same options is never done again.

Layout: ``CACHE/<first 2 hex of the audio's SHA-256>/<SHA-256>/<key>.json``, so that everything about one
recording can be forgotten by removing one folder. The batch workflow and the HTTP shim share it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from snakescribe.audio.decoder import ffmpeg_version
from snakescribe.config import Config
from snakescribe.config.options import digest
from snakescribe.engine.backend import Hardware
from snakescribe.files import write_atomically
from snakescribe.inventory.manifest import Recording
from snakescribe.models.store import Prepared, Store
from snakescribe.records import Frozen
from snakescribe.transcript import Transcript


class Provenance(BaseModel):
    """What made a transcript; columns of the recordings table."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    model_sha256: str
    engine: str
    versions: str
    device: str
    device_name: str
    driver: str | None
    compute_type: str
    options_hash: str
    wall_seconds: float
    finished_at: datetime

    @classmethod
    def of(
        cls, config: Config, prepared: Prepared, engine: str, hardware: Hardware, recording: Recording, wall: float
    ) -> Provenance:
        """Of a transcript that was finished just now and took ``wall`` seconds."""
        return cls(
            model=config.model,
            model_sha256=prepared.identity,
            engine=engine,
            versions=f"{hardware.versions}, ffmpeg {ffmpeg_version()}",
            device=hardware.device,
            device_name=hardware.device_name,
            driver=hardware.driver,
            compute_type=hardware.compute_type,
            options_hash=digest(recording_options(config, recording)),
            wall_seconds=round(wall, 3),
            finished_at=datetime.now(UTC),
        )


class CachedTranscript(Frozen):
    """One cached result: the text before the glossary, and what made it."""

    transcript: Transcript
    flags: tuple[str, ...] = ()
    """Found while normalising: ``truncated``."""
    provenance: Provenance


def recording_options(config: Config, recording: Recording) -> dict[str, Any]:
    """The options that change this recording's text, its own overrides applied."""
    options = config.text_options()
    options["language"] = recording.language or options["language"]
    options["prompt"] = config.prompt if recording.prompt is None else recording.prompt
    options["audio"] |= {"channels": recording.channel_mode or options["audio"]["channels"]}
    return options


def transcript_key(config: Config, prepared: Prepared, recording: Recording) -> str:
    """Digest of everything but the audio that the transcript depends on."""
    options = recording_options(config, recording)
    return digest({"options": options, "model": prepared.identity, "speech": "silero_vad_v6"})


def content_key(recording: Recording, key: str) -> str:
    """Recordings of equal content and options (``key``) share one transcript; unreadable ones share nothing."""
    return digest([recording.sha256 or recording.recording_id, key])


class Cache:
    """The cache folder; ``mode`` says whether it is read and written."""

    def __init__(self, config: Config) -> None:
        """Nothing is created before the first write."""
        self._root = Path(config.cache.path)
        self._mode = config.cache.mode
        self._max_bytes = config.cache.max_gb * 1e9

    def _path(self, sha256: str, key: str) -> Path:
        return self._root / sha256[:2] / sha256 / f"{key}.json"

    def get(self, sha256: str, key: str) -> CachedTranscript | None:
        """The entry, or None; a damaged one counts as missing."""
        if self._mode != "use" or not sha256:
            return None
        path = self._path(sha256, key)
        try:
            entry = CachedTranscript.model_validate_json(path.read_bytes())
            os.utime(path)  # the oldest by use go first
        except (OSError, ValidationError):
            return None
        return entry

    def put(self, sha256: str, key: str, entry: CachedTranscript) -> None:
        """Keep a finished transcript."""
        if self._mode != "off" and sha256:
            write_atomically(self._path(sha256, key), entry.model_dump_json().encode())

    def forget(self, sha256: str) -> bool:
        """Remove everything about one recording's content; whether there was anything."""
        folder = self._root / sha256[:2] / sha256
        if not sha256 or not folder.is_dir():
            return False
        shutil.rmtree(folder)
        return True

    def trim(self) -> None:
        """Remove the entries not used for longest until the cache fits ``cache.max_gb``."""
        if self._mode == "off" or not self._root.is_dir():
            return
        entries = []
        for path in self._root.glob("??/*/*.json"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            entries.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size


def skip_known(config: Config) -> Callable[[Recording], bool]:
    """Tell whether a recording needs no audio, because its transcript is in the cache."""
    cache, prepared = Cache(config), Store(Path(config.models)).resolve(config.model)

    def known(recording: Recording) -> bool:
        return cache.get(recording.sha256, transcript_key(config, prepared, recording)) is not None

    return known
