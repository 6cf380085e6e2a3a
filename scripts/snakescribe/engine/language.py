"""The language of a recording, from its speech: its longest windows vote with the encoder output they have anyway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from snakescribe.engine.backend import Encoded
from snakescribe.engine.journal import Language
from snakescribe.engine.log_mel import FULL_CONTEXT
from snakescribe.engine.reader import Reader
from snakescribe.engine.work import Work

VOTERS = 3
"""Windows per recording, the longest of its first look-ahead."""
SURE = 0.8
"""Below this the longest window is asked again in the 30 s the model was trained on: short ones mislead it."""

Ballot = list[tuple[Work, dict[str, float]]]


def voters(works: Iterable[Work]) -> list[Work]:
    """The windows that vote for the recordings whose language is not settled."""
    by_recording: dict[int, list[Work]] = defaultdict(list)
    for work in works:
        if work.state.language is None and work.state.failure is None:
            by_recording[id(work.state)].append(work)
    return [
        work for members in by_recording.values() for work in sorted(members, key=lambda work: -work.length)[:VOTERS]
    ]


def vote(encoded: Iterable[tuple[list[Work], Encoded]], reader: Reader) -> list[Language]:
    """Settle the language of every recording among the encoded windows; returns what was settled."""
    ballots: dict[int, Ballot] = defaultdict(list)
    for bucket, handle in encoded:
        for work, probabilities in zip(bucket, reader.backend.detect_language(handle), strict=True):
            ballots[id(work.state)].append((work, probabilities))
    settled = []
    for ballot in ballots.values():
        state = ballot[0][0].state
        code, probability = winner(ballot)
        if probability < SURE:
            longest = max((work for work, _ in ballot), key=lambda work: work.length)
            for _, handle in reader.encoded([longest], FULL_CONTEXT):
                code, probability = winner([*ballot, (longest, reader.backend.detect_language(handle)[0])])
        state.language = Language(key=state.job.key, language=code, probability=min(1.0, probability))
        settled.append(state.language)
    return settled


def winner(ballot: Ballot) -> tuple[str, float]:
    """The language with the highest mean probability, windows weighted by their length."""
    seconds = sum(work.seconds for work, _ in ballot)
    means: dict[str, float] = defaultdict(float)
    for work, probabilities in ballot:
        for code, probability in probabilities.items():
            means[code] += probability * work.seconds / seconds
    return max(means.items(), key=lambda item: item[1])
