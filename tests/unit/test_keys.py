"""What makes two transcripts the same, and that nothing changes it by accident."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snakescribe import keys
from snakescribe.config import Config, load_config
from snakescribe.inventory.ledger import FileContent
from snakescribe.inventory.plan import Listed
from snakescribe.keys import content_key, decoding_key, options_digest, samples_key, transcript_key
from snakescribe.models.store import Prepared, Store
from snakescribe.recording import Overrides, Recording

SHA = "ab" * 32
TWICE = ({}, {"language": "ko", "words": True, "audio": {"channels": "split"}, "glossary": {"a": "b"}})


def _config(models_root: Path, tmp_path: Path, **options: Any) -> Config:
    return load_config({"models": str(models_root), **options}, tmp_path, {})


def _recording(**values: Any) -> Recording:
    return Recording(
        **{"recording_id": "r1", "path": "a.wav", "path_hex": b"a.wav".hex(), "sha256": SHA, "size": 1, "attempt": 1}
        | values
    )


@pytest.fixture
def base(models_root: Path) -> Prepared:
    return Store(models_root).resolve("base")


def test_the_key_changes_with_what_changes_the_text_and_with_nothing_else(
    models_root: Path, tmp_path: Path, base: Prepared
) -> None:
    def key(recording: Recording | None = None, **options: Any) -> str:
        return transcript_key(_config(models_root, tmp_path, **options), base, recording or _recording())

    same = [
        key(device="cpu"),
        key(results="elsewhere"),
        key(on_error="report"),
        key(glossary={"a": "b"}),
        key(outputs=["txt"]),
        key(batch={"files": 1}),
        key(decoding={"rows": 7}),
        key(_recording(path="b/c.mp3", recording_id="r2", attempt=3)),
    ]
    changed = [
        key(language="ko"),
        key(prompt="서울"),
        key(words=True),
        key(engine="torch_whisper"),
        key(compute_type="float32"),
        key(decoding={"beam_size": 1}),
        key(speech={"pad": 0.1}),
        key(audio={"channels": "split"}),
        key(_recording(channel_mode="left")),
        transcript_key(_config(models_root, tmp_path), Store(models_root).resolve("tiny.en"), _recording()),
    ]
    assert set(same) == {key()}
    assert key(_recording(prompt="")) == key()  # an empty override of an empty prompt
    assert len({key(), *changed}) == 1 + len(changed)


def test_a_batch_is_made_again_for_what_changes_its_rows(models_root: Path, tmp_path: Path, base: Prepared) -> None:
    def made_with(**options: Any) -> str:
        return options_digest(_config(models_root, tmp_path, **options), base)

    assert made_with(device="cpu") == made_with(outputs=["txt"]) == made_with()
    changed = [made_with(glossary={"a": "b"}), made_with(audio={"truncated": "fail"}), made_with(language="ko")]
    assert len({made_with(), *changed}) == 1 + len(changed)


def test_equal_content_shares_audio_and_text_and_unreadable_files_share_nothing(
    models_root: Path, tmp_path: Path
) -> None:
    config = _config(models_root, tmp_path)
    first, copy, other = _recording(), _recording(recording_id="r2"), _recording(recording_id="r2", sha256="cd" * 32)
    unreadable = [_recording(recording_id=name, sha256="") for name in ("r1", "r2")]
    assert content_key(first, "k") == content_key(copy, "k") != content_key(first, "l")
    assert len({content_key(recording, "k") for recording in (first, other, *unreadable)}) == 4
    assert samples_key(config, first) == samples_key(config, copy) == samples_key(config, _recording(language="ko"))
    channels = _recording(channel_mode="left")
    assert len({samples_key(config, recording) for recording in (first, other, channels, *unreadable)}) == 5
    assert samples_key(config, _recording(channel_mode="mix")) == samples_key(config, first)


def test_only_what_decodes_alike_is_decoded_together(models_root: Path, tmp_path: Path) -> None:
    def key(**options: Any) -> str:
        return decoding_key(_config(models_root, tmp_path, **options))

    assert key(language="ko", prompt="서울", audio={"channels": "left"}) == key()
    assert len({key(), key(task="translate"), key(words=True), key(decoding={"beam_size": 1})}) == 4


def test_digests_are_those_of_version_0_1(
    models_root: Path, tmp_path: Path, base: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever upgrades keeps the cache, the journals and the plan.

    A digest that differs here is thrown away with all its texts, and every recording is transcribed again: so when
    an option is added, leave it out of the key at its default. If the texts are to be made anew, raise TEXT_VERSION
    instead and leave this alone.
    """
    monkeypatch.setattr(keys, "TEXT_VERSION", 2)
    base = replace(base, identity="00")
    plain, other = (_config(models_root, tmp_path, **options) for options in TWICE)
    key = transcript_key(plain, base, _recording())
    found = {
        "transcript": [key, transcript_key(other, base, _recording(prompt="서울", channel_mode="left"))],
        "content": [content_key(_recording(), key), content_key(_recording(sha256=""), key)],
        "batch": [options_digest(plain, base), options_digest(other, base)],
        "listed": [
            Listed("r1", b"a.wav", FileContent(1, 2, SHA)).fingerprint,
            Listed("r1", b"\xff.wav", FileContent(1, 2, ""), Overrides("ko", "서울", "left")).fingerprint,
        ],
    }
    assert {name: [digest[:12] for digest in digests] for name, digests in found.items()} == {
        "transcript": ["637b9bf76740", "91a293f869c7"],
        "content": ["34a00b26d852", "dcb06ece058c"],
        "batch": ["87136a90c24b", "28f26efdc9ac"],
        "listed": ["d4352dd016ba", "ecef3cd584e1"],
    }
