"""One run of ffmpeg over one hostile file: bounded in time, memory and length, and listened to."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import ffmpeg

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.errors import CrashError, InstallationError, TimedOut
from snakescribe.files import die_with_parent
from snakescribe.media import ALLOWED_DEMUXERS, PROTOCOLS

MEMORY = 2 << 30
"""Bytes one ffmpeg may allocate: a header may ask for any amount."""
MOST_CHANNELS = 64
"""As many as ffmpeg's ``pan`` filter takes."""

_BLOCK = 1 << 20  # bytes read at once
_LINE = 4096  # bytes of one line of stderr that are looked at
_COMPLAINTS = 1  # lines of stderr kept for the row: the first one names the cause
_HARD_EXIT = 123  # ffmpeg's own, after more than three signals, and without its closing line (fftools/ffmpeg.c)
_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, _HARD_EXIT)

_TAGGED = re.compile(r"(?:\[[^\]]* @ 0x[0-9a-f]+\] )*\[(info|warning|error|fatal|panic)\] (.*)", re.DOTALL)
_CONTAINER = re.compile(r"Input #0, (.+?), from ")
_DURATION = re.compile(r"  Duration: (\d+):(\d\d):(\d\d\.\d+)")
_EARLY_END = re.compile(r"File ended prematurely|partial file|[Pp]acket corrupt|corrupt input packet")
_GENERIC = re.compile(
    r"Error opening input files?\b|Error while decoding|Decoding error|Error submitting packet"
    r"|Conversion failed|Task finished|Terminating thread|Nothing was written"
)


def ffmpeg_path() -> str:
    """The binary that the ``imageio-ffmpeg`` wheel carries, else the system's.

    The wheel's resamples alike on every machine and starts in a fifth of the time of one with shared libraries.
    ``IMAGEIO_FFMPEG_EXE`` names another one.

    Raises:
        InstallationError: there is none, or the named one is not there.
    """
    named = "ffmpeg"
    with contextlib.suppress(ImportError, RuntimeError):
        import imageio_ffmpeg

        named = str(imageio_ffmpeg.get_ffmpeg_exe())
    found = shutil.which(named)
    if not found and named != "ffmpeg":
        raise InstallationError(f"{named} cannot be run; is IMAGEIO_FFMPEG_EXE right?")
    if not found:
        raise InstallationError("there is no ffmpeg; install it (apt install ffmpeg, or pip install imageio-ffmpeg)")
    return found


def ffmpeg_version() -> str:
    """The version as the binary states it, e.g. ``5.1.9-0+deb12u1``; asked again when the file is another one.

    Raises:
        InstallationError: there is no ffmpeg, or it does not work.
    """
    path = ffmpeg_path()
    file = Path(path).stat()
    return _stated_version(path, file.st_ino, file.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _stated_version(path: str, inode: int, mtime_ns: int) -> str:
    """A server may live longer than an installed ffmpeg: ``inode`` and ``mtime_ns`` tell the next one at ``path``."""
    try:
        run = subprocess.run([path, "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    stated = re.match(rb"ffmpeg version (\S+)", run.stdout)
    if run.returncode or not stated:
        said = (run.stderr or run.stdout).decode(errors="replace").strip().splitlines()
        raise _unusable(path, said[-1][:100] if said else f"exit code {run.returncode}")
    return stated[1].decode(errors="replace")


def _unusable(path: str, why: str) -> InstallationError:
    return InstallationError(f"{path} does not work ({why}); install another ffmpeg, or name one by IMAGEIO_FFMPEG_EXE")


@dataclass
class FfmpegReport:
    """What ffmpeg said that decides a recording's fate; the rest of its stderr is not kept."""

    source: bytes
    container: str = ""
    """ffmpeg's name of the demuxer, e.g. ``matroska,webm``."""
    duration: float | None = None
    """Seconds by the header; None when it does not say."""
    estimated: bool = False
    """The duration is only the file's size over its bit rate."""
    early_end: bool = False
    no_audio: bool = False
    forbidden: bool = False
    """A playlist, picture or script: nothing that may be opened as a recording."""
    interrupted: bool = False
    complaints: list[str] = field(default_factory=list)

    def line(self, raw: bytes) -> None:
        """Take in one line of stderr, written with ``-v level+info``."""
        tagged = _TAGGED.match(raw.replace(b"file:" + self.source, b"the file").decode(errors="replace"))
        if not tagged:
            return
        level, text = tagged.groups()
        if level == "info":
            if (found := _CONTAINER.match(text)) and not self.container:
                self.container = found[1]
            elif (found := _DURATION.match(text)) and self.duration is None:
                self.duration = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
            self.interrupted |= text.startswith("Exiting normally, received signal")
            return
        self.estimated |= text.startswith("Estimating duration")
        self.early_end |= bool(_EARLY_END.search(text))
        self.no_audio |= "matches no streams" in text
        self.forbidden |= "Format not on whitelist" in text or "Not detecting m3u8" in text
        text = " ".join(text.split())[:100]
        wanted = level != "warning" and not _GENERIC.match(text) and text not in self.complaints
        if wanted and len(self.complaints) < _COMPLAINTS:
            self.complaints.append(text)


@dataclass(frozen=True)
class Decoded:
    """The end of one run of ffmpeg."""

    samples: int
    too_long: bool
    exit_code: int
    heard: FfmpegReport


def decode(
    source: str, filters: str, target: BinaryIO, most: int, seconds: float, tick: Callable[[int], None]
) -> Decoded:
    """Decode the first audio stream of ``source`` to 16 kHz mono s16le, appended to ``target``.

    Args:
        source: absolute path, as ``os.fsdecode`` gives it.
        filters: an ffmpeg filter chain that leaves one channel.
        target: where the samples go, a megabyte at a time.
        most: stop after so many samples.
        seconds: stop after so long.
        tick: told the samples of every block; what it raises ends the decoding.

    Raises:
        TimedOut: ``seconds`` have passed.
        CrashError: ffmpeg was killed from outside (the recording is not to blame).
        InstallationError: there is no ffmpeg, or it cannot be started.
        OSError: ``target`` cannot be written.
    """
    size = 0

    def write(block: bytes) -> bool:
        nonlocal size
        block = block[: SAMPLE_BYTES * most - size]
        target.write(block)
        size += len(block)
        tick(len(block) // SAMPLE_BYTES)
        return size < SAMPLE_BYTES * most

    heard = FfmpegReport(_first_line(source))
    exit_code = _run(_command(source, f="s16le", af=filters, ar=SAMPLE_RATE, ac=1), write, heard, seconds)
    if size % SAMPLE_BYTES:  # ffmpeg ended within a sample
        target.seek(-1, os.SEEK_CUR)
        target.truncate()
    return Decoded(size // SAMPLE_BYTES, size >= SAMPLE_BYTES * most, exit_code, heard)


def count_channels(source: str, seconds: float) -> tuple[int, FfmpegReport]:
    """Channels of the first audio stream (0 when nothing can be decoded), and what ffmpeg said.

    Raises:
        TimedOut: ``seconds`` have passed.
    """
    header = b""

    def read(block: bytes) -> bool:
        nonlocal header
        header += block[:24]
        return len(header) < 24

    heard = FfmpegReport(_first_line(source))
    _run(_command(source, **{"f": "au", "frames:a": 1}), read, heard, seconds)
    return int.from_bytes(header[20:24], "big"), heard  # the sixth field of a Sun audio header


def _first_line(source: str) -> bytes:
    return os.fsencode(source).split(b"\n")[0]


def _command(source: str, **output: Any) -> list[str]:
    """The command line: one local file in by an unmistakable name, one stream out to a pipe."""
    reading = {"protocol_whitelist": PROTOCOLS, "format_whitelist": ALLOWED_DEMUXERS, "threads": 1}
    unwanted = {"vn": None, "sn": None, "dn": None}
    quiet = ("-nostdin", "-hide_banner", "-nostats", "-v", "level+info")
    stream = ffmpeg.input("SOURCE", **reading, **unwanted)["a:0"].output("pipe:1", **output)
    command = cast("list[str]", stream.global_args(*quiet).compile(cmd=ffmpeg_path()))
    command[command.index("SOURCE")] = f"file:{source}"  # ffmpeg-python takes no name that is not UTF-8
    return command


def _run(command: list[str], take: Callable[[bytes], bool], heard: FfmpegReport, seconds: float) -> int:
    """Run ffmpeg until it ends or ``take`` has enough; both of its pipes are read by this one thread.

    Its own process group keeps a terminal's Ctrl-C from ending it early, which would look like a short
    recording; when this process dies, the closed pipe ends it.
    """
    deadline = time.monotonic() + seconds
    pending = b""
    enough = False
    with (
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
            preexec_fn=die_with_parent,  # one that hangs writes nothing, and so would never notice
        ) as process,
        selectors.DefaultSelector() as selector,
    ):
        try:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
            assert process.stdout and process.stderr
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            while selector.get_map() and not enough:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimedOut(f"reading it took longer than {seconds:.0f} seconds; the file may be damaged")
                for key, _ in selector.select(left):
                    block = os.read(key.fd, _BLOCK)
                    if not block:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        enough = not take(block)
                    else:
                        *lines, pending = (pending + block).split(b"\n")
                        for line in lines:
                            heard.line(line[:_LINE])
                        pending = pending[:_LINE]
            heard.line(pending)
        finally:
            if enough or selector.get_map():
                process.kill()
    if not enough and (process.returncode in _OUTSIDE or (heard.interrupted and process.returncode == 255)):
        raise CrashError("ffmpeg was ended from outside (no memory left, or a stop of the job); run again")
    return process.returncode
