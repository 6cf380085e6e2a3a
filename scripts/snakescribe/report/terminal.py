"""The report's first screen in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from snakescribe.config import Config
from snakescribe.errors import ADVICE
from snakescribe.flags import MEANING
from snakescribe.layout import Results
from snakescribe.report.entries import recordings
from snakescribe.report.overview import Overview
from snakescribe.units import counted, hours

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_BINS = 40


def overview_of(results: Results, config: Config) -> Overview:
    """The figures alone.

    Raises:
        ResultsError: the plan or a batch file is missing or damaged.
    """
    overview = Overview()
    for some in recordings(results, config):
        for entry, row in some:
            overview.add(entry, row)
    return overview


def tell(overview: Overview, console: Console | None = None) -> None:
    """Print figures, failures, doubts, languages, error rates and how durations, confidence and speed are spread."""
    console = console or Console(highlight=False)
    status = ", ".join(f"{overview.status[name]:,} {name}" for name in ("ok", "empty", "failed"))
    removed = f", {overview.status['removed']:,} removed since" if overview.status["removed"] else ""
    speed = f", made at {overview.speed:.1f} × real time" if overview.speed else ""
    console.print(
        f"[bold]{counted(overview.recordings, 'recording')}[/]: {status}{removed}; "
        f"{hours(overview.seconds['audio'])} of audio, {hours(overview.seconds['speech'])} of speech{speed}"
    )
    failures = ((f"{number:,}", name, ADVICE.get(name, "")) for name, number in overview.failures.most_common())
    _table(console, "Failed", ("recordings", "why", "what to do"), failures)
    flags = overview.flags
    doubts = [(f"{flags[flag]:,}", str(flag), meaning) for flag, meaning in MEANING.items() if flags[flag]]
    if overview.without_text:
        without = f"{hours(overview.seconds['gap'])} of speech without text"
        doubts.insert(0, (f"{overview.without_text:,}", "gaps", without))
    _table(console, "To look at", ("recordings", "flag", "it says"), doubts)
    languages = sorted(overview.languages.items(), key=lambda item: -item[1][1])
    _table(
        console,
        "Languages",
        ("language", "recordings", "audio"),
        ((code, f"{number:,.0f}", hours(seconds)) for code, (number, seconds) in languages),
    )
    _table(
        console,
        "Errors beside references",
        ("language", "rate", "95 %", "recordings"),
        (
            (
                f"{rate['language'] or '?'} ({rate['unit']})",
                "–" if rate["rate"] is None else f"{rate['rate']:.1%}",
                " to ".join(f"{end:.1%}" for end in rate["interval"] or ()),
                f"{rate['recordings']:,}",
            )
            for rate in overview.rates()
        ),
    )
    _table(
        console, "Made by", ("model", "recordings"), ((what, f"{n:,}") for what, n in overview.made_by.most_common(5))
    )
    for name, unit in (("duration", "s"), ("confidence", ""), ("speed", "×"), ("rate", "")):
        if len(overview.values[name]) > 1:
            console.print(_spread(name, unit, overview.values[name]))


def _table(console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in ("recordings", "rate") else "left", header_style="dim")
    for row in rows:
        table.add_row(*map(Text, row))  # as text: a flag or a class is no markup
    if table.row_count:
        console.print(table)


def _spread(name: str, unit: str, values: Sequence[float]) -> str:
    """A line: name, least, how many are where, most."""
    numbers = np.asarray(values)
    counts, _ = np.histogram(numbers, _BINS)
    bars = "".join(_EIGHTHS[-(-8 * int(n) // int(counts.max()))] for n in counts)
    return f"{name:10} {numbers.min():8.2f} {unit:1} {bars} {numbers.max():.2f} {unit}"
