"""What is missing in what was decoded, and whether the file ends early: the evidence, container by container.

Formats without a length anywhere (MP3 without a Xing header, G.722, raw AAC or AMR cut between frames) cannot be known
to be short, and are not flagged; nor is FLAC that was written as a stream.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.decoder import Decoded
from snakescribe.audio.elements import core_audio_is_cut
from snakescribe.audio.parts import Part
from snakescribe.audio.wave import WaveHeader
from snakescribe.errors import DriveFailure, TruncatedRecording
from snakescribe.flags import RecordingFlag

COUNTED = {"aiff", "ape", "au", "caf", "dsf", "flac", "mp3", "tta", "w64", "wav", "wv"}
"""Containers whose header counts the samples or frames, so that fewer decoded samples mean a cut.

The others have time stamps: gaps are legal there (a muted microphone), a video may be longer than its
sound, and ffmpeg says itself when such a file ends early.
"""
UNRELIABLE = {"caf", "g726", "g726le", "mpegts", "wav"}
"""Where ffmpeg calls the last packet of a streamed file, or one without a header, corrupt, although nothing is
missing."""
SAY_THEIR_END = ("matroska", "nut", "asf", "ogg", "mov")
"""Containers that, cut out of a live stream, say when they end and not how long they are (of MP4: in fragments)."""
SLACK = 0.5
"""Seconds, and …"""
SLACK_SHARE = 0.005
"""… share of the declared duration that may be missing: encoder delay, rounded headers."""

TOLERATED = 1.0
"""Seconds that may be missing within a file before it is incomplete."""

_OGG_PAGE = 65_307  # bytes of the longest page, RFC 3533


@dataclass(frozen=True)
class Shortfall:
    """What a file promises and does not hold."""

    seconds: float = 0.0
    """As far as they can be known."""
    cut: bool = False
    """It is only the beginning of what was recorded."""
    stopped: bool = False
    """Something in it could not be read, and nothing behind it was."""

    @property
    def flags(self) -> tuple[RecordingFlag, ...]:
        """At most one: a file that is cut is not complete either."""
        if self.cut:
            return ("truncated",)
        return ("incomplete",) if self.stopped or self.seconds > TOLERATED else ()

    def __add__(self, other: Shortfall) -> Shortfall:
        """Of two parts of a file."""
        return Shortfall(self.seconds + other.seconds, self.cut or other.cut, self.stopped or other.stopped)


def not_kept(cut: bool, kept: float, missing: float) -> TruncatedRecording:
    """For the row, where ``audio.truncated`` is ``fail``; seconds."""
    what = f"part of the file cannot be decoded ({missing:.1f} seconds are missing)"
    if cut:
        what = f"the file ends early, after {kept:.1f} seconds"
    return TruncatedRecording(f"{what}; copy it again from its source, or set audio.truncated: keep")


def shortfall(source: str, part: Part, decoded: Decoded) -> Shortfall:
    """Compare what was decoded of a part with what its container and its packets promise.

    Raises:
        DriveFailure: the file cannot be read again.
    """
    heard = decoded.heard
    seconds = decoded.samples / SAMPLE_RATE
    declared = _declared(source, part, decoded)
    missing = max(0.0, declared - seconds) if declared is not None else 0.0
    if heard.container not in COUNTED:
        missing = max(0.0, missing - decoded.clock.seconds)
        if heard.complaints or heard.two_codecs:  # else a muted microphone
            missing += sum(end - start for start, end in decoded.clock.gaps)
    cut = decoded.exit_code != 0 or (heard.early_end and heard.container not in UNRELIABLE)
    if heard.container == "ogg":
        cut |= ogg_is_cut(Path(source), part.end)
    elif heard.container == "caf" and core_audio_is_cut(Path(source), part.start, part.end):
        cut = True
    elif heard.container in COUNTED and declared is not None:
        cut |= missing - decoded.clock.seconds > max(SLACK, SLACK_SHARE * declared)
    if missing <= SLACK:
        missing = 0.0
    found = Shortfall(round(missing, 3), cut, bool(heard.stopped) or part.more)
    if found.flags:
        prove_readable(source)
    return found


def _declared(source: str, part: Part, decoded: Decoded) -> float | None:
    """Seconds of sound, None when nobody says."""
    heard = decoded.heard
    if heard.container == "wav":
        share = wav_share(source, part)
        return decoded.samples / SAMPLE_RATE / share if share else None
    if heard.estimated or heard.duration is None or part.ignore_length:
        return None
    alone = len(heard.streams) == 1 and not heard.others
    if not (heard.container in COUNTED or alone or heard.stopped or heard.two_codecs):
        return None
    whole = not heard.complaints  # else its beginning may be what could not be read
    if whole and heard.container.startswith(SAY_THEIR_END) and 0 < heard.start < heard.duration:
        return heard.duration - heard.start
    return heard.duration


def wav_share(source: str, part: Part) -> float | None:
    """Share of the samples that the header of a WAV file announces that is there, at most 1; None when it does not say.

    ffmpeg cannot be asked: it takes the rest of a short file for all of it.
    """
    with open(source, "rb") as file:
        header = WaveHeader.read(file, part.start)
        end = part.end or file.seek(0, os.SEEK_END)
    if header is None or header.size is None:
        return None
    return min(1.0, max(end - header.begin, 1) / header.size)


def prove_readable(source: str) -> None:
    """Read the whole file once, because ffmpeg takes some errors of a drive for the end of the file.

    Raises:
        DriveFailure: it cannot be read to its end.
    """
    try:
        with open(source, "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass
    except OSError as error:
        raise drive_failed(error.strerror or str(error)) from None


def drive_failed(why: str) -> DriveFailure:
    """For the row."""
    return DriveFailure(
        f"the drive or network share failed while the file was read ({why}); nothing of it was kept, see that the file"
        " can be copied and run again"
    )


def ogg_is_cut(path: Path, end: int | None = None) -> bool:
    """Whether the last page of an Ogg file or of its part up to ``end`` is incomplete (many never mark the end)."""
    with path.open("rb") as file:
        end = end or path.stat().st_size
        file.seek(max(0, end - 2 * _OGG_PAGE))
        tail = file.read(end - file.tell())
    start = tail.rfind(b"OggS\0")
    if start < 0:
        return False
    page = tail[start:]
    header = 27 + (page[26] if len(page) > 26 else 1)
    return len(page) < header + sum(page[27:header])
