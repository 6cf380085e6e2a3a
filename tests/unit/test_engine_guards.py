"""Every guard, tripped by recorded speech that was bent or mixed, through the real model: the text before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine_run import Engine, Samples, Watched, heard, job, plain, samples_of
from espeak import say

from snakescribe.engine import listener
from snakescribe.engine.tokens import compression_ratio, tokenizer_for
from snakescribe.transcript import Transcript
from snakescribe.vad.turns import Turn

FOOLISHNESS = (
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness"
)


class _Heard:
    """What the model wrote at first, each time it was asked, and what came of it."""

    def __init__(self, models_root: Path, samples: Samples) -> None:
        engine = Engine(
            models_root,
            model="tiny.en",
            engine="torch_whisper",
            device="cpu",
            compute_type="float32",  # the same on every machine
            decoding={"temperatures": [0.0], "beam_size": 5},
        )
        watched = engine.backend = Watched(engine.backend)  # type: ignore[assignment]
        self.after: Transcript = heard(engine.run([job("k", samples)])["k"])
        tokenizer = tokenizer_for(engine.prepared, "en", "transcribe")
        self.hypotheses = watched.hypotheses
        self.texts = [tokenizer.decode(list(hypothesis.tokens)).strip() for hypothesis in self.hypotheses]
        self.before = self.texts[0]


@pytest.fixture(autouse=True)
def one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Voices 20 dB apart stay in one window: what trips the guards here is what windows of one level seldom hold."""
    monkeypatch.setattr(listener, "turns", lambda spans, probabilities, level: [Turn(tuple(spans), 1.0)])


@pytest.fixture(scope="module")
def endgame(models_root: Path) -> Samples:
    return samples_of(models_root)["endgame_nagg_nell"]


def _part(samples: Samples, start: float, end: float) -> Samples:
    return samples[round(16_000 * start) : round(16_000 * end)]


def _in_noise(samples: Samples, loudness: float, gain: float = 1.0) -> Samples:
    noise = np.random.default_rng(0).normal(0, loudness, len(samples))
    return np.clip(samples * gain + noise, -32768, 32767).astype(np.int16)


def test_a_loop_ends_when_the_model_hears_the_full_context(models_root: Path, beckett: Samples) -> None:
    """Speech at 1.75 times its speed: at first two words again and again, until there is no room for more."""
    fast = np.interp(np.arange(0, len(beckett), 1.75), np.arange(len(beckett)), beckett).astype(np.int16)
    found = _Heard(models_root, fast)
    assert compression_ratio(found.before) > 2.4 and len(found.before) > 400
    assert found.after.flags == () and plain(found.after.text).endswith("no matter try again fail again fail better")


def test_a_loop_that_stays_is_kept_and_flagged(models_root: Path, beckett: Samples) -> None:
    """One word twenty-nine times over: nobody can tell it from a loop."""
    found = _Heard(models_root, np.tile(_part(beckett, 3.0, 3.8), 29))
    assert found.after.flags == ("repetition",)
    assert all(segment.flags == ("repetition",) for segment in found.after.segments)
    assert found.after.text in found.texts and len(found.texts) == 2


def test_a_sentence_that_comes_twice_is_heard_in_full_context(models_root: Path, cities: Samples) -> None:
    """In its own length and 3 s the decoder says it all again."""
    found = _Heard(models_root, _part(cities, 7.5, 10.3))
    assert plain(found.before) == "it was the epoch of belief it was the epoch of belief"
    assert found.after.flags == () and plain(found.after.text) == "it was the epoch of belief"


def test_text_the_model_is_not_sure_of_is_kept_and_flagged(models_root: Path, cities: Samples) -> None:
    """Speech backwards: invented sentences."""
    found = _Heard(models_root, _part(cities, 35, 43)[::-1].copy())
    assert all(hypothesis.mean_logprob < -1.05 for hypothesis in found.hypotheses)
    assert found.after.flags == ("low_confidence",)
    assert plain(found.after.text) in [plain(text) for text in found.texts] and len(found.texts) == 2


def test_text_where_nobody_speaks_is_left_out(models_root: Path, cities: Samples) -> None:
    """At three times the speed it is speech to the voice activity, but not to the model."""
    found = _Heard(models_root, cities[: 16_000 * 24 : 3])
    assert plain(found.before) and found.hypotheses[0].no_speech_probability > 0.65
    assert found.after.segments == () and found.after.speech_seconds > 2


def test_a_text_that_stops_early_is_finished_in_full_context(
    models_root: Path, cities: Samples, endgame: Samples
) -> None:
    """Another voice in noise between two sentences: the first attempt ends before it."""
    found = _Heard(
        models_root,
        np.concatenate([_part(cities, 0, 8.3), _in_noise(_part(endgame, 7, 14), 2500), _part(cities, 8.3, 13)]),
    )
    assert plain(found.before) == FOOLISHNESS
    assert plain(found.after.text).startswith(FOOLISHNESS) and found.after.flags == ()
    assert "that resource" in plain(found.after.text) or "the resource" in plain(found.after.text)
    assert "epoch of incredulity" in plain(found.after.text)


def test_a_text_that_stays_unfinished_is_flagged_and_its_gap_told(models_root: Path, cities: Samples) -> None:
    """Italian, to a model that knows English only."""
    italian = say("Oggi parliamo della storia d'Italia e delle sue città.", "it")
    found = _Heard(models_root, np.concatenate([_part(cities, 0, 8.3), italian]))
    assert plain(found.after.text) == FOOLISHNESS and found.after.flags == ("unfinished",)
    (gap,) = found.after.gaps
    assert gap.start == pytest.approx(8.3, abs=0.3) and gap.end > 11


def test_speech_left_out_in_the_middle_is_listened_to_again(
    models_root: Path, cities: Samples, endgame: Samples
) -> None:
    """A conversation, then the same voices in noise, then a book: the first attempt has only its first sentence."""
    found = _Heard(
        models_root,
        np.concatenate([_part(endgame, 6.5, 14), _in_noise(_part(endgame, 14, 20), 1500, 0.5), _part(cities, 8.3, 16)]),
    )
    after = plain(found.after.text)
    assert plain(found.before) == "we have still that resource"
    assert "thats a good story" in after and "epoch of incredulity" in after
    assert plain(found.before) in after  # nothing is put between the words of a sentence


def test_speech_that_nobody_understands_is_told_as_a_gap(models_root: Path, cities: Samples, beckett: Samples) -> None:
    """Words drowned in noise: listened to again, not trusted, listed."""
    found = _Heard(
        models_root,
        np.concatenate([_part(cities, 0, 8.3), _in_noise(_part(beckett, 3, 9.5), 2500), _part(cities, 8.3, 16)]),
    )
    assert len(found.texts) == 2
    assert plain(found.before) == plain(found.after.text)
    (gap,) = found.after.gaps
    assert gap.start == pytest.approx(8.3, abs=0.3) and gap.end - gap.start > 2
