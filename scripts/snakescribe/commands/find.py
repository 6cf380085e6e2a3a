r"""Where something was said: recording, time and text of every segment that holds it.

Case does not count, nor the form of Hangul. With Hangul, kana, Chinese or Thai in TEXT spaces do not count either:
환불 요청 finds 환불요청. --fuzzy allows for one syllable of Hangul, or one letter, that is another one or too much, or,
of three and more, missing. --regex takes a pattern of RE2, in which \w and \s know only ASCII; \pL is any letter.

A run may be at work: the tables of the last one are searched. The exit code is 0 with and without hits; without any,
"nothing found" stands on stderr.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from snakescribe.commands.common import register_results, results_of
from snakescribe.config.languages import code_of
from snakescribe.units import clock, counted

if TYPE_CHECKING:
    from snakescribe.search import Hit, Row

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069]")
"""What moves the cursor of a terminal, or turns a line of text around."""
MOST = 999_999_999
"""Hits, or segments beside one."""


def register(parser: argparse.ArgumentParser) -> None:
    """What is looked for, where, and how it is told."""
    parser.add_argument("text", metavar="TEXT", help="what was said")
    register_results(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--regex", dest="how", action="store_const", const="regex", help="TEXT is a regular expression")
    how.add_argument("--fuzzy", dest="how", action="store_const", const="fuzzy", help="or nearly so: one syllable off")
    parser.add_argument("--language", type=_language, metavar="CODE", help="only segments in this language, e.g. ko")
    parser.add_argument("--limit", type=_number, metavar="N", help="only the first N hits")
    parser.add_argument("--context", type=_number, default=0, metavar="N", help="N segments before and after each, too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a line of JSON per hit")
    form.add_argument("--tsv", action="store_true", help="a line of tab-separated cells per hit, as in tables/*.tsv")


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(MOST)):
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no number from 0 to {MOST:,}")
    return int(text)


def _language(text: str) -> str:
    if code := code_of(text):
        return code
    raise argparse.ArgumentTypeError(f"{text!r} is no language that Whisper knows; ko, en, ja …")


def run(args: argparse.Namespace) -> int:
    """Print the hits as they are found."""
    from snakescribe.search import find, pattern_of

    table = results_of(args).table("segments", "parquet")
    hits = find(table, pattern_of(args.text, args.how or "substring"), args.language, args.limit, args.context)
    told = _as_json if args.json else _as_tsv if args.tsv else _for_people
    number = 0
    for number, hit in enumerate(hits, 1):
        print(told(hit, number == 1))
    if number == 0:
        print("nothing found", file=sys.stderr)
    elif told is _for_people:
        print(f"{counted(number, 'hit')}{' (--limit)' * (number == args.limit)}", file=sys.stderr)
    return 0


def _for_people(hit: Hit, first: bool) -> str:
    """A line, or several with ``--``, as grep has it."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    lines = [_line(hit.row, ":", _safe(hit.row["text"]) if plain else "".join(_marked(hit)))]
    lines[:0] = [_line(row, "-", _safe(row["text"])) for row in hit.before]
    lines += [_line(row, "-", _safe(row["text"])) for row in hit.after]
    return "\n".join(["--"] * (len(lines) > 1 and not first) + lines)


def _line(row: Row, sign: str, text: str) -> str:
    who = row.get("speaker") or row.get("channel")
    return f"{_safe(row['path'])}  {clock(row['start'])}{sign}{f' [{_safe(who)}]' if who else ''} {text}"


def _marked(hit: Hit) -> Iterator[str]:
    text, at = hit.row["text"], 0
    for start, end in hit.marks:
        yield f"{_safe(text[at:start])}\033[1;31m{_safe(text[start:end])}\033[0m"
        at = end
    yield _safe(text[at:])


def _as_json(hit: Hit, first: bool) -> str:
    beside = {"before": [row["text"] for row in hit.before], "after": [row["text"] for row in hit.after]}
    return _safe(json.dumps(hit.row | {"found": _found(hit)} | beside, ensure_ascii=False))


def _as_tsv(hit: Hit, first: bool) -> str:
    from snakescribe.tables.tsv import SECONDS, escape

    row = {name: f"{cell:.3f}" if name in SECONDS else cell for name, cell in hit.row.items()}
    row |= {"time": clock(hit.row["start"]), "found": ", ".join(_found(hit))}
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter="\t", lineterminator="\n")
    writer.writerows([row] * first)
    writer.writerow(_safe(escape(cell)) if isinstance(cell, str) else cell for cell in row.values())
    return lines.getvalue().removesuffix("\n")


def _found(hit: Hit) -> list[str]:
    return [hit.row["text"][start:end] for start, end in hit.marks]


def _safe(text: str) -> str:
    r"""What is no text written as ``\u001b``, which is JSON too."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
