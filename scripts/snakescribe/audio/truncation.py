"""Whether a file ends before its header says: what counts as evidence, container by container.

Formats without a length anywhere (MP3 without a Xing header, G.722, MPEG transport streams, raw AAC or AMR
cut between frames) cannot be known to be short, and are not flagged; nor are WMA and CAF of uncompressed
audio, where ffmpeg tells neither the length nor the cut.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from snakescribe.audio import SAMPLE_RATE
from snakescribe.audio.decoder import Decoded

COUNTED = {"aiff", "ape", "au", "caf", "dsf", "flac", "mp3", "tta", "w64", "wav", "wv"}
"""Containers whose header counts the samples or frames, so that fewer decoded samples mean a cut.

The others have time stamps: gaps are legal there (a muted microphone), a video may be longer than its
sound, and ffmpeg says itself when such a file ends early.
"""
UNRELIABLE = {"caf", "g726", "g726le", "mpegts", "wav"}
"""Where ffmpeg calls the last packet of a streamed file, or one without a header, corrupt, although nothing is
missing."""
SLACK = 0.5
"""Seconds, and …"""
SLACK_SHARE = 0.005
"""… share of the declared duration that may be missing: encoder delay, rounded headers."""

_STREAMED = 0x7FFFF000  # a WAV data size from here on, or 0, was written before the length was known
_OGG_PAGE = 65_307  # bytes of the longest page, RFC 3533


def ends_early(source: str, decoded: Decoded) -> bool:
    """Whether the decoded file is only the beginning of what was recorded."""
    heard = decoded.heard
    seconds = decoded.samples / SAMPLE_RATE
    if decoded.exit_code != 0:
        return True
    if heard.early_end and heard.container not in UNRELIABLE:
        return True
    if heard.container == "ogg":
        return ogg_is_cut(Path(source))
    if heard.container not in COUNTED:
        return False
    if heard.container == "wav":
        declared = seconds / wav_share(Path(source))
    elif heard.duration is None or heard.estimated:
        return False
    else:
        declared = heard.duration
    return declared - seconds > max(SLACK, SLACK_SHARE * declared)


def wav_share(path: Path) -> float:
    """Share of the data announced by a RIFF WAVE header that is there; 1 when it does not say.

    ffmpeg cannot be asked: it takes the rest of a short file for all of it.
    """
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return 1.0  # RF64, RIFX
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"data":
                there = path.stat().st_size - file.tell()
                return min(1.0, max(there, 1) / size) if 0 < size < _STREAMED else 1.0
            file.seek(size + size % 2, os.SEEK_CUR)
    return 1.0


def ogg_is_cut(path: Path) -> bool:
    """Whether the last page of an Ogg file is incomplete (many writers never mark the end of the stream)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * _OGG_PAGE))
        tail = file.read()
    start = tail.rfind(b"OggS\0")
    if start < 0:
        return False
    page = tail[start:]
    header = 27 + (page[26] if len(page) > 26 else 1)
    return len(page) < header + sum(page[27:header])
