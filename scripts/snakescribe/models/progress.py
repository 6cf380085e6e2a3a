"""Telling a person what takes long: a live line on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

_console = Console(stderr=True, highlight=False, markup=False)


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say ``what`` while the block runs."""
    if _console.is_terminal:
        with _console.status(what):
            yield
    else:
        _console.print(what, soft_wrap=True)
        yield


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Say ``what`` while the block runs; the callable given to it counts ``total`` bytes up."""
    if not _console.is_terminal:
        with telling(f"{what} ({total / 1e6:.0f} MB)"):
            yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console) as progress:
        task = progress.add_task(what, total=total or None)
        yield lambda count: progress.advance(task, count)
