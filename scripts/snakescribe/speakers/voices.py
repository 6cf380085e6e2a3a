"""What a channel's voices are like: who speaks when within seconds, and a vector for each second and a half of speech.

This is the costly half. It depends on the audio alone, so that it is done once per recording, however often somebody
changes how many speakers there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_RATE

HOP, FEATURE_FRAME = SAMPLE_RATE // 100, SAMPLE_RATE // 40
"""Samples from one feature of the encoder to the next, and of one (:mod:`snakescribe.speakers.fbank`)."""
FRAME = 270
"""Samples from one frame of the segmentation to the next (the strides of its layers: 10 x 3 x 3 x 3)."""
MIDDLE = 495
"""The sample in the middle of what the first frame hears (991 samples)."""
LOCAL = 3
"""Voices that the segmentation tells apart at a time."""
SPEAKS = 128
"""Of 255: from this probability on a voice counts as speaking."""
BRIDGED, BURST = 0.3, 0.1
"""Seconds: a shorter pause does not end speech, a shorter burst is none."""
FLIP = 0.2
"""Seconds: a local voice that speaks for less does not end a stretch."""
LENGTH, STEP = 148, 75
"""Features (10 ms) of a window, and from one to the next: 1.5 s every 0.75 s."""
SHORTEST = 20
"""Features that a window has at least; a shorter stretch has no vector of its own."""
SCALE = 254.0
"""Vectors of length 1 are kept in 8 bits; a value is rarely above a half, and is cut there."""

Frames = npt.NDArray[np.uint8]
"""Shape (frames, 3): probability, times 255, that each of three local voices speaks."""


@dataclass(frozen=True)
class Voices:
    """What was heard on one channel."""

    frames: Frames
    windows: npt.NDArray[np.int32]
    """Shape (n, 2): start and length in features of 10 ms."""
    vectors: npt.NDArray[np.int8]
    """Shape (n, 192), times ``SCALE``."""
    levels: npt.NDArray[np.uint8]
    """Shape (frames,): dB below full scale, 0 to 127."""
    narrow: bool
    """Telephone band: next to nothing above 4 kHz."""


def frame_seconds(frames: int) -> npt.NDArray[np.float64]:
    """The middle of each frame, in seconds."""
    return np.asarray((np.arange(frames) * FRAME + MIDDLE) / SAMPLE_RATE)


def frames_of(seconds: float) -> int:
    """How many frames so much time has."""
    return round(seconds * SAMPLE_RATE / FRAME)


def frame_count(samples: int) -> int:
    """Frames of a channel."""
    return max(1, (samples - MIDDLE) // FRAME + 1)


def runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where ``mask`` is true without a break: first index, and the one after the last.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def joined(pieces: Iterator[tuple[int, Frames]], total: int) -> Frames:
    """One row of frames out of windows that overlap by half, each given with its first frame.

    Every window numbers its voices anew: of the six ways to number them the one is taken that agrees most with the
    window before it. Of the overlap each window gives the half that is nearer to its middle.
    """
    whole = np.zeros((total, LOCAL), np.uint8)
    before: tuple[int, Frames] | None = None
    for first, own in pieces:
        piece, skipped = own, 0
        if before is not None:
            shared = before[0] + len(before[1]) - first
            left, right = before[1][-shared:].astype(np.float32), piece[:shared].astype(np.float32)
            agreement = left.T @ right
            best = max(permutations(range(LOCAL)), key=lambda order: sum(agreement[i, j] for i, j in enumerate(order)))
            piece, skipped = piece[:, best], shared // 2
        end = min(total, first + len(piece))
        whole[first + skipped : end] = piece[skipped : end - first]
        before = first, piece
    return whole


def speaking(frames: Frames) -> npt.NDArray[np.bool_]:
    """In which frames anybody speaks, short pauses counted in."""
    speech: npt.NDArray[np.bool_] = np.asarray((frames >= SPEAKS).any(1))
    for start, end in runs(~speech):
        if end - start < frames_of(BRIDGED) and start > 0 and end < len(speech):
            speech[start:end] = True
    for start, end in runs(speech):
        if end - start < frames_of(BURST):
            speech[start:end] = False
    return speech


def stretches(frames: Frames) -> list[tuple[int, int]]:
    """Frames in which one local voice speaks, from its first word to its last before a pause or another voice."""
    active = frames >= SPEAKS
    alone = active.sum(1) == 1
    found: list[tuple[int, int]] = []
    for start, end in runs(speaking(frames)):
        pieces = sorted(
            (start + first, start + last, voice)
            for voice in range(LOCAL)
            for first, last in runs(active[start:end, voice] & alone[start:end])
        )
        merged: list[tuple[int, int, int]] = []
        for one in _same_joined(pieces):
            if one[1] - one[0] >= frames_of(FLIP) or not found:
                merged.append(one)
        found += [(first, last) for first, last, _ in _same_joined(merged)] or [(start, end)]
    return found


def _same_joined(pieces: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    joined_up: list[tuple[int, int, int]] = []
    for first, last, voice in pieces:
        if joined_up and joined_up[-1][2] == voice:
            joined_up[-1] = (joined_up[-1][0], last, voice)
        else:
            joined_up.append((first, last, voice))
    return joined_up


def windows_of(frames: Frames, features: int) -> npt.NDArray[np.int32]:
    """Windows of ``LENGTH`` features within each stretch, evenly spread from its begin to its end."""
    found: list[tuple[int, int]] = []
    for first, last in stretches(frames):
        start, end = (max(0, min(features, _feature(frame))) for frame in (first, last))
        if end - start < SHORTEST:
            continue
        if end - start <= LENGTH:
            found.append((start, end - start))
            continue
        steps = -(-(end - start - LENGTH) // STEP)
        found += [(start + round(number * (end - start - LENGTH) / steps), LENGTH) for number in range(steps + 1)]
    return np.array(found, np.int32).reshape(-1, 2)


def _feature(frame: int) -> int:
    """The feature whose middle is nearest to that of a frame."""
    return round((frame * FRAME + MIDDLE - FEATURE_FRAME / 2) / HOP)
