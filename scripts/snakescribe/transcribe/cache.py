"""Finished transcripts by content: a recording that was transcribed with the same options is never done again.

Layout: ``CACHE/<first 2 hex of the audio's SHA-256>/<SHA-256>/<key>.json``, so that everything about one
recording can be forgotten by removing one folder. The batch workflow and the HTTP shim share it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from snakescribe.audio.samples import DecodedTrack
from snakescribe.config import Config
from snakescribe.files import write_atomically
from snakescribe.flags import Flag
from snakescribe.keys import transcript_key
from snakescribe.models.configured import configured_model
from snakescribe.recording import Recording
from snakescribe.records import Frozen
from snakescribe.transcribe.provenance import Provenance
from snakescribe.transcript import Transcript


class CachedTranscript(Frozen):
    """One cached result: the text before glossary replacements, and what made it."""

    transcript: Transcript
    flags: tuple[Flag, ...] = ()
    """Found while normalising."""
    decoded: DecodedTrack | None = None
    """None in entries of older versions."""
    envelope: str | None = None
    """See :func:`snakescribe.vad.loudness.envelope`; None in those and in the server's."""
    provenance: Provenance


class Cache:
    """The cache folder; ``mode`` says whether it is read and written."""

    def __init__(self, config: Config) -> None:
        """The folder is made by the first write."""
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
            entry = CachedTranscript.model_validate_json(_opened(path.read_bytes()))
            os.utime(path)  # so that trim() sees when it was last used
        except (OSError, ValueError):
            return None
        return entry

    def put(self, sha256: str, key: str, entry: CachedTranscript) -> None:
        """Keep a finished transcript."""
        if self._mode != "off" and sha256:
            write_atomically(self._path(sha256, key), _sealed(entry.model_dump_json().encode()))

    def get_voices(self, sha256: str, key: str) -> bytes | None:
        """What is known of a recording's voices; a damaged entry counts as missing."""
        if self._mode != "use" or not sha256:
            return None
        path = self._path(sha256, key)
        try:
            found = base64.b64decode(json.loads(_opened(path.read_bytes()))["voices"], validate=True)
            os.utime(path)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found

    def put_voices(self, sha256: str, key: str, voices: bytes) -> None:
        """Keep them, under a key of their own."""
        if self._mode != "off" and sha256:
            entry = json.dumps({"voices": base64.b64encode(voices).decode()})
            write_atomically(self._path(sha256, key), _sealed(entry.encode()))

    def forget(self, sha256: str) -> bool:
        """Remove everything about one recording's content; whether there was anything."""
        folder = self._root / sha256[:2] / sha256
        if not sha256 or not folder.is_dir():
            return False
        shutil.rmtree(folder)
        return True

    def entries(self) -> Iterator[Path]:
        """Files of all entries; the time of each is that of its last use."""
        return self._root.glob("??/*/*.json")

    def trim(self) -> None:
        """Remove the entries not used for longest until the cache fits ``cache.max_gb``."""
        if self._mode == "off":
            return
        entries = []
        for path in self.entries():
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


_SEAL = b'{"seal":"'


def _sealed(entry: bytes) -> bytes:
    """An entry with its own SHA-256 in front: with a flipped bit it may still be good JSON, of another text."""
    return _SEAL + hashlib.sha256(entry).hexdigest().encode() + b'",' + entry[1:]


def _opened(data: bytes) -> bytes:
    """The entry again; one of an older version has no seal.

    Raises:
        ValueError: it is damaged.
    """
    if not data.startswith(_SEAL):
        return data
    entry = b"{" + data[len(_SEAL) + 64 + 2 :]
    if data != _sealed(entry):
        raise ValueError("damaged")
    return entry


def transcribed_already(config: Config) -> Callable[[Recording], bool]:
    """Tell whether the transcript of a recording is in the cache."""
    cache, prepared = Cache(config), configured_model(config)

    def known(recording: Recording) -> bool:
        return cache.get(recording.sha256, transcript_key(config, prepared, recording)) is not None

    return known
