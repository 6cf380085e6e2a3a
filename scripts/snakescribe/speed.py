"""How fast this machine reads: every engine that works here, on real recordings, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE, WINDOW_SECONDS
from snakescribe.audio.decoder import Block, decode
from snakescribe.audio.fold import first_fold
from snakescribe.audio.report import FfmpegReport
from snakescribe.config import Config
from snakescribe.config.languages import spoken_language
from snakescribe.config.load import changed
from snakescribe.doctor.child import ChildFailed, in_child
from snakescribe.engine.engines import ENGINES
from snakescribe.errors import ConfigError, InputError, RecordingError
from snakescribe.inventory.walk import recordings_root, walk

CANDIDATES = tuple(
    (engine.name, kind)
    for engine in ENGINES.values()
    for kind in dict.fromkeys(kind for types in engine.compute_types.values() for kind in types)
)
"""Engine and compute type; what a device has not is left out with its reason."""
SLOWEST = 15.0
"""Wall seconds a trial may take per second of audio; slower ones are given up."""
SHARE = 30.0
"""Seconds taken of each recording at most, so that a few long ones do not stand for all."""
LEAST = 10.0
"""Seconds of speech without which the figures say nothing."""
CLOSE = 0.75
"""Of the highest speed: what is faster than that is measured once more, since other programs take their share too."""
NOISE = 0.05
"""Of the speed: what is nearer together than that is told apart by core-seconds, which wait for nobody."""


class Trial(BaseModel):
    """One engine, as it was set, over the same audio as all others; loading is not counted."""

    engine: str
    compute_type: str
    rows: int
    """Windows of 30 s decoded together."""
    usual_rows: bool
    """As many as the engine takes by itself."""
    threads: int
    audio_seconds: float
    speech_seconds: float
    """Of these, by voice activity."""
    wall_seconds: float
    core_seconds: float
    peak_mb: int
    """Highest resident memory of its process."""

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.audio_seconds / self.wall_seconds


def fastest(done: Sequence[Trial]) -> list[Trial]:
    """The best of several trials, and those that are as good as equal; of each engine as it was set the faster take.

    Of those as fast as the fastest, but for :data:`NOISE`, the usual rows and the fewest core-seconds come first.
    """
    takes: dict[tuple[str, str, int], Trial] = {}
    for one in sorted(done, key=lambda one: one.speed):
        takes[one.engine, one.compute_type, one.rows] = one
    top = max(one.speed for one in takes.values())
    equal = [one for one in takes.values() if one.speed >= top * (1 - NOISE)]
    return sorted(equal, key=lambda one: (not one.usual_rows, one.core_seconds))


def sample(config: Config, seconds: float) -> list[bytes]:
    """Audio to measure with: the beginnings of the recordings, 16 kHz mono s16le, at most ``seconds`` together.

    Raises:
        InputError: nothing of them can be decoded.
    """
    root, parts, wanted = recordings_root(config), [], round(seconds * SAMPLE_RATE)
    for entry in walk(config).entries:
        found: list[bytes] = []

        def take(block: Block, report: FfmpegReport, found: list[bytes] = found) -> bool:
            found.append(first_fold("mix", block.shape[1], "")(block).astype("<i2").tobytes())
            return True

        source = os.path.join(root, os.fsdecode(entry.path))  # noqa: PTH118 (names may be no text)
        with contextlib.suppress(RecordingError):
            decode(source, take, SHARE, most=min(wanted, round(SHARE * SAMPLE_RATE)))
        parts.append(b"".join(found))
        wanted -= len(parts[-1]) // SAMPLE_BYTES
        if wanted <= 0:
            break
    if not any(parts):
        raise InputError(f"nothing in {root} can be decoded; choose another folder with --recordings")
    return [part for part in parts if part]


def trials(
    config: Config,
    speech: list[bytes],
    threads: int,
    begun: Callable[[str], None],
    failed: Callable[[str], None],
) -> Iterator[Trial]:
    """Measure every candidate that works here, the faster ones twice, then the best with half and twice the rows.

    What :func:`fastest` says of all of them is the answer. More rows than there is audio for are not tried.

    Args:
        config: model, device, decoding and so on; its engine and compute type are what is varied.
        speech: from :func:`sample`.
        threads: of each trial.
        begun: told the name of each candidate before it is measured.
        failed: told why it does not work here.

    Raises:
        InputError: there is too little speech.
    """
    wanted = [
        (engine, kind)
        for engine, kind in CANDIDATES
        if config.engine in ("auto", engine) and config.compute_type in ("auto", kind, kind.partition("_")[0])
    ]
    lengths = [len(part) // SAMPLE_BYTES for part in speech]
    done: list[Trial] = []
    with tempfile.NamedTemporaryFile(suffix=".pcm") as file:
        file.writelines(speech)
        file.flush()

        def tried(engine: str, kind: str, rows: int | None = None) -> Iterator[Trial]:
            decoding = config.decoding.model_dump() | {"rows": rows}
            limit = 120 + SLOWEST * sum(lengths) / SAMPLE_RATE
            begun(f"{engine} {kind}")
            try:
                options = changed(config, engine=engine, compute_type=kind, decoding=decoding).model_dump(mode="json")
                trial = Trial.model_validate(in_child(measure, options, file.name, lengths, threads, seconds=limit))
            except (ConfigError, ChildFailed) as error:
                failed(str(error))
                return
            if trial.speech_seconds < LEAST:
                failed("there is too little speech")
                heard = f"only {trial.speech_seconds:.0f} s of speech in {trial.audio_seconds:.0f} s of recordings"
                raise InputError(f"{heard}; give some in which people speak for {LEAST:.0f} s with --recordings")
            done.append(trial)
            yield trial

        for engine, kind in wanted:
            yield from tried(engine, kind)
        if not done:
            return
        top = max(trial.speed for trial in done)
        if len(close := [trial for trial in done if trial.speed > CLOSE * top]) > 1:
            for trial in close:
                yield from tried(trial.engine, trial.compute_type)
        best = fastest(done)[0]
        for rows in {max(1, best.rows // 2), best.rows * 2} - {best.rows}:
            if rows * WINDOW_SECONDS <= best.audio_seconds:
                yield from tried(best.engine, best.compute_type, rows)
        if (other := fastest(done)[0]) != best:
            yield from tried(best.engine, best.compute_type)
            yield from tried(other.engine, other.compute_type, other.rows)


def measure(options: dict[str, Any], speech: str, lengths: list[int], threads: int) -> dict[str, Any]:
    """Read recordings of ``lengths`` samples from a file: the first to warm up, then all; for :func:`in_child`."""
    from snakescribe.engine.journal import Journal
    from snakescribe.engine.opened import open_model
    from snakescribe.engine.transcriber import Transcriber
    from snakescribe.engine.windows import Channel, RecordingJob

    config = Config.model_validate(options)
    model = open_model(config, threads)
    transcriber = Transcriber(model, config)
    parts = np.split(np.fromfile(speech, np.int16), np.cumsum(lengths)[:-1])
    language, mixed = spoken_language(config.language)
    jobs = [RecordingJob(str(number), (Channel(None, part),), language, "", mixed) for number, part in enumerate(parts)]

    def read(jobs: list[RecordingJob]) -> float:
        speech = 0.0
        for _, result, _ in transcriber.transcribe(jobs, Journal(None)):
            if isinstance(result, RecordingError):
                raise result
            speech += result.speech_seconds
        return speech

    read(jobs[:1])
    wall, cores = time.perf_counter(), time.process_time()
    speech_seconds = read(jobs)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Trial(
        engine=model.backend.name,
        compute_type=config.compute_type,
        rows=model.backend.rows,
        usual_rows=config.decoding.rows is None,
        threads=threads,
        audio_seconds=sum(lengths) / SAMPLE_RATE,
        speech_seconds=speech_seconds,
        wall_seconds=time.perf_counter() - wall,
        core_seconds=time.process_time() - cores,
        peak_mb=usage.ru_maxrss // 1024,
    ).model_dump()
