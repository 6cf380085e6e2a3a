"""Samples in, :class:`~snakescribe.speakers.voices.Voices` out, through both networks, in parts of bounded size.

Every product is made in batches of one shape by one thread each, so that the result is the same to the bit for any
number of threads, and whatever else is in the batch of recordings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.samples import release
from snakescribe.models.store import Store
from snakescribe.speakers.campplus import VoiceEncoder
from snakescribe.speakers.fbank import log_mel
from snakescribe.speakers.segmentation import WINDOW, Segmenter
from snakescribe.speakers.voices import (
    FEATURE_FRAME,
    FRAME,
    HOP,
    LENGTH,
    MIDDLE,
    SCALE,
    Frames,
    Voices,
    frame_count,
    joined,
    windows_of,
)

HALF = WINDOW // 2 // FRAME * FRAME
"""Samples from one window of the segmentation to the next, in whole frames."""
SEGMENTED, ENCODED = 4, 8
"""Windows in a batch; more are not faster."""
RELEASED = 64
"""Batches after which samples mapped from a file are let go of: minutes of them stay in memory, not ten hours."""
LEVELLED = 4096
"""Frames measured at once (69 s)."""
BANDS = 8192
"""Samples whose spectrum is looked at for the telephone band."""
ROUNDING = 4 / 12
"""Power of white noise from rounding to whole samples (1/12), and from two or three such roundings or dither."""
ABOVE = 4500
"""Hz: past the slope of a filter at 4 kHz."""
NARROW = 3e-6
"""Share of the energy above it below which speech came through a telephone: -55 dB. Of 25 recordings at 8 kHz the most
has -61.0 dB, of 88 others the least -49.0 (a speech of 1961)."""


Batch = TypeVar("Batch")
Result = npt.NDArray[Any]
"""Of a batch: frames, or vectors in 8 bits."""


class Kept(Protocol):
    """Results of batches, kept by whoever wants to go on after a kill."""

    def get(self, number: int) -> Result | None:
        """The result of a batch, if it is known."""

    def put(self, number: int, result: Result) -> None:
        """Keep it."""


@dataclass
class Listener:
    """Both networks, loaded once."""

    encoder: VoiceEncoder
    segmenter: Segmenter
    threads: int

    @classmethod
    def of(cls, store: Store, threads: int) -> Listener:
        """From a model store, to work with so many threads.

        Raises:
            ModelError: the weights are missing, or not what they should be.
        """
        store.verify("speakers")
        return cls.load(store.speakers(), threads)

    @classmethod
    def load(cls, weights: tuple[Path, Path], threads: int) -> Listener:
        """From checked files of weights."""
        torch.set_num_threads(1)  # each of ours works alone
        return cls(VoiceEncoder(weights[0]), Segmenter(weights[1]), threads)

    def hear(
        self,
        samples: npt.NDArray[np.int16],
        kept: Kept,
        tick: Callable[[float], None] = lambda share: None,
    ) -> Voices:
        """Listen to one channel.

        Args:
            samples: shape (n,), 16 kHz; may be mapped from disk, it is read piece by piece.
            kept: batches that are done already, and where new ones go.
            tick: told, now and then, which share of the channel is done.
        """
        starts = range(0, max(1, len(samples) - WINDOW + HALF), HALF)
        groups = [starts[first : first + SEGMENTED] for first in range(0, len(starts), SEGMENTED)]
        pieces: list[tuple[int, Frames]] = []
        for number, found in enumerate(self._batches(groups, lambda group: self._segment(samples, group), kept, 0)):
            pieces += [(start // FRAME, one) for start, one in zip(groups[number], found, strict=False)]
            tick(0.3 * (number + 1) / len(groups))
            if number % RELEASED == 0:
                release(samples)
        frames = joined(iter(pieces), frame_count(len(samples)))
        windows = windows_of(frames, max(0, 1 + (len(samples) - FEATURE_FRAME) // HOP))
        order = [windows[first : first + ENCODED] for first in range(0, len(windows), ENCODED)]
        vectors: list[npt.NDArray[np.int8]] = []
        encoded = self._batches(order, lambda some: self._encode(samples, some), kept, len(groups))
        for number, found in enumerate(encoded):
            vectors.append(found[: len(order[number])])
            tick(0.3 + 0.7 * (number + 1) / len(order))
            if number % RELEASED == 0:
                release(samples)
        return Voices(
            frames,
            windows,
            np.concatenate(vectors) if vectors else np.zeros((0, 192), np.int8),
            levels(samples, len(frames)),
            is_narrow(samples, windows),
        )

    def _batches(
        self, batches: Sequence[Batch], work: Callable[[Batch], Result], kept: Kept, first: int
    ) -> Iterator[Result]:
        """Results in order, those that are known without working, a few ahead at a time."""
        with ThreadPoolExecutor(self.threads) as pool:
            ahead: deque[tuple[int, Result | None, Future[Result] | None]] = deque()
            for number, batch in enumerate(batches, first):
                known = kept.get(number)
                ahead.append((number, known, None if known is not None else pool.submit(work, batch)))
                if len(ahead) > 2 * self.threads:
                    yield _taken(*ahead.popleft(), kept)
            while ahead:
                yield _taken(*ahead.popleft(), kept)

    def _segment(self, samples: npt.NDArray[np.int16], starts: Sequence[int]) -> Frames:
        batch = np.zeros((SEGMENTED, WINDOW), np.float32)
        for row, start in zip(batch, starts, strict=False):
            piece = samples[start : start + WINDOW]
            row[: len(piece)] = piece
        batch /= 32768.0
        found = self.segmenter.voices(torch.from_numpy(batch)).numpy()
        return np.asarray(np.rint(found * 255), np.uint8)

    def _encode(self, samples: npt.NDArray[np.int16], windows: npt.NDArray[np.int32]) -> npt.NDArray[np.int8]:
        batch = torch.zeros(ENCODED, LENGTH, 80)
        for row, (start, length) in zip(batch, windows.tolist(), strict=False):
            features = log_mel(samples[start * HOP : (start + length - 1) * HOP + FEATURE_FRAME])
            again = features.repeat(-(-LENGTH // length), 1)[:LENGTH]  # a short one is heard several times
            row[:] = again - again.mean(0)
        return np.asarray(np.rint(np.clip(self.encoder.vectors(batch).numpy() * SCALE, -127, 127)), np.int8)


def _taken(number: int, known: Result | None, future: Future[Result] | None, kept: Kept) -> Result:
    if future is None:
        assert known is not None
        return known
    result = future.result()
    kept.put(number, result)
    return result


def levels(samples: npt.NDArray[np.int16], frames: int) -> npt.NDArray[np.uint8]:
    """Loudness around the middle of each frame, in dB below full scale (0 to 127)."""
    found = np.full(frames, 127, np.uint8)
    begin = MIDDLE - FRAME // 2
    for first in range(0, frames, LEVELLED):
        piece = samples[begin + first * FRAME : begin + (first + LEVELLED) * FRAME].astype(np.float32)
        whole = piece[: len(piece) // FRAME * FRAME].reshape(-1, FRAME)[: frames - first]
        power = np.square(whole / np.float32(32768)).mean(1)
        found[first : first + len(whole)] = np.clip(np.rint(-10 * np.log10(np.maximum(power, 1e-13))), 0, 127)
        release(samples)
    return found


def is_narrow(samples: npt.NDArray[np.int16], windows: npt.NDArray[np.int32]) -> bool:
    """Whether speech came through a telephone: next to no energy above 4.5 kHz in some hundred windows together.

    The rounding to 16 bits counts as none: in soft recordings it is more than ``NARROW``.
    """
    chosen = windows[:: max(1, len(windows) // 100), 0]
    shape = np.hanning(BANDS)
    power = np.zeros(BANDS // 2 + 1)
    for start in chosen.tolist():
        piece = np.zeros(BANDS)
        there = samples[start * HOP : start * HOP + BANDS]
        piece[: len(there)] = there
        power += np.abs(np.fft.rfft(piece * shape)) ** 2
    above = power[round(ABOVE / SAMPLE_RATE * BANDS) :]
    rounding = ROUNDING * np.square(shape).sum() * len(above) * len(chosen)
    return bool(len(chosen) and above.sum() < NARROW * power.sum() + rounding)
