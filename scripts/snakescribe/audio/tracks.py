"""Which audio track of a file is heard, and what it is called."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from snakescribe.audio.report import AudioStream
from snakescribe.config.languages import code_of
from snakescribe.errors import NoAudioTrack

MOST_TRACKS = 64
"""Tracks that ``audio.track: all`` takes."""


def wanted_tracks(streams: Sequence[AudioStream], track: str | int, unable: Collection[int] = ()) -> list[int]:
    """Numbers (from 0) of the tracks that ``audio.track`` asks for; without those that cannot be decoded.

    Raises:
        NoAudioTrack: it asks for one that is not there.

    >>> streams = [AudioStream("aac", language="ger"), AudioStream("aac", language="eng", default=True)]
    >>> wanted_tracks(streams, "default"), wanted_tracks(streams, "de"), wanted_tracks(streams, "all")
    ([1], [0], [0, 1])
    """
    able = [
        number
        for number, stream in enumerate(streams)
        if stream.codec not in ("none", "unknown") and number not in unable
    ]
    if not able:
        return [0]
    if track == "all":
        return able[:MOST_TRACKS]
    if track == "first":
        return able[:1]
    if track == "default":  # as players choose: where none is marked, not a commentary
        return [min(able, key=lambda number: (not streams[number].default, streams[number].aside))]
    if isinstance(track, int):
        found = [track - 1] if track - 1 in able else []
    else:
        found = [number for number in able if code_of(streams[number].language) == track][:1]
        if not found and len(able) == 1 and streams[able[0]].language is None:  # what else could be meant?
            found = able
    if not found:
        there = ", ".join(
            f"{number + 1} ({', '.join(filter(None, (stream.language, stream.title))) or stream.codec})"
            for number, stream in enumerate(streams[:8])
        )
        raise NoAudioTrack(
            f"there is no audio track {track} that can be decoded; the file has {there}; change audio.track"
        )
    return found


def track_names(numbers: Sequence[int], streams: Sequence[AudioStream]) -> list[str]:
    """Names of the channels of ``audio.track: all``: the title, else the language, else the number, each once.

    >>> streams = [AudioStream("aac", title="마이크"), AudioStream("aac", language="eng"), AudioStream("aac")]
    >>> track_names([0, 1, 2], streams)
    ['마이크', 'eng', 'track 3']
    """
    names: list[str] = []
    for number, stream in zip(numbers, streams, strict=True):
        name = stream.title or stream.language or f"track {number + 1}"
        names.append(name if name not in names else f"{name} ({number + 1})")
    return names
