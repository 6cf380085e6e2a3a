"""The language of a recording, from its speech: its windows vote with the encoder output they have anyway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from snakescribe.engine.journal import Language
from snakescribe.engine.reader import Reader
from snakescribe.engine.work import Work

VOTERS = 3
"""Windows that vote when the longest one is not sure."""
SURE = 0.8
"""Below this more windows vote, and the longest in the 30 s the model was trained on: short ones mislead it."""

Ballot = list[tuple[Work, dict[str, float]]]


def leaders(works: Iterable[Work]) -> list[Work]:
    """The longest window of each recording whose language is not settled; all of a mixed one's."""
    longest: dict[int, Work] = {}
    for work in works:
        place = id(work) if work.state.job.mixed else id(work.state)
        if work.language is None and (place not in longest or work.length > longest[place].length):
            longest[place] = work
    return list(longest.values())


def settled(work: Work, probabilities: dict[str, float]) -> Language | None:
    """What one window says, if it is sure."""
    code, probability = winner([(work, probabilities)])
    return Language(key=work.state.job.key, language=code, probability=probability) if probability >= SURE else None


def vote(works: Iterable[Work], reader: Reader) -> Language | None:
    """The language of the longest of some windows of one recording; None when the engine failed on them."""
    voters = sorted(works, key=lambda work: -work.length)[:VOTERS]
    state = voters[0].state
    ballot: Ballot = [
        (work, probabilities)
        for full, some in ((False, voters), (True, voters[:1]))
        for heard in reader.heard(some, full)
        for work, probabilities in zip(heard.works, reader.languages(heard), strict=True)
    ]
    if state.failure or not ballot:
        return None
    code, probability = winner(ballot)
    return Language(key=state.job.key, language=code, probability=probability)


def winner(ballot: Ballot) -> tuple[str, float]:
    """The language with the highest mean probability, windows weighted by their length."""
    seconds = sum(work.seconds for work, _ in ballot)
    means: dict[str, float] = defaultdict(float)
    for work, probabilities in ballot:
        for code, probability in probabilities.items():
            means[code] += probability * work.seconds / seconds
    code, probability = max(means.items(), key=lambda item: item[1])
    return code, min(1.0, probability)
