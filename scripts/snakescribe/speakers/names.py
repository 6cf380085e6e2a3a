"""Who is who: names for the labels of a recording, from a sheet and from `snakescribe speakers name`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from snakescribe.config import Config
from snakescribe.errors import InputError
from snakescribe.files import write_atomically
from snakescribe.layout import Results

COLUMNS = ("recording", "label", "name")
LABEL = re.compile(r"SPEAKER_\d{2,}")
LONGEST = 200
"""Letters of a name."""
NAME = f"at most {LONGEST} letters in one line, without square brackets"


@dataclass(frozen=True)
class Names:
    """Names by recording (path or id) and label."""

    rows: Sequence[tuple[str, str, str]]
    """Recording, label and name; the later ones win."""

    def of(self, recording_id: str, path: str) -> dict[str, str]:
        """Names of one recording's speakers, by label."""
        found = self._by_recording
        return {**found.get(path, {}), **found.get(recording_id, {})}

    @cached_property
    def _by_recording(self) -> Mapping[str, Mapping[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for recording, label, name in self.rows:
            found.setdefault(recording, {})[label] = name
        return found


def known_names(config: Config, results: Results) -> Names:
    """All names: of the option `speaker_names`, then those that people have given in the results folder.

    Raises:
        InputError: one of the two cannot be read.
    """
    sheets = [Path(config.speaker_names)] if config.speaker_names else []
    own = [results.speaker_names] if results.speaker_names.exists() else []
    return Names([row for path in [*sheets, *own] for row in read_names(path)])


def label_of(number: int) -> str:
    """What the voice of a number is called, from 0."""
    return f"SPEAKER_{number:02d}"


def read_names(path: Path) -> list[tuple[str, str, str]]:
    """Recording, label and name of each line.

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
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"speaker_names {path}: no column {missing[0]!r}; it has to have {', '.join(COLUMNS)}")
    found = []
    for row in reader:
        recording, label, name = ((row[column] or "").strip() for column in COLUMNS)
        if not recording and not label and not name:
            continue
        if not recording or not LABEL.fullmatch(label) or not is_name(name):
            wanted = f"give recording, label (SPEAKER_00, SPEAKER_01, …), and a name of {NAME}"
            raise InputError(f"speaker_names {path}, line {reader.line_num}: {wanted}")
        found.append((recording, label, name))
    return found


def is_name(name: str) -> bool:
    """Whether it can stand in brackets before what somebody says, and be found there again; empty is no name."""
    return len(name) <= LONGEST and (not name or name.isprintable()) and not set(name) & set("[]")


def add_names(results: Results, recording_id: str, names: Mapping[str, str]) -> None:
    """Remember names that somebody has given; an empty one takes the earlier one back."""
    earlier = read_names(results.speaker_names) if results.speaker_names.exists() else []
    changed = {(recording_id, label) for label in names}
    _write(
        results, [row for row in earlier if row[:2] not in changed] + [(recording_id, *one) for one in names.items()]
    )


def forget_names(results: Results, recordings: Iterable[str]) -> int:
    """Take out what is known of some recordings (ids and paths); how many names."""
    if not results.speaker_names.exists():
        return 0
    gone, earlier = set(recordings), read_names(results.speaker_names)
    _write(results, [row for row in earlier if row[0] not in gone])
    return sum(row[0] in gone for row in earlier)


def _write(results: Results, rows: Iterable[tuple[str, str, str]]) -> None:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_atomically(results.speaker_names, target.getvalue().encode())
