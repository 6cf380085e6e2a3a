"""The way from samples to transcripts: windows of many recordings, sorted by length, decoded together, guarded.

Recordings come in any number and leave in order. A bounded look-ahead of speech is sorted into buckets of one
encoder length; a window that fails a guard is decoded again alone. Nothing here knows files or tables.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from whisper.tokenizer import Tokenizer

from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Bucket, Encoded, Hypothesis, Search
from snakescribe.engine.guards import Verdict, judge, most_tokens
from snakescribe.engine.journal import Journal, Language, WindowText
from snakescribe.engine.log_mel import FRAME, FULL_CONTEXT, SAMPLE_RATE, encoder_frames, log_mel
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
from snakescribe.errors import EngineFailure
from snakescribe.models.store import Prepared
from snakescribe.speech.silero import SpeechDetector
from snakescribe.speech.spans import Window, find_speech, windows
from snakescribe.transcript import Segment, Transcript, Word

LOOK_AHEAD = 900.0
"""Seconds of speech sorted together: enough for full buckets, few enough that results leave in order."""
DETECTION_WINDOWS = 3
"""The longest windows of a recording vote on its language."""
SURE_OF_LANGUAGE = 0.6
"""Below this the longest window is asked again in the 30 s the model was trained on: short ones mislead it."""
SHORTEST_SEGMENT = 0.02
"""Seconds; one step of a timestamp token."""
ENGINE_ERRORS = (RuntimeError, ValueError, MemoryError)
"""What torch and CTranslate2 raise, out of memory included."""


@dataclass(frozen=True)
class Track:
    """One channel to transcribe: 16 kHz samples, possibly mapped from disk."""

    channel: str | None
    samples: npt.NDArray[np.int16]


@dataclass(frozen=True)
class Job:
    """One recording to transcribe."""

    key: str
    """Stands for its content and options; also seeds sampling."""
    tracks: tuple[Track, ...]
    language: str | None
    """None to detect it."""
    prompt: str


@dataclass
class _State:
    """A recording on its way."""

    job: Job
    speech_samples: int = 0
    waiting: int = 0
    listened: bool = False
    """All its windows are known."""
    texts: list[WindowText] = field(default_factory=list)
    language: Language | None = None
    wall_seconds: float = 0.0
    failure: EngineFailure | None = None


@dataclass(frozen=True)
class _Work:
    """One window of one recording, on its way through the model."""

    state: _State
    track: int
    window: Window

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        return self.state.job.tracks[self.track].samples[self.window.start : self.window.end]

    @property
    def length(self) -> int:
        return self.window.end - self.window.start

    @property
    def seconds(self) -> float:
        return self.length / SAMPLE_RATE

    @property
    def place(self) -> tuple[str, int, int, int]:
        return (self.state.job.key, self.track, self.window.start, self.window.end)

    @property
    def seed(self) -> int:
        return int.from_bytes(hashlib.sha256(repr(self.place).encode()).digest()[:4], "big")


@dataclass(frozen=True)
class _Attempt:
    """A hypothesis with what was made of it."""

    hypothesis: Hypothesis
    verdict: Verdict
    ratio: float
    pieces: tuple[Piece, ...]
    words: tuple[tuple[Word, int], ...]

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Which of several doubtful attempts to keep: no repetition, finished, most probable."""
        flags = self.verdict.flags
        return ("repetition" not in flags, "unfinished" not in flags, self.hypothesis.mean_logprob)


class Transcriber:
    """Turns recordings into transcripts with one backend; shared by the batch job and the HTTP shim."""

    def __init__(
        self, backend: Backend, prepared: Prepared, detector: SpeechDetector, config: Config
    ) -> None:
        """Everything is loaded already; ``config`` says how to listen and decode."""
        self._backend = backend
        self._prepared = prepared
        self._detector = detector
        self._config = config
        self._tokenizers: dict[str, Tokenizer] = {}

    def transcribe(
        self,
        jobs: Iterable[Job],
        journal: Journal,
        progress: Callable[[float], None] = lambda seconds: None,
    ) -> Iterator[tuple[Job, Transcript | EngineFailure, float]]:
        """Yield (job, transcript or failure, wall seconds) in the order of ``jobs``.

        Args:
            jobs: recordings; consumed as far ahead as ``LOOK_AHEAD`` seconds of speech.
            journal: windows found in it are not decoded again; new ones are added bucket by bucket.
            progress: called with the seconds of audio finished since the last call.
        """
        states: deque[_State] = deque()
        group: list[_Work] = []
        seconds = 0.0
        for job in jobs:
            state = _State(job)
            states.append(state)
            for work in self._listen(state):
                group.append(work)
                seconds += work.seconds
                if seconds >= LOOK_AHEAD:
                    self._decode_group(group, journal, progress)
                    group, seconds = [], 0.0
                    yield from self._finished(states)
            state.listened = True
        self._decode_group(group, journal, progress)
        yield from self._finished(states)

    def _finished(self, states: deque[_State]) -> Iterator[tuple[Job, Transcript | EngineFailure, float]]:
        while states and states[0].listened and (states[0].failure or not states[0].waiting):
            state = states.popleft()
            yield state.job, state.failure or self._assemble(state), state.wall_seconds

    def _listen(self, state: _State) -> Iterator[_Work]:
        for number, track in enumerate(state.job.tracks):
            began = time.perf_counter()
            probabilities = self._detector.probabilities(track.samples)
            spans = find_speech(probabilities, self._config.speech, len(track.samples))
            found = windows(spans, probabilities, self._config.decoding.window)
            state.speech_samples += sum(span.end - span.start for span in spans)
            state.wall_seconds += time.perf_counter() - began
            for window in found:
                state.waiting += 1
                yield _Work(state, number, window)

    def _decode_group(self, group: list[_Work], journal: Journal, progress: Callable[[float], None]) -> None:
        """Decode a look-ahead of windows: language first (its encoder output is kept), then bucket by bucket."""
        todo: list[_Work] = []
        for work in group:
            done = journal.windows.get(work.place)
            if done:
                self._keep(work, done, progress)
            else:
                todo.append(work)
        voters = self._without_language(group, journal)
        encoded = [pair for bucket in self._buckets(voters) for pair in self._encoded(bucket)]
        self._vote(encoded, journal)
        doubtful: list[tuple[_Work, _Attempt]] = []
        while encoded:
            doubtful += self._decode_bucket(*encoded.pop(0), journal, progress)
        chosen = {id(work) for work in voters}
        for bucket in self._buckets([work for work in todo if id(work) not in chosen]):
            for rows, handle in self._encoded(bucket):
                doubtful += self._decode_bucket(rows, handle, journal, progress)
        for work, attempt in doubtful:
            began = time.perf_counter()
            best = self._again(work, attempt)
            if best is not None:
                text = self._text(work, best, time.perf_counter() - began)
                journal.add([text])
                self._keep(work, text, progress)

    def _buckets(self, works: list[_Work]) -> Iterator[list[_Work]]:
        """Windows of one encoder length and one previous text, longest first, in rows the device can hold."""
        groups: dict[tuple[int, str], list[_Work]] = defaultdict(list)
        for work in works:
            if work.state.failure is None:
                groups[encoder_frames(work.length), work.state.job.prompt].append(work)
        for key in sorted(groups, reverse=True):
            members = groups[key]
            for i in range(0, len(members), self._backend.max_rows):
                yield members[i : i + self._backend.max_rows]

    def _without_language(self, works: list[_Work], journal: Journal) -> list[_Work]:
        """Settle what is known about languages; return the windows that shall vote for the rest."""
        by_state: dict[int, list[_Work]] = defaultdict(list)
        for work in works:
            state = work.state
            if state.failure is None and state.language is None:
                state.language = journal.languages.get(state.job.key) or self._given(state.job)
            if state.failure is None and state.language is None:
                by_state[id(state)].append(work)
        voters = []
        for members in by_state.values():
            voters += sorted(members, key=lambda w: -w.length)[:DETECTION_WINDOWS]
        return voters

    def _given(self, job: Job) -> Language | None:
        if not self._backend.multilingual:
            return Language(key=job.key, language="en", probability=1.0)
        return Language(key=job.key, language=job.language, probability=1.0) if job.language else None

    def _vote(self, encoded: list[tuple[list[_Work], Encoded]], journal: Journal) -> None:
        """Settle the language of every recording that has voters: the mean of their probabilities, by length."""
        ballots: dict[int, list[tuple[_Work, dict[str, float]]]] = defaultdict(list)
        for bucket, handle in encoded:
            for work, probabilities in zip(bucket, self._backend.detect_language(handle), strict=True):
                ballots[id(work.state)].append((work, probabilities))
        decided = []
        for ballot in ballots.values():
            state = ballot[0][0].state
            code, probability = _winner(ballot)
            if probability < SURE_OF_LANGUAGE:
                longest = max((work for work, _ in ballot), key=lambda work: work.length)
                for _, handle in self._encoded([longest], FULL_CONTEXT):
                    code, probability = _winner([*ballot, (longest, self._backend.detect_language(handle)[0])])
            state.language = Language(key=state.job.key, language=code, probability=min(1.0, probability))
            decided.append(state.language)
        journal.add(decided)

    def _encoded(
        self, bucket: list[_Work], frames: int | None = None
    ) -> Iterator[tuple[list[_Work], Encoded]]:
        """Encode a bucket; one that is too much for the device comes back row by row."""
        frames = frames or encoder_frames(bucket[0].length)
        try:
            handle = self._backend.encode(log_mel([w.samples for w in bucket], self._backend.n_mels, frames))
        except ENGINE_ERRORS as error:
            if self._alone(bucket, error):
                return
            for work in bucket:
                yield from self._encoded([work], frames)
        else:
            yield bucket, handle

    def _alone(self, bucket: list[_Work], error: Exception) -> bool:
        """Whether a failing bucket holds one window only, whose recording then fails, and no other with it."""
        if len(bucket) > 1:
            return False
        message = " ".join(str(error).split())[:300]
        bucket[0].state.failure = EngineFailure(f"{self._backend.name} failed on a window: {message}")
        return True

    def _decode_bucket(
        self, bucket: list[_Work], handle: Encoded, journal: Journal, progress: Callable[[float], None]
    ) -> list[tuple[_Work, _Attempt]]:
        """Decode, keep what the guards trust, and return the rest."""
        began = time.perf_counter()
        decoding = self._config.decoding
        search = Search(decoding.beam_size, decoding.patience)
        try:
            attempts = self._attempt(bucket, handle, search)
        except ENGINE_ERRORS as error:
            if self._alone(bucket, error):
                return []
            rows = [pair for work in bucket for pair in self._encoded([work])]
            return [d for row, own in rows for d in self._decode_bucket(row, own, journal, progress)]
        took = time.perf_counter() - began
        total = sum(work.seconds for work in bucket)
        doubtful, trusted = [], []
        for work, attempt in zip(bucket, attempts, strict=True):
            share = took * work.seconds / total
            if attempt.verdict.flags:
                work.state.wall_seconds += share
                doubtful.append((work, attempt))
            else:
                trusted.append((work, self._text(work, attempt, share)))
        journal.add(text for _, text in trusted)
        for work, text in trusted:
            self._keep(work, text, progress)
        return doubtful

    def _attempt(self, bucket: list[_Work], handle: Encoded, search: Search) -> list[_Attempt]:
        prompts = tuple(self._prompt(work, search.timestamps) for work in bucket)
        room = TEXT_CONTEXT - len(prompts[0])
        most = most_tokens(max(work.seconds for work in bucket), room)
        found = dict(self._backend.decode([Bucket(tuple(range(len(bucket))), handle, prompts, most, search)]))
        attempts = [
            self._read(work, found[i], most_tokens(work.seconds, room)) for i, work in enumerate(bucket)
        ]
        return self._with_words(bucket, handle, attempts) if self._config.words else attempts

    def _read(self, work: _Work, hypothesis: Hypothesis, most: int) -> _Attempt:
        tokenizer = self._tokenizer(work)
        found = pieces(hypothesis.tokens, tokenizer, work.seconds)
        ratio = compression_ratio("".join(tokenizer.decode(list(p.tokens)) for p in found))
        covered = work.window.start + (found[-1].end if found else 0.0) * SAMPLE_RATE
        uncovered = sum(max(0.0, span.end - max(span.start, covered)) for span in work.window.speech)
        verdict = judge(hypothesis, ratio, self._config.decoding, most, uncovered / SAMPLE_RATE)
        return _Attempt(hypothesis, verdict, ratio, tuple(found), ())

    def _again(self, work: _Work, first: _Attempt) -> _Attempt | None:
        """Full context, then without timestamps if it stopped early, then each temperature; the best if all fail."""
        decoding = self._config.decoding
        searches = [Search(decoding.beam_size, decoding.patience)]
        if "unfinished" in first.verdict.flags:
            searches.append(Search(decoding.beam_size, decoding.patience, timestamps=False))
        searches += [Search(temperature=t, seed=work.seed) for t in decoding.temperatures[1:]]
        tried = [first]
        for bucket, handle in self._encoded([work], FULL_CONTEXT):
            for search in searches:
                try:
                    tried += self._attempt(bucket, handle, search)
                except ENGINE_ERRORS as error:
                    self._alone(bucket, error)
                    return None
                if not tried[-1].verdict.flags:
                    return tried[-1]
        return None if work.state.failure else max(tried, key=lambda attempt: attempt.rank)

    def _with_words(self, bucket: list[_Work], handle: Encoded, attempts: list[_Attempt]) -> list[_Attempt]:
        rows = [i for i, attempt in enumerate(attempts) if attempt.pieces]
        tokens = {i: [t for piece in attempts[i].pieces for t in piece.tokens] for i in rows}
        aligned = self._backend.align(
            handle,
            rows,
            [tuple(self._tokenizer(bucket[i]).sot_sequence) for i in rows],
            [tokens[i] for i in rows],
            [bucket[i].length // FRAME for i in rows],
        )
        result = list(attempts)
        for i, alignment in zip(rows, aligned, strict=True):
            a = attempts[i]
            timed = tuple(words(tokens[i], alignment, self._tokenizer(bucket[i])))
            result[i] = _Attempt(a.hypothesis, a.verdict, a.ratio, a.pieces, timed)
        return result

    def _text(self, work: _Work, attempt: _Attempt, took: float) -> WindowText:
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
                own.append(
                    Word(
                        start=round(origin + min(word.start, work.seconds), 3),
                        end=round(origin + min(word.end, work.seconds), 3),
                        text=word.text.strip(),
                        probability=round(word.probability, 4),
                    )
                )
            text = tokenizer.decode(list(piece.tokens)).strip()
            own = [word for word in own if word.text]
            if text:
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

    def _keep(self, work: _Work, text: WindowText, progress: Callable[[float], None]) -> None:
        work.state.texts.append(text)
        work.state.wall_seconds += text.wall_seconds
        work.state.waiting -= 1
        progress(work.seconds)

    def _assemble(self, state: _State) -> Transcript:
        texts = sorted(state.texts, key=lambda t: (t.start, t.track))
        segments = sorted((s for t in texts for s in t.segments), key=lambda s: s.start)
        longest = max((len(track.samples) for track in state.job.tracks), default=0)
        return Transcript(
            duration=round(longest / SAMPLE_RATE, 3),
            speech_seconds=round(state.speech_samples / SAMPLE_RATE, 3),
            language=state.language.language if state.language else None,
            language_probability=round(state.language.probability, 4) if state.language else None,
            segments=tuple(segments),
            flags=tuple(sorted({flag for t in texts for flag in t.flags})),
        )

    def _tokenizer(self, work: _Work) -> Tokenizer:
        assert work.state.language is not None
        code = work.state.language.language
        if code not in self._tokenizers:
            self._tokenizers[code] = tokenizer_for(self._prepared, code, self._config.task)
        return self._tokenizers[code]

    def _prompt(self, work: _Work, timestamps: bool) -> tuple[int, ...]:
        previous = previous_text(work.state.job.prompt, self._config.hotwords)
        return prompt_tokens(self._tokenizer(work), previous, timestamps)


def _winner(ballot: list[tuple[_Work, dict[str, float]]]) -> tuple[str, float]:
    seconds = sum(work.seconds for work, _ in ballot)
    means: dict[str, float] = defaultdict(float)
    for work, probabilities in ballot:
        for code, probability in probabilities.items():
            means[code] += probability * work.seconds / seconds
    return max(means.items(), key=lambda item: item[1])
