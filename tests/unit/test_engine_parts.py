"""The engine's pure parts: log-mel, ladder, tokens, guards, journal, glossary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import whisper
from hypothesis import given
from hypothesis import strategies as st

from snakescribe import glossary
from snakescribe.config.options import DecodingOptions
from snakescribe.engine.backend import Alignment, Hypothesis
from snakescribe.engine.guards import judge, most_tokens
from snakescribe.engine.journal import Journal, Language, WindowText
from snakescribe.engine.log_mel import FULL_CONTEXT, PADDING, RUNG, encoder_frames, log_mel
from snakescribe.engine.tokens import compression_ratio, pieces, previous_text, prompt_tokens, tokenizer_for, words
from snakescribe.models.store import Store
from snakescribe.transcript import Segment, Transcript, Word

NOISE = np.random.default_rng(0)


def _tokenizer(models_root: Path, language: str) -> whisper.tokenizer.Tokenizer:
    return tokenizer_for(Store(models_root).resolve("base"), language, "transcribe")


def test_log_mel_is_openais_and_rows_are_independent() -> None:
    long, short = (NOISE.integers(-3000, 3000, n).astype(np.int16) for n in (80_000, 50_000))
    ours = log_mel([long, short], 80, FULL_CONTEXT)
    for row, samples in zip(ours, (long, short), strict=True):
        audio = whisper.pad_or_trim(torch.from_numpy(samples.astype(np.float32) / 32768))
        assert torch.allclose(row, whisper.log_mel_spectrogram(audio, 80), atol=1e-4)
    assert torch.equal(log_mel([short], 80, 1000)[0], log_mel([long, short], 80, 1000)[1])


@given(st.integers(1, 16_000 * 28))
def test_encoder_length_holds_speech_and_padding_on_the_ladder(samples: int) -> None:
    frames = encoder_frames(samples)
    assert frames % RUNG == 0 and frames <= FULL_CONTEXT
    assert frames * 160 >= samples + PADDING * 160 or frames == FULL_CONTEXT


def test_pieces_between_timestamps(models_root: Path) -> None:
    tokenizer = _tokenizer(models_root, "en")
    stamp = tokenizer.timestamp_begin
    hello, bye = tokenizer.encode(" Hello there."), tokenizer.encode(" Good bye.")
    found = pieces((stamp, *hello, stamp + 100, stamp + 150, *bye, stamp + 200), tokenizer, seconds=3.5)
    assert [(p.start, p.end, tokenizer.decode(list(p.tokens)), p.closed) for p in found] == [
        (0.0, 2.0, " Hello there.", True),
        (3.0, 3.5, " Good bye.", True),  # kept within the window
    ]
    (open_end,) = pieces((stamp + 50, *hello), tokenizer, seconds=4.0)
    assert (open_end.start, open_end.end, open_end.closed) == (1.0, 4.0, False)
    assert pieces((), tokenizer, 4.0) == []


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
    tokens = tokenizer.encode(text)
    steps = np.arange(len(tokens) + 1)
    aligned = Alignment(steps, steps * 10, tuple(0.5 for _ in tokens))
    timed = words(tokens, aligned, tokenizer)
    assert "".join(word.text for word, _ in timed).replace(" ", "") == text.replace(" ", "")
    joined = [word.text.strip() for word, _ in timed]
    if language == "ja":
        assert all(part in "".join(expected) for part in joined) and "�" not in "".join(joined)
    else:
        assert joined == expected
    assert sum(length for _, length in timed) == len(tokens)
    assert all(word.start <= word.end for word, _ in timed)


def test_prompt_keeps_its_end_within_half_the_context(models_root: Path) -> None:
    tokenizer = _tokenizer(models_root, "ko")
    start = tuple(tokenizer.sot_sequence)
    assert prompt_tokens(tokenizer, "", timestamps=True) == start
    assert prompt_tokens(tokenizer, "", timestamps=False) == (*start, tokenizer.no_timestamps)
    long = prompt_tokens(tokenizer, previous_text("이름 " * 500, ["김철수", "이영희"]), timestamps=True)
    assert long[0] == tokenizer.sot_prev and long[-3:] == start and len(long) == 1 + 223 + 3
    assert previous_text(" 서울. ", ["김철수", "이영희"]) == "김철수, 이영희 서울."


def _hypothesis(logprob: float = -0.3, no_speech: float = 0.1, tokens: int = 20) -> Hypothesis:
    return Hypothesis(tuple(range(tokens)), logprob, no_speech, 0.0)


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
    ],
)
def test_guards(hypothesis: Hypothesis, ratio: float, uncovered: float, flags: tuple[str, ...], silence: bool) -> None:
    verdict = judge(hypothesis, ratio, DecodingOptions(), most=100, uncovered=uncovered)
    assert (verdict.flags, verdict.silence) == (flags, silence)


def test_guards_can_be_switched_off() -> None:
    off = DecodingOptions(compression_ratio=None, mean_logprob=None, no_speech=None)
    assert judge(_hypothesis(-5.0, 0.9), 9.0, off, most=100, uncovered=0).flags == ()


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


def test_glossary_replaces_longest_first_and_says_so() -> None:
    word = Word(start=0, end=1, text="스네이크가", probability=1)
    segment = _window(0, "스네이크가 스네이크스크라이브를 만났다").segments[0].model_copy(update={"words": (word,)})
    transcript = Transcript(duration=1, speech_seconds=1, language="ko", language_probability=1, segments=(segment,))
    done = glossary.apply(transcript, {"스네이크": "뱀", "스네이크스크라이브": "snakescribe"})
    assert done.text == "뱀가 snakescribe를 만났다" and done.segments[0].words[0].text == "뱀가"
    assert done.replacements == ("스네이크→뱀 ×1", "스네이크스크라이브→snakescribe ×1")
    assert glossary.apply(transcript, {}) is transcript
