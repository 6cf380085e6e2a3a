"""One track of a recording, from ffmpeg to samples on disk; again where it was not heard right the first time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.audio.channels import ChannelFiles
from snakescribe.audio.clock import Clock
from snakescribe.audio.decoder import MOST_CHANNELS, Block, Decoded, decode
from snakescribe.audio.fold import ONE, Fold, Levels, first_fold
from snakescribe.audio.parts import Part
from snakescribe.audio.plan import PASSES, Plan, improved
from snakescribe.audio.report import AudioStream, FfmpegReport
from snakescribe.audio.truncation import Shortfall, drive_failed, prove_readable, shortfall
from snakescribe.config.options import Channels
from snakescribe.errors import TooLong, UnreadableRecording
from snakescribe.flags import RecordingFlag

TWO = ("stereo", "2 channels", "downmix")
"""ffmpeg's names of layouts with two channels."""


@dataclass(frozen=True)
class Decoding:
    """What all tracks of a recording have in common."""

    source: str
    """Absolute path, as ``os.fsdecode`` gives it."""
    reading: Mapping[str, Any]
    """Options of the demuxer, for a file without a header."""
    part: Part
    mode: Channels
    highpass: float | None
    """Hz."""
    loudness: float | None
    """LUFS."""
    seconds: float
    """That one run of ffmpeg may take."""
    most_hours: float
    channels: int | None
    """Of the track that is probably decoded, by the header; None when it is not known."""
    target: BinaryIO
    tick: Callable[[int], None]
    """Told the samples of every block."""
    choose: Callable[[list[AudioStream], int], None]
    """Told what the file has and which track is being decoded; it raises when another one is wanted."""


@dataclass(frozen=True)
class Track:
    """A track that was decoded, as it lies in the target."""

    number: int
    """From 0."""
    streams: list[AudioStream]
    """All of the file."""
    source_channels: int
    offset: int
    """Samples of the target before it."""
    channels: int
    samples: int
    """Of each channel, silences included."""
    clock: Clock
    flags: tuple[RecordingFlag, ...]
    """Of the mix."""
    missing: Shortfall

    @property
    def end(self) -> int:
        """Samples of the target up to its end."""
        return self.offset + self.channels * self.samples

    @property
    def stream(self) -> AudioStream:
        """What ffmpeg said of it."""
        return self.streams[self.number]


@dataclass(frozen=True)
class _Sound:
    """What came out of ffmpeg."""

    fold: Fold
    levels: Levels
    files: ChannelFiles


def decode_track(job: Decoding, number: int, offset: int) -> Track | Decoded:
    """Decode a track into the target from ``offset`` (samples) on; without a single sample, only what ffmpeg said.

    Raises:
        TooLong: by its clock it is longer than ``most_hours``.
        UnreadableRecording: it has more channels than can be told apart.
    """
    plan, passes = Plan(number, highpass=job.highpass, stereo_mix=job.mode == "mix" and job.channels == 2), 0
    while True:
        passes += 1
        decoded, sound = _pass(job, plan, offset)
        if passes == 1 and plan.stereo_mix != _mixes_stereo(job, decoded.heard.streams, number):
            plan = replace(plan, stereo_mix=not plan.stereo_mix)
            continue
        if sound is None:
            return decoded
        plan = replace(plan, fold=sound.fold)
        better = improved(plan, sound.levels, decoded.heard.streams[number], job.mode)
        if better.same_sound(plan) or passes == PASSES:
            break
        sound.files.drop()
        plan = better
    fold, clock = better.fold or sound.fold, decoded.clock
    if job.loudness is None:
        samples = sound.files.finish(clock)
    else:  # of each output by itself, so that a far voice comes up
        sound.files.drop()
        samples = 0
        for output, pan in enumerate(fold.pans):
            alone = replace(better, fold=ONE, stereo_mix=False)
            _, even = _pass(job, alone, offset + output * samples, (pan, f"loudnorm=I={job.loudness}"))
            samples = even.files.finish(clock) if even else 0
    return Track(
        number,
        decoded.heard.streams,
        source_channels=sound.levels.channels,
        offset=offset,
        channels=len(fold.weights),
        samples=samples,
        clock=clock,
        flags=fold.flags,
        missing=shortfall(job.source, job.part, decoded),
    )


def _mixes_stereo(job: Decoding, streams: list[AudioStream], track: int) -> bool:
    return job.mode == "mix" and track < len(streams) and streams[track].layout in TWO


def _pass(job: Decoding, plan: Plan, offset: int, filters: tuple[str, ...] = ()) -> tuple[Decoded, _Sound | None]:
    """One run of ffmpeg over a track."""
    most = round(job.most_hours * 3600 * SAMPLE_RATE)
    sound: _Sound | None = None
    if job.target.seek(0, os.SEEK_END) > offset * SAMPLE_BYTES:  # of an earlier pass
        job.target.seek(offset * SAMPLE_BYTES)
        job.target.truncate()

    def take(block: Block, report: FfmpegReport) -> bool:
        nonlocal sound
        sound = sound or begin(block.shape[1], report.streams)
        if sound and plan.stereo_mix:
            sound.levels.add(block[:, :2])
            sound.files.write(block[:, 2:])
        elif sound:
            sound.levels.add(block)
            sound.files.write(sound.fold(block))
        job.tick(len(block))
        return sound is not None

    def begin(channels: int, streams: list[AudioStream]) -> _Sound | None:
        job.choose(streams, plan.track)
        if not plan.fold and plan.stereo_mix != _mixes_stereo(job, streams, plan.track):
            return None
        channels = 2 if plan.stereo_mix else channels
        if job.mode == "split" and channels > MOST_CHANNELS:
            raise UnreadableRecording(f"{channels} channels; at most {MOST_CHANNELS} can be split, use channels: mix")
        fold = plan.fold or first_fold(job.mode, channels, streams[plan.track].layout)
        return _Sound(fold, Levels(channels), ChannelFiles(job.target, len(fold.weights)))

    decoded = decode(
        job.source, take, job.seconds, plan.track, (*plan.filters(), *filters), most + 1, job.reading, job.part
    )
    if decoded.heard.drive_error and decoded.samples:
        raise drive_failed(decoded.heard.drive_error)
    if decoded.heard.drive_error:
        prove_readable(job.source)  # ffmpeg says so, too, of a Matroska header that is cut
    if decoded.samples + decoded.clock.seconds * SAMPLE_RATE > most:
        raise TooLong(f"longer than {job.most_hours:g} hours; raise audio.max_hours or cut the recording")
    if sound is None:
        job.choose(decoded.heard.streams, plan.track)
    return decoded, sound
