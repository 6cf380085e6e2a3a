"""How amounts are written for people."""

from __future__ import annotations


def counted(number: int, thing: str, ending: str = "s") -> str:
    """So many of a thing; ``ending`` is that of its plural.

    >>> counted(1, "recording"), counted(1200, "batch", "es")
    ('1 recording', '1,200 batches')
    """
    return f"{number:,} {thing}{ending if number != 1 else ''}"


def hours(seconds: float) -> str:
    """A length of audio or time.

    >>> hours(15.4), hours(75), hours(3 * 3600), hours(2_500 * 3600)
    ('15 s', '1.2 min', '3.00 h', '2,500.00 h')
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:,.2f} h"


def clock(seconds: float) -> str:
    """A place in a recording, as a player shows it.

    >>> clock(3 * 3600 + 7 * 60 + 59.9)
    '3:07:59'
    """
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
