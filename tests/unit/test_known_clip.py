"""The known clip: heard right by every engine with real weights, and a judge that lets nothing else pass."""

from __future__ import annotations

import importlib.resources
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_run import Engine, heard, job

from snakescribe import known_clip


def test_the_clip_is_small_speech_at_16_khz() -> None:
    samples = known_clip.samples()
    assert samples.dtype == np.int16 and samples.ndim == 1
    assert 3 * 16_000 < len(samples) < 6 * 16_000
    assert np.abs(samples.astype(np.int32)).max() > 5000
    assert known_clip.PATH.stat().st_size < 120_000


def test_the_clip_is_part_of_the_package() -> None:
    root = Path(__file__).resolve().parents[2]
    assert '"**/*.flac"' in (root / "pyproject.toml").read_text()
    assert importlib.resources.files("snakescribe").joinpath("known_clip.flac").is_file()


@pytest.mark.parametrize("model", ["base", "tiny.en"])
@pytest.mark.parametrize(
    "options",
    [
        {"engine": "openvino"},
        {"engine": "ctranslate2"},
        {"engine": "ctranslate2", "decoding": {"beam_size": 1}},
        {"engine": "torch_whisper"},
        {"engine": "torch_whisper", "words": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_every_engine_hears_it(models_root: Path, model: str, options: dict[str, Any]) -> None:
    engine = Engine(models_root, model=model, device="cpu", **options)
    transcript = heard(engine.run([job("clip", known_clip.samples())])["clip"])
    assert known_clip.matches(transcript.text), transcript.text
    assert transcript.language == known_clip.LANGUAGE
    assert transcript.flags == () and transcript.gaps == ()
    assert min(segment.mean_logprob for segment in transcript.segments) > -0.3


def test_noise_is_not_taken_for_it(models_root: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 300, 80_000).astype(np.int16)
    transcript = heard(Engine(models_root, model="tiny.en", device="cpu").run([job("noise", noise)])["noise"])
    assert not known_clip.matches(transcript.text)


def test_case_punctuation_and_spaces_do_not_count() -> None:
    assert known_clip.matches(known_clip.TEXT)
    assert known_clip.matches("  SHE opened the window -- and looked\nat the old tree, in the “garden”!  ")


@pytest.mark.parametrize("text", ["", " ", ".", "Thank you.", "그녀는 창문을 열었다.", *known_clip.TEXT.split()])
def test_other_texts_do_not_match(text: str) -> None:
    assert not known_clip.matches(text)


def test_no_word_may_be_lost_doubled_or_moved() -> None:
    words = known_clip.TEXT.split()
    for place in range(len(words)):
        lost, doubled = words[:place] + words[place + 1 :], words[: place + 1] + words[place:]
        assert not known_clip.matches(" ".join(lost)) and not known_clip.matches(" ".join(doubled))
    moved = [words[-1], *words[:-1]]
    assert not known_clip.matches(" ".join(moved))
    assert not known_clip.matches("".join(words))
    assert [key for key, _ in groupby(words)] == words  # the test above would miss a doubled word
    assert not known_clip.matches(f"{known_clip.TEXT} {known_clip.TEXT}")
