"""A transcript as interviews are passed on: a Word document with title, facts, and a paragraph for each turn."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

from snakescribe.config.languages import LANGUAGES
from snakescribe.formats.spoken import Spoken, clock, plain

_FONTS = {"ja": ("Yu Gothic", "ja-JP"), "zh": ("Microsoft YaHei", "zh-CN"), "yue": ("Microsoft JhengHei", "zh-HK")}
"""East Asian font and Word's language by Whisper's; Korean's elsewhere."""
_KOREAN = ("Malgun Gothic", "ko-KR")
_LABELS = {
    "en": (
        "Recording",
        "Length",
        "Language",
        "Transcribed",
        "by the model {}, not corrected by anybody",
        "by the model {}, corrected by hand",
    ),
    "ko": ("녹음", "길이", "언어", "전사", "모델 {}, 사람이 고치지 않음", "모델 {}, 사람이 고침"),
}
"""The facts above the text."""
_TITLE_MOST = 255
"""Characters that python-docx takes for a document's title."""
_NO_DATE = datetime(2000, 1, 1)
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def docx(said: Spoken) -> bytes:
    """The document; the same bytes for the same recording, as files are compared by their digests."""
    from docx import Document
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt

    font, language = _FONTS.get(said.row["language"] or "", _KOREAN)
    document = Document()
    for name in ("Normal", "Title"):
        style = document.styles[name]
        style.font.name = font
        fonts = style.element.rPr.rFonts
        fonts.set(qn("w:eastAsia"), font)
        for attribute in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme"):  # a theme's font would win
            fonts.attrib.pop(qn(f"w:{attribute}"), None)
    for one in document.styles.element.iter(qn("w:lang")):
        one.set(qn("w:eastAsia"), language)
    document.styles["Normal"].font.size = Pt(10.5)
    document.styles["Title"].font.size = Pt(18)
    turn_style = document.styles.add_style("Turn", WD_STYLE_TYPE.PARAGRAPH)
    turn_style.base_style = document.styles["Normal"]
    turn_style.paragraph_format.left_indent = Cm(2.6)
    turn_style.paragraph_format.first_line_indent = Cm(-2.6)
    turn_style.paragraph_format.space_after = Pt(6)

    document.add_paragraph(said.name, "Title")
    facts = list(_facts(said))
    table = document.add_table(len(facts), 2)
    for row, fact in zip(table.rows, facts, strict=True):
        for cell, text in zip(row.cells, fact, strict=True):
            cell.text = text
    document.add_paragraph()
    for turn in said.turns():
        paragraph = document.add_paragraph()
        paragraph._p.style = turn_style.style_id  # by name it is looked up in all styles, each time
        paragraph.add_run(f"[{clock(turn.start)}]\t")
        if turn.speaker:
            paragraph.add_run(f"{turn.speaker}: ").bold = True
        paragraph.add_run(turn.text)

    about, finished = document.core_properties, said.row["finished_at"]
    about.title, about.author, about.comments = said.name[:_TITLE_MOST], "snakescribe", ""
    about.created = about.modified = finished.astimezone(UTC).replace(tzinfo=None) if finished else _NO_DATE
    written = io.BytesIO()
    document.save(written)
    return _dateless(written)


def _facts(said: Spoken) -> Iterator[tuple[str, str]]:
    row = said.row
    recording, length, language, transcribed, machine, hand = _LABELS["ko" if row["language"] == "ko" else "en"]
    yield recording, plain(row["path"])
    if row["duration"] is not None:
        yield length, clock(row["duration"])
    if row["language"]:
        yield language, f"{LANGUAGES[row['language']]} ({row['language']})"
    day = f"{row['finished_at']:%Y-%m-%d}, " if row["finished_at"] else ""
    yield transcribed, day + (hand if row.get("corrected") else machine).format(plain(row["model"] or ""))


def _dateless(written: io.BytesIO) -> bytes:
    """The same archive without the time at which it was packed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, _ZIP_DATE), old.read(name), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
