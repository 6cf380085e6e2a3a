"""Which files nobody needs any more, because nothing has used them for long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snakescribe.config import Config
from snakescribe.layout import Results
from snakescribe.transcribe.cache import Cache

DAY = 86_400.0
"""Seconds."""


@dataclass(frozen=True)
class Useless:
    """Files of one kind that may go."""

    what: str
    paths: tuple[Path, ...]
    size: int
    """Bytes."""

    def remove(self) -> None:
        """For good."""
        for path in self.paths:
            path.unlink(missing_ok=True)


def useless(results: Results, config: Config, days: float) -> list[Useless]:
    """What has not been touched for so many days: transcripts in the cache, journals and logs of batches."""
    before = time.time() - days * DAY
    steps = ("normalise", "transcribe", "voices", "speakers", "export")
    logs = [results.log(step, "b").parent for step in steps] + [results.benchmark("b").parent]
    kinds = {
        "transcripts in the cache": Cache(config).entries(),
        "journals of batches that never went on": results.journal("b").parent.glob("*.jsonl"),
        "logs": (path for folder in logs for path in folder.glob("*")),
        "half-written files": results.half_written(),
    }
    return [_old(what, paths, before) for what, paths in kinds.items()]


def _old(what: str, paths: Iterator[Path], before: float) -> Useless:
    found = []
    size = 0
    for path in paths:
        status = path.lstat()
        if status.st_mtime < before:
            found.append(path)
            size += status.st_size
    return Useless(what, tuple(found), size)
