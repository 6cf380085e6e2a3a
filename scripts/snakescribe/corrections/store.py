"""``corrections.parquet``: who put what right, when; new rows are added, none is ever changed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from datetime import datetime
from os import close
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from snakescribe.errors import BusyError, ResultsError
from snakescribe.files import atomic_file, hold_lock
from snakescribe.layout import Results
from snakescribe.records import Frozen

PATIENCE = 30.0
"""Seconds to wait for somebody else who is adding some."""


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LONGEST = 100_000
"""Letters of a segment."""


class Said(Frozen):
    """What was really said from ``start`` to ``end`` (seconds)."""

    start: Seconds
    end: Seconds
    text: Annotated[str, Field(max_length=LONGEST)]
    speaker: Annotated[str, Field(max_length=20)] | None = None
    """Label of who said it, where somebody else was taken for it."""


class Correction(Frozen):
    """One stretch of one channel, as somebody heard it."""

    recording_id: str
    sha256: str
    """Of the recording's content: other content is another recording."""
    channel: str | None
    start: float
    end: float
    """Seconds: the segments that lie here are replaced, whatever model cut them."""
    old: str
    """What stood here, so that it can be seen when two people put the same place right."""
    new: tuple[Said, ...]
    """Empty when nobody speaks here."""
    who: str
    when: datetime
    undoes: int | None = None
    """Number of the row that this one takes back, from 1, among those of its content."""


_SAID = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("text", pa.string()), ("speaker", pa.string())])
_SCHEMA = pa.schema(
    [
        ("recording_id", pa.string()),
        ("sha256", pa.string()),
        ("channel", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("old", pa.string()),
        ("new", pa.list_(_SAID)),
        ("who", pa.string()),
        ("when", pa.timestamp("ms", "UTC")),
        ("undoes", pa.int32()),
    ],
    metadata={"snakescribe_corrections_version": "1"},
)


def read(results: Results) -> list[Correction]:
    """All of them, in the order in which they were made.

    Raises:
        ResultsError: the file is damaged.
    """
    try:
        return [Correction.model_validate(row) for row in pq.read_table(results.corrections).to_pylist()]
    except FileNotFoundError:
        return []
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise ResultsError(
            f"{results.corrections} is damaged ({reason}); put back a copy, it is made by people and by nothing else"
        ) from None


def by_content(results: Results) -> dict[str, list[Correction]]:
    """:func:`read`, by the content's SHA-256: a recording under another name, and a copy, are as right as the first."""
    found: defaultdict[str, list[Correction]] = defaultdict(list)
    for one in read(results):
        found[one.sha256].append(one)
    return dict(found)


def undone(mine: Sequence[Correction]) -> set[int]:
    """Numbers, from 1, of those of one content that somebody has taken back; an undo can be taken back, too.

    Rows of a content are forgotten together or not at all, so that their numbers stay.
    """
    gone = set[int]()
    for number, one in reversed(list(enumerate(mine, 1))):
        if one.undoes and number not in gone:
            gone.add(one.undoes)
    return gone


def standing(mine: Sequence[Correction]) -> dict[int, Correction]:
    """Corrections of one content that nobody has taken back, by number."""
    gone = undone(mine)
    return {n: one for n, one in enumerate(mine, 1) if one.undoes is None and n not in gone}


def add(results: Results, more: Sequence[Correction]) -> None:
    """Add some; what others have added meanwhile stays.

    Raises:
        ResultsError: the file is damaged.
        BusyError: somebody else was adding some all the time.
    """
    _write(results, lambda there: [*there, *more])


def forget(results: Results, contents: Set[str]) -> int:
    """Take out all of some contents; how many."""
    if not results.corrections.exists():
        return 0
    before = len(read(results))
    _write(results, lambda there: [one for one in there if one.sha256 not in contents])
    return before - len(read(results))


def _write(results: Results, change: Callable[[list[Correction]], Iterable[Correction]]) -> None:
    lock = _locked(results)
    try:
        rows = [one.model_dump() for one in change(read(results))]
        with atomic_file(results.corrections) as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), file)
    finally:
        close(lock)


def _locked(results: Results) -> int:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return hold_lock(results.state / "corrections.lock", "somebody else is correcting here; try again")
        except BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
