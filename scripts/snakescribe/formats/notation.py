r"""Cues as text: SubRip and WebVTT by ourselves, SubStation Alpha (ASS) by pysubs2.

pysubs2 1.8 takes what it is given for SubStation: it drops ``{…}``, makes a new line of the
``\N`` in ``C:\New`` (in WebVTT as well, where only a zero-width space would help), leaves ``<``, ``&`` and ``-->``
as they are and ends at 99:59:59. All escapes would be needed as before.

A line of a language that is written from right to left stands between U+202B (RIGHT-TO-LEFT EMBEDDING) and U+202C
(POP DIRECTIONAL FORMATTING): players take every line for left-to-right, or for what its first letter is, and would put
its full stop at the wrong end. That is what libass's authors ask for (https://github.com/libass/libass/issues/295) and
what Subtitle Edit writes (https://github.com/SubtitleEdit/subtitleedit/pull/14159).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO

import pysubs2
from pysubs2.formats.substation import SubstationFormat

from snakescribe.formats.subtitles import Cue, Said

RTL, RTL_END = "\u202b", "\u202c"
_LOOKS_LIKE_MARKUP = re.compile(r"(?<=--)(?=>)|(?<=<)|(?<=\{)|(?<=\\)(?=[Nnh])|^(?=\d+$)", re.MULTILINE)
"""Places in SRT text that players and parsers would take for an arrow, an HTML or SSA tag, or a cue's number.
SRT has no escapes: a zero-width space goes there, so that the text looks as it is."""
_NOT_YET_SAID = "\nSTYLE\n::cue(c:future) { color: silver }\n"
"""Without a style browsers would show no difference."""
_ASS_BRACES = str.maketrans("{}", "｛｝")
"""ASS has no escape for braces that every player knows; these look alike."""


def srt(shown: Iterable[Cue]) -> str:
    """Cues as SubRip; it has no times of words."""
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        f"{_LOOKS_LIKE_MARKUP.sub(chr(0x200B), chr(10).join(_directed(cue, line) for line in cue.lines))}\n\n"
        for number, cue in enumerate(shown, start=1)
    )


def vtt(shown: Iterable[Cue], highlight: bool = False) -> str:
    """Cues as WebVTT (https://www.w3.org/TR/webvtt1), with ``highlight`` each word in ``<c>``, its time before it."""
    return (
        "WEBVTT\n"
        + _NOT_YET_SAID * highlight
        + "".join(
            f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n"
            + "\n".join(_vtt_voices(cue, _vtt_lines(cue) if highlight else map(_entities, cue.lines)))
            + "\n"
            for cue in shown
        )
    )


def ass(shown: Iterable[Cue], highlight: bool = False) -> str:
    r"""Cues as ASS, with ``highlight`` each word with its centiseconds (``\k``, karaoke)."""
    file = pysubs2.SSAFile()
    if highlight:  # words turn from the secondary colour into the primary one
        file.styles["Default"].primarycolor = pysubs2.Color(255, 255, 0)
        file.styles["Default"].secondarycolor = pysubs2.Color(255, 255, 255)
    for cue in shown:
        lines = _ass_lines(cue) if highlight else map(_plain, cue.lines)
        start, end = (round(seconds * 100) * 10 for seconds in (cue.start, cue.end))
        text = r"\N".join(_directed(cue, line) for line in lines)
        file.append(pysubs2.SSAEvent(start=start, end=end, text=text))
    written = StringIO()
    _LongAss.to_file(file, written, "ass")
    return written.getvalue()


class _LongAss(SubstationFormat):
    """pysubs2 (1.8.1) puts all that comes after ten hours at 9:59:59.99; players read more hours."""

    @staticmethod
    def ms_to_timestamp(requested_ms: int) -> str:
        hours, rest = divmod(requested_ms, 3_600_000)
        return f"{hours}{SubstationFormat.ms_to_timestamp(rest).removeprefix('0')}"


def _directed(cue: Cue, line: str) -> str:
    if cue.rules.rtl and any(unicodedata.bidirectional(c) in ("R", "AL") for c in line):
        return f"{RTL}{line}{RTL_END}"
    return line


def _pieces(line: str, words: Sequence[Said], escaped: Callable[[str], str]) -> Iterator[tuple[str, str, Said | None]]:
    """What stands in front of the words, and each word with the blank behind it."""
    if before := line[: words[0].at if words else len(line)]:
        yield escaped(before), "", None
    for word, end in zip(words, [*(later.at for later in words[1:]), len(line)], strict=False):
        text = line[word.at : end]
        yield escaped(text.rstrip()), " " * (text != text.rstrip()), word


def _vtt_lines(cue: Cue) -> Iterator[str]:
    """Times grow within a cue and lie inside it, or they are left out: the standard asks for that."""
    last = round(cue.start * 1000)
    for line, words in cue.spoken():
        made = ""
        for text, blank, word in _pieces(line, words, _entities):
            if word and last < round(word.start * 1000) < round(cue.end * 1000):
                last = round(word.start * 1000)
                made += f"<{_clock(word.start, '.')}>"
            made += (f"<c>{text}</c>" if word else text) + blank
        yield made


def _vtt_voices(cue: Cue, lines: Iterable[str]) -> Iterator[str]:
    """Lines with ``<v name>`` in the place of a speaker in brackets; only one alone in its cue needs no end."""
    speakers = [*(cue.speakers or [""] * len(cue.lines)), "nobody"]
    several = sum(map(bool, speakers)) > 2
    for line, speaker, after in zip(lines, speakers, speakers[1:], strict=False):
        said = line.removeprefix(_entities(f"[{speaker}] ")) if speaker else line
        ends = "</v>" if several and after else ""
        yield (f"<v {_entities(speaker)}>" if speaker else "") + _directed(cue, said) + ends


def _ass_lines(cue: Cue) -> Iterator[str]:
    """The times of words follow one another: one that begins before the last was over waits for it."""
    begin, here = round(cue.start * 100), 0
    for line, words in cue.spoken():
        made = ""
        for text, blank, word in _pieces(line, words, _plain):
            if word:
                start, end = (max(here, round(seconds * 100) - begin) for seconds in (word.start, word.end))
                made += rf"{{\k{start - here}}}" * (start > here) + rf"{{\k{end - start}}}"
                here = end
            made += text + blank
        yield made


def _plain(text: str) -> str:
    r"""Text without what ASS would take for a tag or for ``\N``."""
    return re.sub(r"(?<=\\)(?=[Nnh])", "\u200b", text.translate(_ASS_BRACES))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"
