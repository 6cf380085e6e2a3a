"""What the steps of the proof share: where they run, what they say, and a model with speech to read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from benchmarks.folder import MANIFEST, Recording, read_folder
from snakescribe.errors import RecordingError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from snakescribe.config import Config
    from snakescribe.engine.backend import Backend
    from snakescribe.engine.opened import OpenedModel
    from snakescribe.models.store import Prepared

    Samples = npt.NDArray[np.int16]


T = TypeVar("T")


class Row(NamedTuple):
    """One line of the report."""

    what: str
    found: str
    proved: bool | None = None
    """Whether it is as it must be; None where there is nothing to prove, as with a figure, or nothing has run."""


@dataclass(frozen=True)
class Run:
    """One proof. On a CPU it is the same, with less of everything: a trial of the script, not a measurement."""

    device: str
    """``cuda`` or ``cpu``."""
    out: Path
    data: Path
    """Recordings, with or without a manifest."""
    models: Path
    model: str = "base"
    threads: int = len(os.sched_getaffinity(0))
    room: str | None = None
    """A folder of the step's own, removed after it; None for the system's."""

    def pick(self, card: T, trial: T) -> T:
        """One of two, mostly numbers of something: on a card, or in a trial on the CPU."""
        return card if self.device == "cuda" else trial

    def open(self, rows: int | None = None, device: str = "", threads: int = 0, **options: Any) -> OpenedModel:
        """Load the model, on ``device`` if it is not the run's own."""
        from snakescribe.engine.opened import open_model

        return open_model(self.config(rows, device=device or self.device, **options), threads or self.threads)

    def scratch(self, name: str) -> Path:
        """A new folder, for what is large and made anew by every run."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.room))

    def prepared(self) -> Prepared:
        """The model."""
        from snakescribe.models import Store

        return Store(self.models).resolve(self.model)

    def backend(self, prepared: Prepared, **options: Any) -> Backend:
        """Any prepared model on the device."""
        from snakescribe.engine.load import load_backend

        return load_backend(self.config(device=self.device, **options), prepared, self.threads)

    def config(self, rows: int | None = None, **options: Any) -> Config:
        """The defaults, with other options."""
        from snakescribe.config import load_config

        asked = {"models": str(self.models), "model": self.model, "decoding": {"rows": rows}}
        return load_config(asked | options, Path.cwd(), {})

    def recordings(self, seconds: float, longest: float = 60.0) -> list[Recording]:
        """Some of the folder, of 2 s each at least and ``seconds`` together at most: what has a reference, if any has.

        Without a manifest their length is found by decoding them.
        """
        if (self.data / MANIFEST).is_file():
            every = [one for one in read_folder(self.data).recordings if one.references and one.kind != "digits"]
        else:
            names = sorted(path.relative_to(self.data) for path in self.data.rglob("*") if path.is_file())
            every = [Recording(str(name), "", self._length(name, longest), "", ()) for name in names]
        found: list[Recording] = []
        for one in every:
            if 2 <= one.seconds <= longest and one.seconds + sum(other.seconds for other in found) <= seconds:
                found.append(one)
        return found

    def _length(self, name: Path, longest: float) -> float:
        with suppress(RecordingError):
            return len(samples(self.data / name, longest + 1)) / 16_000
        return 0.0


def samples(path: Path, seconds: float = 1800.0) -> Samples:
    """The beginning of a recording, its channels mixed, at 16 kHz; nothing where it is none."""
    import numpy as np

    from snakescribe.audio import SAMPLE_RATE
    from snakescribe.audio.decoder import Block, decode
    from snakescribe.audio.fold import first_fold
    from snakescribe.audio.report import FfmpegReport

    found: list[Any] = []

    def take(block: Block, report: FfmpegReport) -> bool:
        found.append(first_fold("mix", block.shape[1], "")(block).astype(np.int16).reshape(-1))
        return True

    decode(str(path), take, 60.0, most=round(seconds * SAMPLE_RATE))
    return np.concatenate([np.zeros(0, np.int16), *found])


def read(
    model: OpenedModel, config: Config, speech: Mapping[str, Samples], language: str | None = None
) -> dict[str, str]:
    """The text of every recording by its key, all read together.

    Raises:
        RecordingError: one could not be read.
    """
    from snakescribe.engine.journal import Journal
    from snakescribe.engine.transcriber import Transcriber
    from snakescribe.engine.windows import Channel, RecordingJob

    jobs = [RecordingJob(key, (Channel(None, sound),), language, "") for key, sound in speech.items()]
    found = {}
    for job, result, _ in Transcriber(model, config).transcribe(jobs, Journal(None)):
        if isinstance(result, RecordingError):
            raise result
        found[job.key] = result.text
    return found


def wait(device: str) -> None:
    """Until the card has done all it was told."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def fastest(work: Callable[[], object], device: str, enough: float = 0.3) -> float:
    """Wall seconds of the fastest of several calls, ``enough`` seconds of them; the first one is not counted."""
    work()
    tries: list[float] = []
    while sum(tries) < enough or len(tries) < 2:
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        tries.append(time.perf_counter() - began)
    return min(tries)


def precisions() -> Iterator[tuple[str, str]]:
    """Engine and compute type, all there are."""
    from snakescribe.speed import CANDIDATES

    yield from CANDIDATES
