"""The engine's pure parts: log-mel, ladder, tokens, guards, journal, glossary."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from hypothesis import given
from hypothesis import strategies as st

from snakescribe import glossary
from snakescribe.config.options import DecodingOptions
from snakescribe.engine.backend import Hypothesis
from snakescribe.engine.guards import judge, most_tokens, repeats_itself
from snakescribe.engine.journal import Journal, Language, WindowText
from snakescribe.engine.log_mel import FULL_CONTEXT, PADDING, RUNG, encoder_frames, log_mel
from snakescribe.engine.tokens import (
    _groups,
    compression_ratio,
    previous_text,
    prompt_tokens,
    tokenizer_for,
    words,
)
from snakescribe.errors import ResultsError
from snakescribe.models.store import Store
from snakescribe.transcript import Segment, Transcript, Word

NOISE = np.random.default_rng(0)


def _tokenizer(models_root: Path, language: str) -> whisper.tokenizer.Tokenizer:
    return tokenizer_for(Store(models_root).resolve("base"), language, "transcribe")


@pytest.mark.parametrize("n_mels", [80, 128])
def test_log_mel_is_openais_at_any_length(n_mels: int) -> None:
    samples = NOISE.integers(-3000, 3000, 50_000).astype(np.int16)
    for frames in (400, 1000, FULL_CONTEXT):  # cut, padded a little, padded to 30 s
        audio = whisper.pad_or_trim(torch.from_numpy(samples.astype(np.float32) / 32768), frames * 160)
        ours = log_mel(samples, n_mels, frames)
        assert ours.shape == (n_mels, frames) and ours.dtype == torch.float32
        assert torch.allclose(ours, whisper.log_mel_spectrogram(audio, n_mels), atol=1e-4)


@given(st.integers(1, 16_000 * 28))
def test_encoder_length_holds_speech_and_padding_on_the_ladder(samples: int) -> None:
    frames = encoder_frames(samples)
    assert frames % RUNG == 0 and frames <= FULL_CONTEXT
    assert frames * 160 >= samples + PADDING * 160 or frames == FULL_CONTEXT


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("ko", " 안녕하세요, 뷁궭 선생님.", ["안녕하세요,", "뷁궭", "선생님."]),  # an eojeol, also of rare syllables
        ("en", ' He said "no" twice.', ["He", "said", '"no"', "twice."]),
        ("ja", "東京へ𠮷野家", ["東", "京", "へ", "𠮷", "野", "家"]),
    ],
)
def test_words_are_never_cut_inside_a_character(
    models_root: Path, language: str, text: str, expected: list[str]
) -> None:
    tokenizer = _tokenizer(models_root, language)
    tokens = tuple(tokenizer.encode(text))
    timed = words(_spoken(tokens), tokenizer)
    assert "".join(word.text for word in timed) == text
    joined = [word.text.strip() for word in timed]
    if language == "ja":
        assert all(part in "".join(expected) for part in joined) and "\ufffd" not in "".join(joined)
    else:
        assert joined == expected
    assert timed[0].start == 0 and all(a.start < a.end <= b.start for a, b in pairwise(timed))
    assert (len(tokens) - 1) * 0.2 - 1e-9 <= timed[-1].end <= len(tokens) * 0.2 + 1e-9  # a full stop takes no time


def _spoken(tokens: tuple[int, ...], logprobs: tuple[float, ...] = ()) -> Hypothesis:
    """Every token takes 0.2 s."""
    starts = tuple(range(0, 10 * len(tokens) + 1, 10))
    return Hypothesis(tokens, logprobs or (-0.7,) * len(tokens), starts, -0.7, 0.1, 0.0)


@given(st.lists(st.integers(0, 50_000), max_size=12))
def test_any_tokens_make_words_that_join_to_their_text(models_root: Path, tokens: list[int]) -> None:
    """Also tokens that are half a character: the model may write them when it guesses."""
    for language in ("ko", "ja"):
        tokenizer = _tokenizer(models_root, language)
        timed = words(_spoken(tuple(tokens)), tokenizer)
        assert "".join(word.text for word in timed) == tokenizer.decode(tokens)
        assert all(0 <= word.start <= word.end <= 0.2 * len(tokens) + 1e-9 for word in timed)


@pytest.mark.parametrize("text", ["안녕하세요, 뷁궭 선생님.", " It's “new” - 3.5% of \n us…", "東京へ𠮷野家、と。"])
@pytest.mark.parametrize("language", ["ko", "ja", "en"])
def test_whole_characters_are_cut_as_openais(models_root: Path, language: str, text: str) -> None:
    tokenizer = _tokenizer(models_root, language)
    tokens = tokenizer.encode(text)
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    assert _groups(tokens, tokenizer) == list(zip(texts[:-1], groups[:-1], strict=True))


def test_a_word_is_as_probable_as_its_tokens_and_punctuation_takes_no_time_from_it(models_root: Path) -> None:
    tokenizer = _tokenizer(models_root, "en")
    tokens = tuple(tokenizer.encode(" Yes, indeed"))
    assert len(tokens) == 3  # " Yes" "," " indeed"
    yes, indeed = words(_spoken(tokens, (-1.0, -3.0, -0.5)), tokenizer)
    assert (yes.text, indeed.text) == (" Yes,", " indeed")
    assert yes.probability == pytest.approx(np.exp(-1.0)) and indeed.probability == pytest.approx(np.exp(-0.5))
    assert (yes.start, yes.end) == (0.0, 0.2) and indeed.start == 0.4


def test_prompt_keeps_its_end_within_half_the_context(models_root: Path) -> None:
    tokenizer = _tokenizer(models_root, "ko")
    start = (*tokenizer.sot_sequence, tokenizer.no_timestamps)
    assert prompt_tokens(tokenizer, "") == start
    long = prompt_tokens(tokenizer, previous_text("이름 " * 500, ["김철수", "이영희"]))
    assert long[0] == tokenizer.sot_prev and long[-4:] == start and len(long) == 1 + 223 + 4
    assert previous_text(" 서울. ", ["김철수", "이영희"]) == "김철수, 이영희 서울."


def _hypothesis(logprob: float = -0.3, no_speech: float = 0.1, tokens: int = 20) -> Hypothesis:
    return Hypothesis(tuple(range(tokens)), (logprob,) * tokens, (0,) * (tokens + 1), logprob, no_speech, 0.0)


@pytest.mark.parametrize(
    ("hypothesis", "ratio", "uncovered", "flags", "silence"),
    [
        (_hypothesis(), 1.5, 0.0, (), False),
        (_hypothesis(), 2.5, 0.0, ("repetition",), False),
        (_hypothesis(tokens=100), 1.5, 0.0, ("repetition",), False),
        (_hypothesis(logprob=-1.1), 1.5, 0.0, ("low_confidence",), False),
        (_hypothesis(logprob=-1.1, no_speech=0.7), 1.5, 0.0, (), True),
        (_hypothesis(no_speech=0.9), 1.5, 0.0, (), False),  # sure of its words: not silence
        (_hypothesis(), 1.5, 3.5, ("unfinished",), False),
        (_hypothesis(logprob=-1.1, no_speech=0.7), 2.5, 0.0, ("repetition",), False),  # a loop is no silence
    ],
)
def test_guards(hypothesis: Hypothesis, ratio: float, uncovered: float, flags: tuple[str, ...], silence: bool) -> None:
    verdict = judge(hypothesis, ratio, DecodingOptions(), most=100, uncovered=uncovered)
    assert (verdict.flags, verdict.silence) == (flags, silence)


def test_guards_can_be_switched_off() -> None:
    off = DecodingOptions(compression_ratio=None, mean_logprob=None, no_speech=None)
    assert judge(_hypothesis(-5.0, 0.9), 9.0, off, most=100, uncovered=0).flags == ()


@pytest.mark.parametrize(
    ("said", "times", "loop"),
    [
        ("네 ", 4, False),  # people say this
        ("네 ", 40, True),
        ("오늘은 날씨가 ", 3, False),
        ("오늘은 날씨가 ", 6, True),
        ("I don't know. ", 6, True),
    ],
)
def test_a_loop_is_told_from_how_people_talk(models_root: Path, said: str, times: int, loop: bool) -> None:
    tokenizer = _tokenizer(models_root, "ko")
    tokens = tokenizer.encode(" 그래서 우리는 " + said * times + "그렇게 말했다.")
    assert repeats_itself(tokens) == loop


def test_repetition_is_seen_and_korean_has_room() -> None:
    assert (
        compression_ratio("오늘은 날씨가 좋습니다. " * 12)
        > 2.4
        > compression_ratio("오늘은 날씨가 좋습니다. 내일도 그렇다고 해요.")
    )
    assert most_tokens(28.0, room=445) == 445
    assert most_tokens(1.0, room=445) < 60


def _window(start: int, text: str = "말") -> WindowText:
    segment = Segment(
        start=start / 16_000,
        end=start / 16_000 + 1,
        text=text,
        mean_logprob=-0.1,
        no_speech_probability=0.0,
        compression_ratio=1.0,
        temperature=0.0,
    )
    return WindowText(key="k", track=0, start=start, end=start + 16_000, segments=(segment,), wall_seconds=0.5)


def test_journal_comes_back_and_drops_a_line_cut_by_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "journal/b000001.jsonl"
    journal = Journal(path)
    journal.add([Language(key="k", language="ko", probability=0.9), _window(0), _window(16_000)])
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    again = Journal(path)
    assert set(again.windows) == {_window(0).place} and again.languages["k"].language == "ko"
    again.add([_window(32_000)])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [list(json.loads(line)) for line in lines] == [["language"], ["window"], ["window"]]
    assert set(Journal(path).windows) == {_window(0).place, _window(32_000).place}
    again.remove()
    assert not path.exists()


A, B, C = (_window(start).place for start in (0, 16_000, 32_000))


def test_an_old_journal_is_read(tmp_path: Path) -> None:
    """Before windows could end without text, ``begun`` alone told what was in flight; gaps were not noted."""
    window = _window(0).model_dump(mode="json")
    del window["gaps"]
    path = tmp_path / "old.jsonl"
    records = [{"begun": [A, B, C]}, {"window": window}, {"died": [B]}, {"begun": [B]}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    journal = Journal(path)
    assert journal.deaths == {B: 2} and journal.windows == {A: _window(0)}
    assert Journal(path).deaths == {B: 2}  # nobody died since


@pytest.mark.parametrize(
    "line",
    [
        b'{"window": {"key": "k", "tra',
        b'{"window": {"key": "k", "text": "of another version"}}',
        b'{"begun": [[1, 2]]}',
        b'{"begun": 5}',
        b'{"unknown": {}}',
        b"[]",
        b"\xff\x00",
    ],
)
def test_a_damaged_line_is_named_and_nothing_is_touched(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.add([_window(0)])
    good = path.read_bytes()
    path.write_bytes(good + line + b"\n" + good)
    with pytest.raises(ResultsError, match="delete this line and start again") as caught:
        Journal(path)
    assert str(caught.value).startswith(f"{path}, line 2, is damaged")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == good + line + b"\n" + good


def test_what_ended_was_not_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    with journal.in_flight([A, B]):
        pass
    with pytest.raises(RuntimeError), journal.in_flight([A]):
        raise RuntimeError("the engine says no, and lives")
    assert not Journal(path).deaths
    with journal.in_flight([B]), journal.in_flight([C]):
        assert Journal(path).deaths == {B: 1, C: 1}


def test_a_window_seen_again_is_in_flight_until_its_last_end(tmp_path: Path) -> None:
    """Encoding ends before decoding begins: a death in the second counts, the first has ended."""
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    with journal.in_flight([A, B]):
        pass
    with journal.in_flight([A]):
        assert Journal(path).deaths == {A: 1}


def test_in_memory_only(tmp_path: Path) -> None:
    journal = Journal(None)
    journal.add([_window(0)])
    with journal.in_flight([B]):
        assert set(journal.windows) == {A}
    journal.remove()
    assert not list(tmp_path.iterdir())


def _killed(path: Path) -> None:
    """Two threads at work when the process is gone at once: A's bucket has ended, B's and C's have not."""
    journal = Journal(path)
    reached = threading.Barrier(3)

    def task(*places: tuple[str, int, int, int]) -> None:
        for place in places:
            with journal.in_flight([place]):
                if place == places[-1]:
                    reached.wait()
                    threading.Event().wait()
            journal.add([_window(place[2])])

    for places in ((A, B), (C,)):
        threading.Thread(target=task, args=places, daemon=True).start()
    reached.wait()
    os._exit(9)


def test_a_kill_names_the_windows_of_both_threads(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    for times in (1, 2):
        process = multiprocessing.get_context("fork").Process(target=_killed, args=(path,))
        process.start()
        process.join()
        assert process.exitcode == 9
        journal = Journal(path)
        assert set(journal.windows) == {A}
        assert journal.deaths == {B: times, C: times}


def test_two_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)

    def task(first: int) -> None:
        for i in range(100):
            window = _window(first + i, text="말" * 2000)
            with journal.in_flight([window.place]):
                pass
            journal.add([window])

    threads = [threading.Thread(target=task, args=(first,)) for first in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Journal(path)
    assert again.windows == journal.windows and len(again.windows) == 200 and not again.deaths


def test_glossary_replaces_longest_first_and_says_so() -> None:
    word = Word(start=0, end=1, text="스네이크가", probability=1)
    segment = _window(0, "스네이크가 스네이크스크라이브를 만났다").segments[0].model_copy(update={"words": (word,)})
    transcript = Transcript(duration=1, speech_seconds=1, language="ko", language_probability=1, segments=(segment,))
    done = glossary.apply(transcript, {"스네이크": "뱀", "스네이크스크라이브": "snakescribe"})
    assert done.text == "뱀가 snakescribe를 만났다" and done.segments[0].words[0].text == "뱀가"
    assert done.replacements == ("스네이크→뱀 ×1", "스네이크스크라이브→snakescribe ×1")
    assert glossary.apply(transcript, {}) is transcript
