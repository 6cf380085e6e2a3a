"""Names for the speakers of recordings as files: the option's sheet, and what `snakescribe speakers name` was told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from snakescribe.config import Config
from snakescribe.errors import InputError
from snakescribe.files import write_atomically
from snakescribe.layout import Results

LABEL = re.compile(r"SPEAKER_\d{2,}")
_VOICE = re.compile(r"[A-Za-z0-9+/]{256}")
LONGEST = 200
"""Letters of a name."""
NAME = f"at most {LONGEST} letters in one line, without square brackets, and is no label"


@dataclass(frozen=True)
class Given:
    """One name; the columns of the file, of which a sheet has the first three."""

    recording: str
    """Path or id; with a slash at the end the folder of `speakers_across`."""
    label: str
    name: str
    """Empty: it is taken back."""
    content: str = ""
    """SHA-256 of the recording: the name goes with it, whatever its file is called."""
    voice: str = ""
    """What the voice is like (base64): the name goes with it, whatever its label is."""


COLUMNS = tuple(field.name for field in fields(Given))
NEEDED = COLUMNS[:3]


def label_of(number: int) -> str:
    """What the voice of a number is called, from 0."""
    return f"SPEAKER_{number:02d}"


def known_names(config: Config, results: Results) -> list[Given]:
    """All names: of the option `speaker_names`, then those that people have given in the results folder.

    Raises:
        InputError: one of the two cannot be read.
    """
    sheet = read_names(Path(config.speaker_names)) if config.speaker_names else []
    return sheet + given_names(results)


def given_names(results: Results) -> list[Given]:
    """Those that people have given in the results folder.

    Raises:
        InputError: they cannot be read.
    """
    return read_names(results.speaker_names) if results.speaker_names.exists() else []


def read_names(path: Path) -> list[Given]:
    """A name of each line.

    Raises:
        InputError: it cannot be read, or a cell cannot be right, with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"speaker_names {path}: {error.strerror}; give an existing CSV or TSV file") from None
    except UnicodeDecodeError:
        raise InputError(f"speaker_names {path}: not UTF-8; save it as 'CSV UTF-8'") from None
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"speaker_names {path}: no column {missing[0]!r}; it has to have {', '.join(NEEDED)}")
    found = []
    for row in reader:
        one = Given(*(tidy(row.get(column) or "") for column in COLUMNS))
        if not one.recording and not one.label and not one.name:
            continue
        if one.voice and not _VOICE.fullmatch(one.voice):
            raise InputError(f"speaker_names {path}, line {reader.line_num}: the cell voice is damaged; empty it")
        if not one.recording or not LABEL.fullmatch(one.label) or not is_name(one.name):
            wanted = f"give recording, label (SPEAKER_00, SPEAKER_01, …), and a name, which has {NAME}"
            raise InputError(f"speaker_names {path}, line {reader.line_num}: {wanted}")
        found.append(one)
    return found


def tidy(cell: str) -> str:
    """Without blanks around it; those of Korean and Japanese keyboards and of web pages are blanks, too."""
    return cell.replace("\u00a0", " ").replace("\u3000", " ").strip()


def is_name(name: str) -> bool:
    """Whether it can stand in brackets before what somebody says, and be found there again; empty is no name."""
    if len(name) > LONGEST or LABEL.fullmatch(name):
        return False
    return (not name or name.isprintable()) and not set(name) & set("[]")


def add_names(results: Results, names: Iterable[Given]) -> None:
    """Remember names that somebody has given; an earlier one for the same label of that recording is forgotten."""
    new = list(names)
    changed = {(one.recording, one.label) for one in new}
    _write(results, [one for one in given_names(results) if (one.recording, one.label) not in changed] + new)


def replace_names(results: Results, names: Iterable[Given]) -> None:
    """All that are known from now on."""
    if results.speaker_names.exists():
        _write(results, names)


def _write(results: Results, names: Iterable[Given]) -> None:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(astuple, names))
    write_atomically(results.speaker_names, target.getvalue().encode())
