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
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ffmpeg
import numpy as np
import numpy.typing as npt

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.audio.clock import CONTAINER_JUMP, FILTER, Clock
from snakescribe.audio.parts import WHOLE, Part
from snakescribe.audio.report import FfmpegReport
from snakescribe.errors import CrashError, InstallationError, TimedOut
from snakescribe.files import die_with_parent
from snakescribe.media import ALLOWED_DEMUXERS, PROTOCOLS

MEMORY = 2 << 30
"""Bytes one ffmpeg may allocate: a header may ask for any amount."""
MOST_CHANNELS = 64
"""As many as ffmpeg's ``pan`` filter takes."""

GATHERED = 1 << 15
"""Samples (2 s) that are handed on at once; ffmpeg writes a few hundred at a time."""

_BLOCK = 1 << 20  # bytes read at once
_LINE = 4096  # bytes of one line of stderr that are looked at
_HARD_EXIT = 123  # ffmpeg's own, after more than three signals, and without its closing line (fftools/ffmpeg.c)
_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, _HARD_EXIT)


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


@dataclass(frozen=True)
class Decoded:
    """The end of one run of ffmpeg."""

    samples: int
    """Per channel."""
    exit_code: int
    heard: FfmpegReport
    clock: Clock


Block = npt.NDArray[np.int16]
"""Sound of a track, shape (samples, channels), 16 kHz."""


def decode(
    source: str,
    take: Callable[[Block, FfmpegReport], bool],
    seconds: float,
    track: int = 0,
    filters: Sequence[str] = (),
    most: int = sys.maxsize,
    reading: Mapping[str, Any] = types.MappingProxyType({}),
    part: Part = WHOLE,
) -> Decoded:
    """Decode an audio track of ``source`` to 16 kHz s16, all its channels.

    Args:
        source: absolute path, as ``os.fsdecode`` gives it.
        take: given the sound a block at a time, and what ffmpeg has said of the file before the first one; False ends
            the decoding, and so does what it raises.
        seconds: stop after so long.
        track: which of the audio tracks, from 0.
        filters: ffmpeg filters, on all channels.
        most: stop after so many samples per channel.
        reading: options of the demuxer and decoder, before the usual ones.
        part: the bytes of the file to read.

    Raises:
        TimedOut: ``seconds`` have passed.
        CrashError: ffmpeg was killed from outside (the recording is not to blame).
        InstallationError: there is no ffmpeg, or it cannot be started.
    """
    heard = FfmpegReport(os.fsencode(source).split(b"\n")[0])
    sound = _Sound()
    samples = 0

    def read(data: bytes) -> bool:
        sound.add(data)
        return give(0 if samples == 0 else GATHERED)

    def give(least: int) -> bool:
        nonlocal samples
        block = sound.take(least)[: most - samples]
        samples += len(block)
        return (not len(block) or take(block, heard)) and samples < most

    output = {"f": "au", "flush_packets": 0, "c:a": "pcm_s16be", "af": ",".join((FILTER, *filters)), "ar": SAMPLE_RATE}
    exit_code = _run(_command(source, track, part, reading, output), read, heard, seconds)
    if samples < most:
        give(0)
    return Decoded(samples, exit_code, heard, heard.clock(track, samples / SAMPLE_RATE))


NOTHING: Block = np.zeros((0, 1), np.int16)


class _Sound:
    """A Sun audio file that comes in pieces: its header says how many channels there are."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._channels = 0

    def add(self, data: bytes) -> None:
        self._data += data
        begin = int.from_bytes(self._data[4:8], "big")  # the second field; the sixth is the number of channels
        if not self._channels and len(self._data) >= max(begin, 24):
            self._channels = int.from_bytes(self._data[20:24], "big")
            del self._data[:begin]

    def take(self, least: int) -> Block:
        """The samples that are there, if there are at least so many."""
        frame = SAMPLE_BYTES * self._channels
        whole = len(self._data) // frame if frame else 0
        if whole < max(least, 1):
            return NOTHING
        block = np.frombuffer(bytes(self._data[: whole * frame]), ">i2").astype(np.int16)
        del self._data[: whole * frame]
        return block.reshape(-1, self._channels)


def _command(source: str, track: int, part: Part, reading: Mapping[str, Any], output: Mapping[str, Any]) -> list[str]:
    """The command line: one local file in by an unmistakable name, one stream out to a pipe."""
    url = part.url(f"file:{source}")
    protocols = PROTOCOLS if url.startswith("file:") else f"{PROTOCOLS},subfile"
    reading = {**reading, "ignore_length": 1} if part.ignore_length else {**reading}
    limits = {"protocol_whitelist": protocols, "format_whitelist": ALLOWED_DEMUXERS, "threads": 1}
    unwanted = {"vn": None, "sn": None, "dn": None, "dts_delta_threshold": CONTAINER_JUMP}
    quiet = ("-nostdin", "-hide_banner", "-nostats", "-v", "level+info")
    stream = ffmpeg.input("SOURCE", **(limits | unwanted | reading))[f"a:{track}"].output("pipe:1", **output)
    command = cast("list[str]", stream.global_args(*quiet).compile(cmd=ffmpeg_path()))
    command[command.index("SOURCE")] = url  # ffmpeg-python takes no name that is not UTF-8
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
                # What is said first: the description of the file is written before its sound.
                for key, _ in sorted(selector.select(left), key=lambda ready: ready[0].fileobj is process.stdout):
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
