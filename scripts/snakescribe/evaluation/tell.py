"""Rates and counts as people read them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from rich.cells import set_cell_size

from snakescribe.evaluation.evaluate import Rate


def table(rates: Mapping[tuple[str, str], Iterable[Rate]]) -> str:
    """All rates, one a line: what of, WER or CER, interval, substitutions, deletions, insertions, units."""
    lines = [f"{'':20} {'':4} {'rate':>7} {'95 %':>15} {'S':>6} {'D':>6} {'I':>6} {'units':>8} {'recordings':>10}"]
    for (_, name), some in sorted(rates.items(), key=lambda item: (item[0][0] != "all", item[0])):
        for rate in some:
            errors, unit = rate.errors, "WER" if rate.unit == "words" else "CER"
            between = " to ".join(f"{end:.1%}" for end in rate.interval) if rate.interval else ""
            counts = f"{errors.substitutions:6} {errors.deletions:6} {errors.insertions:6} {errors.units:8}"
            what = set_cell_size(unicodedata.normalize("NFC", name), 20)  # Hangul is two columns wide
            lines.append(f"{what} {unit} {errors.rate or 0:8.2%} {between:>15} {counts} {rate.recordings:10}")
    return "\n".join(lines)
