"""SIGTERM from the first moment on, before anything slow is imported.

Process 1 of a container ignores every signal that it has no handler for, and is killed after docker's ten seconds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def end_at_once(number: int, frame: FrameType | None) -> None:
    """A signal handler: end as a shell expects it of a signal (128 + its number); nothing is tidied up."""
    os._exit(128 + number)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, end_at_once)  # who asks twice need not wait
    raise SystemExit(128 + number)


@contextmanager
def ends_at_once() -> Iterator[None]:
    """A block that SIGTERM ends together with the process, by the exit code 143."""
    before = signal.signal(signal.SIGTERM, end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def ends_tidily() -> Iterator[None]:
    """A block that SIGTERM leaves through its ``finally``, with the exit code 143; a second one ends it at once."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
