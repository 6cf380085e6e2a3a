"""Reading windows: encode, decode, judge, try again, and make timed text of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whisper.tokenizer import Tokenizer

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.samples import release
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Bucket, Encoded, Hypothesis, Search
from snakescribe.engine.guards import Verdict, judge, most_tokens, said_twice, unlikely_speech
from snakescribe.engine.journal import Journal, WindowText
from snakescribe.engine.log_mel import FRAME, FULL_CONTEXT, encoder_frames, log_mel
from snakescribe.engine.phrases import invented
from snakescribe.engine.segments import LONGEST_WORD, gaps, moved, placed, segments
from snakescribe.engine.tokens import (
    TEXT_CONTEXT,
    compression_ratio,
    previous_text,
    prompt_tokens,
    tokenizer_for,
    words,
)
from snakescribe.engine.work import Work
from snakescribe.errors import EngineFailure
from snakescribe.models.store import Prepared
from snakescribe.transcript import Gap, Segment, Word

LOG = logging.getLogger(__name__)
SHORTEST_SEGMENT = 0.02
"""Seconds; one encoder position."""
ENGINE_ERRORS = (RuntimeError, ValueError, MemoryError)
"""What torch, CTranslate2 and OpenVINO raise, out of memory included."""


@dataclass(frozen=True)
class Attempt:
    """A hypothesis with what was made of it."""

    hypothesis: Hypothesis
    verdict: Verdict
    ratio: float
    words: tuple[Word, ...]
    """Seconds from the window's start."""

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Which of several doubtful attempts to keep: no loop, fewest flags, most probable; of loops the least one."""
        flags = self.verdict.flags
        loop = "repetition" in flags
        return (not loop, -len(flags), -self.ratio if loop else self.hypothesis.mean_logprob)


@dataclass(frozen=True)
class Heard:
    """Windows the encoder has seen."""

    works: list[Work]
    encoded: Encoded
    context: int
    """Mel frames that each was heard in at least."""


class Reader:
    """Reads windows with one backend, from any thread; knows nothing of order or look-ahead."""

    def __init__(self, backend: Backend, prepared: Prepared, config: Config, journal: Journal) -> None:
        """``journal`` is told which windows the model is about to see."""
        self.backend = backend
        self._prepared = prepared
        self._config = config
        self._journal = journal
        self._tokenizers: dict[str, Tokenizer] = {}
        decoding = config.decoding
        self._search = Search(decoding.beam_size, decoding.patience, decoding.margin)

    def heard(self, works: list[Work], context: int = 0) -> Iterator[Heard]:
        """Encode windows, in at least so many mel frames; what is too much for the device comes back one by one.

        A window that fails even alone fails its recording.
        """
        try:
            with self._journal.in_flight(work.place for work in works):
                frames = [max(context, encoder_frames(work.length)) for work in works]
                mels = [log_mel(work.samples, self.backend.n_mels, n) for work, n in zip(works, frames, strict=True)]
                for work in works:
                    release(work.samples)
                encoded = self.backend.encode(mels)
        except ENGINE_ERRORS as error:
            if not self._fails_alone(works, error):
                for work in works:
                    yield from self.heard([work], context)
        else:
            yield Heard(works, encoded, context)

    def languages(self, heard: Heard) -> list[dict[str, float]]:
        """Probability per language code, for each window."""
        return self.backend.detect_language(heard.encoded)

    def read(self, heard: Heard, works: list[Work]) -> Iterator[tuple[Work, Attempt]]:
        """First attempts at some of the windows heard, again one by one when it is too much for the device."""
        yield from ((work, attempt) for work, attempt, _ in self._read(heard, [(work, self._search) for work in works]))

    def again(self, doubtful: Sequence[tuple[Work, Attempt]]) -> Iterator[tuple[Work, Attempt]]:
        """Doubtful windows in full context: beam search, and what that leaves in doubt at every temperature at once.

        Yields:
            For each window the first attempt that the guards trust, else the best one; nothing where the engine failed.
        """
        firsts = {id(work): first for work, first in doubtful}
        for heard in self.heard([work for work, _ in doubtful], FULL_CONTEXT):
            for work, attempt, again in self._read(heard, [(work, self._search) for work in heard.works]):
                if attempt.verdict.flags:
                    tried = [firsts[id(work)], attempt, *self._sampled(again, work)]
                    trusted = (some for some in tried if not some.verdict.flags)
                    attempt = next(trusted, None) or max(tried, key=lambda some: some.rank)
                if not work.state.failure:
                    yield work, attempt

    def _sampled(self, heard: Heard, work: Work) -> list[Attempt]:
        """One window at all temperatures: as many rows as there are temperatures are a bucket of their own."""
        searches = [Search(temperature=t, seed=work.seed) for t in self._config.decoding.temperatures[1:]]
        asked = [(work, search) for search in searches]
        return [attempt for _, attempt, _ in self._read(heard, asked)] if asked else []

    def gaps(self, work: Work, attempt: Attempt) -> list[Gap]:
        """Speech of the window that its text leaves out, in seconds from the start of the recording."""
        found = gaps(() if attempt.verdict.silence else attempt.words, work.speech)
        origin, channel = work.window.start / SAMPLE_RATE, work.state.job.tracks[work.track].channel
        return [Gap(start=round(origin + a, 3), end=round(origin + b, 3), channel=channel) for a, b in found]

    def text(self, work: Work, attempt: Attempt, took: float) -> WindowText:
        """The segments of a window, with times from the start of the recording."""
        origin = work.window.start / SAMPLE_RATE
        groups = () if attempt.verdict.silence else segments(attempt.words)
        made = tuple(segment for group in groups if (segment := self._segment(work, attempt, group, origin)).text)
        return WindowText(
            key=work.state.job.key,
            track=work.track,
            start=work.window.start,
            end=work.window.end,
            segments=made,
            gaps=tuple(self.gaps(work, attempt)),
            flags=tuple(sorted({*attempt.verdict.flags, *(flag for segment in made for flag in segment.flags)})),
            wall_seconds=round(took, 3),
        )

    def _segment(self, work: Work, attempt: Attempt, group: Sequence[Word], origin: float) -> Segment:
        text = "".join(word.text for word in group).strip()
        start, end = origin + group[0].start, origin + group[-1].end
        flags = attempt.verdict.flags
        voice = work.window.voice_between(group[0].start, group[-1].end)
        if unlikely_speech(attempt.hypothesis, voice) and invented(text, work.language or "en"):
            flags = (*flags, "invented")
        return Segment(
            start=round(start, 3),
            end=round(max(end, start + SHORTEST_SEGMENT), 3),
            text=text,
            language=work.language,
            channel=work.state.job.tracks[work.track].channel,
            mean_logprob=round(attempt.hypothesis.mean_logprob, 4),
            no_speech_probability=round(attempt.hypothesis.no_speech_probability, 4),
            compression_ratio=round(attempt.ratio, 3),
            temperature=attempt.hypothesis.temperature,
            flags=flags,
            words=tuple(_shown(moved(word, origin)) for word in group if word.text.strip())
            if self._config.words
            else (),
        )

    def _fails_alone(self, works: list[Work], error: Exception) -> bool:
        """Whether what failed holds one window only, whose recording then fails, and no other with it."""
        message = " ".join(str(error).split())[:300]
        if len(works) > 1:
            LOG.warning(
                "%s failed on %d windows together, they go one by one: %s", self.backend.name, len(works), message
            )
            return False
        works[0].state.failure = EngineFailure(f"{self.backend.name} failed on a window: {message}")
        return True

    def _read(self, heard: Heard, asked: list[tuple[Work, Search]]) -> Iterator[tuple[Work, Attempt, Heard]]:
        """Attempts with what they were read from, which is good until the next one is taken."""
        works = [work for work in heard.works if any(work is other for other, _ in asked)]
        try:
            attempts = self._attempts(heard, asked)
        except ENGINE_ERRORS as error:
            if not self._fails_alone(works, error):
                for work in works:
                    for alone in self.heard([work], heard.context):
                        yield from self._read(alone, [row for row in asked if row[0] is work])
        else:
            yield from ((work, attempt, heard) for (work, _), attempt in zip(asked, attempts, strict=True))

    def _attempts(self, heard: Heard, asked: list[tuple[Work, Search]]) -> list[Attempt]:
        works = [work for work, _ in asked]
        prompts = tuple(self._prompt(work) for work in works)
        room = TEXT_CONTEXT - len(prompts[0])
        bucket = Bucket(
            encoded=heard.encoded,
            rows=tuple(heard.works.index(work) for work in works),
            prompts=prompts,
            limits=tuple(most_tokens(work.seconds, room) for work in works),
            frames=tuple(work.length // FRAME for work in works),
            searches=tuple(search for _, search in asked),
        )
        with self._journal.in_flight(work.place for work in works):
            hypotheses = self.backend.decode(bucket)
        full = heard.context == FULL_CONTEXT
        return [self._judged(*row, full) for row in zip(works, hypotheses, bucket.limits, strict=True)]

    def _judged(self, work: Work, hypothesis: Hypothesis, limit: int, full: bool) -> Attempt:
        tokenizer = self._tokenizer(work)
        said = placed(words(hypothesis, tokenizer), work.speech)
        text = tokenizer.decode(list(hypothesis.tokens))
        ratio, twice = compression_ratio(text), said_twice(text) and not full
        covered = min(said[-1].end, said[-1].start + LONGEST_WORD) if said else 0.0
        uncovered = sum(max(0.0, end - max(start, covered)) for start, end in work.speech)
        verdict = judge(hypothesis, ratio, self._config.decoding, limit, uncovered, twice)
        return Attempt(hypothesis, verdict, ratio, tuple(said))

    def _tokenizer(self, work: Work) -> Tokenizer:
        assert work.language is not None
        if work.language not in self._tokenizers:
            self._tokenizers[work.language] = tokenizer_for(self._prepared, work.language, self._config.task)
        return self._tokenizers[work.language]

    def _prompt(self, work: Work) -> tuple[int, ...]:
        previous = previous_text(work.state.job.prompt, self._config.hotwords)
        return prompt_tokens(self._tokenizer(work), previous)


def _shown(word: Word) -> Word:
    """As it stands in the tables."""
    return Word(
        start=round(word.start, 3),
        end=round(word.end, 3),
        text=word.text.strip(),
        probability=round(word.probability, 4),
    )
