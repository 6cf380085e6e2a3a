"""One recording: its tracks decoded one after the other, or the reason why not, in words for its owner."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.decoder import Decoded, ffmpeg_version
from snakescribe.audio.fold import channel_names
from snakescribe.audio.joined import decode_parts
from snakescribe.audio.parts import WHOLE, parts_of
from snakescribe.audio.raw import how_to_say, readable
from snakescribe.audio.report import AudioStream, FfmpegReport
from snakescribe.audio.samples import ChannelSpan, DecodedTrack, NormalisedRecording
from snakescribe.audio.track import Decoding, Track
from snakescribe.audio.tracks import MOST_TRACKS, track_names, wanted_tracks
from snakescribe.audio.truncation import Shortfall, drive_failed, not_kept, prove_readable
from snakescribe.config.options import AudioOptions
from snakescribe.errors import (
    EmptyRecording,
    NoAudioTrack,
    RecordingError,
    UnreadableRecording,
    VanishedRecording,
)
from snakescribe.flags import RecordingFlag
from snakescribe.media.magic import head_of, stranger
from snakescribe.recording import Recording

LOWEST_RATE = 750
"""Bytes per second that speech needs at least (Opus at 6 kb/s), to guess an unknown duration by the size."""

MOST_GAPS = 1000
"""Gaps of the clock that the table lists, the longest ones."""

Speaks = Callable[[Path, int, int], bool]
"""Whether somebody speaks in a file of samples (s16le), from a sample on, in so many."""


def anybody(path: Path, first: int, samples: int) -> bool:
    """For those who do not ask: somebody speaks on every track."""
    return True


_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")


def time_limit(recording: Recording, audio: AudioOptions) -> float:
    """Seconds that one run of ffmpeg may take: 120, a fifth of the duration, and one for every 2 MB.

    A fifth is ten times what ``loudnorm``, the slowest filter, takes on one core; a duration the header does
    not tell is guessed by the size, and none counts beyond ``audio.max_hours``.
    """
    duration = recording.duration if recording.duration is not None else recording.size / LOWEST_RATE
    return 120 + min(duration, audio.max_hours * 3600) / 5 + recording.size / 2e6


def normalise_recording(
    recording: Recording,
    source: str,
    audio: AudioOptions,
    target: BinaryIO,
    tick: Callable[[int], None],
    speaks: Speaks = anybody,
) -> NormalisedRecording:
    """Decode ``source`` into ``target`` (s16le, channels one after the other; offsets count from 0).

    Args:
        recording: what the inventory knows; its ``channel_mode`` wins over ``audio.channels``.
        source: absolute path, as ``os.fsdecode`` gives it.
        audio: the options.
        target: an empty file; after a failure its content means nothing.
        tick: told the samples of every block decoded; what it raises ends the work.
        speaks: asked only of a file with several tracks.
    """
    began = time.monotonic()
    tracks: list[Track] = []
    flags: tuple[RecordingFlag, ...] = ()
    failure: RecordingError | None = None
    try:
        _look(recording, source)
        with readable(recording, source, audio, Path(target.name).parent) as (plain, reading):
            tracks, flags = _decoded_tracks(recording, plain, reading, audio, target, tick, speaks)
        _look(recording, source)  # it may have been replaced meanwhile
    except RecordingError as error:
        tracks, failure = [], error
    return NormalisedRecording(
        recording_id=recording.recording_id,
        tracks=_spans(tracks, audio),
        duration=max(track.samples for track in tracks) / SAMPLE_RATE if tracks else None,
        decoded=_described(tracks) if tracks else None,
        flags=flags,
        error_class=type(failure).__name__ if failure else None,
        error_message=str(failure) if failure else None,
        ffmpeg=ffmpeg_version() if tracks else None,
        wall_seconds=round(time.monotonic() - began, 3),
    )


class _OtherTrack(Exception):
    """The file has another track that is wanted."""


def _decoded_tracks(
    recording: Recording,
    source: str,
    reading: Mapping[str, Any],
    audio: AudioOptions,
    target: BinaryIO,
    tick: Callable[[int], None],
    speaks: Speaks,
) -> tuple[list[Track], tuple[RecordingFlag, ...]]:
    wanted: list[int] = []
    unable: set[int] = set()  # tracks that ffmpeg does not decode

    def choose(streams: list[AudioStream], decoding: int) -> None:
        if not wanted and streams:
            wanted.extend(wanted_tracks(streams, audio.track, unable))
            if wanted[0] != decoding or (len(wanted) > 1 and job.mode != "mix"):
                raise _OtherTrack

    job = Decoding(
        source=source,
        reading=reading,
        part=WHOLE,
        mode=recording.channel_mode or audio.channels,
        highpass=audio.highpass,
        loudness=audio.loudness,
        seconds=time_limit(recording, audio),
        most_hours=audio.max_hours,
        channels=recording.channels,
        target=target,
        tick=tick,
        choose=choose,
    )

    try:
        parts = parts_of(source)
    except OSError as error:
        raise drive_failed(error.strerror or str(error)) from None

    def track(number: int, offset: int = 0) -> Track:
        found = decode_parts(job, parts, number, offset)
        if isinstance(found, Track):
            return found
        if found.heard.no_decoder and len(unable) < MOST_TRACKS:
            unable.add(number)
            left = [other for other in wanted_tracks(found.heard.streams, audio.track, unable) if other not in unable]
            if left and number in wanted:
                wanted[:] = left
                raise _OtherTrack
        raise _why_nothing(recording, source, audio, found)

    tracks: list[Track] = []
    while not tracks:
        try:
            tracks = [track(wanted[0] if wanted else 0)]
            for number in wanted[1:]:
                tracks.append(track(number, tracks[-1].end))
        except _OtherTrack:
            tracks = []
            if len(wanted) > 1:  # a channel each
                job = replace(job, mode="mix")
    other = False
    if audio.track == "default" and len(tracks[0].streams) > 1 and not _somebody_speaks(tracks[0], target, speaks):
        for number in wanted_tracks(tracks[0].streams, "all", unable):
            with contextlib.suppress(RecordingError):  # of a track that was not asked for
                if number != wanted[0] and _somebody_speaks(candidate := track(number), target, speaks):
                    tracks, other = [candidate], True
                    break
        else:
            tracks = [track(wanted[0])]
    missing = sum((track.missing for track in tracks), Shortfall())
    if missing.flags and audio.truncated == "fail":
        raise not_kept(missing.cut, tracks[0].samples / SAMPLE_RATE, missing.seconds)
    found = [*missing.flags, *(flag for track in tracks for flag in track.flags)]
    return tracks, tuple(dict.fromkeys([*found, "other_track"] if other else found))


def _somebody_speaks(track: Track, target: BinaryIO, speaks: Speaks) -> bool:
    target.flush()
    return speaks(Path(target.name), track.offset, track.channels * track.samples)


def _spans(tracks: list[Track], audio: AudioOptions) -> tuple[ChannelSpan, ...]:
    if len(tracks) == 1:
        (track,) = tracks
        return tuple(
            ChannelSpan(channel=name, offset=track.offset + number * track.samples, samples=track.samples)
            for number, name in enumerate(channel_names(track.channels, audio.channel_names))
        )
    names = track_names([track.number for track in tracks], [track.stream for track in tracks])
    return tuple(
        ChannelSpan(channel=name, offset=track.offset, samples=track.samples)
        for name, track in zip(names, tracks, strict=True)
    )


def _described(tracks: list[Track]) -> DecodedTrack:
    track = tracks[0]
    longest = sorted(track.clock.gaps, key=lambda gap: gap[0] - gap[1])[:MOST_GAPS]
    return DecodedTrack(
        codec=track.stream.codec,
        sample_rate=track.stream.sample_rate,
        channels=track.source_channels,
        audio_track=track.number + 1 if len(tracks) == 1 else None,
        audio_tracks=len(track.streams),
        start_offset=round(track.clock.start, 3),
        clock_gaps=tuple((round(start, 3), round(end, 3)) for start, end in sorted(longest)),
        missing_seconds=track.missing.seconds,
    )


def _look(recording: Recording, source: str) -> None:
    """Refuse what is not the file of the inventory: its text would be kept under the checksum of that one."""
    try:
        status = Path(source).stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableRecording("this is not a regular file")
        with open(source, "rb") as file:
            touched = recording.mtime_ns not in (None, status.st_mtime_ns) and recording.sha256
            replaced = touched and hashlib.file_digest(file, "sha256").hexdigest() != recording.sha256
    except (FileNotFoundError, NotADirectoryError):
        raise VanishedRecording("the file is gone since the inventory was taken; put it back and run again") from None
    except PermissionError:
        raise UnreadableRecording("no permission to read the file; change its permissions and run again") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise UnreadableRecording(f"the file cannot be opened: {error.strerror}") from None
        raise drive_failed(error.strerror or str(error)) from None
    if replaced or (recording.sha256 and status.st_size != recording.size):
        raise VanishedRecording("the file has changed since the inventory was taken; run again to take it as it is")
    if status.st_size == 0:
        raise EmptyRecording("the file is empty (0 bytes)")


def _why_nothing(recording: Recording, source: str, audio: AudioOptions, decoded: Decoded) -> RecordingError:
    """The reason why there is not a single sample."""
    heard = decoded.heard
    head = head_of(source)
    if head.startswith(_PICTURES):
        return NoAudioTrack("the file is a picture, whatever its name says")
    if what := stranger(head):
        return UnreadableRecording(f"the file is {what}")
    if decoded.exit_code != 0 and not heard.no_audio and not heard.forbidden:
        prove_readable(source)
    if heard.no_audio:
        return NoAudioTrack("the file has no audio track")
    if missing := how_to_say(recording, audio):
        return UnreadableRecording(missing)
    if heard.forbidden:
        return UnreadableRecording("not a recording: a playlist, a script or another kind of file that is never opened")
    if decoded.exit_code == 0:
        return EmptyRecording(f"the file holds no audio samples{_detail(heard)}")
    if any("moov atom not found" in line for line in heard.complaints):  # MP4 and MOV have their index at the end
        return UnreadableRecording(
            "the recording was never finished, or is only the beginning of it (its index, `moov`, is missing); copy it"
            " again from its source, or mend it with untrunc"
        )
    return UnreadableRecording(
        f"no audio can be read; the file is damaged or not a recording{_detail(heard)}; replace it or move it away"
    )


def _detail(heard: FfmpegReport) -> str:
    return f": {'; '.join(heard.complaints)}" if heard.complaints else ""
