"""From a file and what is asked of it to a transcript: cache, ffmpeg, engine; shared by requests and jobs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from snakescribe import errors, glossary
from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.recording import normalise_recording
from snakescribe.audio.samples import NormalisedRecording
from snakescribe.config import Config
from snakescribe.config.languages import spoken_language
from snakescribe.config.options import Speakers
from snakescribe.engine.windows import RecordingJob, RecordingUpdate
from snakescribe.errors import RecordingError
from snakescribe.keys import content_key, transcript_key
from snakescribe.models.configured import configured_model
from snakescribe.recording import Recording
from snakescribe.server.engine_client import EngineClient
from snakescribe.server.engine_worker import Submit
from snakescribe.server.metrics import Metrics
from snakescribe.server.voices import SHORT, Tracks, Voices
from snakescribe.speakers.settings import asked_speakers, voices_key
from snakescribe.transcribe.cache import Cache, CachedTranscript
from snakescribe.transcribe.provenance import Provenance
from snakescribe.transcript import Segment
from snakescribe.vad.anybody import speech_finder

LOG = logging.getLogger(__name__)
DECODERS = 6
"""Recordings that ffmpeg decodes at a time, or one a thread: a short one need not wait for the jobs' long ones."""
TOLD = ("segments", "speakers", "flags", "language", "duration")
"""Of the row that the batch would write, what answers are made of."""


@dataclass(frozen=True)
class RequestOptions:
    """What is wanted of a recording; None takes what the server is configured with."""

    language: str | None = None
    """As the option; or several codes, between commas, of which it is one."""
    prompt: str | None = None
    task: str | None = None
    temperature: float = 0.0
    words: bool = False
    speakers: str | None = None
    """As the option; None leaves voices alone."""
    head: float | None = None
    """Only its first seconds, to hear the language: that text is nobody's transcript, and no cache has it."""

    def config(self, config: Config) -> Config:
        """The options that its text is made with."""
        changed: dict[str, object] = {"task": self.task or config.task}
        if self.words or self.speakers:  # by its words a segment is cut where another one speaks
            changed["words"] = True
        if self.temperature:
            rest = [t for t in config.decoding.temperatures if t > self.temperature]
            temperatures = [0.0, self.temperature, *rest]  # beam search comes first, as in the batch
            changed["decoding"] = config.decoding.model_copy(update={"temperatures": temperatures})
        return config.model_copy(update=changed)


class Said(CachedTranscript):
    """A transcript, and who said it."""

    told: dict[str, Any] | None = None
    """Of the row that the batch writes (:data:`TOLD`), where speakers were asked for."""


@dataclass(eq=False)
class Ticket:
    """One recording on its way; callers who ask the same of the same content share it."""

    key: str
    recording: Recording
    config: Config
    audio_seconds: float | None = None
    """None until it is decoded."""
    done: float = 0.0
    """Share of its speech that is read, 0 to 1."""
    steps: list[tuple[float, float]] = field(default_factory=list)
    """When (monotonic seconds) ``done`` was first more than 0, and when it changed last, each with what it was then."""
    segments: list[Segment] = field(default_factory=list)
    """Text so far, in order."""
    waiters: int = 0
    watchers: list[Callable[[Ticket], None]] = field(default_factory=list)
    task: asyncio.Task[Any] | None = None

    def tell(self) -> None:
        """Wake everyone who watches it."""
        for watch in self.watchers:
            watch(self)


class Intake:
    """Takes recordings in and gives transcripts out; lives in the event loop."""

    def __init__(self, config: Config, threads: int, state: Path, metrics: Metrics) -> None:
        """``state`` holds samples while they are needed, and the engine's journal."""
        hours = min(config.audio.max_hours, config.server.max_minutes / 60)
        self.config = config.model_copy(update={"audio": config.audio.model_copy(update={"max_hours": hours})})
        self.prepared = configured_model(config)
        self.engine = EngineClient(self.config, threads, state / "engine.jsonl")
        self.metrics = metrics
        self.cache = Cache(self.config)
        self._state, self._work = state, state / "work"
        shutil.rmtree(self._work, ignore_errors=True)  # of a server that was killed
        self._work.mkdir(parents=True)
        self._speaks = speech_finder(self.config)
        self._voices = Voices(self.config, threads, state)
        self._decoders = ThreadPoolExecutor(max(threads, DECODERS), "decode")
        self._tickets: dict[str, Ticket] = {}
        self._number = 0

    async def transcribe(
        self, recording: Recording, asked: RequestOptions, watch: Callable[[Ticket], None] = lambda ticket: None
    ) -> tuple[Said, bool]:
        """What was said in a file, and whether it came from the cache; when cancelled, the work stops.

        ``watch`` is given the ticket if there is work to do, when it is decoded and whenever it has changed.

        Raises:
            RecordingError: why there is no transcript.
        """
        config = asked.config(self.config)
        recording = replace(recording, language=asked.language, prompt=asked.prompt)
        options_key = transcript_key(config, self.prepared, recording)
        key = content_key(recording, options_key) + (f" first {asked.head}" if asked.head else "")
        entry = None if asked.head else await asyncio.to_thread(self.cache.get, recording.sha256, options_key)
        cached, told = entry is not None, None
        if entry is None:
            work = partial(self._read, options_key=options_key, head=asked.head)
            entry = await self._shared(Ticket(key, recording, config), work, watch)
        if asked.speakers and entry.transcript.segments:
            speakers = asked_speakers(asked.speakers)
            tell = partial(self._tell, entry=entry, speakers=speakers)
            told, known = await self._shared(Ticket(f"{key} {speakers}", recording, config), tell)
            cached = cached and known
        return Said.model_construct(**dict(entry), told=told), cached

    async def _shared(
        self,
        ticket: Ticket,
        work: Callable[[Ticket], Coroutine[Any, Any, Any]],
        watch: Callable[[Ticket], None] = lambda ticket: None,
    ) -> Any:
        """What comes of a ticket's work, or of whoever asked the same before; it ends when nobody waits any more."""
        while (first := self._tickets.setdefault(ticket.key, ticket)).task and first.task.cancelling():
            await asyncio.wait({first.task})  # its last caller has just gone
        if first.task is None:
            first.task = asyncio.create_task(work(first))
            first.task.add_done_callback(lambda _: self._tickets.pop(first.key))
        first.watchers.append(watch)
        if first.audio_seconds is not None:
            watch(first)
        first.waiters += 1
        try:
            return await asyncio.shield(first.task)
        finally:
            first.watchers.remove(watch)
            first.waiters -= 1
            if not first.waiters and not first.task.done():
                first.task.cancel()

    async def stop(self) -> None:
        """End the engine."""
        await self.engine.stop()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _read(self, ticket: Ticket, options_key: str, head: float | None) -> CachedTranscript:
        began, recording, config = time.monotonic(), ticket.recording, ticket.config
        async with self._kept(recording) as kept, self._sound(ticket, kept) as (audio, samples):
            ticket.audio_seconds = audio.duration
            ticket.tell()
            spoken = recording.language or config.language
            several = tuple(spoken.split(",")) if "," in spoken else ()
            language, mixed = spoken_language("auto" if several else spoken)
            prompt = config.prompt if recording.prompt is None else recording.prompt
            tracks = _tracks(audio, head)
            job = RecordingJob(ticket.key, (), language, prompt, mixed, several)
            step = await self.engine.read(Submit(job, config, samples, tracks), partial(self._step, ticket))
        if isinstance(step.result, RecordingError):
            raise step.result
        ready = self.engine.ready
        assert step.result is not None and ready is not None
        made = Provenance.of(config, self.prepared, ready.engine, ready.hardware, recording, audio, step.wall_seconds)
        entry = CachedTranscript(transcript=step.result, flags=audio.flags, decoded=audio.decoded, provenance=made)
        if head is None:
            await self._keep(self.cache.put, recording.sha256, options_key, entry)
            seconds = audio.duration or 0.0
            self.metrics.audio.inc(seconds)
            if seconds:  # decoding by ffmpeg and waiting for others included
                self.metrics.factor.observe((time.monotonic() - began) / seconds)
        return entry

    async def _tell(self, ticket: Ticket, entry: CachedTranscript, speakers: Speakers) -> tuple[dict[str, Any], bool]:
        """Who said it, and whether the voices were known."""
        sha256, key = ticket.recording.sha256, voices_key(ticket.config, ticket.recording)
        # Whoever asks otherwise of the same stands in the same line, and then finds it known.
        async with self._kept(ticket.recording) as kept, self._voices.lines[entry.transcript.duration <= SHORT]:
            heard = await asyncio.to_thread(self.cache.get_voices, sha256, key)
            known = heard is not None
            if heard is None:
                async with self._sound(ticket, kept) as (audio, samples):
                    heard = await self._voices.hear(samples, _tracks(audio))
                await self._keep(self.cache.put_voices, sha256, key, heard)
        return await asyncio.to_thread(_told, entry, heard, speakers, ticket.config), known

    @staticmethod
    async def _keep(put: Callable[[str, str, Any], None], *entry: Any) -> None:
        try:
            await asyncio.to_thread(put, *entry)
        except OSError as error:
            LOG.warning("what was heard cannot be kept in the cache: %s", error)

    @contextlib.asynccontextmanager
    async def _kept(self, recording: Recording) -> AsyncIterator[Path]:
        """Its file, which stays: the sender of an upload may leave while others wait for its text."""
        self._number += 1
        kept, source = self._work / f"{self._number}.source", Path(recording.source("/"))
        try:
            if source.is_relative_to(self._state):
                with contextlib.suppress(OSError):  # a file system without links
                    kept.hardlink_to(source)
                    source = kept
            yield source
        finally:
            kept.unlink(missing_ok=True)

    @contextlib.asynccontextmanager
    async def _sound(self, ticket: Ticket, source: Path) -> AsyncIterator[tuple[NormalisedRecording, Path]]:
        """A file decoded, as long as it is needed."""
        self._number += 1
        samples, voices = (self._work / f"{self._number}.{suffix}" for suffix in ("pcm", "voices"))
        gone = threading.Event()

        def tick(count: int) -> None:
            if gone.is_set():
                raise asyncio.CancelledError  # nobody waits for what is being decoded

        def decode() -> NormalisedRecording:
            with samples.open("r+b", buffering=0) as target:
                name = os.fsdecode(source)
                return normalise_recording(ticket.recording, name, ticket.config.audio, target, tick, self._speaks)

        try:
            samples.touch()  # here, so that the thread cannot make it when it has been removed
            audio = await asyncio.get_running_loop().run_in_executor(self._decoders, decode)
            if audio.error_class == "TooLong":
                minutes = f"{ticket.config.audio.max_hours * 60:g} minutes"
                raise errors.TooLong(f"the recording is longer than {minutes}, which is the limit here")
            if audio.error_class:
                raise getattr(errors, audio.error_class)(audio.error_message)
            yield audio, samples
        finally:
            gone.set()
            for path in (samples, voices):
                path.unlink(missing_ok=True)

    def _step(self, ticket: Ticket, step: RecordingUpdate) -> None:
        self.metrics.together.observe(step.together)
        ticket.done = step.done / step.total if step.total else 1.0
        if ticket.done > (ticket.steps[-1][1] if ticket.steps else 0.0):
            ticket.steps[1:] = [(time.monotonic(), ticket.done)]
        ticket.segments[step.told :] = step.segments  # an engine that was started again tells all from the start
        ticket.tell()


def _told(entry: CachedTranscript, heard: bytes, speakers: Speakers, config: Config) -> dict[str, Any]:
    from snakescribe.speakers.heard import unpacked  # with pyarrow, 40 MB that many servers never need
    from snakescribe.speakers.telling import with_speakers

    transcript = glossary.apply(entry.transcript, config.glossary)
    row = transcript.model_dump() | {"flags": [*entry.flags, *transcript.flags]}
    told = with_speakers(row, unpacked(heard), speakers, config)
    return {name: told[name] for name in TOLD}


def _tracks(audio: NormalisedRecording, head: float | None = None) -> Tracks:
    """Channel, first sample and samples of each; of its first seconds, where only these are wanted."""
    most = max(track.samples for track in audio.tracks) if head is None else round(head * SAMPLE_RATE)
    return tuple((track.channel, track.offset, min(track.samples, most)) for track in audio.tracks)


def hashed(source: Path) -> Recording:
    """The recording in a file, which is read through once.

    Raises:
        UnreadableRecording: it cannot be read.
    """
    try:
        with source.open("rb") as file:
            sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise errors.UnreadableRecording(f"the file cannot be read: {error.strerror}") from None
    name, path_hex = source.name.encode("utf-8", "backslashreplace").decode(), os.fsencode(source.absolute()).hex()
    return Recording(recording_id=sha256[:16], path=name, path_hex=path_hex, sha256=sha256, size=size, attempt=1)


def copied(upload: BinaryIO, target: Path) -> Recording:
    """Copy an upload to where ffmpeg can open it."""
    with target.open("xb") as file:
        shutil.copyfileobj(upload, file)
    return hashed(target)
