"""From the texts of a recording's windows to its transcript."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from snakescribe.audio import SAMPLE_RATE
from snakescribe.engine.journal import WindowText
from snakescribe.engine.windows import RecordingState
from snakescribe.transcript import Segment, Transcript


def assemble(state: RecordingState) -> Transcript:
    """The transcript of a recording all of whose windows are read."""
    texts = _in_order(state.texts)
    longest = max((len(track.samples) for track in state.job.tracks), default=0)
    language, probability = _language(state)
    return Transcript(
        duration=round(longest / SAMPLE_RATE, 3),
        speech_seconds=round(state.speech_samples / SAMPLE_RATE, 3),
        language=language,
        language_probability=probability,
        segments=tuple(ordered(state)),
        gaps=tuple(sorted((gap for text in texts for gap in text.gaps), key=lambda gap: gap.start)),
        flags=tuple(sorted({flag for text in texts for flag in text.flags})),
    )


def ordered(state: RecordingState) -> list[Segment]:
    """Segments of the windows read so far, of all tracks, by their start."""
    segments = (segment for text in _in_order(state.texts) for segment in text.segments)
    return sorted(segments, key=lambda segment: segment.start)


def _in_order(texts: Iterable[WindowText]) -> list[WindowText]:
    return sorted(texts, key=lambda text: (text.start, text.track))


def _language(state: RecordingState) -> tuple[str | None, float | None]:
    """The recording's language; where every window has its own, that of most of its text, and its share of it."""
    if state.language and not state.job.mixed:
        return state.language.language, round(state.language.probability, 4)
    seconds: defaultdict[str, float] = defaultdict(float)
    for text in state.texts:
        for segment in text.segments:
            seconds[segment.language or ""] += segment.end - segment.start
    if not seconds:
        return None, None
    code = max(seconds, key=lambda code: seconds[code])
    return code, round(seconds[code] / sum(seconds.values()), 4)
