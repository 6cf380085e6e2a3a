"""Every recording of a run beside its reference, and the rates of languages and groups."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from snakescribe.characters import WITHOUT_SPACES
from snakescribe.config import Config
from snakescribe.corrections.apply import apply
from snakescribe.corrections.store import by_content
from snakescribe.errors import InputError
from snakescribe.evaluation.bootstrap import interval
from snakescribe.evaluation.counts import Errors, Unit, edits, usual_unit
from snakescribe.evaluation.references import as_written, beside, read_reference, reference_text
from snakescribe.inventory.ledger import Ledger
from snakescribe.inventory.plan import Plan
from snakescribe.inventory.walk import recordings_root
from snakescribe.layout import Results
from snakescribe.tables.batch import readable, row_groups
from snakescribe.tables.write import current_rows

STRANGE = 1.5
"""From this rate on the reference is probably of another recording: more than half of what was heard is not in it."""
_SCRIPTS = (
    *(("HANGUL", "ko"), ("HIRAGANA", "ja"), ("KATAKANA", "ja"), ("THAI", "th"), ("LAO", "lo"), ("MYANMAR", "my")),
    *(("KHMER", "km"), ("TIBETAN", "bo"), ("CJK", "zh")),
)


@dataclass(frozen=True)
class Judged:
    """A recording beside its reference."""

    recording_id: str
    path: str
    language: str
    group: str
    words: Errors | None
    """None in languages without words."""
    characters: Errors
    reference: str
    text: str
    fold_numbers: bool = False
    file: str = ""
    """Of the reference, where it was read in a folder of them."""

    @property
    def usual(self) -> Errors:
        """What is counted in its language when nothing else is asked for."""
        return self.characters if self.words is None or usual_unit(self.language) == "characters" else self.words

    @property
    def strange(self) -> bool:
        """The reference may be of another recording."""
        return (self.usual.rate or 0.0) > STRANGE


@dataclass(frozen=True)
class Rate:
    """Of some recordings together: all errors over all units."""

    unit: Unit
    recordings: int
    errors: Errors
    interval: tuple[float, float] | None
    """In which it lies with a probability of 95 %, see :mod:`.bootstrap`."""


def judge(
    results: Results, config: Config, folder: Path | None, group: str | None, fold_numbers: bool
) -> Iterator[Judged]:
    """Compare what was heard with the references of the sheet or of ``folder``, which wins.

    Args:
        results: of a finished run.
        config: of that run.
        folder: of reference files, named after the recordings.
        group: a column of the recordings table.
        fold_numbers: see :func:`.edits`.

    Raises:
        InputError: a reference cannot be read, or there is no such folder or column.
        ResultsError: there are no tables, or they are damaged.
    """
    if folder and not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give one with references")
    table = results.table("recordings", "parquet")
    with readable(table):
        there = pq.read_schema(table).names
    if group and group not in there:
        raise InputError(f"the recordings table has no column {group!r}; it has {', '.join(there)}")
    root = Path(recordings_root(config))
    columns = ["recording_id", "path", "language", "text", "reference", "source_state", *filter(None, [group])]
    for rows in row_groups(table, list(dict.fromkeys(columns))):
        for row in rows.to_pylist():
            found = beside(folder, row["path"]) if folder else None
            reference = read_reference(found) if found else reference_text(row["reference"] or "", root)
            if reference and row["source_state"] != "removed":
                name = os.fsencode(found).decode(errors="backslashreplace") if found else ""
                yield judged(row, reference, str(row[group] or "") if group else "", fold_numbers, name)


def judge_corrected(results: Results, fold_numbers: bool) -> Iterator[Judged]:
    """Compare what the model heard with what people have made of it, in recordings that they have put right.

    Raises:
        ResultsError: the plan or a batch file is missing or damaged.
    """
    corrections = by_content(results)
    with Ledger.open(results.ledger, readonly=True) as ledger:
        for batch in Plan.read(results.plan).batches:
            current = ledger.current(batch.batch)
            for rows in current_rows(results, batch.batch, current):
                for row in rows.to_pylist():
                    right = apply(row, corrections.get(row["sha256"], ()))
                    if right.get("corrected") and right["text"]:
                        yield judged(row, right["text"], fold_numbers=fold_numbers)


def judged(
    row: Mapping[str, Any], reference: str, group: str = "", fold_numbers: bool = False, file: str = ""
) -> Judged:
    """One recording; a failed one counts as heard as nothing."""
    text, reference = row["text"] or "", as_written(reference)
    language = spoken_language(reference, row["language"])
    words = None if language in WITHOUT_SPACES else edits(reference, text, language, "words", fold_numbers)
    characters = edits(reference, text, language, "characters", fold_numbers)
    key, path = row["recording_id"], row["path"]
    return Judged(key, path, language, group, words, characters, reference, text, fold_numbers, file)


def spoken_language(reference: str, heard: str | None) -> str:
    """The language of a reference: by its script where that says so, else what was heard.

    >>> spoken_language("안녕 Python", "en"), spoken_language("漢字とかな", "zh"), spoken_language("Guten Tag", "de")
    ('ko', 'ja', 'de')
    """
    scripts = Counter(
        unicodedata.name(char, "").split(" ")[0] for char in unicodedata.normalize("NFC", reference) if char.isalpha()
    )
    found = [language for script, language in _SCRIPTS if scripts[script] * 4 >= scripts.total() > 0]
    return found[0] if found else heard or "unknown"


def rates(recordings: Iterable[Judged]) -> dict[tuple[str, str], list[Rate]]:
    """By (kind, name): of everything, of each language, of each group."""
    sets: defaultdict[tuple[str, str], list[Judged]] = defaultdict(list)
    for one in recordings:
        for key in (("all", "all"), ("language", one.language), *[("group", one.group)] * bool(one.group)):
            sets[key].append(one)
    return {key: [*_rate(some, "words"), *_rate(some, "characters")] for key, some in sets.items()}


def _rate(recordings: Iterable[Judged], unit: Unit) -> Iterator[Rate]:
    counts = [errors for one in recordings if (errors := one.words if unit == "words" else one.characters)]
    if sum(errors.units for errors in counts):
        pair = interval([errors.total for errors in counts], [errors.units for errors in counts])
        yield Rate(unit, len(counts), sum(counts, Errors()), pair)
