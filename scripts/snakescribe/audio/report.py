"""What ffmpeg says while it decodes: the streams it found, their clock, and what went wrong."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, field
from itertools import pairwise

from snakescribe.audio.clock import Clock

_TAGGED = re.compile(r"(?:\[[^\]]* @ 0x[0-9a-f]+\] )*\[(info|warning|error|fatal|panic)\] (.*)", re.DOTALL)
_CONTAINER = re.compile(r"Input #0, (.+?), from ")
_DURATION = re.compile(r"  Duration: (\d+):(\d\d):(\d\d\.\d+)")
_START = re.compile(r"  Duration: .*?, start: (-?\d+\.\d+)")
_STREAM = re.compile(r"  Stream #0:\d+(?:\[0x[0-9a-f]+\])?(?:\(([^)]*)\))?: (\w+): (\w+)(.*)")
_RATE = re.compile(r", (\d+) Hz, ([^,]+)(?:, (\w+))?")
_LATE = re.compile(r", start (-?\d+\.\d+)")
_ASIDE = re.compile(r"\((?:comment|visual impaired|descriptions|clean effects)\)")
_TITLE = re.compile(r"      title +: (.*)")
_TIME = re.compile(r"-?(?:\d+\.\d+|nan|inf)")
"""By the filter of the clock."""
_EARLY_END = re.compile(r"File ended prematurely|partial file|[Pp]acket corrupt|corrupt input packet")
_STOPPED = re.compile(r"(?:Error (?:during demuxing|opening input)|.*\bthe file): (.*)")
_DRIVE = {
    os.strerror(getattr(errno, name))
    for name in "EIO ESTALE ETIMEDOUT EREMOTEIO ENODEV ENXIO EHOSTDOWN ENOTCONN ECONNRESET EHOSTUNREACH".split()
}
_GENERIC = re.compile(
    r"Error opening input files?\b|Error while decoding|Decoding error|Error submitting packet"
    r"|Conversion failed|Task finished|Terminating thread|Nothing was written"
)
_COMPLAINTS = 1  # lines of stderr kept for the row: the first one names the cause
MOST_STREAMS = 1000
"""Audio streams that are remembered; a header may declare any number."""


@dataclass
class AudioStream:
    """An audio track of a file, as ffmpeg describes it before it decodes."""

    codec: str
    """ffmpeg's name, e.g. ``aac``; ``none`` when it has no decoder."""
    sample_rate: int | None = None
    """Hz."""
    layout: str = ""
    """ffmpeg's name of the channel layout, e.g. ``5.1(side)``."""
    sample_format: str = ""
    """What the decoder gives, e.g. ``fltp``."""
    language: str | None = None
    """As the file has it, mostly ISO 639-2, e.g. ``kor``; None when it says nothing (``und``)."""
    title: str | None = None
    default: bool = False
    aside: bool = False
    """A commentary, a description of the picture for the blind, or music and effects alone."""
    start: float | None = None
    """Seconds, its first time stamp; None when ffmpeg does not say (0, or before version 9)."""

    @property
    def beyond_16_bits(self) -> bool:
        """Samples beyond full scale, or far below 16 bits, are still there after decoding."""
        return self.sample_format.startswith(("flt", "dbl", "s32"))


@dataclass
class FfmpegReport:
    """What ffmpeg said that decides a recording's fate; the rest of its stderr is not kept."""

    source: bytes
    container: str = ""
    """ffmpeg's name of the demuxer, e.g. ``matroska,webm``."""
    duration: float | None = None
    """Seconds by the header; None when it does not say."""
    start: float = 0.0
    """Seconds, the first time stamp of all streams: what a player shows as 0."""
    estimated: bool = False
    """The duration is only the file's size over its bit rate."""
    streams: list[AudioStream] = field(default_factory=list)
    early_end: bool = False
    stopped: str | None = None
    """Why reading stopped before the end of the file, in ffmpeg's words."""
    two_codecs: bool = False
    """A track of an MP4 goes on in another codec; ffmpeg decodes only what is in the first one."""
    others: bool = False
    """The file has streams that are no sound and may be longer: pictures, subtitles."""
    no_audio: bool = False
    no_decoder: bool = False
    """The track's codec is known, but not how to decode it."""
    forbidden: bool = False
    """A playlist, picture or script: nothing that may be opened as a recording."""
    interrupted: bool = False
    complaints: list[str] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _described: bool = False
    """The streams of the input are all listed; what follows speaks of the output."""
    _audio: bool = False
    """The stream described last is an audio stream."""

    @property
    def drive_error(self) -> str | None:
        """Why the file could not be read although it may be whole."""
        return self.stopped if self.stopped in _DRIVE else None

    def clock(self, track: int, sound: float) -> Clock:
        """Where the decoded audio track (from 0), so many seconds of sound, begins and has gaps by its time stamps."""
        first = self.streams[track].start if track < len(self.streams) else None
        late = first - self.start if first is not None else 0.0
        return Clock.of(list(pairwise(self._times))[::2], late, sound)

    def line(self, raw: bytes) -> None:
        """Take in one line of stderr, written with ``-v level+info``."""
        tagged = _TAGGED.match(raw.replace(b"file:" + self.source, b"the file").decode(errors="replace"))
        if not tagged:
            return
        level, text = tagged.groups()
        if level == "info":
            if _TIME.fullmatch(text):
                self._times.append(float(text))
            elif not self._described:
                self._described = text.startswith(("Stream mapping", "Output #"))
                self._describe(text)
            self.interrupted |= text.startswith("Exiting normally, received signal")
            return
        self.estimated |= text.startswith("Estimating duration")
        self.early_end |= bool(_EARLY_END.search(text))
        if stopped := _STOPPED.match(text):
            self.stopped = stopped[1]
        self.two_codecs |= "multiple fourcc not supported" in text
        self.no_decoder |= text.startswith("Decoding requested, but no decoder found")
        self.no_audio |= "matches no streams" in text
        self.forbidden |= "Format not on whitelist" in text or "Not detecting m3u8" in text
        text = " ".join(text.split())[:100]
        wanted = level != "warning" and not _GENERIC.match(text) and text not in self.complaints
        if wanted and len(self.complaints) < _COMPLAINTS:
            self.complaints.append(text)

    def _describe(self, text: str) -> None:
        if (found := _START.match(text)) and not self.start:
            self.start = float(found[1])
        if (found := _CONTAINER.match(text)) and not self.container:
            self.container = found[1]
        elif (found := _DURATION.match(text)) and self.duration is None:
            self.duration = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
        elif found := _STREAM.match(text):
            language, kind, codec, rest = found.groups()
            self.others |= kind != "Audio" and "(attached pic)" not in rest
            self._audio = kind == "Audio" and len(self.streams) < MOST_STREAMS
            if self._audio:
                rate = _RATE.match(rest[rest.find(", ") :]) if ", " in rest else None
                late = _LATE.search(rest)
                self.streams.append(
                    AudioStream(
                        codec=codec,
                        sample_rate=int(rate[1]) if rate else None,
                        layout=rate[2] if rate else "",
                        sample_format=(rate[3] or "") if rate else "",
                        language=language if language != "und" else None,
                        default="(default)" in rest,
                        aside=bool(_ASIDE.search(rest)),
                        start=float(late[1]) if late else None,
                    )
                )
        elif (found := _TITLE.match(text)) and self._audio and self.streams[-1].title is None:
            self.streams[-1].title = " ".join(found[1].split())[:100] or None
