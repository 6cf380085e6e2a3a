"""The engine on real weights and real speech: every backend, order, resume, isolation of failures, fallback."""

from __future__ import annotations

import re
import shutil
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import jiwer
import numpy as np
import pytest
import torch
from engine_run import Engine, Samples, Watched, heard, job, plain, samples_of

from snakescribe.engine import guards, window_decoder
from snakescribe.engine.backend import Backend, Bucket, Hypothesis
from snakescribe.engine.ctranslate2 import CTranslate2Whisper
from snakescribe.engine.journal import FATAL_DEATHS, Journal
from snakescribe.engine.listener import Listener
from snakescribe.engine.load import load_backend
from snakescribe.engine.tokens import prompt_tokens, tokenizer_for
from snakescribe.engine.window_decoder import CONTEXT_TOKENS, WindowDecoder
from snakescribe.engine.windows import RecordingState
from snakescribe.errors import DeviceError, EngineFailure, RecordingError
from snakescribe.transcript import Transcript, Word

BECKETT = "ever tried ever failed no matter try again fail again fail better"
DOUBTED = {"compression_ratio": 0.2, "temperatures": [0.0, 0.4, 0.8]}
"""No text repeats itself as little as this asks, so every window is sampled."""
CITIES = "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness"


@pytest.fixture(scope="module")
def tiny(models_root: Path) -> Engine:
    return Engine(models_root, model="tiny.en", engine="ctranslate2", words=True)


def _texts(found: dict[str, Transcript | RecordingError]) -> dict[str, str]:
    return {key: heard(result).text for key, result in found.items()}


@pytest.mark.parametrize("name", ["openvino", "ctranslate2", "torch_whisper"])
def test_every_backend_hears_the_books_and_times_every_word(
    models_root: Path, beckett: Samples, cities: Samples, name: str
) -> None:
    engine = Engine(models_root, model="base", engine=name, words=True, decoding={"beam_size": 2})
    clip = cities[: 16_000 * 13]
    found = engine.run([job("cities", clip), job("silence", np.zeros(48_000, np.int16)), job("beckett", beckett)])
    assert list(found) == ["cities", "silence", "beckett"]
    said, nothing = heard(found["cities"]), heard(found["silence"])
    assert jiwer.wer(CITIES, plain(said.text)[: len(CITIES)]) < 0.15
    assert jiwer.wer(BECKETT, plain(heard(found["beckett"]).text)) < 0.25
    assert said.language == "en" and said.language_probability and said.language_probability > 0.8
    assert nothing.segments == () and nothing.language is None and nothing.speech_seconds == 0
    assert 10 < said.speech_seconds <= said.duration == pytest.approx(13.0)
    timed = [word for segment in said.segments for word in segment.words]
    assert [w.text for w in timed] == said.text.split()
    assert all(a.start <= a.end <= b.end and b.start <= 13 for a, b in pairwise(timed))
    best = next(w for w in timed if w.text == "best")
    assert best.start == pytest.approx(1.7, abs=0.25)  # read off the waveform
    assert all(s.start < s.end <= t.start + 0.02 for s, t in pairwise(said.segments))


def test_hotwords_put_a_misheard_word_right(models_root: Path, beckett: Samples) -> None:
    texts = [
        _texts(
            Engine(models_root, model="base", engine="torch_whisper", compute_type="float32", hotwords=words).run(
                [job("b", beckett)]
            )
        )["b"]
        for words in ([], ["Ever tried"])
    ]
    assert texts[0].startswith("Never tried.")
    assert texts[1].startswith("Ever tried. Ever failed.")


def test_hotwords_that_do_not_fit_are_said_and_nothing_is_missing(
    models_root: Path, beckett: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"Krapp {number}" for number in range(300)]
    engine = Engine(models_root, model="tiny.en", engine="ctranslate2", hotwords=names)
    text = _texts(engine.run([job("a", beckett), job("b", beckett[:64_000])]))["a"]
    assert "no matter try again fail again fail better" in plain(text)
    (said,) = (record.message for record in caplog.records)
    assert re.match(r"hotwords and prompt are \d{3,4} tokens too long: Whisper takes the last 223", said)


def test_nothing_ends_after_the_recording(tiny: Engine, beckett: Samples) -> None:
    """A last word of no length, at the very end."""
    clip = beckett[:-5]
    state = RecordingState(job("b", clip, "en"))
    (task,) = Listener(tiny.model.detector, tiny.config).listen(state)
    task.language = "en"
    decoder = WindowDecoder(tiny.backend, tiny.prepared, tiny.config, Journal(None))
    ((_, attempt),) = [pair for some in decoder.encode([task]) for pair in decoder.read(some, [task])]
    end = (len(clip) - task.window.start) / 16_000
    late = replace(attempt, words=(*attempt.words, Word(start=end, end=end, text=" So.", probability=0.5)))
    *_, last = decoder.text(task, late, 0.0).segments
    assert last.text == "So." and last.start < last.end <= len(clip) / 16_000


def test_the_journal_is_believed_and_only_the_rest_is_done(
    models_root: Path, tiny: Engine, beckett: Samples, cities: Samples, tmp_path: Path
) -> None:
    jobs = [job("c", cities[: 16_000 * 16]), job("b", beckett)]
    whole = tiny.run(jobs, Journal(tmp_path / "j.jsonl"))
    journal = Journal(tmp_path / "j.jsonl")
    windows = dict(journal.windows)
    watched = Watched(tiny.backend)
    again = Engine(models_root, backend=watched, model="tiny.en", words=True)  # type: ignore[arg-type]
    assert again.run(jobs, journal) == whole and watched.encoded == []
    lines = (tmp_path / "j.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "j.jsonl").write_text("".join(lines[:-1]))
    resumed = again.run(jobs, Journal(tmp_path / "j.jsonl"))
    assert _texts(resumed) == _texts(whole)
    assert watched.encoded in ([1], [1, 1]) and len(windows) > 1  # a doubtful one is seen twice


def test_too_much_for_the_device_is_tried_row_by_row(models_root: Path, tiny: Engine, beckett: Samples) -> None:
    small = Watched(tiny.backend, lambda mels: len(mels) > 1)
    engine = Engine(models_root, backend=small, model="tiny.en", words=True)  # type: ignore[arg-type]
    jobs = [job("a", beckett), job("b", beckett)]
    assert _texts(engine.run(jobs)) == _texts(tiny.run(jobs))
    assert small.encoded == [2, 1, 1]


@pytest.mark.parametrize("asked", ["encode", "decode"])
def test_what_was_too_much_is_given_back_before_its_windows_go_one_by_one(
    asked: str, models_root: Path, tiny: Engine, beckett: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that is full of what did not fit has no room for a single window."""
    watched = Watched(tiny.backend)
    real, taken, held = getattr(watched, asked), [], []

    def fill(work: Any) -> Any:
        held.append(any(array() is not None for array in taken))
        array = torch.zeros(9)
        taken.append(weakref.ref(array))
        if len(work if asked == "encode" else work.rows) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(work)

    monkeypatch.setattr(watched, asked, fill)
    engine = Engine(models_root, backend=watched, model="tiny.en", words=True)  # type: ignore[arg-type]
    jobs = [job("a", beckett), job("b", beckett)]
    assert _texts(engine.run(jobs)) == _texts(tiny.run(jobs))
    assert held == [False, False, False]


def test_a_window_that_breaks_the_engine_fails_its_own_recording_only(
    models_root: Path, tiny: Engine, beckett: Samples, cities: Samples
) -> None:
    short = cities[: 16_000 * 5]
    breaks = Watched(tiny.backend, lambda mels: mels[0].shape[-1] < 1000)
    engine = Engine(models_root, backend=breaks, model="tiny.en")  # type: ignore[arg-type]
    found = engine.run([job("bad", short), job("good", beckett)])
    failure = found["bad"]
    assert isinstance(failure, EngineFailure) and "out of memory" in str(failure)
    assert "fail better" in plain(heard(found["good"]).text)


def test_a_window_that_kills_the_process_fails_its_own_recording_at_last(
    tiny: Engine, beckett: Samples, cities: Samples, tmp_path: Path
) -> None:
    jobs = [job("killer", beckett), job("good", beckett)]
    path = tmp_path / "j.jsonl"

    def die_while_reading(rows: int) -> None:
        """Leave the journal as it lies on the disk while ``rows`` windows are being decoded."""
        watched, left = Watched(tiny.backend), tmp_path / "left"

        def decode(bucket: Bucket) -> list[Hypothesis]:
            time.sleep(0.5)  # whatever another worker has in flight by then is blamed as well
            if not left.exists():
                shutil.copy(path, left)
            raise KeyboardInterrupt

        watched.decode = decode  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            Engine(tiny.store.root, backend=watched, model="tiny.en", words=True).run(jobs, Journal(path))  # type: ignore[arg-type]
        left.replace(path)
        assert watched.encoded[0] == rows

    die_while_reading(2)  # both were in the bucket
    for _ in range(FATAL_DEATHS - 1):
        die_while_reading(1)  # now each goes alone: the first one is the killer
    found = tiny.run(jobs, Journal(path))
    assert isinstance(found["killer"], EngineFailure) and f"died {FATAL_DEATHS} times" in str(found["killer"])
    assert "fail better" in plain(heard(found["good"]).text)


def test_text_no_guard_trusts_is_kept_and_flagged(models_root: Path, beckett: Samples) -> None:
    strict = Engine(models_root, model="tiny.en", decoding={"compression_ratio": 0.2, "temperatures": [0.0, 0.5]})
    first, second = (strict.run([job("b", beckett)])["b"] for _ in range(2))
    assert first == second  # sampling is seeded
    transcript = heard(first)
    assert transcript.flags == ("repetition",) and transcript.segments[0].flags == ("repetition",)
    assert "fail better" in plain(transcript.text)


@pytest.mark.parametrize("room", [60, 40])
def test_a_window_whose_text_fills_the_context_is_read_to_its_end(
    models_root: Path, cities: Samples, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """As with 28 s of Hindi: two windows of English with about 60 and 80 tokens need up to three contexts."""
    engine = Engine(models_root, model="base", engine="openvino", words=True)
    usual = heard(engine.run([job("cities", cities, "en")])["cities"])
    monkeypatch.setattr(window_decoder, "CONTEXT_TOKENS", room)
    monkeypatch.setitem(guards.TIMES_ENGLISH, "en", 3.8)
    found = heard(engine.run([job("cities", cities, "en")])["cities"])
    assert jiwer.wer(plain(usual.text), plain(found.text)) < 0.05
    assert not any(segment.flags for segment in found.segments) and not found.gaps
    ends = [word.end for segment in found.segments for word in segment.words]
    assert ends == sorted(ends)


def test_what_was_cut_off_stays_where_nothing_takes_its_place(
    models_root: Path, cities: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_decoder, "CONTEXT_TOKENS", 40)
    monkeypatch.setitem(guards.TIMES_ENGLISH, "en", 3.8)
    monkeypatch.setattr(Listener, "listen_again", lambda self, task, gap: [])  # as of what is no speech after all
    engine = Engine(models_root, model="base", engine="openvino", words=True)
    found = heard(engine.run([job("cities", cities, "en")])["cities"])
    assert "it was the age of foolishness it was the epoch" in plain(found.text)
    assert found.gaps and not any(segment.flags for segment in found.segments)


class Saying(Watched):
    """Hears with the real backend and then says the same of every window, evenly over its time."""

    def __init__(self, real: Backend, tokens: Sequence[int]) -> None:
        super().__init__(real)
        self._tokens = tuple(tokens)

    def decode(self, bucket: Bucket) -> list[Hypothesis]:
        count = len(self._tokens)
        starts = [tuple(frames * i // (2 * count) for i in range(count + 1)) for frames in bucket.frames]
        return [Hypothesis(self._tokens, (-0.2,) * count, times, -0.2, 0.0, 0.0) for times in starts]


def test_what_fills_the_context_and_comes_twice_is_doubted_in_full_silence_too(
    models_root: Path, cities: Samples
) -> None:
    """It was cut off by the context, so the model has not chosen to end where full silence makes it end."""
    real = Engine(models_root, model="base", engine="ctranslate2")
    tokenizer = tokenizer_for(real.prepared, "ka", "transcribe")
    said = " ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით ჩვენს ქვეყანაში."
    full = tokenizer.encode(said * 2)[: CONTEXT_TOKENS - len(prompt_tokens(tokenizer, ""))]
    engine = Engine(models_root, cast(Backend, Saying(real.backend, full)), model="base")
    found = heard(engine.run([job("cities", cities[: 16_000 * 20], "ka")])["cities"])
    assert found.segments and all("repetition" in segment.flags for segment in found.segments)


def test_reading_on_ends_where_a_context_holds_nothing(
    models_root: Path, cities: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With six tokens at a time hardly a word is whole, and what is left would be the same window for ever."""
    monkeypatch.setattr(window_decoder, "CONTEXT_TOKENS", 10)
    monkeypatch.setitem(guards.TIMES_ENGLISH, "en", 3.8)
    watched = Watched(Engine(models_root, model="base", engine="ctranslate2").backend)
    engine = Engine(models_root, cast(Backend, watched), model="base", words=True)
    found = heard(engine.run([job("cities", cities, "en")])["cities"])
    ends = [word.end for segment in found.segments for word in segment.words]
    assert len(watched.encoded) < 60 and len(ends) > 4 and ends == sorted(ends)


def test_sampling_is_used_when_beam_search_is_not_trusted(models_root: Path, beckett: Samples) -> None:
    never = {"mean_logprob": -1e-9, "no_speech": None, "temperatures": [0.0, 0.3]}
    engine = Engine(models_root, model="tiny.en", decoding=never)
    watched = engine.backend = Watched(engine.backend)  # type: ignore[assignment]
    transcript = heard(engine.run([job("b", beckett)])["b"])
    assert [h.temperature for h in watched.hypotheses] == [0.0, 0.0, 0.3]  # short context, full context, sampled
    assert transcript.flags == ("low_confidence",)


def test_asked_for_what_is_not_there_is_an_error(models_root: Path) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="cuda was asked for, but"):
            Engine(models_root, model="tiny.en", device="cuda")
    with pytest.raises(DeviceError, match="has no bfloat16"):
        Engine(models_root, model="tiny.en", engine="ctranslate2", compute_type="bfloat16")
    hardware = Engine(models_root, model="tiny.en", engine="ctranslate2", compute_type="int8").backend.hardware
    assert hardware.device in ("cpu", "cuda") and hardware.compute_type.startswith("int8") and hardware.device_name


@pytest.mark.parametrize("name", ["openvino", "ctranslate2", "torch_whisper"])
def test_a_word_spoken_alone_is_heard_once(models_root: Path, name: str) -> None:
    """With 4 s of context the last of them was ``only only``."""
    engine = Engine(models_root, model="tiny.en", engine=name)
    spoken = samples_of(models_root)
    words = {"story": ("endgame_nagg_nell", 15.33), "only": ("two_cities", 40.95)}
    found = engine.run([job(word, _alone(spoken[of], start)) for word, (of, start) in words.items()])
    assert {word: plain(heard(text).text) for word, text in found.items()} == {word: word for word in words}


def _alone(samples: Samples, start: float) -> Samples:
    return np.pad(samples[round(start * 16_000) : round((start + 0.6) * 16_000)], 1600)


def test_after_a_death_less_is_held_at_a_time_and_the_text_is_the_same(
    models_root: Path, beckett: Samples, cities: Samples
) -> None:
    """Sampling too: all temperatures at once were the most that the engine ever held."""
    options = {"model": "tiny.en", "engine": "openvino", "decoding": DOUBTED}
    usual = Engine(models_root, **options)
    thrifty = load_backend(usual.config, usual.prepared, 2, thrift=2)
    assert (thrifty.rows, thrifty.workers) == (1, 1)
    watched, asked = Watched(thrifty), list[int]()

    def decode(bucket: Bucket) -> list[Hypothesis]:
        asked.append(len(bucket.rows))
        return thrifty.decode(bucket)

    watched.decode = decode  # type: ignore[method-assign]
    jobs = [job("b", beckett), job("c", cities[: 16_000 * 8])]
    found = Engine(models_root, backend=watched, **options).run(jobs)  # type: ignore[arg-type]
    assert set(asked) == {1} and set(watched.encoded) == {1}
    assert _texts(found) == _texts(usual.run(jobs))


def test_a_single_worker_on_a_cpu_samples_without_a_second_copy_of_the_model(
    models_root: Path, beckett: Samples
) -> None:
    options = {"model": "tiny.en", "engine": "ctranslate2", "device": "cpu", "decoding": DOUBTED}
    usual = Engine(models_root, **options)
    single = load_backend(usual.config, usual.prepared, 2, thrift=1)
    assert isinstance(single, CTranslate2Whisper)
    load, models, held = single._load, [weakref.ref(single._model)], list[int]()

    def noted(**options: int) -> object:
        held.append(sum(model() is not None for model in models))
        models.append(weakref.ref(model := load(**options)))
        return model

    single._load = noted
    engine = Engine(models_root, backend=single, **options)
    found = [_texts(engine.run([job("b", beckett)])) for _ in range(2)]
    assert held and not any(held)
    assert found == [_texts(usual.run([job("b", beckett)]))] * 2
