"""Whether weights are still what was once checked, by a look at size and time: hashing gigabytes takes long."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import Field, ValidationError

from snakescribe.files import write_atomically
from snakescribe.models.store import Store, Sum
from snakescribe.records import Frozen

NOTE = ".checked.json"


class Seen(Frozen):
    """A file as it was when its sum was right."""

    sha256: str
    size: int
    mtime_ns: int


class Note(Frozen):
    """``.checked.json`` beside the weights, or where the store cannot be written, in the cache."""

    files: dict[str, Seen] = Field(default_factory=dict)
    """By name in the model's folder."""


def check_unchanged(store: Store, name: str, spare: Path) -> int:
    """Hash what has another size or time than when it was last hashed, and note it.

    Args:
        store: where the model lies.
        name: of a model in it.
        spare: folder for the note where the store may only be read.

    Returns:
        How many files had to be hashed; none as a rule.

    Raises:
        ModelError: a file is missing or not what it must be; says which, and what to run.
    """
    known, mend = store.known(name)
    folder = store.root / store.entry(name).name
    notes = (folder / NOTE, spare / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.json")
    before = next((note for path in notes if (note := _read(path))), Note())
    now: dict[str, Seen] = {}
    hashed = 0
    for path, expected in known.items():
        status = path.stat()
        own = str(path.relative_to(folder))
        now[own] = Seen(sha256=expected.sha256, size=status.st_size, mtime_ns=status.st_mtime_ns)
        if before.files.get(own) != now[own]:
            store.compare(path, expected, mend)
            hashed += 1
    if hashed:
        for path in notes:
            with suppress(OSError):
                write_atomically(path, Note(files=now).model_dump_json().encode())
                break
    return hashed


def note_sealed(folder: Path, known: Mapping[str, Sum]) -> None:
    """Note files that were hashed just now, so that the first job need not do it again."""
    files = {}
    for own, expected in known.items():
        status = (folder / own).stat()
        files[own] = Seen(sha256=expected.sha256, size=status.st_size, mtime_ns=status.st_mtime_ns)
    write_atomically(folder / NOTE, Note(files=files).model_dump_json().encode())


def _read(path: Path) -> Note | None:
    try:
        return Note.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
