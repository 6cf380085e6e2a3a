"""Beam search and sampling over many windows at once, for every backend that steps token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from whisper.tokenizer import Tokenizer

from snakescribe.audio import FRAMES_PER_POSITION
from snakescribe.engine.alignment import token_starts
from snakescribe.engine.backend import Bucket, Hypothesis, Search

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
SAMPLES_PER_WINDOW = 5
"""Hypotheses drawn when sampling, as openai/whisper's ``best_of``."""


class Next(NamedTuple):
    """What may follow in each row."""

    logprobs: Floats
    """Natural log, (rows, candidates), the best candidate first."""
    tokens: Ints
    special: Floats
    """Natural log of the probabilities of the tokens from the start token on, (rows, specials)."""
    attention: npt.NDArray[Any]
    """Where the alignment heads looked, (rows, heads, positions); floats, or bfloat16 as its bits (uint16)."""


class Session(Protocol):
    """A bucket being decoded; remembers what its rows have read."""

    def read(self, tokens: Ints, parents: Sequence[int], windows: Sequence[int], choice: Choice) -> Next:
        """Read ``tokens`` (rows, n); row i goes on from row ``parents[i]`` of the call before, in ``windows[i]``."""
        ...


class Choice(NamedTuple):
    """How the next token is chosen."""

    bias: Floats
    """(1, vocabulary), -inf for what is forbidden."""
    noise: Floats = np.zeros((1, 1), np.float32)
    """(rows, vocabulary), Gumbel noise times the temperature of rows that are sampled; or nothing."""


class Rules:
    """Which tokens text may have (openai/whisper ``decoding.py``: SuppressTokens, SuppressBlank); no timestamps."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int) -> None:
        self.tokenizer = tokenizer
        bias = np.zeros((1, vocabulary), np.float32)
        self.anything = Choice(bias.copy())
        bias[:, [*tokenizer.non_speech_tokens, *range(tokenizer.sot, vocabulary)]] = -np.inf
        self.text = Choice(bias.copy())
        bias[:, [*tokenizer.encode(" "), tokenizer.eot]] = -np.inf
        self.first = Choice(bias)


class _Node(NamedTuple):
    """The last token of a hypothesis, and what came before it."""

    before: _Node | None
    token: int
    logprob: float
    attention: npt.NDArray[Any]


@dataclass
class _Live:
    """A hypothesis that goes on."""

    total: float
    """Sum of log-probabilities."""
    node: _Node | None
    row: int
    """Its row in the last step."""


@dataclass
class _Window:
    """The hypotheses of one row of a bucket; an ended one has the end token as its last node."""

    index: int
    """Of the windows of the bucket."""
    limit: int
    positions: int
    """Encoder positions of audio."""
    search: Search
    noise: np.random.Generator
    live: list[_Live] = field(default_factory=list)
    ended: list[_Live] = field(default_factory=list)

    def grow(self, found: Next, end: int, last: bool) -> None:
        """Take the best continuations; ``last`` says that no more tokens are allowed.

        An end counts only among the ``beam_size`` best continuations, as in CTranslate2 (``decoding.cc``), so that all
        engines search alike.
        """
        search = self.search
        sampling = search.temperature > 0
        candidates = [
            (hypothesis.total + logprob, token, logprob, hypothesis)
            for hypothesis in self.live
            for logprob, token in zip(
                found.logprobs[hypothesis.row][: 1 if sampling else None].tolist(),
                found.tokens[hypothesis.row].tolist(),
                strict=False,
            )
        ]
        width, floor = len(self.live), -np.inf
        if not sampling:
            candidates.sort(key=lambda candidate: -candidate[0])
            width, floor = search.beam_size, candidates[0][0] - search.margin
        self.live = []
        for rank, (total, token, logprob, parent) in enumerate(candidates):
            if total < floor or len(self.live) == width:
                break
            if token == end and rank >= width:
                continue
            grown = _Live(
                total,
                _Node(parent.node, token, logprob, found.attention[parent.row, :, : self.positions].copy()),
                parent.row,
            )
            (self.ended if token == end else self.live).append(grown)
        enough = max(1, round(search.beam_size * search.patience))
        if last:
            self.ended += self.live
        if last or (not sampling and len(self.ended) >= enough):
            self.live = []

    def gumbel(self, vocabulary: int) -> Floats:
        """Noise for the next step, (live, vocabulary); the negative logarithm of an exponential variate is Gumbel's."""
        if not self.search.temperature:
            return np.zeros((len(self.live), vocabulary), np.float32)
        variates = self.noise.standard_exponential((len(self.live), vocabulary)).astype(np.float32)
        return -np.log(variates) * np.float32(self.search.temperature)

    def best(self, end: int, no_speech: float) -> Hypothesis:
        """The most probable hypothesis per token."""

        def mean(hypothesis: _Live) -> float:
            return hypothesis.total / self._steps(hypothesis.node)

        best = max(self.ended, key=mean)
        nodes: list[_Node] = []
        node = best.node
        while node:
            nodes.append(node)
            node = node.before
        nodes.reverse()
        text = nodes[:-1] if nodes[-1].token == end else nodes
        # A text cut at its limit has no end token: its last token is then where the audio ends.
        attention = np.stack([node.attention for node in (nodes if len(text) < len(nodes) else [*nodes, nodes[-1]])])
        return Hypothesis(
            tokens=tuple(node.token for node in text),
            logprobs=tuple(node.logprob for node in text),
            starts=token_starts(_floats(attention)),
            mean_logprob=best.total / (len(text) + 1),
            no_speech_probability=no_speech,
            temperature=self.search.temperature,
        )

    @staticmethod
    def _steps(node: _Node | None) -> int:
        count = 0
        while node:
            count, node = count + 1, node.before
        return count


def _floats(attention: npt.NDArray[Any]) -> Floats:
    if attention.dtype == np.uint16:
        return (attention.astype(np.uint32) << 16).view(np.float32)
    return attention.astype(np.float32, copy=False)


def detect_language(session: Session, windows: int, rules: Rules) -> list[dict[str, float]]:
    """Softmax over the language tokens that may follow the start token, per window (openai/whisper).

    In the order of the tokens: the tokenizer's own is that of a set of strings, another in every process, and in
    bfloat16 two languages may be equally probable.
    """
    tokenizer = rules.tokenizer
    start = np.full((windows, 1), tokenizer.sot, np.int64)
    special = session.read(start, range(windows), range(windows), rules.anything).special
    tokens, codes = zip(
        *sorted(zip(tokenizer.all_language_tokens, tokenizer.all_language_codes, strict=True)), strict=True
    )
    logprobs = special[:, np.array(tokens) - tokenizer.sot]
    probabilities = np.exp(logprobs - np.logaddexp.reduce(logprobs, axis=1, keepdims=True))
    return [dict(zip(codes, row.tolist(), strict=True)) for row in probabilities]


def decode(session: Session, bucket: Bucket, rules: Rules) -> list[Hypothesis]:
    """Decode every window of a bucket."""
    tokenizer, places = rules.tokenizer, bucket.windows
    positions = [max(1, frames // FRAMES_PER_POSITION) for frames in bucket.frames]
    windows = [
        _Window(places.index(row), limit, length, search, np.random.default_rng(search.seed))
        for row, limit, length, search in zip(bucket.rows, bucket.limits, positions, bucket.searches, strict=True)
    ]
    every = range(len(places))
    prompts = np.array([bucket.prompts[bucket.rows.index(place)] for place in places], np.int64)
    start = bucket.prompts[0].index(tokenizer.sot) + 1
    started = session.read(prompts[:, :start], every, every, rules.anything)
    silence = np.exp(started.special[:, tokenizer.no_speech - tokenizer.sot]).tolist()
    owners: list[int] = []
    for window in windows:
        for _ in range(SAMPLES_PER_WINDOW if window.search.temperature else 1):
            window.live.append(_Live(0.0, None, len(owners)))
            owners.append(window.index)
    parents, active, read, choice = owners, windows, prompts[owners, start:], rules.first
    for length in range(1, max(bucket.limits) + 1):
        found = session.read(read, parents, owners, _sampled(choice, active))
        for window in active:
            window.grow(found, tokenizer.eot, length >= window.limit)
        active = [window for window in active if window.live]
        if not active:
            break
        parents, owners, last = [], [], []
        for window in active:
            for hypothesis in window.live:
                assert hypothesis.node is not None
                owners.append(window.index)
                last.append(hypothesis.node.token)
                parents.append(hypothesis.row)
                hypothesis.row = len(parents) - 1
        read, choice = np.array(last, np.int64)[:, None], rules.text
    return [window.best(tokenizer.eot, silence[window.index]) for window in windows]


def _sampled(choice: Choice, active: Sequence[_Window]) -> Choice:
    """With Gumbel noise times the temperature, the best candidate is a sample at that temperature."""
    if not any(window.search.temperature for window in active):
        return choice
    return choice._replace(noise=np.concatenate([window.gumbel(choice.bias.shape[1]) for window in active]))
