"""One recording: its channels decoded one after the other, or the reason why not, in words for its owner."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.decoder import MOST_CHANNELS, Decoded, FfmpegReport, count_channels, decode, ffmpeg_version
from snakescribe.audio.samples import ChannelSpan, NormalisedRecording
from snakescribe.audio.truncation import ends_early
from snakescribe.config.options import AudioOptions, Channels
from snakescribe.errors import (
    EmptyRecording,
    NoAudioTrack,
    RecordingError,
    TooLong,
    TruncatedRecording,
    UnreadableRecording,
    VanishedRecording,
)
from snakescribe.recording import Recording

LOWEST_RATE = 750
"""Bytes per second that speech needs at least (Opus at 6 kb/s), to guess an unknown duration by the size."""

_DOWNMIXED = 8  # channels up to which ffmpeg knows how layouts fold to mono; beyond, all weigh the same
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")


def channel_filter(channel: int | None, channels: int | None, audio: AudioOptions) -> str:
    """The ffmpeg filters from the source's channels to one.

    ``highpass`` and ``loudnorm`` work on the one channel, before resampling. ``loudnorm`` is ffmpeg's
    implementation of EBU R 128 in its single-pass (dynamic) mode, which needs no second look at the file.

    >>> channel_filter(1, 2, AudioOptions(highpass=80.0, loudness=-23.0))
    'pan=mono|c0=c1,highpass=f=80.0,loudnorm=I=-23.0'
    >>> channel_filter(None, 2, AudioOptions())
    'aformat=channel_layouts=mono'
    """
    if channel is not None:
        chain = [f"pan=mono|c0=c{channel}"]
    elif channels and _DOWNMIXED < channels <= MOST_CHANNELS:
        chain = ["pan=mono|c0=" + "+".join(f"{1 / channels:.6f}*c{number}" for number in range(channels))]
    else:
        chain = ["aformat=channel_layouts=mono"]
    if audio.highpass is not None:
        chain.append(f"highpass=f={audio.highpass}")
    if audio.loudness is not None:
        chain.append(f"loudnorm=I={audio.loudness}")
    return ",".join(chain)


def channel_names(channels: int, names: dict[str, str]) -> list[str | None]:
    """Names of the tracks of ``split``; a single channel needs none.

    >>> channel_names(2, {"left": "agent"})
    ['agent', 'right']
    >>> channel_names(3, {"c1": "caller"})
    ['c0', 'caller', 'c2']
    >>> channel_names(1, {})
    [None]
    """
    if channels == 1:
        return [None]
    plain = ["left", "right"] if channels == 2 else [f"c{number}" for number in range(channels)]
    return [names.get(name, name) for name in plain]


def time_limit(recording: Recording, audio: AudioOptions) -> float:
    """Seconds that decoding one channel may take: 120, a fifth of the duration, and one for every 2 MB.

    A fifth is ten times what ``loudnorm``, the slowest filter, takes on one core; a duration the header does
    not tell is guessed by the size, and none counts beyond ``audio.max_hours``.
    """
    duration = recording.duration if recording.duration is not None else recording.size / LOWEST_RATE
    return 120 + min(duration, audio.max_hours * 3600) / 5 + recording.size / 2e6


def normalise_recording(
    recording: Recording, source: str, audio: AudioOptions, target: BinaryIO, tick: Callable[[int], None]
) -> NormalisedRecording:
    """Decode ``source`` into ``target`` (s16le, tracks one after the other; offsets count from 0).

    Args:
        recording: what the inventory knows; its ``channel_mode`` wins over ``audio.channels``.
        source: absolute path, as ``os.fsdecode`` gives it.
        audio: the options.
        target: an empty file; after a failure its content means nothing.
        tick: told the samples of every block decoded; what it raises ends the work.
    """
    began = time.monotonic()
    tracks: tuple[ChannelSpan, ...] = ()
    failure: RecordingError | None = None
    early = False
    try:
        tracks, early = _decode_tracks(recording, source, audio, target, tick)
    except RecordingError as error:
        failure = error
    return NormalisedRecording(
        recording_id=recording.recording_id,
        tracks=tracks,
        duration=max(track.samples for track in tracks) / SAMPLE_RATE if tracks else None,
        flags=("truncated",) if early else (),
        error_class=type(failure).__name__ if failure else None,
        error_message=str(failure) if failure else None,
        ffmpeg=ffmpeg_version() if tracks else None,
        wall_seconds=round(time.monotonic() - began, 3),
    )


def _decode_tracks(
    recording: Recording, source: str, audio: AudioOptions, target: BinaryIO, tick: Callable[[int], None]
) -> tuple[tuple[ChannelSpan, ...], bool]:
    _look(recording, source)
    seconds = time_limit(recording, audio)
    most = round(audio.max_hours * 3600 * SAMPLE_RATE)
    tracks: list[ChannelSpan] = []
    early = False
    for name, number in _wanted_channels(recording, source, audio, seconds):
        filters = channel_filter(number, recording.channels, audio)
        decoded = decode(source, filters, target, most + 1, seconds, tick)
        if decoded.too_long:
            raise TooLong(f"longer than {audio.max_hours:g} hours; raise audio.max_hours or cut the recording")
        if decoded.samples == 0:
            raise _why_nothing(source, decoded)
        early |= ends_early(source, decoded)
        offset = tracks[-1].offset + tracks[-1].samples if tracks else 0
        tracks.append(ChannelSpan(channel=name, offset=offset, samples=decoded.samples))
    if early and audio.truncated == "fail":
        kept = tracks[0].samples / SAMPLE_RATE
        raise TruncatedRecording(
            f"the file ends early, after {kept:.1f} seconds; copy it again from its source,"
            " or set audio.truncated: keep"
        )
    return tuple(tracks), early


def _look(recording: Recording, source: str) -> None:
    """Refuse what is not the file of the inventory, before ffmpeg sees it."""
    try:
        status = Path(source).stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableRecording("this is not a regular file")
        with open(source, "rb"):
            pass
    except (FileNotFoundError, NotADirectoryError):
        raise VanishedRecording("the file is gone since the inventory was taken; put it back and run again") from None
    except PermissionError:
        raise UnreadableRecording("no permission to read the file; change its permissions and run again") from None
    except OSError as error:
        raise UnreadableRecording(f"the file cannot be opened: {error.strerror}") from None
    if recording.sha256 and status.st_size != recording.size:
        raise VanishedRecording(
            f"the file has changed since the inventory was taken ({recording.size} bytes then,"
            f" {status.st_size} now); run again to take it as it is"
        )
    if status.st_size == 0:
        raise EmptyRecording("the file is empty (0 bytes)")


def _wanted_channels(
    recording: Recording, source: str, audio: AudioOptions, seconds: float
) -> list[tuple[str | None, int | None]]:
    """Name and number of every channel to decode; number None is the mix of all."""
    mode: Channels = recording.channel_mode or audio.channels
    if mode == "mix":
        return [(None, None)]
    channels = recording.channels
    if channels is None:
        channels, heard = count_channels(source, seconds)
        if channels == 0:
            raise _why_nothing(source, Decoded(0, False, 1, heard))
    if channels > MOST_CHANNELS:
        raise UnreadableRecording(f"{channels} channels; at most {MOST_CHANNELS} can be told apart, use channels: mix")
    if mode == "split":
        return list(zip(channel_names(channels, audio.channel_names), range(channels), strict=True))
    return [(None, 1 if mode == "right" and channels > 1 else 0)]


def _why_nothing(source: str, decoded: Decoded) -> RecordingError:
    """The reason why there is not a single sample."""
    heard = decoded.heard
    if heard.no_audio:
        return NoAudioTrack("the file has no audio track")
    if heard.forbidden:
        with open(source, "rb") as file:
            picture = file.read(4).startswith(_PICTURES)
        if picture:
            return NoAudioTrack("the file is a picture, whatever its name says")
        return UnreadableRecording("not a recording: a playlist, a script or another kind of file that is never opened")
    if decoded.exit_code == 0:
        return EmptyRecording(f"the file holds no audio samples{_detail(heard)}")
    return UnreadableRecording(f"no audio can be read; the file is damaged or not a recording{_detail(heard)}")


def _detail(heard: FfmpegReport) -> str:
    return f": {'; '.join(heard.complaints)}" if heard.complaints else ""
