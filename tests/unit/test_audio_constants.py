"""The sizes of what Whisper reads and writes are its own."""

from __future__ import annotations

import whisper.audio

from snakescribe import audio
from snakescribe.engine.log_mel import LADDER
from snakescribe.models.catalog import catalog
from snakescribe.vad import CHUNK


def test_they_are_those_of_openai_whisper() -> None:
    assert audio.SAMPLE_RATE == whisper.audio.SAMPLE_RATE
    assert audio.FFT_SAMPLES == whisper.audio.N_FFT
    assert audio.FRAME_SAMPLES == whisper.audio.HOP_LENGTH
    assert audio.FRAMES_PER_SECOND == whisper.audio.FRAMES_PER_SECOND
    assert audio.WINDOW_SECONDS == whisper.audio.CHUNK_LENGTH
    assert audio.WINDOW_FRAMES == whisper.audio.N_FRAMES == 3000
    assert audio.WINDOW_FRAMES * audio.FRAME_SAMPLES == whisper.audio.N_SAMPLES
    assert audio.FRAMES_PER_POSITION * audio.FRAME_SAMPLES == whisper.audio.N_SAMPLES_PER_TOKEN
    assert 1 / audio.POSITION_SECONDS == whisper.audio.TOKENS_PER_SECOND == 50


def test_they_are_those_of_every_model() -> None:
    for name, model in catalog().models.items():
        assert model.dims["n_audio_ctx"] == audio.WINDOW_POSITIONS == LADDER[-1], name
        assert model.dims["n_text_ctx"] == audio.CONTEXT_TOKENS, name


def test_a_probability_of_speech_stands_for_32_milliseconds() -> None:
    assert CHUNK == 32 * audio.MILLISECOND
