"""Which transcripts were corrected by hand and kept, for the summary of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

from snakescribe.formats.export import exported_batches
from snakescribe.formats.listing import Listing
from snakescribe.formats.names import new_name
from snakescribe.layout import Results
from snakescribe.tables.summary import summarise


def notes(results: Results) -> Iterator[str]:
    """Sentences about them, as they are now: a new text that somebody has dealt with and deleted is no news."""
    beside = unwanted = 0
    for batch in exported_batches(results):
        listing = Listing.read(results.exported(batch))
        wanted = set(listing.files)
        for name in listing.corrected:
            shown = new_name(name) if name in wanted else name
            if (results.transcripts / os.fsdecode(shown)).is_file():
                beside += name in wanted
                unwanted += name not in wanted
    if beside:
        where = "it" if beside == 1 else "them"
        yield f"{_were(beside)} corrected by hand and kept; the new text is beside {where} as NAME.new.EXT"
    if unwanted:
        yield f"{_were(unwanted)} corrected by hand and kept, though in a format that is no longer in `outputs`"


def summarise_again(results: Results) -> None:
    """Bring ``summary.txt`` up to date after a change outside a run; a run that has none yet makes it at its end."""
    if results.summary.exists() and results.table("recordings", "parquet").exists():
        summarise(results, notes(results))


def _were(count: int) -> str:
    return "1 transcript was" if count == 1 else f"{count} transcripts were"
