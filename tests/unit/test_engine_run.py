"""The engine on real weights and real speech: both backends, order, resume, isolation of failures, fallback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import torch
from engine_run import Engine, Samples, job, read_wav

from snakescribe.engine.backend import Backend, Bucket, Hypothesis
from snakescribe.engine.journal import Journal
from snakescribe.errors import DeviceError, EngineFailure
from snakescribe.transcript import Transcript

BECKETT = "ever tried ever failed no matter try again fail again fail better"
CITIES = "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness"


@pytest.fixture(scope="module")
def beckett(models_root: Path) -> Samples:
    return read_wav(models_root / "samples/beckett.wav")


@pytest.fixture(scope="module")
def cities(models_root: Path) -> Samples:
    return read_wav(models_root / "samples/two_cities.wav")


@pytest.fixture(scope="module")
def tiny(models_root: Path) -> Engine:
    return Engine(models_root, model="tiny.en", engine="ctranslate2", words=True)


def _plain(text: str) -> str:
    return "".join(c for c in text.lower().replace("-", " ") if c.isalpha() or c == " ")


def _transcript(result: Transcript | EngineFailure) -> Transcript:
    assert isinstance(result, Transcript), result
    return result


def _texts(found: dict[str, Transcript | EngineFailure]) -> dict[str, str]:
    return {key: _transcript(result).text for key, result in found.items()}


@pytest.mark.parametrize("name", ["ctranslate2", "torch_whisper"])
def test_both_backends_hear_the_books_and_time_every_word(
    models_root: Path, beckett: Samples, cities: Samples, name: str
) -> None:
    engine = Engine(models_root, model="base", engine=name, words=True, decoding={"beam_size": 2})
    clip = cities[: 16_000 * 13]
    found = engine.run([job("cities", clip), job("silence", np.zeros(48_000, np.int16)), job("beckett", beckett)])
    assert list(found) == ["cities", "silence", "beckett"]
    heard, nothing = _transcript(found["cities"]), _transcript(found["silence"])
    assert jiwer.wer(CITIES, _plain(heard.text)[: len(CITIES)]) < 0.15
    assert jiwer.wer(BECKETT, _plain(_transcript(found["beckett"]).text)) < 0.25
    assert heard.language == "en" and heard.language_probability and heard.language_probability > 0.8
    assert nothing.segments == () and nothing.language is None and nothing.speech_seconds == 0
    assert 10 < heard.speech_seconds <= heard.duration == pytest.approx(13.0)
    timed = [word for segment in heard.segments for word in segment.words]
    assert [w.text for w in timed] == heard.text.split()
    assert all(a.start <= a.end <= b.end and b.start <= 13 for a, b in pairwise(timed))
    best = next(w for w in timed if w.text == "best")
    assert best.start == pytest.approx(1.7, abs=0.25)  # read off the waveform
    assert all(s.start < s.end <= t.start + 0.02 for s, t in pairwise(heard.segments))


def test_hotwords_put_a_misheard_word_right(models_root: Path, beckett: Samples) -> None:
    heard = [
        _texts(Engine(models_root, model="base", engine="ctranslate2", hotwords=words).run([job("b", beckett)]))["b"]
        for words in ([], ["Ever tried"])
    ]
    assert heard[0].startswith("Never tried.")
    assert heard[1].startswith("Ever tried. Ever failed.")


def test_a_result_does_not_depend_on_its_neighbours(tiny: Engine, beckett: Samples, cities: Samples) -> None:
    together = tiny.run([job("c", cities), job("b", beckett), job("half", cities[16_000 * 20 :])])
    for key, samples in (("b", beckett), ("c", cities)):
        assert _texts(tiny.run([job(key, samples)]))[key] == _texts(together)[key]


class _Recorded:
    """A real backend, watched, that fails on buckets chosen by the test."""

    def __init__(self, real: Backend, fails: Any) -> None:
        self.real, self.fails = real, fails
        self.encoded: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def encode(self, mel: torch.Tensor) -> Any:
        self.encoded.append(len(mel))
        if self.fails(mel):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.real.encode(mel)

    def decode(self, buckets: Iterable[Bucket]) -> Iterator[tuple[int, Hypothesis]]:
        return self.real.decode(buckets)


def test_the_journal_is_believed_and_only_the_rest_is_done(
    models_root: Path, tiny: Engine, beckett: Samples, cities: Samples, tmp_path: Path
) -> None:
    jobs = [job("c", cities), job("b", beckett)]
    whole = tiny.run(jobs, Journal(tmp_path / "j.jsonl"))
    journal = Journal(tmp_path / "j.jsonl")
    windows = dict(journal.windows)
    watched = _Recorded(tiny.backend, lambda mel: False)
    again = Engine(models_root, backend=watched, model="tiny.en", words=True)  # type: ignore[arg-type]
    assert again.run(jobs, journal) == whole and watched.encoded == []
    lines = (tmp_path / "j.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "j.jsonl").write_text("".join(lines[:-1]))
    resumed = again.run(jobs, Journal(tmp_path / "j.jsonl"))
    assert _texts(resumed) == _texts(whole)
    assert watched.encoded in ([1], [1, 1]) and len(windows) > 1  # a doubtful one is seen twice


def test_too_much_for_the_device_is_tried_row_by_row(models_root: Path, tiny: Engine, beckett: Samples) -> None:
    small = _Recorded(tiny.backend, lambda mel: len(mel) > 1)
    engine = Engine(models_root, backend=small, model="tiny.en", words=True)  # type: ignore[arg-type]
    jobs = [job("a", beckett), job("b", beckett)]
    assert _texts(engine.run(jobs)) == _texts(tiny.run(jobs))
    assert small.encoded == [2, 1, 1]


def test_a_window_that_breaks_the_engine_fails_its_own_recording_only(
    models_root: Path, tiny: Engine, beckett: Samples, cities: Samples
) -> None:
    short = cities[: 16_000 * 5]
    breaks = _Recorded(tiny.backend, lambda mel: mel.shape[-1] < 1000)
    engine = Engine(models_root, backend=breaks, model="tiny.en")  # type: ignore[arg-type]
    found = engine.run([job("bad", short), job("good", beckett)])
    failure = found["bad"]
    assert isinstance(failure, EngineFailure) and "out of memory" in str(failure)
    assert "fail better" in _plain(_transcript(found["good"]).text)


def test_a_window_that_kills_the_process_fails_its_own_recording_at_last(
    tiny: Engine, beckett: Samples, cities: Samples, tmp_path: Path
) -> None:
    jobs = [job("killer", beckett), job("good", beckett[8000:])]
    path = tmp_path / "j.jsonl"

    def die_while_reading(rows: int) -> None:
        """As a crash in native code would leave the journal: the bucket begun, nothing after it."""
        watched = _Recorded(tiny.backend, lambda mel: False)
        watched.align = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            Engine(tiny.store.root, backend=watched, model="tiny.en", words=True).run(jobs, Journal(path))  # type: ignore[arg-type]
        assert watched.encoded[-1] == rows

    die_while_reading(2)  # both were in the bucket
    die_while_reading(1)  # now each goes alone: the first one is the killer
    found = tiny.run(jobs, Journal(path))
    assert isinstance(found["killer"], EngineFailure) and "died 2 times" in str(found["killer"])
    assert "fail better" in _plain(_transcript(found["good"]).text)


def test_text_no_guard_trusts_is_kept_and_flagged(models_root: Path, beckett: Samples) -> None:
    strict = Engine(models_root, model="tiny.en", decoding={"compression_ratio": 0.2, "temperatures": [0.0, 0.5]})
    first, second = (strict.run([job("b", beckett)])["b"] for _ in range(2))
    assert first == second  # sampling is seeded
    transcript = _transcript(first)
    assert transcript.flags == ("repetition",) and transcript.segments[0].flags == ("repetition",)
    assert "fail better" in _plain(transcript.text)


def test_sampling_is_used_when_beam_search_is_not_trusted(models_root: Path, beckett: Samples) -> None:
    never = {"mean_logprob": -1e-9, "no_speech": None, "temperatures": [0.0, 0.3]}
    watched: list[float] = []
    engine = Engine(models_root, model="tiny.en", decoding=never)
    real = engine.backend.decode

    def decode(buckets: Iterable[Bucket]) -> Iterator[tuple[int, Hypothesis]]:
        listed = list(buckets)
        watched.extend(bucket.search.temperature for bucket in listed)
        return real(listed)

    engine.backend.decode = decode  # type: ignore[method-assign]
    transcript = _transcript(engine.run([job("b", beckett)])["b"])
    assert watched == [0.0, 0.0, 0.3] and transcript.flags == ("low_confidence",)


def test_asked_for_what_is_not_there_is_an_error(models_root: Path) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="cuda was asked for, but"):
            Engine(models_root, model="tiny.en", device="cuda")
    with pytest.raises(DeviceError, match="has no bfloat16"):
        Engine(models_root, model="tiny.en", engine="ctranslate2", compute_type="bfloat16")
    hardware = Engine(models_root, model="tiny.en", engine="ctranslate2", compute_type="int8").backend.hardware
    assert hardware.device in ("cpu", "cuda") and hardware.compute_type.startswith("int8") and hardware.device_name
