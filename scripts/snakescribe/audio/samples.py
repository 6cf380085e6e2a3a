"""The normalised audio of a batch: one file of samples, and an index of what lies where."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_BYTES
from snakescribe.errors import ResultsError
from snakescribe.flags import Flag
from snakescribe.records import Frozen


class ChannelSpan(Frozen):
    """One channel of one recording inside the batch's file of samples."""

    channel: str | None
    """Its name with ``audio.channels: split`` of a recording with several channels, otherwise None."""
    offset: int
    """Samples from the start of the file."""
    samples: int


class DecodedTrack(Frozen):
    """What was really decoded, columns of the recordings table."""

    codec: str | None
    sample_rate: int | None
    """Hz, before resampling."""
    channels: int | None
    """Before they were folded."""
    audio_track: int | None
    """Number of the track within the file, from 1; None when several are heard (what else is said is of the first)."""
    audio_tracks: int
    """How many there are."""
    start_offset: float
    """Seconds before the sound begins, by the file's clock."""
    clock_gaps: tuple[tuple[float, float], ...]
    """Start and end (seconds) of what has no sound within it."""
    missing_seconds: float = 0.0
    """That the file promises and does not hold, as far as they can be known."""

    def columns(self) -> dict[str, Any]:
        """As they are in the table."""
        gaps = [{"start": start, "end": end} for start, end in self.clock_gaps]
        return self.model_dump(exclude={"clock_gaps"}) | {"clock_gaps": gaps}


class NormalisedRecording(Frozen):
    """Where a recording lies, or why it does not."""

    recording_id: str
    tracks: tuple[ChannelSpan, ...] = ()
    duration: float | None = None
    """Seconds by the recording's clock (of the longest channel); None when skipped or failed."""
    decoded: DecodedTrack | None = None
    """None when skipped or failed."""
    flags: tuple[Flag, ...] = ()
    error_class: str | None = None
    error_message: str | None = None
    skipped: bool = False
    """Not decoded, because its transcript is known already."""
    ffmpeg: str | None = None
    """Version of the ffmpeg that decoded it; None when nothing was decoded."""
    wall_seconds: float = 0.0


class SamplesIndex(Frozen):
    """The recordings of a batch in the manifest's order."""

    batch: str
    deferred: bool = False
    """Nothing was decoded: too much normalised audio waits on disk already."""
    recordings: tuple[NormalisedRecording, ...] = ()


def open_samples(path: Path, needed: int = 0) -> npt.NDArray[np.int16]:
    """Map a file of samples, shape (samples,), s16le; nothing is read before it is used.

    Raises:
        ResultsError: it holds fewer than the ``needed`` samples.
    """
    size = path.stat().st_size
    if size % SAMPLE_BYTES or size < needed * SAMPLE_BYTES:
        raise ResultsError(
            f"{path} is cut short ({size} bytes); delete it and {path.with_suffix('.json')}, and run again"
        )
    if size == 0:
        return np.zeros(0, np.int16)  # an empty file cannot be mapped
    return np.memmap(path, dtype="<i2", mode="r")


def release(samples: npt.NDArray[np.int16]) -> None:
    """Let go of the memory of samples that are mapped from a file; they are read again when they are used again."""
    owner: object = samples
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap):
        owner.madvise(mmap.MADV_DONTNEED)
