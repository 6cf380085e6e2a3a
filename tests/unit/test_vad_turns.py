"""Voices far below the others of a recording: rules by example, then two voices in turns through the real models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from engine_run import Engine, Samples, heard, job, plain

from snakescribe.vad import CHUNK
from snakescribe.vad.far import SHORTEST, far_stretches
from snakescribe.vad.spans import Span
from snakescribe.vad.turns import BESIDE, NEAR, Turn, turns

Levels = npt.NDArray[np.float32]
LONG = 3 * BESIDE


def _level(*runs: tuple[float, int]) -> Levels:
    """Runs of (dB, chunks), chunks up to 12 dB louder than that, as syllables are."""
    return np.concatenate([np.full(count, value) + np.arange(count) % 5 * 3 for value, count in runs]).astype(
        np.float32
    )


def _turns(level: Levels, *pauses: int) -> list[Turn]:
    """Turns of speech that only stops for single chunks."""
    voice = np.full(len(level), 0.9, np.float32)
    voice[list(pauses)] = 0.1
    found = turns([Span(0, len(level) * CHUNK, 8000, 8000)], voice, level)
    spans = [span for turn in found for span in turn.spans]
    assert [span.start for span in spans] == [0, *(span.end for span in spans[:-1])]  # no sample lost, none twice
    assert spans[0].lead == spans[-1].tail == 8000 and spans[-1].end == len(level) * CHUNK
    return found


def test_speech_of_one_level_is_one_turn() -> None:
    assert [turn.gain for turn in _turns(_level((-30, LONG)))] == [1.0]
    assert [turn.gain for turn in _turns(_level((-30, LONG), (-39, LONG)))] == [1.0]
    assert [turn.gain for turn in _turns(_level((-30, LONG), (-5, BESIDE // 2), (-30, LONG)))] == [1.0]  # a loud word
    assert turns([], np.zeros(9, np.float32), _level((-60, 9))) == []


@pytest.mark.parametrize("pause", [None, LONG - NEAR + 1, LONG + NEAR - 1, LONG + NEAR + 2])
def test_a_far_voice_is_a_turn_of_its_own_and_made_as_loud(pause: int | None) -> None:
    """Cut in a pause, if one is near."""
    first, second = _turns(_level((-30, LONG), (-55, LONG)), *() if pause is None else (pause,))
    assert first.gain == 1.0 and 20 * np.log10(second.gain) == pytest.approx(25, abs=3)
    near = pause is not None and abs(pause - LONG) < NEAR
    assert first.spans[-1].end == ((pause or 0) * CHUNK + CHUNK // 2 if near else LONG * CHUNK)


def test_voices_may_take_turns_and_a_short_answer_stays() -> None:
    found = _turns(_level((-55, LONG), (-30, LONG), (-55, LONG), (-30, BESIDE // 3), (-55, LONG)))
    assert [20 * np.log10(turn.gain) for turn in found] == pytest.approx([25, 0, 25], abs=3)


def test_only_a_long_stretch_that_is_softer_but_no_silence_is_heard_again() -> None:
    def found(chunks: int, level: float) -> list[tuple[slice, float]]:
        spans = [Span(0, LONG * CHUNK), Span((LONG + chunks) * CHUNK, (2 * LONG + chunks) * CHUNK)]
        return list(far_stretches(spans, _level((-30, LONG), (level, chunks), (-30, LONG))))

    ((stretch, gain),) = found(SHORTEST, -60)
    assert stretch == slice(LONG, LONG + SHORTEST) and 20 * np.log10(gain) == pytest.approx(30, abs=3)
    assert found(SHORTEST - 1, -60) == found(SHORTEST, -40) == found(SHORTEST, -76) == []
    assert list(far_stretches([], _level((-60, 99)))) == []


@pytest.fixture(scope="module")
def engine(models_root: Path) -> Engine:
    return Engine(models_root, model="tiny.en", engine="torch_whisper", device="cpu", compute_type="float32")


def _far(near: Samples, far: Samples, below: float) -> Samples:
    """One voice, then another one so many dB lower, in the noise of a quiet room."""
    both = np.concatenate([near, np.zeros(8000), far * 10 ** (-below / 20)])
    louder: Samples = np.round(both + np.random.default_rng(0).normal(0, 2, len(both))).clip(-32768, 32767).astype("i2")
    return louder


def test_a_far_voice_is_heard_where_voice_activity_hears_nobody(
    engine: Engine, beckett: Samples, cities: Samples
) -> None:
    found = heard(engine.run([job("far", _far(beckett, cities[: 16_000 * 8], 32))])["far"])
    text = plain(found.text)
    assert "fail better it was the best of times it was the worst of times it was the age of wisdom" in text
    assert found.flags == () and found.gaps == ()


def test_a_far_voice_has_windows_of_its_own(engine: Engine, beckett: Samples, cities: Samples) -> None:
    """In one window with the loud one its text was unfinished."""
    found = heard(engine.run([job("far", _far(cities[:133_000], beckett[16_000:], 25))])["far"])
    assert "it was the age of foolishness" in plain(found.text) and "fail again fail better" in plain(found.text)
    assert found.flags == ()
