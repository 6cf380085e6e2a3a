"""The language of a recording, from its speech: its windows vote with the encoder output they have anyway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from snakescribe.engine.journal import Language
from snakescribe.engine.log_mel import brief, wide
from snakescribe.engine.window_decoder import WindowDecoder
from snakescribe.engine.windows import RecordingState, WindowTask

VOTERS = 3
"""Windows that vote when the longest one is not sure."""
SURE = 0.8
"""Below this more windows vote, and the longest is encoded with more silence: short ones mislead the model."""

Ballot = list[tuple[WindowTask, dict[str, float]]]


def leaders(tasks: Iterable[WindowTask]) -> list[WindowTask]:
    """The longest window of each recording whose language is not settled; all of a mixed one's."""
    longest: dict[WindowTask | RecordingState, WindowTask] = {}
    for task in tasks:
        of = task if task.state.job.mixed else task.state
        if task.language is None and (of not in longest or task.length > longest[of].length):
            longest[of] = task
    return list(longest.values())


def settled(voting: list[WindowTask], probabilities: dict[str, float]) -> Language | None:
    """What the first of the :func:`voters` says, if it is sure, or if nothing could tell more.

    A brief window is padded with much silence anyway, and more makes little better: of 287 windows of 1 s, 230 are told
    right in 11 s, 234 in 15 s or 30 s (docs/decisions/language.md).
    """
    found = _found([(voting[0], probabilities)])
    return found if found.probability >= SURE or (len(voting) == 1 and brief(voting[0].length)) else None


def voters(tasks: Iterable[WindowTask]) -> dict[WindowTask, list[WindowTask]]:
    """By each of the :func:`leaders`, the windows that tell the language when it is not sure: it comes first.

    In a mixed recording every window tells its own.
    """
    every = list(tasks)
    others: defaultdict[RecordingState, list[WindowTask]] = defaultdict(list)
    for task in sorted(every, key=lambda task: -task.length):
        others[task.state].append(task)
    return {
        leader: [leader]
        if leader.state.job.mixed
        else [leader, *(task for task in others[leader.state] if task is not leader)][:VOTERS]
        for leader in leaders(every)
    }


def vote(voting: list[WindowTask], first: dict[str, float], decoder: WindowDecoder) -> Language | None:
    """The language of a recording; None when the engine failed on it.

    Args:
        voting: its :func:`voters`.
        first: what the first of them said in its own length; alone it is not asked again.
        decoder: encodes them and tells the language of each.
    """
    leader, others = voting[0], voting[1:]
    ballot: Ballot = [(leader, first)] if others else []
    for some, frames in ((others, 0), ([leader], wide(leader.length))):
        for encoded in decoder.encode(some, frames) if some else ():
            ballot += zip(encoded.tasks, decoder.languages(encoded), strict=True)
    return _found(ballot) if ballot and not leader.state.failure else None


def _found(ballot: Ballot) -> Language:
    """The language with the highest mean probability, windows weighted by their length."""
    seconds = sum(task.seconds for task, _ in ballot)
    means: dict[str, float] = defaultdict(float)
    for task, probabilities in ballot:
        for code, probability in probabilities.items():
            means[code] += probability * task.seconds / seconds
    code, probability = max(means.items(), key=lambda item: item[1])
    return Language(key=ballot[0][0].state.job.key, language=code, probability=min(1.0, probability))
