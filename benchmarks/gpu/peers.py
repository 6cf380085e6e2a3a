"""Two peers with the same weights in this process: faster-whisper in batches, and transformers' pipeline."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.gpu.weights import hugging_face
from benchmarks.weights import encoding_of, tokenizer_json
from snakescribe.models.ct2 import open_ctranslate2
from snakescribe.models.store import Prepared

Floats = npt.NDArray[np.float32]
Read = Callable[[Floats, int | None], str]
"""Reads sound of any length, windows of 30 s at a time; given a number, every window gets so many tokens."""
RATE, WINDOW = 16_000, 30
"""Hz, and seconds of a window that is cut as it comes."""


def missing(package: str) -> bool:
    """Whether it is not installed here."""
    return importlib.util.find_spec(package) is None


def faster_whisper(prepared: Prepared, folder: Path, device: str, kind: str, batch: int) -> Read:
    """``BatchedInferencePipeline`` with its own voice activity and its default beam of 5."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    assert prepared.ctranslate2
    folder.mkdir(parents=True, exist_ok=True)
    for file in prepared.ctranslate2.iterdir():
        (folder / file.name).unlink(missing_ok=True)
        (folder / file.name).symlink_to(file)
    (folder / "tokenizer.json").write_text(tokenizer_json(encoding_of(prepared.dims)), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": prepared.dims["n_mels"]}))
    pipeline = BatchedInferencePipeline(WhisperModel(str(folder), device=device, compute_type=kind))

    def read(sound: Floats, tokens: int | None) -> str:
        more: dict[str, Any] = {}
        if tokens:
            starts = range(0, len(sound) // RATE, WINDOW)
            more = {"vad_filter": False, "clip_timestamps": [{"start": s, "end": s + WINDOW} for s in starts]}
            more["max_new_tokens"] = 2 * tokens - 4  # it adds its prompt of four, and CTranslate2 gives half
        found = list(pipeline.transcribe(sound, language="en", batch_size=batch, **more)[0])
        if tokens and (got := sum(len(segment.tokens) for segment in found)) != tokens * len(starts):
            raise ValueError(f"{got} tokens instead of {tokens} in each of {len(starts)} windows")
        return " ".join(segment.text.strip() for segment in found)

    return read


def transformers(prepared: Prepared, folder: Path, device: str, kind: str, batch: int) -> Read:
    """``pipeline("automatic-speech-recognition")`` with its default beam of 5, in windows of 30 s that overlap."""
    import torch
    from transformers import AutomaticSpeechRecognitionPipeline, WhisperFeatureExtractor, WhisperTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer_json(encoding_of(prepared.dims)), encoding="utf-8")
    dtype = getattr(torch, kind)
    tokenizer = WhisperTokenizerFast.from_pretrained(str(folder))
    tokenizer.pad_token = tokenizer.eos_token
    pipeline = AutomaticSpeechRecognitionPipeline(
        model=hugging_face(open_ctranslate2(prepared.ctranslate2), device, dtype),
        tokenizer=tokenizer,
        feature_extractor=WhisperFeatureExtractor(feature_size=prepared.dims["n_mels"]),
        device=device,
        dtype=dtype,
    )

    def read(sound: Floats, tokens: int | None) -> str:
        able = prepared.capabilities.multilingual  # the others refuse to be told a language
        asked: dict[str, Any] = {"language": "en", "task": "transcribe"} if able else {}
        if not tokens:
            return str(pipeline(sound, chunk_length_s=WINDOW, batch_size=batch, generate_kwargs=asked)["text"])
        asked |= {"max_new_tokens": tokens, "min_new_tokens": tokens}
        windows = [sound[start : start + WINDOW * RATE] for start in range(0, len(sound), WINDOW * RATE)]
        return " ".join(found["text"] for found in pipeline(windows, batch_size=batch, generate_kwargs=asked))

    return read
