"""What an earlier run left undone, made visible to Snakemake.

When a job fails, Snakemake puts the older version of its output back and forgets what that was made from: with the same
command it then finds nothing to do. So the steps leave behind what they finished with, and before the jobs are planned
everything that does not fit is given a modification time in 1970: older than what it is made of, it is made again. What
is made of nothing, or not there at all, is asked for by taking away the last file of a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from snakescribe.files import LONG_AGO
from snakescribe.formats.listing import Listing
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.transcribe.progress import finished_with


def mark_unfinished(results: Results, seen: str, options: str, outputs: Iterable[str]) -> None:
    """Have Snakemake make again what was not finished as it is wanted now.

    Args:
        results: locked by the caller.
        seen: digest of the recordings as they are now.
        options: :func:`snakescribe.keys.options_digest` of this run.
        outputs: the transcript formats that are wanted.

    Raises:
        ResultsError: the plan or a listing is damaged.
    """
    planned = [one.batch for one in Plan.read(results.plan).batches] if results.plan.exists() else []
    wanted = sorted(outputs)
    complete = True
    for batch in planned or sorted(path.stem for path in results.manifest("b").parent.glob("*.json")):
        rows, listing = results.batch(batch), results.exported(batch)
        if not rows.exists():
            listing.unlink(missing_ok=True)
        elif finished_with(results, batch) != options:
            _age(rows)
        if not listing.exists():
            complete = False
        elif Listing.read(listing).outputs != wanted:
            _age(listing)
    if results.seen.exists() and results.seen.read_text(encoding="ascii") != seen:
        results.plan.unlink(missing_ok=True)  # it has no input that could be newer
    if not complete or not results.plan.exists():  # what lies between is made only if the last file is not there
        results.checked.unlink(missing_ok=True)


def _age(path: Path) -> None:
    os.utime(path, (LONG_AGO, LONG_AGO))
