"""The cache by content and options."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakescribe.config import Config, load_config
from snakescribe.keys import transcript_key
from snakescribe.models.store import Store
from snakescribe.recording import Recording
from snakescribe.transcribe.cache import Cache, CachedTranscript, transcribed_already
from snakescribe.transcribe.provenance import Provenance
from snakescribe.transcript import Transcript

SHA = "ab" * 32


def _config(models_root: Path, tmp_path: Path, **options: Any) -> Config:
    cache = {"path": str(tmp_path / "cache"), **options.pop("cache", {})}
    return load_config({"models": str(models_root), "cache": cache, **options}, tmp_path, {})


def _recording(**values: Any) -> Recording:
    return Recording(
        **{"recording_id": "r1", "path": "a.wav", "path_hex": b"a.wav".hex(), "sha256": SHA, "size": 1, "attempt": 1}
        | values
    )


def _entry(duration: float = 1.0) -> CachedTranscript:
    made = Provenance(
        model="base",
        model_sha256="00",
        engine="ctranslate2",
        versions="",
        device="cpu",
        device_name="",
        driver=None,
        compute_type="int8",
        options_hash="",
        wall_seconds=1.0,
        finished_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    transcript = Transcript(duration=duration, speech_seconds=0, language=None, language_probability=None, segments=())
    return CachedTranscript(transcript=transcript, provenance=made)


def test_modes_damage_forgetting_and_size(models_root: Path, tmp_path: Path) -> None:
    cache = Cache(_config(models_root, tmp_path))
    cache.put(SHA, "k", _entry())
    assert cache.get(SHA, "k") == _entry() and cache.get(SHA, "other") is None and cache.get("", "k") is None
    assert Cache(_config(models_root, tmp_path, cache={"mode": "refresh"})).get(SHA, "k") is None
    off = Cache(_config(models_root, tmp_path, cache={"mode": "off"}))
    off.put(SHA, "new", _entry())
    assert off.get(SHA, "k") is None and cache.get(SHA, "new") is None
    (path,) = (tmp_path / "cache").rglob("k.json")
    path.write_bytes(path.read_bytes()[:-5])
    assert cache.get(SHA, "k") is None
    cache.put(SHA, "k", _entry())
    assert cache.forget(SHA) and not cache.forget(SHA) and cache.get(SHA, "k") is None
    for number, sha in enumerate(("11" * 32, "22" * 32)):
        cache.put(sha, "k", _entry())
        os.utime(next((tmp_path / "cache").rglob(f"{sha}/k.json")), (number, number))
    size = next((tmp_path / "cache").rglob("k.json")).stat().st_size
    Cache(_config(models_root, tmp_path, cache={"max_gb": 1.5 * size / 1e9})).trim()
    assert cache.get("11" * 32, "k") is None and cache.get("22" * 32, "k") is not None


def test_a_flipped_bit_is_no_text(models_root: Path, tmp_path: Path) -> None:
    """Wherever it is; an entry of an older version, without a sum, is taken as it is."""
    cache = Cache(_config(models_root, tmp_path))
    cache.put(SHA, "k", _entry())
    (path,) = (tmp_path / "cache").rglob("k.json")
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert cache.get(SHA, "k") is None, good[place - 20 : place + 20]
    path.write_text(_entry().model_dump_json())
    assert cache.get(SHA, "k") == _entry()


def test_audio_of_a_known_transcript_is_not_needed(models_root: Path, tmp_path: Path) -> None:
    config = _config(models_root, tmp_path)
    key = transcript_key(config, Store(models_root).resolve("base"), _recording())
    Cache(config).put(SHA, key, _entry())
    known = transcribed_already(config)
    assert known(_recording()) and not known(_recording(language="ko")) and not known(_recording(sha256="cd" * 32))
