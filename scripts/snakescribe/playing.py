"""The sound of recordings for a browser: the file itself where browsers play it, else what ffmpeg hears in it."""

from __future__ import annotations

import shutil
import threading
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.audio.recording import normalise_recording
from snakescribe.audio.samples import open_samples
from snakescribe.config.options import AudioOptions
from snakescribe.errors import UnreadableRecording, VanishedRecording
from snakescribe.files import see_room
from snakescribe.media.magic import head_of
from snakescribe.recording import Recording

KEPT = 2 << 30
"""Bytes of decoded sound that are kept; the newest one is in any case."""
LONGEST = 36.0
"""Hours: what a WAV file has room for."""
_BLOCK = 1 << 20  # samples that are mixed at once

_WAVE = {"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"}
_PLAYED: tuple[tuple[Callable[[bytes], bool], set[str], str], ...] = (
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE", _WAVE, "audio/wav"),
    (lambda head: head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"), {"mp3"}, "audio/mpeg"),
    (lambda head: head[:1] == b"\xff" and head[1:2] >= b"\xf0", {"aac"}, "audio/aac"),
    (lambda head: head[:4] == b"fLaC", {"flac"}, "audio/flac"),
    (lambda head: head[:4] == b"OggS", {"vorbis", "opus", "flac"}, "audio/ogg"),
    (lambda head: head[:4] == b"\x1aE\xdf\xa3" and b"webm" in head[:64], {"vorbis", "opus"}, "audio/webm"),
    (lambda head: head[4:8] == b"ftyp" and head[8:12] != b"qt  ", {"aac", "mp3", "opus", "flac"}, "audio/mp4"),
)
"""Containers and codecs that Chromium, Firefox and Safari play (developer.mozilla.org, "Media container formats")."""


def played_as(head: bytes, codec: str | None) -> str | None:
    r"""The media type of a file that browsers play, None for another; a ``codec`` that is not known is no hindrance.

    >>> played_as(b"RIFF\0\0\0\0WAVEfmt ", "pcm_s16le"), played_as(b"RIFF\0\0\0\0WAVEfmt ", "gsm_ms")
    ('audio/wav', None)
    """
    return next((kind for begins, codecs, kind in _PLAYED if begins(head) and codec in {None, *codecs}), None)


class Sounds:
    """Playable files, made when they are asked for, one at a time."""

    def __init__(self, folder: Path, audio: AudioOptions) -> None:
        """``folder`` is ours alone; what a killed one has left there goes."""
        shutil.rmtree(folder, ignore_errors=True)
        self._folder, self._audio = folder, audio
        self._made: dict[str, Path] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        self._ended = False

    def of(self, recording: Recording, row: Mapping[str, Any], source: Path) -> tuple[Path, str]:
        """A file that browsers play, and its media type.

        Args:
            recording: as the inventory knows it.
            row: of its batch file.
            source: where it lies.

        Raises:
            RecordingError: nothing can be decoded, or it is another file now.
            ResultsError: there is no room.
            InstallationError, CrashError: ffmpeg is missing or was killed.
        """
        kind = played_as(head_of(source), row.get("codec"))
        if kind and (row.get("audio_tracks") or 1) == 1:  # which one of several a browser takes, nobody knows
            return source, kind
        key = recording.recording_id
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(recording, row, source)
                while len(self._made) > 1 and sum(path.stat().st_size for path in self._made.values()) > KEPT:
                    self._made.pop(next(iter(self._made))).unlink()
            return self._made[key], "audio/wav"

    def end(self) -> None:
        """Make no more."""
        self._ended = True

    def clear(self) -> None:
        """Nothing is left on the disk."""
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self, recording: Recording, row: Mapping[str, Any], source: Path) -> Path:
        """What was heard of it, as the engine got it but in one channel."""
        self._folder.mkdir(exist_ok=True)
        hours = min(self._audio.max_hours, LONGEST)
        see_room(self._folder, 2 * min(row["duration"] or 0.0, hours * 3600) * SAMPLE_RATE * SAMPLE_BYTES)
        plain = {
            "highpass": None,
            "loudness": None,
            "max_hours": hours,
            "track": row.get("audio_track") or self._audio.track,
        }
        audio = self._audio.model_copy(update=plain)
        number = next(self._numbers)
        raw, made = (self._folder / f"{number}.{kind}" for kind in ("pcm", "wav"))
        try:
            with raw.open("w+b", buffering=0) as target:
                mixed = replace(recording, channel_mode="mix")
                found = normalise_recording(mixed, str(source), audio, target, self._tick)
            if found.error_class == VanishedRecording.__name__:
                raise VanishedRecording(str(found.error_message))
            if found.error_class:
                raise UnreadableRecording(str(found.error_message))
            samples = open_samples(raw)
            _write(made, [samples[one.offset : one.offset + one.samples] for one in found.tracks])
        except BaseException:
            made.unlink(missing_ok=True)
            raise
        finally:
            raw.unlink(missing_ok=True)
        return made

    def _tick(self, _samples: int) -> None:
        if self._ended:
            raise UnreadableRecording("the review is ended")


def _write(path: Path, tracks: Sequence[npt.NDArray[np.int16]]) -> None:
    """One channel of several."""
    longest = max(len(track) for track in tracks)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, SAMPLE_BYTES, SAMPLE_RATE, longest, "NONE", ""))
        for first in range(0, longest, _BLOCK):
            mixed = np.zeros(min(_BLOCK, longest - first), np.int32)
            for track in tracks:
                part = track[first : first + _BLOCK]
                mixed[: len(part)] += part
            file.writeframes((mixed // len(tracks)).astype("<i2").tobytes())
