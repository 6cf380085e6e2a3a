"""From probabilities to spans and windows: rules by example, promises by hypothesis."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.config.options import SpeechOptions
from snakescribe.vad import CHUNK
from snakescribe.vad.spans import LONGEST_PAUSE, Span, Window, find_speech, windows

PLAIN = SpeechOptions(threshold=0.5, min_speech=0.0, min_silence=0.0, pad=0.0)


def chunks(*runs: tuple[float, int]) -> npt.NDArray[np.float32]:
    """Probabilities as runs of (value, number of chunks)."""
    return np.concatenate([np.full(count, value, np.float32) for value, count in runs])


def spans(probabilities: npt.NDArray[np.float32], options: SpeechOptions) -> list[tuple[float, float]]:
    """Spans in chunks."""
    found = find_speech(probabilities, options, len(probabilities) * CHUNK)
    return [(span.start / CHUNK, span.end / CHUNK) for span in found]


def test_nothing_is_no_speech() -> None:
    """No samples, or none that speak."""
    assert find_speech(np.zeros(0, np.float32), SpeechOptions(), 0) == []
    assert find_speech(np.zeros(9, np.float32), SpeechOptions(), 9 * CHUNK) == []
    assert windows([], np.zeros(0, np.float32), 28.0) == []


def test_hysteresis() -> None:
    """Speech begins at 0.5 and goes on above 0.35; what never reaches 0.5 is none."""
    assert spans(chunks((0.4, 5), (0.5, 2), (0.4, 3), (0.3, 4)), PLAIN) == [(5, 10)]
    assert spans(chunks((0.1, 2), (0.9, 2), (0.4, 2), (0.1, 1), (0.4, 3), (0.9, 1)), PLAIN) == [
        (2, 6),
        (10, 11),
    ]


def test_short_pauses_and_bursts() -> None:
    """Pauses go first: two bursts together may be long enough."""
    options = PLAIN.model_copy(update={"min_silence": 5 * 0.032})
    assert spans(chunks((0.9, 3), (0.0, 4), (0.9, 3), (0.0, 5), (0.9, 3)), options) == [(0, 10), (15, 18)]
    options = options.model_copy(update={"min_speech": 4 * 0.032})
    assert spans(chunks((0.9, 3), (0.0, 4), (0.9, 3), (0.0, 5), (0.9, 3)), options) == [(0, 10)]
    assert spans(chunks((0.9, 4)), options) == [(0, 4)]


def test_pads_share_a_pause() -> None:
    """They never overlap and never leave the recording."""
    options = PLAIN.model_copy(update={"pad": 4 * 0.032})
    probabilities = chunks((0.0, 2), (0.9, 3), (0.0, 6), (0.9, 3), (0.0, 20), (0.9, 3), (0.0, 9))
    assert spans(probabilities, options) == [(0, 8), (8, 18), (30, 41)]


def test_the_last_chunk_may_be_short() -> None:
    """A span ends where the recording does, with a pad or without one."""
    for pad in (0.0, 1.0):
        (span,) = find_speech(chunks((0.9, 3)), PLAIN.model_copy(update={"pad": pad}), 2 * CHUNK + 5)
        assert (span.end, span.tail, span.voiced) == (2 * CHUNK + 5, 0, 2 * CHUNK + 5)


def test_the_silence_around_speech_is_known() -> None:
    """Also where pads share a pause, and where a span is cut."""
    options = PLAIN.model_copy(update={"pad": 4 * 0.032})
    probabilities = chunks((0.0, 2), (0.9, 3), (0.0, 6), (0.9, 300), (0.0, 20))
    first, second = find_speech(probabilities, options, len(probabilities) * CHUNK)
    assert (first.lead, first.tail, first.voiced) == (2 * CHUNK, 3 * CHUNK, 3 * CHUNK)
    assert (second.lead, second.tail, second.voiced) == (3 * CHUNK, 4 * CHUNK, 300 * CHUNK)
    begin, end = (window.speech[0] for window in windows([second], probabilities, 8.0))
    assert (begin.lead, begin.tail, end.lead, end.tail) == (3 * CHUNK, 0, 0, 4 * CHUNK)
    assert begin.voiced + end.voiced == second.voiced


@given(
    runs=st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(1, 200)), max_size=30),
    threshold=st.floats(0.2, 0.9),
    silence=st.floats(0, 1),
    speech=st.floats(0, 1),
    pad=st.floats(0, 1),
    short=st.integers(0, CHUNK - 1),
)
def test_spans_are_ordered_apart_and_inside(
    runs: list[tuple[float, int]], threshold: float, silence: float, speech: float, pad: float, short: int
) -> None:
    """And none is lost: without limits every loud chunk is in a span, with them every span holds one."""
    probabilities = chunks(*runs) if runs else np.zeros(0, np.float32)
    total = max(0, len(probabilities) * CHUNK - short)
    options = SpeechOptions(threshold=threshold, min_silence=silence, min_speech=speech, pad=pad)
    found = find_speech(probabilities, options, total)
    assert all(0 <= span.start < span.end <= total for span in found)
    assert all(span.lead >= 0 and span.tail >= 0 and span.voiced > 0 for span in found)
    assert all(before.end <= after.start for before, after in pairwise(found))
    loud = np.flatnonzero(probabilities >= threshold)
    for span in found:
        assert np.any((loud * CHUNK >= span.start) & (loud * CHUNK < span.end))
    every = find_speech(probabilities, options.model_copy(update={"min_speech": 0.0}), total)
    assert all(any(span.start <= chunk * CHUNK < span.end for span in every) for chunk in loud)


def seconds(*pairs: tuple[float, float]) -> list[Span]:
    """Spans given in seconds."""
    return [Span(round(start * 16_000), round(end * 16_000)) for start, end in pairs]


def packed(found: list[Window]) -> list[tuple[float, float, int]]:
    """Windows in seconds, with the number of spans inside."""
    return [(window.start / 16_000, window.end / 16_000, len(window.speech)) for window in found]


def test_neighbours_share_a_window() -> None:
    """While it is not too long, and pauses stay under 1.5 s."""
    quiet = np.zeros(5000, np.float32)
    found = windows(seconds((0, 4), (5, 9), (10.4, 12), (13.5, 14), (15, 25)), quiet, 12.0)
    assert packed(found) == [(0, 12, 3), (13.5, 25, 2)]
    assert len(windows([Span(0, 9), Span(10, 192_000)], quiet, 12.0)) == 1
    assert len(windows([Span(0, 9), Span(10, 192_001)], quiet, 12.0)) == 2


def test_a_long_span_is_cut_where_it_is_quiet() -> None:
    """In the last third; one quiet chunk among loud ones is less than a quiet syllable."""
    probabilities = np.full(2000, 0.9, np.float32)
    probabilities[250:257] = 0.2  # 8.1 s
    probabilities[200] = 0.0  # 6.4 s
    probabilities[100:110] = 0.0  # 3.2 s: before the last third
    first, second = windows(seconds((0, 15)), probabilities, 9.0)
    assert first.end == second.start == pytest.approx(253.5 * CHUNK, abs=CHUNK)
    assert (first.speech, second.speech) == ((Span(0, first.end),), (Span(first.end, 240_000),))


def test_a_cut_leaves_enough_for_the_rest() -> None:
    """Not a tenth of a second alone."""
    found = windows(seconds((0, 9.1)), np.full(2000, 0.9, np.float32), 9.0)
    assert [window.end - window.start >= 16_000 for window in found] == [True, True]


@given(
    lengths=st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 900_000)), max_size=12),
    max_seconds=st.floats(0.5, 28),
    seed=st.integers(0, 1000),
)
def test_every_sample_of_speech_is_in_exactly_one_window(
    lengths: list[tuple[int, int]], max_seconds: float, seed: int
) -> None:
    """Whatever the spans; windows are in order, apart, and never too long."""
    found: list[Span] = []
    end = 0
    for pause, length in lengths:
        found.append(Span(end + pause, end + pause + length))
        end += pause + length
    probabilities = np.random.default_rng(seed).random(-(-end // CHUNK), np.float32)
    made = windows(found, probabilities, max_seconds)
    assert all(0 < window.end - window.start <= max_seconds * 16_000 for window in made)
    assert all(before.end <= after.start for before, after in pairwise(made))
    pieces = [piece for window in made for piece in window.speech]
    assert all(piece.start < piece.end for piece in pieces)
    for window in made:
        assert (window.start, window.end) == (window.speech[0].start, window.speech[-1].end)
        assert all(after.start - before.end < LONGEST_PAUSE for before, after in pairwise(window.speech))
    joined: list[Span] = []
    cuts = {span.start for span in found}
    for piece in pieces:
        if joined and piece.start == joined[-1].end and piece.start not in cuts:
            joined[-1] = Span(joined[-1].start, piece.end)
        else:
            joined.append(piece)
    assert joined == found
