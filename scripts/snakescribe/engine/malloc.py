"""The C library's heap, kept small: arenas of many threads each keep what was freed in them."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8
"""Of glibc's ``mallopt`` (``malloc.h``)."""


def share_arenas(count: int) -> None:
    """Let all threads allocate from ``count`` arenas instead of glibc's eight per core; elsewhere this does nothing.

    Arrays of many megabytes come and go in several threads; what is freed in the arena of one is of no use to the
    others.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_ARENA_MAX, count)


def trim() -> None:
    """Give what is free back to the system, where the C library is glibc; some milliseconds."""
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)
