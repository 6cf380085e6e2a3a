"""Say what a run would do: hours of audio, batches, time and disk. Nothing is written.

New files are probed, not hashed: a file that was only touched, moved or copied counts as work here, and
turns out to be none when the run hashes it. What a changed model, option or version does again counts as work too.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.commands.common import asked_options, register_options
from snakescribe.config import load_config
from snakescribe.errors import ModelError, ResultsError
from snakescribe.units import counted, hours

if TYPE_CHECKING:
    from snakescribe.config import Config
    from snakescribe.layout import Results

PCM_GB_PER_HOUR = SAMPLE_RATE * SAMPLE_BYTES * 3600 / 1e9


def register(parser: argparse.ArgumentParser) -> None:
    """The same options as ``snakescribe run``."""
    register_options(parser)


def run(args: argparse.Namespace) -> int:
    """Walk, probe what is new, and print the plan."""
    _print(_lines(load_config(asked_options(args), Path.cwd())))
    return 0


def _lines(config: Config) -> list[tuple[str, str]]:
    from snakescribe.estimate import VOICES_SPEED
    from snakescribe.inventory.ledger import Ledger
    from snakescribe.inventory.take import update
    from snakescribe.inventory.walk import walk
    from snakescribe.keys import options_digest
    from snakescribe.layout import Results
    from snakescribe.models.configured import configured_capabilities, configured_model

    configured_capabilities(config)
    options = None
    with suppress(ModelError):  # not fetched yet
        options = options_digest(config, configured_model(config))
    results = Results(Path(config.results))
    walked = walk(config)
    with tempfile.TemporaryDirectory(prefix="snakescribe-plan-") as scratch:
        draft = Path(scratch) / "ledger.sqlite"
        if results.ledger.exists():
            with Ledger.open(results.ledger, readonly=True) as ledger:
                ledger.copy(draft)
        with Ledger.open(draft) as ledger:
            ledger.path = results.ledger  # its errors are about the one that was copied
            taken = update(ledger, config, walked, hashing=False)
    plan = taken.plan
    waiting = [batch for batch in plan.batches if not _done(results, batch.batch, options)]
    seconds = sum(batch.seconds for batch in waiting)
    recordings = sum(batch.recordings for batch in waiting)
    speed, basis = _speed(config, results)
    run, batch, whence = _fixed(results)
    fixed = f"{run:.0f} s for a run and {batch:.0f} s for each batch, {whence}"
    cores = len(os.sched_getaffinity(0))
    unheard = sum(one.seconds for one in plan.batches if not results.voices(one.batch).exists())
    voices = 0.0 if config.speakers == "off" else unheard * VOICES_SPEED
    total = run + batch * len(waiting) + seconds * speed + voices / cores
    what = "transcribing" + (" and telling voices apart" if voices else "")
    disk = seconds / 3600 * PCM_GB_PER_HOUR
    changed = [
        f"{number:,} with {what} ({', '.join([*names, *['…'] * (number > len(names))])})"
        for what, (number, names) in taken.because.items()
    ]
    skipped = "; ".join(note.strip() for note in plan.passed_over_notes())
    return [
        ("recordings", f"{plan.recordings - plan.removed:,}, {hours(plan.seconds)} of audio by their headers"),
        ("new", f"{taken.new:,} new, {taken.changed:,} changed, {taken.retried:,} to be retried"),
        *([("changed", "; ".join(changed))] if changed else []),
        ("removed", f"{plan.removed:,}"),
        ("done", f"{counted(plan.recordings - recordings, 'recording')}, {hours(max(0.0, plan.seconds - seconds))}"),
        ("to do", f"{counted(recordings, 'recording')}, {hours(seconds)}, in {counted(len(waiting), 'batch', 'es')}"),
        ("time", f"about {hours(total)}, {hours(seconds * speed * cores + voices)} of processor time for {what}"),
        (
            "basis",
            f"{basis}; {fixed}; one batch after the other on {cores} cores; less what is in the cache",
        ),
        ("disk", f"up to {min(disk, config.batch.ahead_gb):,.2f} GB at a time (0.115 GB per hour of audio)"),
        ("skipped", skipped or "nothing"),
    ]


def _done(results: Results, batch: str, options: str | None) -> bool:
    """Whether the next run leaves a batch as it is: what was finished with other options is transcribed again."""
    from snakescribe.transcribe.progress import finished_with

    return results.batch(batch).exists() and options in (None, finished_with(results, batch))


def _speed(config: Config, results: Results) -> tuple[float, str]:
    """Wall seconds per second of audio, and where the figure comes from."""
    table = results.table("recordings", "parquet")
    if table.exists():
        import pandas as pd

        from snakescribe.tables.batch import readable

        measured = [("model", "==", config.model), ("duration", ">", 0)]
        with readable(table):
            rows = pd.read_parquet(table, columns=["wall_seconds", "duration", "cached"], filters=measured)
        rows = rows if rows.cached.all() else rows[~rows.cached]  # made elsewhere perhaps, but better than a guess
        if len(rows):
            median = float((rows.wall_seconds / rows.duration).median())
            return median, f"{median:.3f} s per second of audio, median of {counted(len(rows), 'recording')} done"
    from snakescribe.estimate import core_seconds

    speed = core_seconds(config) / len(os.sched_getaffinity(0))
    return speed, f"no measurement yet, assuming {speed:.3f} s per second of audio (from the model's size, on the CPU)"


def _fixed(results: Results) -> tuple[float, float, str]:
    """Seconds of a run, and of a batch, that do not grow with the audio, and where the figures come from."""
    from snakescribe.ending import Ending
    from snakescribe.estimate import BATCH_SECONDS, RUN_SECONDS
    from snakescribe.tables.batch import row_groups

    with suppress(OSError, ValueError, ResultsError):  # no run, one of an older version, or a killed one
        last = Ending.model_validate_json(results.ending.read_bytes())
        spent: dict[str, float] = {}  # by batch, as Snakemake measured it
        for path in results.benchmark("b").parent.glob("*.tsv"):
            if path.stat().st_mtime >= last.started.timestamp():
                spent[path.stem] = float(path.read_text().splitlines()[1].split("\t")[0])
        if last.host == socket.gethostname() and last.transcribed and spent:
            beside = dict(spent)
            columns = ["batch", "wall_seconds", "cached"]
            for group in row_groups(results.table("recordings", "parquet"), columns):
                for row in group.to_pylist():
                    if row["batch"] in beside and not row["cached"]:
                        beside[row["batch"]] -= row["wall_seconds"] or 0
            took = (last.ended - last.started).total_seconds()
            return max(0.0, took - sum(spent.values())), max(0.0, median(beside.values())), "as in the last run here"
    return RUN_SECONDS, BATCH_SECONDS, "assumed of an idle machine"


def _print(lines: list[tuple[str, str]]) -> None:
    if not sys.stdout.isatty():
        for name, value in lines:
            print(f"{name}: {value}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False)
    for name, value in lines:
        table.add_row(Text(name, style="bold"), Text(value))
    Console().print(table)
