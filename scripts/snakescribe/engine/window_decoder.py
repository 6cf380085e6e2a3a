"""Reading windows: encode, decode, judge, try again, and make timed text of them."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from whisper.tokenizer import Tokenizer

from snakescribe.audio import CONTEXT_TOKENS, FRAME_SAMPLES, POSITION_SECONDS, SAMPLE_RATE
from snakescribe.audio.samples import release
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Bucket, Encoded, Hypothesis, Search
from snakescribe.engine.guards import (
    Verdict,
    copied_in_a_hurry,
    fills_context,
    judge,
    most_tokens,
    nearly_twice,
    said_twice,
    too_fast,
    unlikely_speech,
)
from snakescribe.engine.hallucinations import invented
from snakescribe.engine.journal import Journal, WindowText
from snakescribe.engine.log_mel import FULL_CONTEXT, encoder_frames, log_mel, wide
from snakescribe.engine.segments import LONGEST_WORD, gaps, moved, placed, segments, whole
from snakescribe.engine.tokens import (
    MOST_PREVIOUS,
    compression_ratio,
    previous_text,
    prompt_tokens,
    tokenizer_for,
    tokens_left_out,
    words,
)
from snakescribe.engine.windows import WindowTask
from snakescribe.errors import EngineFailure
from snakescribe.models.store import Prepared
from snakescribe.transcript import Gap, Segment, Word

LOG = logging.getLogger(__name__)
SHORTEST_SEGMENT = POSITION_SECONDS
"""Seconds."""
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
    twice: bool
    """Nothing but that it comes twice speaks against it."""
    cut: int | None = None
    """Words that are sound, where it fills the model's context: 28 s of Hindi or Georgian are too much for one."""

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Which of several doubtful attempts to keep: no loop, fewest flags, most probable; of loops the least one."""
        flags = self.verdict.flags
        loop = "repetition" in flags
        return (not loop, -len(flags), -self.ratio if loop else self.hypothesis.mean_logprob)


@dataclass(frozen=True)
class EncodedWindows:
    """Windows that went through the encoder."""

    tasks: list[WindowTask]
    output: Encoded
    context: int
    """Mel frames that each was padded to at least."""


class WindowDecoder:
    """Reads windows with one backend, from any thread; knows nothing of order or look-ahead."""

    def __init__(self, backend: Backend, prepared: Prepared, config: Config, journal: Journal) -> None:
        """``journal`` is told which windows the model is about to see."""
        self.backend = backend
        self._prepared = prepared
        self._config = config
        self._journal = journal
        self._tokenizers: dict[str, Tokenizer] = {}
        self._prompts: dict[tuple[str | None, str], tuple[int, ...]] = {}
        self._one = threading.Lock()
        decoding = config.decoding
        self._search = Search(decoding.beam_size, decoding.patience, decoding.margin)

    def encode(self, tasks: list[WindowTask], context: int = 0) -> Iterator[EncodedWindows]:
        """Encode windows, in at least so many mel frames; what is too much for the device comes back one by one.

        A window that fails even alone fails its recording.
        """
        try:
            with self._journal.in_flight(task.place for task in tasks):
                frames = [max(context, encoder_frames(task.length)) for task in tasks]
                mels = [
                    log_mel(task.samples, self.backend.n_mels, n, task.window.gain)
                    for task, n in zip(tasks, frames, strict=True)
                ]
                for task in tasks:
                    release(task.samples)
                windows = self.backend.encode(mels)
        except ENGINE_ERRORS as error:
            if self._fails_alone(tasks, error):
                return
        else:
            yield EncodedWindows(tasks, windows, context)
            return
        for task in tasks:  # here the error is gone, and with it all that its frames held of the device's memory
            yield from self.encode([task], context)

    def languages(self, encoded: EncodedWindows) -> list[dict[str, float]]:
        """Probability per language code, for each window."""
        found = self.backend.detect_language(encoded.output)
        return [_among(task.state.job.languages, one) for task, one in zip(encoded.tasks, found, strict=True)]

    def read(self, encoded: EncodedWindows, tasks: list[WindowTask]) -> Iterator[tuple[WindowTask, Attempt]]:
        """First attempts at some of the encoded windows, again one by one when it is too much for the device."""
        asked = [(task, self._search) for task in tasks]
        yield from ((task, attempt) for task, attempt, _ in self._read(encoded, asked))

    def again(self, doubtful: Sequence[tuple[WindowTask, Attempt]]) -> Iterator[tuple[WindowTask, Attempt]]:
        """Doubtful windows with more silence: beam search, and what that leaves in doubt at every temperature at once.

        What merely comes twice is cured by 15 s as well as by the full 30 s; a loop is not.

        Yields:
            For each window the first attempt that the guards trust, else the best one; nothing where the engine failed.
        """
        firsts = dict(doubtful)
        by_context: dict[int, list[WindowTask]] = defaultdict(list)
        for task, first in doubtful:
            by_context[wide(task.length) if first.twice else FULL_CONTEXT].append(task)
        for encoded in chain.from_iterable(self.encode(tasks, context) for context, tasks in by_context.items()):
            for task, attempt, again in self._read(encoded, [(task, self._search) for task in encoded.tasks]):
                if attempt.verdict.flags:
                    tried = [firsts[task], attempt, *self._sampled(again, task)]
                    trusted = (some for some in tried if not some.verdict.flags)
                    attempt = next(trusted, None) or max(tried, key=lambda some: some.rank)
                if not task.state.failure:
                    yield task, attempt

    def _sampled(self, encoded: EncodedWindows, task: WindowTask) -> list[Attempt]:
        """One window at all temperatures: a bucket of their own, or several where one holds fewer rows."""
        searches = [Search(temperature=t, seed=task.seed) for t in self._config.decoding.temperatures[1:]]
        asked = [(task, search) for search in searches]
        parts = [asked[first : first + self.backend.rows] for first in range(0, len(asked), self.backend.rows)]
        return [attempt for part in parts for _, attempt, _ in self._read(encoded, part)]

    def gaps(self, task: WindowTask, attempt: Attempt) -> list[Gap]:
        """Speech of the window that its text leaves out, in seconds from the start of the recording."""
        words = () if attempt.verdict.silence else attempt.words[: attempt.cut]
        found = gaps(words, task.speech, cut_off=attempt.cut is not None)
        origin, channel = task.window.start / SAMPLE_RATE, task.state.job.tracks[task.track].channel
        return [Gap(start=round(origin + a, 3), end=round(origin + b, 3), channel=channel) for a, b in found]

    def text(self, task: WindowTask, attempt: Attempt, took: float) -> WindowText:
        """The segments of a window, with times from the start of the recording."""
        origin = task.window.start / SAMPLE_RATE
        groups = () if attempt.verdict.silence else segments(attempt.words)
        made = tuple(segment for group in groups if (segment := self._segment(task, attempt, group, origin)).text)
        return WindowText(
            key=task.state.job.key,
            track=task.track,
            start=task.window.start,
            end=task.window.end,
            segments=made,
            gaps=tuple(self.gaps(task, attempt)),
            flags=tuple(sorted({*attempt.verdict.flags, *(flag for segment in made for flag in segment.flags)})),
            wall_seconds=round(took, 3),
        )

    def _segment(self, task: WindowTask, attempt: Attempt, group: Sequence[Word], origin: float) -> Segment:
        text = "".join(word.text for word in group).strip()
        last = len(task.state.job.tracks[task.track].samples) / SAMPLE_RATE
        start = min(origin + group[0].start, last - SHORTEST_SEGMENT)
        end = min(max(origin + group[-1].end, start + SHORTEST_SEGMENT), last)
        flags = attempt.verdict.flags
        voice = task.window.voice_between(group[0].start, group[-1].end)
        if unlikely_speech(attempt.hypothesis, voice) and invented(text, task.language or "en"):
            flags = (*flags, "invented")
        return Segment(
            start=round(start, 3),
            end=round(end, 3),
            text=text,
            language=task.language,
            channel=task.state.job.tracks[task.track].channel,
            mean_logprob=round(attempt.hypothesis.mean_logprob, 4),
            no_speech_probability=round(attempt.hypothesis.no_speech_probability, 4),
            compression_ratio=round(attempt.ratio, 3),
            temperature=attempt.hypothesis.temperature,
            flags=flags,
            words=tuple(_shown(moved(word, origin)) for word in group if word.text.strip())
            if self._config.words
            else (),
        )

    def _fails_alone(self, tasks: list[WindowTask], error: Exception) -> bool:
        """Whether what failed holds one window only, whose recording then fails, and no other with it."""
        message = " ".join(str(error).split())[:300]
        if len(tasks) > 1:
            LOG.warning(
                "%s failed on %d windows together, they go one by one: %s", self.backend.name, len(tasks), message
            )
            return False
        tasks[0].state.failure = EngineFailure(f"{self.backend.name} failed on a window: {message}")
        return True

    def _read(
        self, encoded: EncodedWindows, asked: list[tuple[WindowTask, Search]]
    ) -> Iterator[tuple[WindowTask, Attempt, EncodedWindows]]:
        """Attempts with what they were read from, which is good until the next one is taken."""
        wanted = {task for task, _ in asked}
        tasks = [task for task in encoded.tasks if task in wanted]
        try:
            attempts = self._attempts(encoded, asked)
        except ENGINE_ERRORS as error:
            if self._fails_alone(tasks, error):
                return
        else:
            yield from ((task, attempt, encoded) for (task, _), attempt in zip(asked, attempts, strict=True))
            return
        for task in tasks:  # after the error, as in `encode`
            for alone in self.encode([task], encoded.context):
                yield from self._read(alone, [row for row in asked if row[0] is task])

    def _attempts(self, encoded: EncodedWindows, asked: list[tuple[WindowTask, Search]]) -> list[Attempt]:
        tasks = [task for task, _ in asked]
        prompts = tuple(self._prompt(task) for task in tasks)
        room = CONTEXT_TOKENS - len(prompts[0])
        bucket = Bucket(
            encoded=encoded.output,
            rows=tuple(encoded.tasks.index(task) for task in tasks),
            prompts=prompts,
            limits=tuple(most_tokens(task.seconds, room, task.language or "en") for task in tasks),
            frames=tuple(task.length // FRAME_SAMPLES for task in tasks),
            searches=tuple(search for _, search in asked),
        )
        with self._journal.in_flight(task.place for task in tasks):
            hypotheses = self.backend.decode(bucket)
        return [
            self._judged(
                task, hypothesis, limit, fills_context(limit, room, task.language or "en"), encoded.context > 0
            )
            for task, hypothesis, limit in zip(tasks, hypotheses, bucket.limits, strict=True)
        ]

    def _judged(self, task: WindowTask, hypothesis: Hypothesis, limit: int, fills: bool, again: bool) -> Attempt:
        tokenizer = self._tokenizer(task)
        said = placed(words(hypothesis, tokenizer), task.speech)
        text, language = tokenizer.decode(list(hypothesis.tokens)), task.language or "en"
        sentences, ratio = segments(said), compression_ratio(text)
        cut = (whole(said) or None) if fills and len(hypothesis.tokens) >= limit else None
        once = again and cut is None  # full context is believed, where the model has chosen to end
        twice = not once and (said_twice(text) or nearly_twice(said, language))
        twice |= copied_in_a_hurry(sentences, language)
        fast = any(too_fast(sentence, language) for sentence in sentences)
        said, most = (said, limit) if cut is None else (said[:-1], None)  # its last word may be half of one
        covered = min(said[-1].end, said[-1].start + LONGEST_WORD) if said else 0.0
        uncovered = 0.0 if cut else sum(max(0.0, end - max(start, covered)) for start, end in task.speech)
        verdict = judge(hypothesis, ratio, self._config.decoding, most, uncovered, twice, fast)
        merely = twice and not judge(hypothesis, ratio, self._config.decoding, most, uncovered).flags
        return Attempt(hypothesis, verdict, ratio, tuple(said), merely, cut)

    def _tokenizer(self, task: WindowTask) -> Tokenizer:
        assert task.language is not None
        if task.language not in self._tokenizers:
            self._tokenizers[task.language] = tokenizer_for(self._prepared, task.language, self._config.task)
        return self._tokenizers[task.language]

    def _prompt(self, task: WindowTask) -> tuple[int, ...]:
        place = task.language, task.state.job.prompt
        with self._one:  # so that what does not fit is said once
            if place not in self._prompts:
                previous = previous_text(task.state.job.prompt, self._config.hotwords)
                if left_out := tokens_left_out(self._tokenizer(task), previous):
                    _say_too_long(left_out)
                self._prompts[place] = prompt_tokens(self._tokenizer(task), previous)
            return self._prompts[place]


def _among(languages: tuple[str, ...], probabilities: dict[str, float]) -> dict[str, float]:
    """Probabilities, where it can only be one of some ``languages``."""
    if not languages:
        return probabilities
    total = sum(probabilities[code] for code in languages) or 1.0
    return {code: probabilities[code] / total for code in languages}


@cache
def _say_too_long(left_out: int) -> None:
    LOG.warning(
        "hotwords and prompt are %d tokens too long: Whisper takes the last %d, so the first words are not heard; "
        "name fewer of them",
        left_out,
        MOST_PREVIOUS,
    )


def _shown(word: Word) -> Word:
    """As it stands in the tables."""
    return Word(
        start=round(word.start, 3),
        end=round(word.end, 3),
        text=word.text.strip(),
        probability=round(word.probability, 4),
    )
