"""What goes through the engine: recordings as jobs, and the windows of speech they are made of."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_RATE
from snakescribe.engine.journal import Language, Place, WindowText
from snakescribe.errors import RecordingError
from snakescribe.transcript import Segment, Transcript
from snakescribe.vad.spans import Window


@dataclass(frozen=True)
class Channel:
    """One channel to transcribe: 16 kHz samples, possibly mapped from disk."""

    channel: str | None
    samples: npt.NDArray[np.int16]


@dataclass(frozen=True)
class RecordingJob:
    """One recording to transcribe."""

    key: str
    """Stands for its content and options; also seeds sampling."""
    tracks: tuple[Channel, ...]
    language: str | None
    """None to detect it."""
    prompt: str
    mixed: bool = False
    """Every window has a language of its own."""
    languages: tuple[str, ...] = ()
    """Those that it may be in, where it is detected; empty for any."""


@dataclass(eq=False)
class RecordingState:
    """A recording on its way."""

    job: RecordingJob
    speech_samples: int = 0
    waiting: int = 0
    """Windows not decoded yet."""
    listened: bool = False
    """All its windows are known."""
    texts: list[WindowText] = field(default_factory=list)
    language: Language | None = None
    wall_seconds: float = 0.0
    failure: RecordingError | None = None
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def spend(self, seconds: float) -> None:
        """Count wall seconds that went into it, from any thread."""
        with self._counting:
            self.wall_seconds += seconds


@dataclass(frozen=True)
class RecordingUpdate:
    """What one turn (:mod:`.interleave`) did for one recording."""

    key: str
    done: float
    """Seconds of speech read so far."""
    total: float
    """Seconds of speech in it."""
    together: int
    """Recordings that shared the turn."""
    segments: tuple[Segment, ...] = ()
    """New text, in order."""
    told: int = 0
    """Segments before these; a process that took over from another one tells all of them again."""
    result: Transcript | RecordingError | None = None
    """Set when it is finished."""
    wall_seconds: float = 0.0


@dataclass(eq=False)
class WindowTask:
    """One window of one recording, on its way through the model."""

    state: RecordingState
    track: int
    window: Window
    language: str | None = None
    """Whisper's code; None until it is settled."""

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        """What the model hears."""
        return self.state.job.tracks[self.track].samples[self.window.start : self.window.end]

    @property
    def length(self) -> int:
        """Samples."""
        return self.window.end - self.window.start

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.length / SAMPLE_RATE

    @property
    def speech(self) -> list[tuple[float, float]]:
        """Speech in it without the silence around it, seconds from its start."""
        bounds = ((span.start + span.lead, span.end - span.tail) for span in self.window.speech)
        origin = self.window.start
        return [((start - origin) / SAMPLE_RATE, (end - origin) / SAMPLE_RATE) for start, end in bounds]

    @property
    def place(self) -> Place:
        """Which window this is, in the journal's terms."""
        return (self.state.job.key, self.track, self.window.start, self.window.end)

    @property
    def seed(self) -> int:
        """For sampling: the same for the same window, whatever it is decoded with."""
        return int.from_bytes(hashlib.sha256(repr(self.place).encode()).digest()[:4], "big")
