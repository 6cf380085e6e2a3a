"""What an earlier run left undone, made visible to Snakemake.

When a job fails, Snakemake (9.27.1) puts the older version of an `update()` output back and records it as made with the
new parameters: with the same command it then finds nothing to do. So the steps leave behind what they finished with,
and before the jobs are planned every file that does not fit is put aside: what is missing is made.
"""

from __future__ import annotations

import os
import shutil
import time

from snakescribe.config import Config
from snakescribe.corrections import marker
from snakescribe.formats.listing import Listing, layout
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.transcribe.progress import finished_with


def put_aside_unfinished(results: Results, seen: str, options: str, config: Config) -> None:
    """Put aside what was not finished as it is wanted now; nothing is lost, its texts are in the earlier batch files.

    Args:
        results: locked by the caller.
        seen: digest of the recordings as they are now.
        options: :func:`snakescribe.keys.options_digest` of this run.
        config: of this run, for the transcript formats that are wanted.

    Raises:
        ResultsError: the plan or a listing is damaged.
    """
    planned = [one.batch for one in Plan.read(results.plan).batches] if results.plan.exists() else []
    wanted = Listing(outputs=sorted(config.outputs), layout=layout(config.subtitles, config.speakers != "off"))
    results.review.unlink(missing_ok=True)
    shutil.rmtree(results.sounds, ignore_errors=True)
    if config.speakers == "off":  # nobody is to be shown who said it
        shutil.rmtree(results.speakers("b").parent, ignore_errors=True)
        for path in results.speaker_tables:
            path.unlink(missing_ok=True)
    else:
        _hear_again(results, config.attempts)
    if not config.speakers_across:
        results.across.unlink(missing_ok=True)
    if results.naming.exists():  # killed: the names are in some files, and nothing says in which
        _tell_again(results)
    corrected = marker.are_in_files(results)
    if not corrected:  # a review was killed
        results.table("recordings", "parquet").unlink(missing_ok=True)
        marker.mark(results)
    complete = True
    for batch in planned or sorted(path.stem for path in results.manifest("b").parent.glob("*.json")):
        rows, earlier, listing = results.batch(batch), results.earlier(batch), results.exported(batch)
        fits = finished_with(results, batch) == options
        if rows.exists() and not fits:
            rows.replace(earlier)
        elif fits and earlier.exists() and not rows.exists():
            earlier.replace(rows)  # the options are again what they were
        told = config.speakers == "off" or results.speakers(batch).exists()  # a failed step leaves none
        if listing.exists() and not (corrected and told and rows.exists() and Listing.read(listing).made_like(wanted)):
            listing.unlink()
        complete &= listing.exists()
    if results.seen.exists() and results.seen.read_text(encoding="ascii") != seen:
        results.plan.unlink(missing_ok=True)
    if not complete or not results.plan.exists():
        results.checked.unlink(missing_ok=True)  # the last file of a run: for it the others are asked for


def _tell_again(results: Results) -> None:
    shutil.rmtree(results.speakers("b").parent, ignore_errors=True)
    for path in results.speaker_tables:
        path.unlink(missing_ok=True)
    results.naming.unlink()


def _hear_again(results: Results, attempts: int) -> None:
    """Have voices heard once more that could not be heard by what may be the machine's fault."""
    for noted in results.unheard("b").parent.glob("b*"):
        if int(noted.read_text(encoding="ascii")) < attempts:
            results.voices(noted.name).unlink(missing_ok=True)
            results.speakers(noted.name).unlink(missing_ok=True)


def bring_back(results: Results) -> None:
    """Give files of tomorrow, made by a clock that was ahead, times of now, in their order.

    Snakemake fails a job whose output is older than its input, as often as it is tried until tomorrow has come.
    """
    now = time.time_ns()
    own = (results.plan, results.manifest("b"), results.samples("b"), results.batch("b"), results.exported("b"))
    told = (results.voices("b"), results.speakers("b"))
    folders = {path.parent for path in (*own, *told, results.checked, *results.tables)}
    times = {path: path.stat().st_mtime_ns for folder in folders for path in folder.glob("*") if path.is_file()}
    ahead = sorted({made for made in times.values() if made > now}, reverse=True)
    ranks = {made: rank for rank, made in enumerate(ahead)}
    for path, made in times.items():
        if made in ranks:
            os.utime(path, ns=(now, now - 1000 * ranks[made]))
