"""Our beam search and sampling on a small model whose every hypothesis can be written down."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakescribe.engine.backend import Bucket, Hypothesis, Search
from snakescribe.engine.beam_search import (
    SAMPLES_PER_WINDOW,
    Choice,
    Floats,
    Ints,
    Next,
    Rules,
    _Live,
    _Window,
    decode,
    detect_language,
)
from snakescribe.engine.stepwise import slots

SPACE, A, B, C, LOUD, END, START, ENGLISH, KOREAN, NO_SPEECH = range(10)
VOCABULARY = 10
TEXT = (A, B, C, SPACE)
EVERYTHING = Search(beam_size=5000, margin=np.inf)


@dataclass(frozen=True)
class _Tokenizer:
    """As much of ``whisper.tokenizer.Tokenizer`` as the search asks for."""

    sot: int = START
    eot: int = END
    no_speech: int = NO_SPEECH
    non_speech_tokens: tuple[int, ...] = (LOUD,)
    all_language_tokens: tuple[int, ...] = (ENGLISH, KOREAN)
    all_language_codes: tuple[str, ...] = ("en", "ko")

    def encode(self, text: str) -> list[int]:
        assert text == " "
        return [SPACE]


RULES = Rules(_Tokenizer(), VOCABULARY)  # type: ignore[arg-type]


def _logits(prefix: tuple[int, ...], window: int, seed: int) -> Floats:
    """What this model thinks may follow; any prefix has its own numbers."""
    made = np.random.default_rng([seed, window, *prefix]).normal(0, 2, VOCABULARY)
    return made.astype(np.float32)


def _logprobs(logits: Floats, bias: Floats) -> Floats:
    allowed = logits + bias.reshape(-1)
    return allowed - np.logaddexp.reduce(allowed)  # type: ignore[no-any-return]


@dataclass
class _Session:
    """Remembers what each row has read, and what it was asked."""

    seed: int = 0
    names: Sequence[int] = range(100)
    """Which window of the model each window of the bucket is."""
    prefixes: list[tuple[int, ...]] = field(default_factory=lambda: [()] * 100)
    rows: list[int] = field(default_factory=list)
    """Rows of every step."""
    chosen: list[int] = field(default_factory=list)
    """The best candidate of every row of every step."""

    def read(self, tokens: Ints, parents: Sequence[int], windows: Sequence[int], choice: Choice) -> Next:
        self.prefixes = [(*self.prefixes[parent], *row) for parent, row in zip(parents, tokens.tolist(), strict=True)]
        assert len(self.prefixes) == len(windows)
        logits = np.stack([_logits(p, self.names[w], self.seed) for p, w in zip(self.prefixes, windows, strict=True)])
        logprobs = np.stack([_logprobs(row, choice.bias) for row in logits])
        order = np.argsort(-(logits + choice.bias + choice.noise), axis=1, kind="stable")
        self.rows.append(len(order))
        self.chosen += order[:, 0].tolist()
        attention = np.random.default_rng([len(p) for p in self.prefixes]).random((len(order), 2, 50))
        return Next(np.take_along_axis(logprobs, order, 1), order, logprobs[:, START:], attention.astype(np.float32))


def _bucket(search: Search, *limits: int, prompt: tuple[int, ...] = (START, ENGLISH)) -> Bucket:
    n = len(limits)
    return Bucket(None, tuple(range(n)), (prompt,) * n, limits, (80,) * n, (search,) * n)


def _decode(search: Search, *limits: int, seed: int = 0, **session: Any) -> list[Hypothesis]:
    return decode(_Session(seed, **session), _bucket(search, *limits), RULES)


def _exhaustive(limit: int, seed: int) -> tuple[tuple[int, ...], float]:
    """The most probable text per token of all there are, by writing them all down."""
    best: tuple[float, tuple[int, ...], float] | None = None
    for length in range(1, limit + 1):
        for text in itertools.product(TEXT, repeat=length):
            steps = [*text, END] if length < limit else list(text)
            total, prefix = 0.0, (START, ENGLISH)
            for i, token in enumerate(steps):
                bias = RULES.text.bias if i else RULES.first.bias
                total += float(_logprobs(_logits(prefix, 0, seed), bias)[token])
                prefix = (*prefix, token)
            mean = total / len(steps)
            if np.isfinite(total) and (best is None or mean > best[0]):
                best = (mean, text, total / (length + 1))
    assert best
    return best[1], best[2]


@given(st.integers(1, 4), st.integers(0, 10_000))
@settings(max_examples=40)
def test_a_beam_that_holds_everything_finds_the_best_text_there_is(limit: int, seed: int) -> None:
    (found,) = _decode(EVERYTHING, limit, seed=seed)
    text, mean = _exhaustive(limit, seed)
    assert found.tokens == text
    assert found.mean_logprob == pytest.approx(mean, abs=1e-5)


@given(st.integers(0, 10_000))
def test_one_beam_is_greedy_and_its_figures_are_of_its_tokens(seed: int) -> None:
    (found,) = _decode(Search(beam_size=1), 30, seed=seed)
    prefix, choice, text, logprobs = (START, ENGLISH), RULES.first, [], []
    while len(logprobs) < 30:
        row = _logprobs(_logits(prefix, 0, seed), choice.bias)
        token = int(row.argmax())
        logprobs.append(float(row[token]))
        if token == END:
            break
        text.append(token)
        prefix, choice = (*prefix, token), RULES.text
    assert found.tokens == tuple(text)
    assert found.logprobs == pytest.approx(logprobs[: len(text)])
    assert found.mean_logprob == pytest.approx(sum(logprobs) / (len(text) + 1))
    silence = np.exp(_logprobs(_logits((START,), 0, seed), np.zeros(1, np.float32))[NO_SPEECH])
    assert found.no_speech_probability == pytest.approx(silence)


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_text_has_no_forbidden_token_and_does_not_begin_with_a_space(seed: int, beam: int) -> None:
    (found,) = _decode(Search(beam_size=beam), 12, seed=seed)
    assert set(found.tokens) <= set(TEXT) and found.tokens[0] != SPACE
    assert len(found.starts) == len(found.tokens) + 1 and list(found.starts) == sorted(found.starts)
    assert found.starts[0] == 0 and found.starts[-1] < 40  # 80 frames


@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_a_window_gets_the_same_whatever_it_is_decoded_with(seed: int, limits: list[int]) -> None:
    for search in (Search(beam_size=4, margin=2.0), Search(temperature=0.7, seed=seed)):
        together = _decode(search, *limits, seed=seed)
        alone = [_decode(search, limit, seed=seed, names=[i])[0] for i, limit in enumerate(limits)]
        assert [(h.tokens, h.logprobs, h.mean_logprob) for h in together] == [
            (h.tokens, h.logprobs, h.mean_logprob) for h in alone
        ]


def test_margin_gives_up_what_is_far_behind() -> None:
    """No margin keeps all beams; a vanishing one leaves the best hypothesis only, which is the greedy text."""
    steps = {}
    for margin in (np.inf, 4.0, 1.0, 1e-9):
        session = _Session(seed=3)
        (found,) = decode(session, _bucket(Search(beam_size=8, patience=4, margin=margin), 12), RULES)
        steps[margin] = sum(session.rows), found.tokens
    rows = [rows for rows, _ in steps.values()]
    assert rows == sorted(rows, reverse=True) and rows[0] > rows[1] > rows[2] > rows[3]
    (greedy,) = _decode(Search(beam_size=1), 12, seed=3)
    assert steps[1e-9][1] == greedy.tokens


@given(st.integers(0, 1000), st.floats(0.5, 6))
@settings(max_examples=30)
def test_within_the_margin_nothing_is_given_up(seed: int, margin: float) -> None:
    """What follows are the hypotheses within the margin of the best one, no more and no fewer."""
    session = _Session(seed)
    decode(session, _bucket(Search(beam_size=5000, margin=margin), 2), RULES)
    first = _logprobs(_logits((START, ENGLISH), 0, seed), RULES.first.bias)
    kept = sum(first[token] >= first.max() - margin for token in TEXT)
    assert session.rows[:2] == [1, 1] and session.rows[2:3] == [kept]


@pytest.mark.parametrize(("rank", "ends"), [(0, 1), (1, 1), (2, 0), (3, 0)])
def test_an_end_counts_among_the_best_only(rank: int, ends: int) -> None:
    """As in CTranslate2; openai/whisper takes both ends of ``A end end B`` for two beams."""
    window = _Window(0, 9, 1, Search(beam_size=2, margin=np.inf), np.random.default_rng(0), [_Live(0.0, None, 0)])
    order = [A, B, C]
    order.insert(rank, END)
    logprobs = np.array([[-0.1, -0.2, -0.3, -0.4]], np.float32)
    window.grow(Next(logprobs, np.array([order]), np.zeros((1, 1), np.float32), np.zeros((1, 1, 1))), END, False)
    assert [_token(hypothesis) for hypothesis in window.live] == [A, B]
    assert [_token(hypothesis) for hypothesis in window.ended] == [END] * ends


def test_an_end_behind_another_end_does_not_count() -> None:
    window = _Window(0, 9, 1, Search(beam_size=2, margin=np.inf), np.random.default_rng(0))
    window.live = [_Live(0.0, None, 0), _Live(-0.1, None, 1)]
    logprobs = np.array([[-0.1, -0.3, -0.9], [-0.1, -0.9, -1.0]], np.float32)
    tokens = np.array([[A, END, B], [END, A, B]])
    window.grow(Next(logprobs, tokens, np.zeros((2, 1), np.float32), np.zeros((2, 1, 1))), END, False)
    assert [(_token(ended), ended.row) for ended in window.ended] == [(END, 1)]  # not that of row 0, which is third


def _token(hypothesis: _Live) -> int:
    assert hypothesis.node
    return hypothesis.node.token


def test_patience_waits_for_more_ended_hypotheses() -> None:
    rows = []
    for patience in (0.2, 1.0, 3.0):
        session = _Session(seed=5)
        decode(session, _bucket(Search(beam_size=5, patience=patience, margin=np.inf), 40), RULES)
        rows.append(sum(session.rows))
    assert rows[0] < rows[1] < rows[2]
    greedy = [_decode(Search(beam_size=1, patience=patience), 40, seed=5) for patience in (0.2, 1.0)]
    assert greedy[0] == greedy[1]  # at least one has to end


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.sampled_from([0.0, 0.9]))
def test_limits_cut_each_window_on_its_own(limits: list[int], temperature: float) -> None:
    found = _decode(Search(beam_size=3, temperature=temperature), *limits, seed=1)
    assert all(1 <= len(h.tokens) <= limit for h, limit in zip(found, limits, strict=True))
    (cut,) = _decode(Search(beam_size=1, temperature=temperature), 1, seed=1)
    assert len(cut.tokens) == 1 and cut.starts == tuple(sorted(cut.starts)) and len(cut.starts) == 2


def test_sampling_repeats_with_its_seed_and_only_with_it() -> None:
    drawn = [_decode(Search(temperature=1.0, seed=seed), 20, 20, seed=2) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len({tuple(h.tokens for h in row) for row in drawn}) > 2
    assert all(h.temperature == 1.0 for row in drawn for h in row)


def test_one_window_in_several_ways_at_once() -> None:
    """Every way finds what it finds alone, and the audio is heard once."""
    ways = (Search(beam_size=3), *(Search(temperature=t, seed=7) for t in (0.4, 1.0)))
    session = _Session(seed=6, names=[4])
    n = len(ways)
    together = decode(session, Bucket(None, (2,) * n, ((START, ENGLISH),) * n, (15,) * n, (80,) * n, ways), RULES)
    alone = [_decode(search, 15, seed=6, names=[4])[0] for search in ways]
    assert [(found.tokens, found.logprobs) for found in together] == [(found.tokens, found.logprobs) for found in alone]
    assert session.rows[0] == 1 and session.rows[1] == 1 + 2 * SAMPLES_PER_WINDOW
    assert [hypothesis.temperature for hypothesis in together] == [0.0, 0.4, 1.0]


def test_sampling_follows_the_model_at_its_temperature() -> None:
    """The first tokens drawn are as frequent as the softmax of logits over temperature says."""
    temperature, draws = 0.7, 600
    logits = _logits((START, ENGLISH), 0, 9) / temperature
    expected = np.exp(_logprobs(logits, RULES.first.bias))
    counts = np.zeros(VOCABULARY)
    for seed in range(draws):
        session = _Session(seed=9)
        decode(session, _bucket(Search(temperature=temperature, seed=seed), 1), RULES)
        counts += np.bincount(session.chosen[-SAMPLES_PER_WINDOW:], minlength=VOCABULARY)
    # four standard deviations of a count
    spread = 4 * np.sqrt(expected * (1 - expected) / (draws * SAMPLES_PER_WINDOW))
    assert np.all(np.abs(counts / counts.sum() - expected) <= spread + 1e-9)


@given(st.integers(0, 200))
@settings(max_examples=30)
def test_every_sample_is_drawn_to_its_end(seed: int) -> None:
    session = _Session(seed)
    limit = 60
    decode(session, _bucket(Search(temperature=1.0, seed=seed), limit), RULES)
    assert session.chosen[1:].count(END) == SAMPLES_PER_WINDOW or len(session.rows) == limit + 1


def test_previous_text_comes_before_the_start() -> None:
    """The no-speech probability is read off the start token, wherever it stands."""
    session = _Session(seed=4)
    prompt = (NO_SPEECH, A, B, START, KOREAN)
    (found,) = decode(session, _bucket(Search(beam_size=2), 5, prompt=prompt), RULES)
    row = _logprobs(_logits(prompt[:4], 0, 4), np.zeros(1, np.float32))
    assert found.no_speech_probability == pytest.approx(np.exp(row[NO_SPEECH]))
    assert session.prefixes[0][:5] == prompt


def test_languages_are_a_softmax_over_language_tokens() -> None:
    found = detect_language(_Session(seed=6), 3, RULES)
    for window, probabilities in enumerate(found):
        logits = _logits((START,), window, 6)[[ENGLISH, KOREAN]]
        assert list(probabilities) == ["en", "ko"]
        assert list(probabilities.values()) == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-5)


def test_languages_come_in_the_order_of_their_tokens() -> None:
    """The tokenizer's order is that of a set of strings; equally probable languages must not depend on it."""
    shuffled = Rules(_Tokenizer(all_language_tokens=(KOREAN, ENGLISH), all_language_codes=("ko", "en")), VOCABULARY)  # type: ignore[arg-type]
    assert [list(found.items()) for found in detect_language(_Session(seed=6), 2, shuffled)] == [
        list(found.items()) for found in detect_language(_Session(seed=6), 2, RULES)
    ]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.randoms())
def test_slots_give_every_row_a_place_among_its_windows(counts: list[int], random: Any) -> None:
    windows = [window for window, count in enumerate(counts) for _ in range(count)]
    random.shuffle(windows)
    gather, scatter = slots(windows, len(counts))
    most = max(2, *counts)
    assert len(gather) == len(counts) * most and gather.dtype == scatter.dtype == np.int64
    assert gather[scatter].tolist() == list(range(len(windows)))
    assert (scatter // most).tolist() == windows
    assert gather.min() >= 0 and gather.max() < len(windows)
