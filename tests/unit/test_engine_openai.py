"""The engine on torch against openai-whisper itself: the same text from the same audio, words at the same times."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper
from engine_run import Engine, Samples, heard, job, plain, samples_of

from snakescribe.engine.backend import Bucket, Search
from snakescribe.engine.log_mel import FULL_CONTEXT, log_mel
from snakescribe.engine.tokens import prompt_tokens, tokenizer_for
from snakescribe.models.ct2 import open_ctranslate2


@pytest.fixture(scope="module")
def engine(models_root: Path) -> Engine:
    return _engine(models_root, "tiny.en")


@pytest.fixture(scope="module")
def official(engine: Engine) -> whisper.Whisper:
    return _official(engine)


def _engine(models_root: Path, model: str, engine: str = "torch_whisper") -> Engine:
    return Engine(models_root, model=model, engine=engine, compute_type="float32", device="cpu", words=True)


def _official(engine: Engine) -> whisper.Whisper:
    weights = open_ctranslate2(engine.prepared.ctranslate2)
    model = whisper.Whisper(whisper.ModelDimensions(**weights.dims))
    model.load_state_dict(dict(weights.tensors))
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[engine.prepared.name])
    return model


@pytest.mark.parametrize("name", ["beckett", "two_cities", "endgame_nagg_nell"])
def test_a_window_is_decoded_as_openai_does(
    engine: Engine, official: whisper.Whisper, models_root: Path, name: str
) -> None:
    samples = samples_of(models_root)[name][: 16_000 * 12]
    mel = log_mel(samples, engine.backend.n_mels, FULL_CONTEXT)
    options = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)
    theirs = whisper.decode(official, mel, options)
    tokenizer = tokenizer_for(engine.prepared, "en", "transcribe")
    (ours,) = engine.backend.decode(_bucket(engine, samples, 1))
    assert tokenizer.decode(list(ours.tokens)).strip() == theirs.text
    assert ours.mean_logprob == pytest.approx(theirs.avg_logprob, abs=2e-3)
    assert ours.no_speech_probability == pytest.approx(theirs.no_speech_prob, abs=2e-3)


@pytest.mark.parametrize("name", ["beckett", "two_cities", "endgame_nagg_nell"])
def test_beams_are_searched_as_ctranslate2_does(engine: Engine, models_root: Path, name: str) -> None:
    """Which is what faster-whisper's texts come from; openai/whisper lets a hypothesis end further down."""
    theirs = _engine(models_root, "tiny.en", "ctranslate2")
    samples = samples_of(models_root)[name][: 16_000 * 12]
    for beams in (2, 4, 5, 8):
        (found,), (expected,) = (which.backend.decode(_bucket(which, samples, beams)) for which in (engine, theirs))
        assert found.tokens == expected.tokens
        assert found.mean_logprob == pytest.approx(expected.mean_logprob, abs=2e-3)


def _bucket(engine: Engine, samples: Samples, beams: int) -> Bucket:
    prompt = prompt_tokens(tokenizer_for(engine.prepared, "en", "transcribe"), "")
    encoded = engine.backend.encode([log_mel(samples, engine.backend.n_mels, FULL_CONTEXT)])
    search = Search(beam_size=beams, margin=100.0)
    return Bucket(encoded, (0,), (prompt,), (224,), (len(samples) // 160,), (search,))


def test_language_is_detected_as_openai_does(models_root: Path) -> None:
    engine = _engine(models_root, "base")
    mel = log_mel(samples_of(models_root)["beckett"], 80, FULL_CONTEXT)
    _, theirs = whisper.detect_language(_official(engine), mel)
    (ours,) = engine.backend.detect_language(engine.backend.encode([mel]))
    assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("name", ["beckett", "endgame_nagg_nell"])
def test_words_are_where_openai_hears_them(
    engine: Engine, official: whisper.Whisper, models_root: Path, name: str
) -> None:
    samples = samples_of(models_root)[name]
    theirs = [
        (plain(word["word"]), word["start"], word["end"])
        for segment in _timed(official, samples)["segments"]
        for word in segment["words"]
    ]
    found = heard(engine.run([job(name, samples)])[name])
    ours = [(plain(word.text), word.start, word.end) for segment in found.segments for word in segment.words]
    pairs = _matched(ours, theirs)
    assert len(pairs) > 0.8 * len(theirs)
    starts, ends = (np.array([abs(a[i] - b[i]) for a, b in pairs]) for i in (1, 2))
    assert np.median(starts) < 0.1 and np.median(ends) < 0.1
    assert np.quantile(starts, 0.9) < 0.35


def _timed(model: whisper.Whisper, samples: Samples) -> dict[str, Any]:
    audio = torch.from_numpy(samples.astype(np.float32) / 32768)
    result: dict[str, Any] = whisper.transcribe(
        model, audio, language="en", word_timestamps=True, fp16=False, condition_on_previous_text=False
    )
    return result


def _matched(ours: list[tuple[str, float, float]], theirs: list[tuple[str, float, float]]) -> list[Any]:
    """Words in common, in order."""
    matcher = SequenceMatcher(a=[word for word, *_ in ours], b=[word for word, *_ in theirs], autojunk=False)
    return [
        (ours[block.a + i], theirs[block.b + i]) for block in matcher.get_matching_blocks() for i in range(block.size)
    ]
