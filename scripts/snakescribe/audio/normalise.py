"""A batch of recordings into one file of samples, several ffmpeg at a time, in the manifest's order."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.audio.clock import copy_with_holes
from snakescribe.audio.decoder import ffmpeg_version
from snakescribe.audio.recording import Speaks, anybody, normalise_recording
from snakescribe.audio.samples import ChannelSpan, NormalisedRecording, SamplesIndex
from snakescribe.config import Config
from snakescribe.files import see_room, write_atomically
from snakescribe.inventory.manifest import Manifest
from snakescribe.inventory.walk import recordings_root
from snakescribe.keys import samples_key
from snakescribe.recording import Recording
from snakescribe.units import hours

HEARTBEAT = 30.0
"""Seconds between two lines of progress."""


class _Stopped(Exception):
    """Another recording ended the batch (full disk, Ctrl-C)."""


class _DecodingProgress:
    """Samples decoded so far, counted by all threads; also carries the order to stop."""

    def __init__(self, total: float, log: Callable[[str], None]) -> None:
        self.stop = threading.Event()
        self._total, self._log = total, log
        self._samples = 0
        self._lock = threading.Lock()
        self._logged = time.monotonic()

    def tick(self, samples: int) -> None:
        if self.stop.is_set():
            raise _Stopped
        with self._lock:
            self._samples += samples

    def tell(self) -> None:
        if time.monotonic() - self._logged >= HEARTBEAT:
            done = self._samples / SAMPLE_RATE
            self._log(f"decoded {hours(done)} of about {hours(self._total)} of audio")
            self._logged = time.monotonic()


def normalise_batch(
    manifest: Manifest,
    config: Config,
    samples: Path,
    index: Path,
    skip: Callable[[Recording], bool],
    jobs: int,
    log: Callable[[str], None],
    speaks: Speaks = anybody,
) -> SamplesIndex:
    """Decode the recordings of a batch; a failure of one of them is its entry in the index.

    Equal content with equal channels is decoded once, and its entries share their tracks.

    Args:
        manifest: the batch.
        config: ``recordings`` and ``audio`` are used.
        samples: file to write: 16 kHz s16le, all tracks one after the other, in the manifest's order.
        index: file to write, a :class:`SamplesIndex`; it appears last.
        skip: recordings that need no audio.
        jobs: ffmpeg processes at a time.
        log: takes lines for people.
        speaks: whether somebody speaks; asked only of files with several audio tracks.

    Raises:
        OSError: the outputs cannot be written (full disk); nothing is left behind.
        ResultsError: they would not fit.
        InstallationError: there is no ffmpeg, or it does not work.
        CrashError: it was killed from outside.
    """
    parts = samples.with_name(f".{samples.name}.parts")
    shutil.rmtree(parts, ignore_errors=True)  # of a killed run
    parts.mkdir(parents=True)
    try:
        skipped = {recording.recording_id for recording in manifest.recordings if skip(recording)}
        wanted = [recording for recording in manifest.recordings if recording.recording_id not in skipped]
        groups = _same_samples(wanted, config)
        if wanted:
            see_room(parts, sum(_expected_bytes(group[0], config) for group in groups))
            ffmpeg_version()  # one that does not work would make every recording unreadable
        joined = parts / "joined"
        with joined.open("wb") as target:
            done = dict(_decode_all(groups, config, parts, target, jobs, log, speaks))
            target.truncate()
            target.flush()
            os.fsync(target.fileno())
        result = SamplesIndex(
            batch=manifest.batch,
            recordings=tuple(
                done.get(r.recording_id) or NormalisedRecording(recording_id=r.recording_id, skipped=True)
                for r in manifest.recordings
            ),
        )
        joined.replace(samples)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    write_atomically(index, result.model_dump_json(indent=1).encode())
    return result


def _decode_all(
    groups: list[list[Recording]],
    config: Config,
    parts: Path,
    target: BinaryIO,
    jobs: int,
    log: Callable[[str], None],
    speaks: Speaks,
) -> Iterator[tuple[str, NormalisedRecording]]:
    """Every recording's id and entry, its samples appended to ``target``."""
    progress = _DecodingProgress(sum(group[0].duration or 0.0 for group in groups), log)
    base = 0
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        futures = [
            pool.submit(_decode_group, group, config, parts / str(number), progress, speaks)
            for number, group in enumerate(groups)
        ]
        try:
            for number, (group, future) in enumerate(zip(groups, futures, strict=True)):
                entries = _wait(future, progress)
                part = parts / str(number)
                made = next((entry for entry in entries if entry.tracks), None)
                if made is not None:
                    with part.open("rb") as file:
                        copy_with_holes(file, target)
                part.unlink()
                for recording, entry in zip(group, entries, strict=True):
                    _tell(recording, entry, log)
                    yield recording.recording_id, _moved(entry, base)
                base += sum(track.samples for track in made.tracks) if made else 0
        except BaseException:
            progress.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _expected_bytes(recording: Recording, config: Config) -> float:
    """Of its samples, by its header."""
    seconds = min(recording.duration or 0.0, config.audio.max_hours * 3600)
    split = (recording.channel_mode or config.audio.channels) == "split"
    return seconds * SAMPLE_RATE * SAMPLE_BYTES * ((recording.channels or 1) if split else 1)


def _same_samples(wanted: list[Recording], config: Config) -> list[list[Recording]]:
    groups: dict[str, list[Recording]] = {}
    for recording in wanted:
        groups.setdefault(samples_key(config, recording), []).append(recording)
    return list(groups.values())


def _decode_group(
    group: list[Recording], config: Config, part: Path, progress: _DecodingProgress, speaks: Speaks
) -> list[NormalisedRecording]:
    """One entry per recording of equal content: all share the first copy that can be decoded."""
    entries: list[NormalisedRecording] = []
    for recording in group:
        with part.open("w+b", buffering=0) as target:
            source = recording.source(recordings_root(config))
            entry = normalise_recording(recording, source, config.audio, target, progress.tick, speaks)
        if entry.error_class is None:
            return [entry.model_copy(update={"recording_id": copy.recording_id}) for copy in group]
        entries.append(entry)
    return entries


def _wait(future: Future[list[NormalisedRecording]], progress: _DecodingProgress) -> list[NormalisedRecording]:
    while True:
        finished = wait([future], timeout=HEARTBEAT).done
        progress.tell()
        if finished:
            return future.result()


def _moved(entry: NormalisedRecording, base: int) -> NormalisedRecording:
    tracks = tuple(
        ChannelSpan(channel=track.channel, offset=base + track.offset, samples=track.samples) for track in entry.tracks
    )
    return entry.model_copy(update={"tracks": tracks})


def _tell(recording: Recording, entry: NormalisedRecording, log: Callable[[str], None]) -> None:
    name = f"{recording.recording_id} {recording.path!r}"
    if entry.error_class:
        log(f"{name}: {entry.error_class}: {entry.error_message}")
    elif entry.flags:
        log(f"{name}: {', '.join(entry.flags)}, {entry.duration:.1f} seconds decoded")
