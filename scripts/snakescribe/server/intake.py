"""From a file and what is asked of it to a transcript: cache, ffmpeg, engine; shared by requests and jobs."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from snakescribe import errors, glossary
from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.audio.recording import normalise_recording
from snakescribe.audio.samples import NormalisedRecording
from snakescribe.config import Config
from snakescribe.config.languages import spoken_language
from snakescribe.config.options import Speakers
from snakescribe.engine.windows import RecordingUpdate
from snakescribe.errors import RecordingError
from snakescribe.keys import content_key, transcript_key
from snakescribe.models.configured import configured_model
from snakescribe.recording import Recording
from snakescribe.server.engine_client import EngineClient
from snakescribe.server.metrics import Metrics
from snakescribe.server.protocol import Submit
from snakescribe.server.voices import Recorded, Voices
from snakescribe.speakers.settings import asked_speakers, voices_key
from snakescribe.transcribe.cache import Cache, CachedTranscript
from snakescribe.transcribe.provenance import Provenance
from snakescribe.transcript import Segment, Transcript
from snakescribe.vad.anybody import speech_finder

LOG = logging.getLogger(__name__)
BLOCK = 1 << 20
"""Bytes."""
DECODERS = 6
"""Recordings that ffmpeg decodes at a time, or one a thread: a short one need not wait for the jobs' long ones."""


@dataclass(frozen=True)
class HashedFile:
    """What a file holds."""

    sha256: str
    size: int
    """Bytes."""


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
        changed: dict[str, object] = {}
        if self.task:
            changed["task"] = self.task
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
    """Of the row that the batch writes (:data:`snakescribe.server.voices.TOLD`), where speakers were asked for."""


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
    submitted: float = 0.0
    """When the engine was given it (monotonic seconds)."""
    segments: list[Segment] = field(default_factory=list)
    """Text so far, in order."""
    waiters: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Any] | None = None
    result: asyncio.Future[RecordingUpdate] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def tell(self) -> None:
        """Wake everyone who watches it."""
        self.changed.set()
        self.changed = asyncio.Event()


class _GoneError(Exception):
    """Nobody waits for what is being decoded."""


class Intake:
    """Takes recordings in and gives transcripts out; lives in the event loop."""

    def __init__(self, config: Config, threads: int, state: Path, metrics: Metrics) -> None:
        """``state`` holds samples while they are needed, and the engine's journal."""
        hours = min(config.audio.max_hours, config.server.max_minutes / 60)
        self.config = config.model_copy(update={"audio": config.audio.model_copy(update={"max_hours": hours})})
        self.prepared = configured_model(config)
        self.engine = EngineClient(self.config, threads, state / "engine.jsonl", self._step)
        self._cache = Cache(self.config)
        self._metrics = metrics
        self._state, self._work = state, state / "work"
        shutil.rmtree(self._work, ignore_errors=True)  # of a server that was killed
        self._work.mkdir(parents=True)
        self._speaks = speech_finder(self.config)
        self._voices = Voices(self.config, threads, state)
        self._decoders = ThreadPoolExecutor(max(threads, DECODERS), "decode")
        self._tickets: dict[str, Ticket] = {}
        self._number = 0

    async def transcribe(
        self,
        source: Path,
        content: HashedFile,
        asked: RequestOptions,
        watch: Callable[[Ticket], None] = lambda ticket: None,
    ) -> tuple[Said, bool]:
        """What was said in a file, and whether it came from the cache; when cancelled, the work stops.

        Args:
            source: the file.
            content: what is in it.
            asked: how to transcribe it.
            watch: given the ticket if there is work to do.

        Raises:
            RecordingError: why there is no transcript.
        """
        config = asked.config(self.config)
        recording = _recording(source, content, asked)
        options_key = transcript_key(config, self.prepared, recording)
        key = content_key(recording, options_key)
        entry = None
        if asked.head:
            key += f" first {asked.head}"
        else:
            entry = await asyncio.to_thread(self._cache.get, content.sha256, options_key)
        cached = entry is not None
        if entry is None:
            ticket = await self._ticket(key, recording, config)
            watch(ticket)
            entry = await self._shared(ticket, lambda: self._work_on(ticket, source, options_key, asked.head))
        told = None
        if asked.speakers and entry.transcript.segments:
            voices = await self._ticket(f"{key} {asked.speakers}", recording, config)
            work = functools.partial(self._tell, voices, source, entry, asked_speakers(asked.speakers))
            told, known = await self._shared(voices, work)
            cached = cached and known
        return Said.model_construct(**dict(entry), told=told), cached

    async def _ticket(self, key: str, recording: Recording, config: Config) -> Ticket:
        """That of whoever asks the same, or a new one."""
        while (ticket := self._tickets.get(key)) and ticket.task and ticket.task.cancelling():
            await asyncio.wait({ticket.task})  # its last caller has just gone
        return ticket or self._tickets.setdefault(key, Ticket(key, recording, config))

    async def _shared(self, ticket: Ticket, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What comes of a ticket's work; it ends when nobody waits for it any more."""
        ticket.task = ticket.task or asyncio.create_task(work())
        ticket.waiters += 1
        try:
            return await asyncio.shield(ticket.task)
        finally:
            ticket.waiters -= 1
            if not ticket.waiters and not ticket.task.done():
                ticket.task.cancel()

    async def prove(self, samples: bytes) -> str:
        """What the engine hears in ``samples`` (16 kHz s16le), past every cache."""
        self._number += 1
        key, path = f"proof {self._number}", self._work / f"proof-{self._number}.pcm"
        path.write_bytes(samples)
        config = self.config.model_copy(update={"task": "transcribe", "words": False})
        recording = Recording(recording_id=key, path=key, path_hex="", sha256="", size=len(samples), attempt=1)
        ticket = self._tickets[key] = Ticket(key, recording, config)
        tracks: tuple[tuple[str | None, int, int], ...] = ((None, 0, len(samples) // SAMPLE_BYTES),)
        try:
            self.engine.submit(Submit(key, path, tracks, "en", "", False, config))
            result = (await ticket.result).result
        finally:
            self.engine.drop(key)
            self._tickets.pop(key, None)
            path.unlink(missing_ok=True)
        if isinstance(result, RecordingError):
            raise result
        assert isinstance(result, Transcript)
        return result.text

    async def stop(self) -> None:
        """End the engine."""
        await self.engine.stop()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def trim_cache(self) -> None:
        """Keep the cache within its bounds (slow: from a thread)."""
        self._cache.trim()

    async def _work_on(self, ticket: Ticket, source: Path, options_key: str, head: float | None) -> CachedTranscript:
        began = time.monotonic()
        try:
            async with self._sound(ticket, source) as (audio, samples):
                ticket.audio_seconds, ticket.submitted = audio.duration, time.monotonic()
                ticket.tell()
                spoken = ticket.recording.language or ticket.config.language
                several = tuple(spoken.split(",")) if "," in spoken else ()
                language, mixed = spoken_language("auto" if several else spoken)
                prompt = ticket.recording.prompt
                prompt = ticket.config.prompt if prompt is None else prompt
                tracks = _tracks(audio, head)
                try:
                    self.engine.submit(
                        Submit(ticket.key, samples, tracks, language, prompt, mixed, ticket.config, several)
                    )
                    step = await ticket.result
                finally:
                    self.engine.drop(ticket.key)  # before its samples go
            if isinstance(step.result, RecordingError):
                raise step.result
            assert step.result is not None and self.engine.ready is not None
            ready = self.engine.ready
            made = Provenance.of(
                ticket.config, self.prepared, ready.engine, ready.hardware, ticket.recording, audio, step.wall_seconds
            )
            entry = CachedTranscript(transcript=step.result, flags=audio.flags, decoded=audio.decoded, provenance=made)
            if head is None:
                await self._keep(self._cache.put, ticket.recording.sha256, options_key, entry)
            self._metrics.transcribed(audio.duration or 0.0, time.monotonic() - began)
            return entry
        finally:
            self._tickets.pop(ticket.key, None)
            ticket.tell()

    async def _tell(
        self, ticket: Ticket, source: Path, entry: CachedTranscript, speakers: Speakers
    ) -> tuple[dict[str, Any], bool]:
        """Who said it, and whether the voices were known."""
        recording = ticket.recording
        try:
            row = await asyncio.to_thread(_row, entry, ticket.config)
            key = voices_key(ticket.config, recording)
            heard = await asyncio.to_thread(self._cache.get_voices, recording.sha256, key)
            if heard is not None:
                found = await self._voices.tell(Recorded(row, speakers, heard, self._work, ()))
            else:
                async with self._sound(ticket, source) as (audio, samples):
                    found = await self._voices.tell(Recorded(row, speakers, None, samples, _tracks(audio)))
                await self._keep(self._cache.put_voices, recording.sha256, key, found[0])
            return found[1], heard is not None
        finally:
            self._tickets.pop(ticket.key, None)

    @staticmethod
    async def _keep(put: Callable[[str, str, Any], None], *entry: Any) -> None:
        try:
            await asyncio.to_thread(put, *entry)
        except OSError as error:
            LOG.warning("what was heard cannot be kept in the cache: %s", error)

    @contextlib.asynccontextmanager
    async def _sound(self, ticket: Ticket, source: Path) -> AsyncIterator[tuple[NormalisedRecording, Path]]:
        """A file decoded, as long as it is needed."""
        self._number += 1
        samples, kept, voices = (self._work / f"{self._number}.{suffix}" for suffix in ("pcm", "source", "voices"))
        try:
            if source.is_relative_to(self._state):  # an upload: its sender may leave while others wait for the text
                with contextlib.suppress(OSError):  # a file system without links
                    kept.hardlink_to(source)
                    source = kept
            yield await self._decoded(ticket, source, samples), samples
        finally:
            for path in (samples, kept, voices):
                path.unlink(missing_ok=True)

    async def _decoded(self, ticket: Ticket, source: Path, samples: Path) -> NormalisedRecording:
        gone = threading.Event()

        def tick(count: int) -> None:
            if gone.is_set():
                raise _GoneError

        def decode() -> NormalisedRecording:
            with samples.open("r+b", buffering=0) as target:
                name = os.fsdecode(source)
                return normalise_recording(ticket.recording, name, ticket.config.audio, target, tick, self._speaks)

        samples.touch()  # here, so that the thread cannot make it when it has been removed
        try:
            audio = await asyncio.get_running_loop().run_in_executor(self._decoders, decode)
        finally:
            gone.set()
        if audio.error_class:
            raise getattr(errors, audio.error_class)(audio.error_message)
        return audio

    def _step(self, step: RecordingUpdate) -> None:
        ticket = self._tickets.get(step.key)
        if ticket is None or ticket.result.done():
            return
        self._metrics.turn(step.together)
        ticket.done = step.done / step.total if step.total else 1.0
        ticket.segments[step.told :] = step.segments  # an engine that was started again tells all from the start
        if step.result is not None:
            ticket.result.set_result(step)
        ticket.tell()


def _row(entry: CachedTranscript, config: Config) -> dict[str, Any]:
    """As the batch file has it, as far as speakers need it (slow for hours of words)."""
    transcript = glossary.apply(entry.transcript, config.glossary)
    return transcript.model_dump() | {"flags": [*entry.flags, *transcript.flags]}


def _tracks(audio: NormalisedRecording, head: float | None = None) -> tuple[tuple[str | None, int, int], ...]:
    """Channel, first sample and samples of each; of its first seconds, where only these are wanted."""
    most = max(track.samples for track in audio.tracks) if head is None else round(head * SAMPLE_RATE)
    return tuple((track.channel, track.offset, min(track.samples, most)) for track in audio.tracks)


def hashed(source: Path) -> HashedFile:
    """Read a file through once.

    Raises:
        OSError: it cannot be read.
    """
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return HashedFile(digest.hexdigest(), os.fstat(file.fileno()).st_size)


def copied(upload: BinaryIO, target: Path) -> HashedFile:
    """Copy an upload to where ffmpeg can open it, hashing it on the way."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        while block := upload.read(BLOCK):
            digest.update(block)
            file.write(block)
            size += len(block)
    return HashedFile(digest.hexdigest(), size)


def _recording(source: Path, content: HashedFile, asked: RequestOptions) -> Recording:
    where = os.fsencode(source.absolute())
    return Recording(
        recording_id=content.sha256[:16],
        path=source.name.encode("utf-8", "backslashreplace").decode(),
        path_hex=where.hex(),
        sha256=content.sha256,
        size=content.size,
        attempt=1,
        language=asked.language,
        prompt=asked.prompt,
    )
