"""A track of a file with several parts: each is decoded for itself, then they are put one after the other."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO, cast

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.audio.clock import Clock, copy_with_holes
from snakescribe.audio.decoder import Decoded
from snakescribe.audio.parts import Part
from snakescribe.audio.track import Decoding, Track, decode_track
from snakescribe.audio.truncation import Shortfall
from snakescribe.errors import TimedOut


def decode_parts(job: Decoding, parts: Sequence[Part], number: int, offset: int) -> Track | Decoded:
    """Decode a track of all parts, as :func:`decode_track` does of one; a part without any sound is left out.

    All parts together have the time and the length of one recording.
    """
    if len(parts) == 1:
        return decode_track(replace(job, part=parts[0]), number, offset)
    deadline = time.monotonic() + job.seconds
    found: list[Track] = []
    silent: list[Decoded] = []
    end, hours = 0, job.most_hours
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(job.target.name) or None) as file:  # noqa: PTH120
        sound = cast("BinaryIO", file)
        for part in parts:
            if time.monotonic() > deadline:
                raise TimedOut(f"reading its {len(parts)} parts took longer than {job.seconds:.0f} seconds")
            left = deadline - time.monotonic()
            here = replace(job, part=part, seconds=left, most_hours=hours, target=sound)
            one = decode_track(here, number, end)
            if found and number and isinstance(one, Decoded):  # it has fewer tracks
                one = decode_track(here, 0, end)
            if isinstance(one, Decoded):
                silent.append(one)
                continue
            found.append(one)
            end, hours = one.end, hours - one.samples / SAMPLE_RATE / 3600
        if not found:
            return silent[0]
        _join(sound, found, job.target, offset)
    lost = parts[-1].more or any(one.exit_code for one in silent)
    return replace(
        found[0],
        offset=offset,
        channels=max(track.channels for track in found),
        source_channels=max(track.source_channels for track in found),
        samples=sum(track.samples for track in found),
        clock=_clock(found),
        flags=tuple(dict.fromkeys(flag for track in found for flag in track.flags)),
        missing=sum((track.missing for track in found), Shortfall(stopped=lost)),
    )


def _join(sound: BinaryIO, found: Sequence[Track], target: BinaryIO, offset: int) -> None:
    """Output by output; a part with fewer channels is silent on the last ones."""
    target.seek(offset * SAMPLE_BYTES)
    target.truncate()
    for output in range(max(track.channels for track in found)):
        for track in found:
            if output < track.channels:
                sound.seek((track.offset + output * track.samples) * SAMPLE_BYTES)
                copy_with_holes(sound, target, track.samples * SAMPLE_BYTES)
            else:
                target.seek(track.samples * SAMPLE_BYTES, os.SEEK_CUR)
    target.truncate()


def _clock(found: Sequence[Track]) -> Clock:
    gaps: list[tuple[float, float]] = []
    begin = 0.0
    for track in found:
        if begin and track.clock.start:
            gaps.append((begin, begin + track.clock.start))
        gaps += [(begin + start, begin + end) for start, end in track.clock.gaps]
        begin += track.samples / SAMPLE_RATE
    return Clock(found[0].clock.start, tuple(gaps))
