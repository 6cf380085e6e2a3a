"""Reference texts: as they stand in the sheet, or out of files that people write."""

from __future__ import annotations

import html
import re
from pathlib import Path, PurePosixPath

from snakescribe.errors import InputError

SUFFIXES = (".txt", ".srt", ".vtt", ".TextGrid")
"""Of files with a reference, in the order in which they are looked for."""
ENCODINGS = ("utf-8-sig", "utf-16", "cp949")
"""Tried one after the other: Windows' editors write a mark, its Korean ones the code page 949."""


_MARKS = dict.fromkeys(map(ord, "\u200b\u202b\u202c"))
"""Without width: they keep players from taking text for markup, and lines from right to left in order."""
_TAGS = re.compile(r"\{\\[^}]*\}|\\[Nnh]")
"""What pysubs2 makes of tags and line breaks. (Its ``plaintext`` takes every text in braces away.)"""
_HANGUL = re.compile("[가-힣\u1100-\u11ff]")  # composed, and as a Mac writes it
_TWO_FORMS = re.compile(r"\(([^()]+)\)\s?/\s?\([^()]+\)")
_NOISES = re.compile(r"(?<!\S)[blnou]/(?!\S)")


def reference_text(given: str, root: Path) -> str:
    """A sheet's reference: the text itself, or that of the file it names.

    Args:
        given: text or path.
        root: folder that relative paths begin from.

    Raises:
        InputError: the file it names is not there or makes no sense.
    """
    if "\n" in given or not given.endswith(SUFFIXES):
        return given
    path = root / given
    try:
        there = path.is_file()
    except OSError:  # longer than a name may be
        there = False
    if not there:
        raise InputError(f"reference {given!r}: there is no such file in {root}; correct the sheet")
    return read_reference(path)


def beside(folder: Path, path: str) -> Path | None:
    """The reference of the recording at ``path`` in a folder of them: ``x.mp3.txt`` or ``x.txt`` for ``x.mp3``."""
    inside = PurePosixPath(path)
    names = [f"{inside}{suffix}" for suffix in SUFFIXES] + [str(inside.with_suffix(suffix)) for suffix in SUFFIXES]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_reference(path: Path) -> str:
    """All that is said in a file, in order of time.

    Raises:
        InputError: it cannot be read as what its name says.
    """
    try:
        if path.suffix == ".TextGrid":
            return " ".join(_text_grid(path))
        return read_text(_decoded(path.read_bytes()), path.suffix)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"reference {path}: {' '.join(str(error).split()):.200}; correct it or take it away") from None


def as_written(reference: str) -> str:
    """The text of a Korean reference that follows the rules of AI Hub's corpora (한국어 음성 전사규칙 1.0).

    There the written form stands before the spoken one, and ``b/ l/ n/ o/ u/`` are breath, laughter and noises. Marks
    of hesitation (``어/ 그+ 뭐*``) stay: nothing counts symbols.

    >>> as_written("n/ 어/ 그+ (4월)/(사 월)에 (50%)/(오십 퍼센트) 할인 l/")
    '어/ 그+ 4월에 50% 할인'
    """
    if not _HANGUL.search(reference):
        return reference
    return _NOISES.sub("", _TWO_FORMS.sub(r"\1", reference)).strip()


def read_text(text: str, suffix: str) -> str:
    """What is said in a text or in subtitles.

    Raises:
        ValueError: it makes no sense as what ``suffix`` says.
    """
    if suffix == ".txt":
        return text
    said = " ".join(_subtitles(text)) if text.strip() else ""
    return html.unescape(said) if suffix == ".vtt" else said


def _decoded(data: bytes) -> str:
    for encoding in ENCODINGS:
        if encoding == "utf-16" and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("it is neither UTF-8, UTF-16 nor code page 949")


def _subtitles(text: str) -> list[str]:
    import pysubs2

    try:
        found = pysubs2.SSAFile.from_string(text)
    except pysubs2.exceptions.Pysubs2Error as error:
        raise ValueError(str(error) or type(error).__name__) from None
    return [_TAGS.sub(" ", event.text).translate(_MARKS) for event in sorted(found, key=lambda event: event.start)]


def _text_grid(path: Path) -> list[str]:
    """Of all tiers of intervals; one tier per speaker is usual."""
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    except PraatioException as error:
        raise ValueError(str(error)) from None
    entries = [entry for tier in grid.tiers if isinstance(tier, textgrid.IntervalTier) for entry in tier.entries]
    return [label for _, _, label in sorted(entries)]
