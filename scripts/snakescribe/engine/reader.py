"""Reading one bucket of windows: encode, decode, judge, try again, and make timed text of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from whisper.tokenizer import Tokenizer

from snakescribe.audio import SAMPLE_RATE
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Bucket, Encoded, Hypothesis, Search
from snakescribe.engine.guards import Verdict, judge, most_tokens
from snakescribe.engine.journal import WindowText
from snakescribe.engine.log_mel import FRAME, FULL_CONTEXT, encoder_frames, log_mel
from snakescribe.engine.tokens import (
    TEXT_CONTEXT,
    Piece,
    compression_ratio,
    pieces,
    previous_text,
    prompt_tokens,
    tokenizer_for,
    words,
)
from snakescribe.engine.work import Work
from snakescribe.errors import EngineFailure
from snakescribe.models.store import Prepared
from snakescribe.transcript import Segment, Word

SHORTEST_SEGMENT = 0.02
"""Seconds; one step of a timestamp token."""
ENGINE_ERRORS = (RuntimeError, ValueError, MemoryError)
"""What torch and CTranslate2 raise, out of memory included."""


@dataclass(frozen=True)
class Attempt:
    """A hypothesis with what was made of it."""

    hypothesis: Hypothesis
    verdict: Verdict
    ratio: float
    pieces: tuple[Piece, ...]
    words: tuple[tuple[Word, int], ...] = ()

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Which of several doubtful attempts to keep: no repetition, finished, most probable."""
        flags = self.verdict.flags
        return ("repetition" not in flags, "unfinished" not in flags, self.hypothesis.mean_logprob)


class Reader:
    """Reads windows with one backend; knows nothing of order, journal or look-ahead."""

    def __init__(
        self, backend: Backend, prepared: Prepared, config: Config, begin: Callable[[list[Work]], None]
    ) -> None:
        """``begin`` is told which windows the model is about to see, each time."""
        self.backend = backend
        self._begin = begin
        self._prepared = prepared
        self._config = config
        self._tokenizers: dict[str, Tokenizer] = {}

    @property
    def first_search(self) -> Search:
        """How every window is decoded first."""
        return Search(self._config.decoding.beam_size, self._config.decoding.patience)

    def encoded(self, bucket: list[Work], frames: int | None = None) -> Iterator[tuple[list[Work], Encoded]]:
        """Encode a bucket; one that is too much for the device comes back row by row.

        A window that fails even alone fails its recording.
        """
        frames = frames or encoder_frames(bucket[0].length)
        self._begin(bucket)
        try:
            handle = self.backend.encode(log_mel([w.samples for w in bucket], self.backend.n_mels, frames))
        except ENGINE_ERRORS as error:
            if not self._fails_alone(bucket, error):
                for work in bucket:
                    yield from self.encoded([work], frames)
        else:
            yield bucket, handle

    def decoded(self, bucket: list[Work], handle: Encoded) -> Iterator[tuple[Work, Attempt]]:
        """First attempts at a bucket, again row by row when it is too much for the device."""
        try:
            attempts = self._attempt(bucket, handle, self.first_search)
        except ENGINE_ERRORS as error:
            if not self._fails_alone(bucket, error):
                for row, own in [pair for work in bucket for pair in self.encoded([work])]:
                    yield from self.decoded(row, own)
        else:
            yield from zip(bucket, attempts, strict=True)

    def again(self, work: Work, first: Attempt) -> Attempt | None:
        """A doubtful window in full context: beam search, without timestamps if it stopped early, then sampling.

        Returns:
            The first attempt that the guards trust, else the best one; None when the engine failed.
        """
        searches = [self.first_search]
        if "unfinished" in first.verdict.flags:
            searches.append(replace(self.first_search, timestamps=False))
        searches += [Search(temperature=t, seed=work.seed) for t in self._config.decoding.temperatures[1:]]
        tried = [first]
        for bucket, handle in self.encoded([work], FULL_CONTEXT):
            for search in searches:
                try:
                    tried += self._attempt(bucket, handle, search)
                except ENGINE_ERRORS as error:
                    self._fails_alone(bucket, error)
                    return None
                if not tried[-1].verdict.flags:
                    return tried[-1]
        return None if work.state.failure else max(tried, key=lambda attempt: attempt.rank)

    def text(self, work: Work, attempt: Attempt, took: float) -> WindowText:
        """The segments of a window, with times from the start of the recording."""
        segments: list[Segment] = []
        origin = work.window.start / SAMPLE_RATE
        timed = deque(attempt.words)
        tokenizer = self._tokenizer(work)
        count = placed = 0
        for piece in () if attempt.verdict.silence else attempt.pieces:
            count += len(piece.tokens)
            own: list[Word] = []
            while timed and placed < count:
                word, length = timed.popleft()
                placed += length
                if word.text.strip():
                    own.append(_moved(word, origin, work.seconds))
            text = tokenizer.decode(list(piece.tokens)).strip()
            if not text:
                continue
            # Aligned words know better than timestamp tokens where a segment begins and ends.
            start, end = (own[0].start, own[-1].end) if own else (origin + piece.start, origin + piece.end)
            segments.append(
                Segment(
                    start=round(start, 3),
                    end=round(max(end, start + SHORTEST_SEGMENT), 3),
                    text=text,
                    channel=work.state.job.tracks[work.track].channel,
                    mean_logprob=round(attempt.hypothesis.mean_logprob, 4),
                    no_speech_probability=round(attempt.hypothesis.no_speech_probability, 4),
                    compression_ratio=round(attempt.ratio, 3),
                    temperature=attempt.hypothesis.temperature,
                    flags=attempt.verdict.flags,
                    words=tuple(own),
                )
            )
        return WindowText(
            key=work.state.job.key,
            track=work.track,
            start=work.window.start,
            end=work.window.end,
            segments=tuple(segments),
            flags=attempt.verdict.flags,
            wall_seconds=round(took, 3),
        )

    def _fails_alone(self, bucket: list[Work], error: Exception) -> bool:
        """Whether a failing bucket holds one window only, whose recording then fails, and no other with it."""
        if len(bucket) > 1:
            return False
        message = " ".join(str(error).split())[:300]
        bucket[0].state.failure = EngineFailure(f"{self.backend.name} failed on a window: {message}")
        return True

    def _attempt(self, bucket: list[Work], handle: Encoded, search: Search) -> list[Attempt]:
        self._begin(bucket)
        prompts = tuple(self._prompt(work, search.timestamps) for work in bucket)
        room = TEXT_CONTEXT - len(prompts[0])
        most = most_tokens(max(work.seconds for work in bucket), room)
        found = dict(self.backend.decode([Bucket(tuple(range(len(bucket))), handle, prompts, most, search)]))
        attempts = [self._read(work, found[i], most_tokens(work.seconds, room)) for i, work in enumerate(bucket)]
        return self._with_words(bucket, handle, attempts) if self._config.words else attempts

    def _read(self, work: Work, hypothesis: Hypothesis, most: int) -> Attempt:
        tokenizer = self._tokenizer(work)
        found = pieces(hypothesis.tokens, tokenizer, work.seconds)
        ratio = compression_ratio("".join(tokenizer.decode(list(p.tokens)) for p in found))
        covered = work.window.start + (found[-1].end if found else 0.0) * SAMPLE_RATE
        uncovered = sum(max(0.0, span.end - max(span.start, covered)) for span in work.window.speech)
        verdict = judge(hypothesis, ratio, self._config.decoding, most, uncovered / SAMPLE_RATE)
        return Attempt(hypothesis, verdict, ratio, tuple(found))

    def _with_words(self, bucket: list[Work], handle: Encoded, attempts: list[Attempt]) -> list[Attempt]:
        rows = [i for i, attempt in enumerate(attempts) if attempt.pieces]
        tokens = {i: [t for piece in attempts[i].pieces for t in piece.tokens] for i in rows}
        aligned = self.backend.align(
            handle,
            rows,
            [tuple(self._tokenizer(bucket[i]).sot_sequence) for i in rows],
            [tokens[i] for i in rows],
            [bucket[i].length // FRAME for i in rows],
        )
        result = list(attempts)
        for i, alignment in zip(rows, aligned, strict=True):
            timed = tuple(words(tokens[i], alignment, self._tokenizer(bucket[i])))
            result[i] = replace(attempts[i], words=timed)
        return result

    def _tokenizer(self, work: Work) -> Tokenizer:
        assert work.state.language is not None
        code = work.state.language.language
        if code not in self._tokenizers:
            self._tokenizers[code] = tokenizer_for(self._prepared, code, self._config.task)
        return self._tokenizers[code]

    def _prompt(self, work: Work, timestamps: bool) -> tuple[int, ...]:
        previous = previous_text(work.state.job.prompt, self._config.hotwords)
        return prompt_tokens(self._tokenizer(work), previous, timestamps)


def _moved(word: Word, origin: float, seconds: float) -> Word:
    """The word with times from the start of the recording, kept within its window."""
    return Word(
        start=round(origin + min(word.start, seconds), 3),
        end=round(origin + min(word.end, seconds), 3),
        text=word.text.strip(),
        probability=round(word.probability, 4),
    )
