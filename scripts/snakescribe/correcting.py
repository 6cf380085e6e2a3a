"""Corrections of a finished run: edited transcripts taken back, undone; tables, files and report made anew."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Indel

from snakescribe.config import Config
from snakescribe.config.options import OutputFormat
from snakescribe.corrections import marker
from snakescribe.corrections.align import laid_beside
from snakescribe.corrections.apply import applied, apply
from snakescribe.corrections.store import Correction, Said, add, by_content, standing, undone
from snakescribe.errors import InputError
from snakescribe.evaluation.references import read_reference, read_text
from snakescribe.formats.corrected import summarise_again
from snakescribe.formats.export import export_batch, exported_batches, rendered
from snakescribe.formats.listing import Listing
from snakescribe.formats.names import short_stem, transcript_name, transcript_stem
from snakescribe.formats.spoken import named, speaker_of
from snakescribe.inventory.ledger import Found, Ledger
from snakescribe.layout import Results
from snakescribe.report.page import write_page
from snakescribe.tables.batch import read_batch
from snakescribe.tables.write import write_tables

READ_BACK: tuple[OutputFormat, ...] = ("txt", "srt", "vtt")
"""Transcript files that people edit and that are taken back."""
ALIKE = 0.4
"""Share of letters that an edited transcript has in common with the one that was written, at least."""
_MARK = re.compile(r"^\[([^\]\n]+)\] ", re.MULTILINE)


@dataclass(frozen=True)
class Taken:
    """What was taken of an edited file, in segments."""

    segments: int
    """Say something else now."""
    conflicts: int
    """Those of them of which another file of the same call says something else again."""
    speakers: bool
    """Whether somebody else stands in brackets somewhere, which no file can say."""


def take_back(
    results: Results, config: Config, files: Iterable[Path], who: str, force: bool = False
) -> dict[Path, Taken]:
    """Make corrections of transcript files that somebody has edited; those in their places are ours again afterwards.

    What was said comes from the file, the times stay those of the segments.

    Args:
        results: of a finished run, locked by the caller.
        config: of that run.
        files: transcripts below its ``transcripts``, or of the same names elsewhere.
        who: has edited them.
        force: take also what has hardly anything of the transcript.

    Returns:
        What was taken, by file. Where two say something else of a segment, both are kept and the later one counts.

    Raises:
        InputError: a file is no transcript of this run, cannot be read, has hardly anything of it, or is of a kind that
            is not taken back.
    """
    there = _transcripts(results)
    wanted = {path: _named(results, path, there) for path in dict.fromkeys(path.resolve() for path in files)}
    rows = _rows(results, wanted.values())
    known = by_content(results)
    found: dict[Path, list[Correction]] = {}
    said: defaultdict[object, set[tuple[Said, ...]]] = defaultdict(set)
    others = dict[Path, bool]()
    for path, (_, name) in wanted.items():
        if name not in rows:  # x.labels.txt, for example
            raise InputError(f"{path}: only {', '.join(READ_BACK)} are taken back")
        row = rows[name]
        right = apply(row, known.get(row["sha256"], ()))
        ours = rendered(right, READ_BACK)[_kind(path)].decode()
        before, after = read_text(ours, path.suffix), _text(path)
        if before.split() and not force and _kept(before, after) < ALIKE:
            raise InputError(
                f"{path}: it has hardly anything of the transcript that is there; is it another recording's? (--force)"
            )
        marks = {speaker_of(segment) for segment in named(right)}
        if renamed := _renamed(before, after, marks):
            hint = f"snakescribe speakers name '{row['path']}' SPEAKER_00='{renamed}'"
            raise InputError(
                f"{path}: nobody is called [{renamed}] there; names are not edited but given, as by `{hint}`"
            )
        others[path] = _order(before, marks) != _order(after, marks)
        found[path] = [one for one in _edited(right, before, after, who) if one.new not in said[_place(one)]]
        for one in found[path]:
            said[_place(one)].add(one.new)
    add(results, [one for some in found.values() for one in some])
    in_place = [
        name for path, (_, name) in wanted.items() if path == (results.transcripts / os.fsdecode(name)).resolve()
    ]
    contents = {rows[name]["sha256"] for _, name in wanted.values()}
    bring(results, config, _batches(results, contents), in_place)
    odd = {place for place, several in said.items() if len(several) > 1}
    return {
        path: Taken(len(some), sum(_place(one) in odd for one in some), others[path]) for path, some in found.items()
    }


def undo(results: Results, config: Config, recording: Found, who: str, number: int | None, everything: bool) -> int:
    """Take corrections of a recording back, by rows that say so: the last one, one by its number, or all.

    Args:
        results: of a finished run, locked by the caller.
        config: of that run.
        recording: whose content as it is now.
        who: takes them back.
        number: of what is taken back, as :func:`listed` has it; it may be an undo.
        everything: that nobody has taken back yet.

    Returns:
        How many were taken back.

    Raises:
        InputError: there is nothing to take back.
    """
    mine = by_content(results).get(recording.sha256[-1], [])
    left = [*standing(mine)]
    wanted = left[::-1] if everything else left[-1:]
    if number is not None:
        wanted = [n for n in range(1, len(mine) + 1) if n == number and n not in undone(mine)]
    if not wanted:
        what = f"no correction {number}" if number else "no correction"
        raise InputError(f"{recording.path!r} has {what} to be undone; `snakescribe corrections list` shows them all")
    add(results, [_against(mine[n - 1], n, who) for n in wanted])
    bring(results, config, _batches(results, recording.sha256[-1:]))
    return len(wanted)


def _against(one: Correction, number: int, who: str) -> Correction:
    """The row that takes one back: it says what stands there again."""
    again = (Said(start=one.start, end=one.end, text=one.old),) if one.old else ()
    old = " ".join(said.text for said in one.new)
    return one.model_copy(update={"old": old, "new": again, "who": who, "when": datetime.now(UTC), "undoes": number})


def _place(one: Correction) -> object:
    return one.sha256, one.channel, one.start, one.end


def bring(results: Results, config: Config, batches: Collection[str], ours: Collection[bytes] = ()) -> None:
    """Have tables, transcripts and report say what the corrections say; of ``ours`` the files are replaced."""
    for batch in sorted(batches):
        export_batch(results, config.outputs, batch, subtitles=config.subtitles, replace=ours)
    write_tables(results)
    marker.mark(results)
    if results.report.exists():
        write_page(results, config)
    summarise_again(results)


def listed(results: Results) -> list[dict[str, Any]]:
    """All corrections for programs, the newest last: those of the tables' recordings, by their paths.

    ``number`` is what :func:`undo` takes, ``conflict`` whether one was made of another text than it replaced.
    """
    known = by_content(results)
    found: list[tuple[datetime, dict[str, Any]]] = []
    for batch in exported_batches(results):
        for row in _current(results, batch):
            mine = known.get(row["sha256"], [])
            odd, gone = (applied(row, mine)[1], undone(mine)) if mine else ((), ())
            for number, one in enumerate(mine, 1):
                about = {"undone": number in gone, "conflict": number not in gone and one in odd}
                found.append(
                    (one.when, {"path": row["path"], "number": number, **one.model_dump(mode="json"), **about})
                )
    return [one for _, one in sorted(found, key=itemgetter(0))]


def pending(results: Results) -> set[str]:
    """Batches of all recordings that somebody has put right."""
    return _batches(results, by_content(results).keys())


def _batches(results: Results, contents: Collection[str]) -> set[str]:
    """Batches with recordings of some contents."""
    with Ledger.open(results.ledger, readonly=True) as ledger:
        found = {one.batch for _, one in ledger.everything() if one.sha256 in contents and not one.forgotten}
    return {batch for batch in found if results.batch(batch).exists()}


def _kind(path: Path) -> OutputFormat:
    return next(kind for kind in READ_BACK if kind == path.suffix.removeprefix("."))


def _text(path: Path) -> str:
    try:
        return read_reference(path)
    except InputError as error:
        raise InputError(str(error).removeprefix("reference ").replace("take it away", "leave it out")) from None


def _kept(before: str, after: str) -> float:
    """Share of the letters that are still there."""
    old, new = "".join(before.split()), "".join(after.split())
    return 1 - Indel.distance(old, new) / (len(old) + len(new)) if old or new else 1.0


def _edited(row: Mapping[str, Any], before: str, after: str, who: str) -> Iterator[Correction]:
    """Corrections that make of a row what stands in an edited file; who speaks stands in brackets before what is said.

    ``before`` is what the file said when we wrote it, read in the same way: what a format cannot hold is no correction.
    """
    marks = {speaker_of(segment): segment["channel"] for segment in named(row)}
    earlier = _by_channel(before, marks)
    for channel, said in _by_channel(after, marks).items():
        segments = [segment for segment in row["segments"] if segment["channel"] == channel]
        texts = [segment["text"] for segment in segments]
        was = laid_beside(texts, earlier[channel])
        for segment, old, new in zip(segments, was, laid_beside(texts, said), strict=True):
            if new.split() != old.split():
                place = {"start": segment["start"], "end": segment["end"]}
                yield Correction(
                    recording_id=row["recording_id"],
                    sha256=row["sha256"],
                    channel=channel,
                    old=segment["text"],
                    new=(Said(text=new, **place),) if new else (),
                    who=who,
                    when=datetime.now(UTC),
                    **place,
                )


def _renamed(before: str, after: str, marks: Collection[str]) -> str | None:
    """What stands in brackets now where a speaker stood; None where none is missing or nothing new is there."""
    was, now = (re.findall(r"\[([^\]\n]+)\] ", text) for text in (before, after))
    fewer = sum(mark in marks for mark in now) < sum(mark in marks for mark in was)
    return next((mark for mark in now if fewer and mark not in marks and mark not in was), None)


def _order(text: str, marks: Collection[str]) -> list[str]:
    """Who speaks after whom, by what stands in brackets."""
    found = (mark for mark in re.findall(r"\[([^\]\n]+)\] ", text) if mark in marks)
    return [mark for mark, _ in groupby(found)]


def _by_channel(text: str, marks: Mapping[str, str | None]) -> dict[str | None, str]:
    """What each channel says; ``marks`` are channels by what stands in brackets, a speaker's name or their own."""
    if not any(marks):
        return {None: text} if marks else {}
    found: dict[str | None, list[str]] = {channel: [] for channel in marks.values()}
    here = next(iter(marks.values()))
    for piece in re.split(r"(?=\[[^\]\n]+\] )", text):
        mark = _MARK.match(piece)
        if mark and mark[1] in marks:
            here, piece = marks[mark[1]], piece[mark.end() :]
        found[here].append(piece)
    return {channel: " ".join(pieces) for channel, pieces in found.items()}


def _transcripts(results: Results) -> dict[bytes, str]:
    """The batch of every transcript file."""
    found: dict[bytes, str] = {}
    for batch in exported_batches(results):
        listing = Listing.read(results.exported(batch))
        found |= dict.fromkeys([*listing.files, *listing.corrected], batch)
    return found


def _named(results: Results, path: Path, there: Mapping[bytes, str]) -> tuple[str, bytes]:
    """Batch and name of the transcript that a file is."""
    if path.suffix.removeprefix(".") not in READ_BACK:
        raise InputError(f"{path}: only {', '.join(READ_BACK)} are taken back")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    here, top = os.fsencode(path.resolve()), os.fsencode(results.transcripts.resolve()) + b"/"
    if here.startswith(top) and (name := here.removeprefix(top)) in there:
        return there[name], name
    same = [name for name in there if name.rpartition(b"/")[2] == os.fsencode(path.name)]
    if len(same) != 1:
        what = "two transcripts have" if same else "no transcript has"
        raise InputError(f"{path}: {what} this name; give the file below {results.transcripts}")
    return there[same[0]], same[0]


def _rows(results: Results, wanted: Iterable[tuple[str, bytes]]) -> dict[bytes, dict[str, Any]]:
    """The rows that transcripts are made of."""
    names = set(wanted)
    found: dict[bytes, dict[str, Any]] = {}
    for batch in {batch for batch, _ in names}:
        for row in _current(results, batch):
            stems = [of(row["path_bytes"], row["recording_id"]) for of in (transcript_stem, short_stem)]
            mine = {transcript_name(stem, kind) for kind in READ_BACK for stem in stems if stem}
            mine = {name for name in mine if (batch, name) in names}
            found |= dict.fromkeys(mine, row)
    return found


def _current(results: Results, batch: str) -> Iterator[dict[str, Any]]:
    with Ledger.open(results.ledger, readonly=True) as ledger:
        current = ledger.current(batch)
    return (row for row in read_batch(results.rows(batch)) if row["recording_id"] in current)
