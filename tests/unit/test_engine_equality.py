"""The same text whatever is decoded beside it, by however many workers; and nearly the same from every engine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jiwer
import pytest
from engine_run import Engine, cut, heard, job, plain, samples_of

from snakescribe import devices

ENGINES = ["openvino", "torch_whisper", "ctranslate2"]
ROUNDED = 0.04 if "amx_bf16" in devices.cpu_features() else 0.03
"""Word errors of eight bits beside float32, at most; with AMX, which multiplies in bfloat16, 0.035 were measured."""


@cache
def _transcribed(
    models_root: Path, engine: str, rows: int, workers: int, compute_type: str = "auto", beam_size: int = 4
) -> dict[str, list[tuple[float, float, str]]]:
    """Segments of some dozen pieces of the samples, of 1 to 13 seconds, in the windows ``ROUNDED`` was measured with.

    With 0.5 s around speech torch in float32 alone hears seven words in a gap (0.065).
    """
    decoding, speech = {"rows": rows, "beam_size": beam_size}, {"pad": 0.4}
    loaded = Engine(
        models_root,
        model="tiny.en",
        engine=engine,
        threads=workers,
        compute_type=compute_type,
        decoding=decoding,
        speech=speech,
    )
    assert loaded.backend.rows == rows
    assert loaded.backend.workers == workers or loaded.backend.hardware.device == "cuda"
    pieces = [
        job(f"{name} {i}", piece)
        for name, samples in samples_of(models_root).items()
        for i, piece in enumerate(cut(samples[: 16_000 * 30]))
    ]
    return {
        key: [(segment.start, segment.end, segment.text) for segment in heard(result).segments]
        for key, result in loaded.run(pieces).items()
    }


@pytest.mark.parametrize(("rows", "workers"), [(4, 2), (32, 1)])
@pytest.mark.parametrize("engine", ENGINES)
def test_text_and_times_do_not_depend_on_rows_and_workers(
    models_root: Path, engine: str, rows: int, workers: int
) -> None:
    alone = _transcribed(models_root, engine, 1, 1)
    assert sum(bool(segments) for segments in alone.values()) >= 10
    assert _transcribed(models_root, engine, rows, workers) == alone


def test_doubtful_text_does_not_depend_on_what_else_is_doubtful(models_root: Path) -> None:
    """Nothing is trusted here, so everything is sampled; what is sampled comes from its own audio."""
    decoding = {"mean_logprob": -1e-9, "no_speech": None, "temperatures": [0.0, 0.4, 0.8], "beam_size": 2}
    loaded = Engine(models_root, model="tiny.en", engine="openvino", decoding=decoding)
    pieces = [
        job(f"{name} {start}", samples[16_000 * start : 16_000 * start + 16_000 + 3_000 * start])
        for name, samples in samples_of(models_root).items()
        for start in (1, 3)
    ]
    together = loaded.run(pieces)
    sampled = [segment.temperature for result in together.values() for segment in heard(result).segments]
    assert sum(temperature > 0 for temperature in sampled) >= 2
    for piece in pieces:
        assert heard(loaded.run([piece])[piece.key]).segments == heard(together[piece.key]).segments


@pytest.mark.parametrize(
    ("engine", "compute_type", "most"),
    [("torch_whisper", "float32", ROUNDED), ("torch_whisper", "auto", 0.05), ("ctranslate2", "auto", 0.12)],
)
def test_engines_agree(models_root: Path, engine: str, compute_type: str, most: float) -> None:
    """Whole texts are compared: a dozen pieces are too few to count those that are identical.

    CTranslate2 has eight bits on a CPU.
    """
    first = _texts(_transcribed(models_root, ENGINES[0], 32, 1))
    second = _texts(_transcribed(models_root, engine, 32, 1, compute_type))
    assert list(first) == list(second)
    spoken = [key for key in first if first[key]]
    assert jiwer.wer([first[key] for key in spoken], [second[key] for key in spoken]) < most


@pytest.mark.parametrize("beam_size", [1, 4])
def test_engines_agree_to_the_letter_where_nothing_is_rounded(models_root: Path, beam_size: int) -> None:
    """Two libraries, two searches: in float32 they hear the same words in 19 of 20 pieces."""
    torch_whisper, ctranslate2 = (
        _texts(_transcribed(models_root, engine, 32, 1, compute_type, beam_size))
        for engine, compute_type in (("torch_whisper", "float32"), ("ctranslate2", "float32"))
    )
    same = sum(text == ctranslate2[key] for key, text in torch_whisper.items())
    assert same >= 0.95 * len(torch_whisper)


def _texts(found: dict[str, list[tuple[float, float, str]]]) -> dict[str, str]:
    return {key: plain(" ".join(text for *_, text in segments)) for key, segments in found.items()}
