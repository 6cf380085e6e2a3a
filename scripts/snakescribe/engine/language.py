"""The language of a recording, from its speech: its windows vote with the encoder output they have anyway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from snakescribe.engine.journal import Language
from snakescribe.engine.log_mel import FULL_CONTEXT, encoder_frames
from snakescribe.engine.reader import Reader
from snakescribe.engine.work import Work

VOTERS = 3
"""Windows that vote when the longest one is not sure."""
SURE = 0.8
"""Below this more windows vote, and the longest is heard in more silence: short ones mislead the model."""
SHORT = 1000
"""Mel frames; a window that fills no more is heard in ``WIDE``, a longer one in the 30 s the model was trained on."""
WIDE = 1500
"""Mel frames: of 149 windows of 1 s whose language is unsure, 73 are told right in their own length, 87 in 10 s, 93 in
15 s and 98 in 30 s, which takes 2.5 times as long as 15 s (docs/decisions.md)."""

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
    found = _found([(work, probabilities)])
    return found if found.probability >= SURE else None


def voters(leader: Work, works: Iterable[Work]) -> list[Work]:
    """The windows that tell a recording's language when its longest one, the first of them, is not sure."""
    others = [work for work in works if work.state is leader.state and work is not leader]
    return [leader, *sorted(others, key=lambda work: -work.length)[: VOTERS - 1]]


def vote(voting: list[Work], first: dict[str, float], reader: Reader) -> Language | None:
    """The language of a recording; None when the engine failed on it.

    Args:
        voting: its :func:`voters`.
        first: what the first of them said in its own length; alone it is not asked again.
        reader: hears them.
    """
    leader, others = voting[0], voting[1:]
    ballot: Ballot = [(leader, first)] if others else []
    context = WIDE if encoder_frames(leader.length) <= SHORT else FULL_CONTEXT
    for some, frames in ((others, 0), ([leader], context)):
        for heard in reader.heard(some, frames) if some else ():
            ballot += zip(heard.works, reader.languages(heard), strict=True)
    return _found(ballot) if ballot and not leader.state.failure else None


def _found(ballot: Ballot) -> Language:
    """The language with the highest mean probability, windows weighted by their length."""
    seconds = sum(work.seconds for work, _ in ballot)
    means: dict[str, float] = defaultdict(float)
    for work, probabilities in ballot:
        for code, probability in probabilities.items():
            means[code] += probability * work.seconds / seconds
    code, probability = max(means.items(), key=lambda item: item[1])
    return Language(key=ballot[0][0].state.job.key, language=code, probability=min(1.0, probability))
