"""Where the transcript files of a recording go: the input tree mirrored, the full file name kept.

``a/x.mp3`` becomes ``a/x.mp3.srt``. What a mirror cannot hold (a way out of the folder, a name too long for
another suffix, a folder that is called like a transcript) is changed by a rule under which two different
paths never get the same name. A recording with an ``id`` of its own in the sample sheet has it in the name
(``x.mp3~caller-1.srt``): the same file may be there twice, once per channel or language. Beside a transcript
that a person has corrected stands the new text, ``x.mp3.new.srt``. Bytes in, bytes out: names on disk need not
be text.

With ``subtitles: {name: beside}`` subtitles are called ``x.srt``, where nobody else can lay claim to that name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from snakescribe.config.options import OutputFormat
from snakescribe.formats.registry import FORMATS

NAME_MAX = 255
"""Bytes in a file name (Linux ``limits.h``; the same on ext4, xfs, NFS, APFS)."""
_SUFFIXES = [one.suffix.encode() for one in FORMATS.values()]
STEM_MAX = NAME_MAX - len(b".new.") - max(map(len, _SUFFIXES))
FORMER_STEM_MAX = NAME_MAX - len(".json")
PATH_MAX = 2048
"""Bytes of a whole path below ``transcripts`` that are mirrored; Linux ends at 4096 including the results
folder."""

_SPECIAL = {b"": b"~root", b".": b"~here", b"..": b"~up"}
_OUR_OWN = re.compile(rb"~(?:root|here|up|long)|.*~[0-9a-f]{16}|.*\.(?:%s)" % b"|".join(_SUFFIXES), re.DOTALL)
"""A folder of the input that is called like one of our changed names, or like a transcript of its
neighbour."""

_TAGGED = re.compile(rb"~[^.]*\Z", re.DOTALL)
_BEFORE_DOT = [b"new", *(suffix.partition(b".")[0] for suffix in _SUFFIXES if b"." in suffix)]
_LOOKS_LIKE_OURS = re.compile(rb"(?:~[^.]*|\.(?:%s))\Z" % b"|".join(_BEFORE_DOT), re.DOTALL)
"""A file name that ends like one of our changed names (a tag holds no dot), like the name of a new text, or as others
go on before their last dot: ``x.labels`` would have ``x.labels.txt``, and so has ``x``."""


def transcript_stem(path: bytes, recording_id: str) -> bytes:
    r"""The path of a recording's transcripts below ``transcripts``, without ``.srt`` and the like.

    Args:
        path: the recording's path as on disk, relative to the recordings folder (or as a sheet has it).
        recording_id: its key: 16 hex digits of the path's SHA-256, or the sheet's ``id``.

    >>> transcript_stem(b"a/x.mp3", _digest(b"a/x.mp3").decode()), transcript_stem(b"/data/../x.mp3", "1")
    (b'a/x.mp3', b'~root/data/~up/x.mp3~1')
    """
    *folders, name = path.split(b"/")
    tag = _digest(recording_id.encode()) if "." in recording_id else recording_id.encode()
    named = _tagged(name, tag)
    plain = recording_id.encode() == _digest(path) and len(name) <= STEM_MAX and not _LOOKS_LIKE_OURS.search(name)
    mirrored = b"/".join([*map(_folder, folders), name if plain else named])
    return mirrored if len(mirrored) <= PATH_MAX else b"~long/" + named


def every_stem(path: bytes, recording_id: str) -> set[bytes]:
    """:func:`transcript_stem`, and what 0.1.0 took, whose names were up to 250 bytes long and might end in ``.new``."""
    *folders, name = path.split(b"/")
    tag = _digest(recording_id.encode()) if "." in recording_id else recording_id.encode()
    plain = recording_id.encode() == _digest(path) and len(name) <= FORMER_STEM_MAX and not _TAGGED.search(name)
    former = name if plain else _tagged(name, tag, FORMER_STEM_MAX)
    return {transcript_stem(path, recording_id), b"/".join([*map(_folder, folders), former])}


def short_stem(path: bytes, recording_id: str) -> bytes | None:
    """Where the subtitles go for a player that looks for ``a/x.srt`` beside ``a/x.mp3``; None where that cannot be.

    >>> short_stem(b"a/x.mp3", _digest(b"a/x.mp3").decode()), short_stem(b"a/x.mp3", "1"), short_stem(b"x", "1")
    (b'a/x', None, None)
    """
    stem = transcript_stem(path, recording_id)
    plain = stem.rpartition(b"/")[2] == path.rpartition(b"/")[2]
    short = _without_extension(stem) if plain else None
    return None if short is None or _LOOKS_LIKE_OURS.search(short.rpartition(b"/")[2]) else short


class Rival(NamedTuple):
    """A recording that might have the same name: its batch, and its stem by which it is not to be confused."""

    batch: str
    stem: bytes


def rivals(own: Mapping[str, bytes], all_paths: Iterable[tuple[str, bytes, str]]) -> dict[str, set[Rival]]:
    """The others that lay claim to the same short name, by the id of those that have any.

    Args:
        own: recordings by id, with their paths.
        all_paths: id, path and batch of every recording there is.
    """
    wanted: dict[bytes, list[str]] = {}
    for key, path in own.items():
        for name in _claims(path):
            wanted.setdefault(name, []).append(key)
    found: dict[str, set[Rival]] = {}
    for other, path, batch in all_paths:
        for name in _claims(path):
            for key in wanted.get(name, ()):
                if key != other:
                    found.setdefault(key, set()).add(Rival(batch, transcript_stem(path, other)))
    return found


def _claims(path: bytes) -> set[bytes]:
    """What subtitles of a recording may be called, without ``.srt``."""
    return {path, _without_extension(path) or path}


def _without_extension(path: bytes) -> bytes | None:
    folder, slash, name = path.rpartition(b"/")
    stem = name.rpartition(b".")[0]
    return folder + slash + stem if stem else None


def transcript_name(stem: bytes, kind: OutputFormat) -> bytes:
    """The transcript of a format: ``x.mp3.srt``."""
    return stem + b"." + FORMATS[kind].suffix.encode()


def new_name(transcript: bytes) -> bytes:
    """The new text beside a transcript that was corrected by hand: of ``x.mp3.srt`` ``x.mp3.new.srt``."""
    suffix = max((one for one in _SUFFIXES if transcript.endswith(b"." + one)), key=len)
    return transcript.removesuffix(suffix) + b"new." + suffix


def every_name(stem: bytes, short: bool = False) -> list[bytes]:
    """Every file that a recording may have; those of a ``short`` stem are subtitles."""
    names = [transcript_name(stem, kind) for kind, one in FORMATS.items() if one.subtitles or not short]
    return names + [new_name(name) for name in names]


def _folder(name: bytes) -> bytes:
    if name in _SPECIAL:
        return _SPECIAL[name]
    if _OUR_OWN.fullmatch(name):
        return _tagged(name, _digest(name))
    return name


def _tagged(name: bytes, tag: bytes, longest: int = STEM_MAX) -> bytes:
    """``name~tag``, the name cut where a character begins so that the whole fits into ``longest`` bytes."""
    end = longest - 1 - len(tag)
    if len(name) > end:
        while end > 0 and name[end] & 0xC0 == 0x80:  # inside a UTF-8 character
            end -= 1
        name = name[:end]
    return name + b"~" + tag


def _digest(name: bytes) -> bytes:
    return hashlib.sha256(name).hexdigest()[:16].encode()
