"""The plots of docs/benchmarks.md, as SVG that does not change when the figures do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

OURS, PEER = "#1b7f5c", "#b3541e"


class Spot(NamedTuple):
    """A system in the plane of cost and errors."""

    name: str
    cost: float
    """CPU seconds per hour of audio."""
    rate: float
    """Errors per word or character."""
    ours: bool


def frontier(spots: Sequence[Spot]) -> list[Spot]:
    """The spots that no other one beats in both, from the cheapest on."""
    best: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (spot.cost, spot.rate)):
        if not best or spot.rate < best[-1].rate:
            best.append(spot)
    return best


def draw_comparison(spots: Sequence[Spot], target: Path) -> None:
    """Error rate against core-seconds per hour of audio; a line through our best ones."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 5))
    line = frontier([spot for spot in spots if spot.ours])
    axes.plot([spot.cost for spot in line], [spot.rate for spot in line], color=OURS, linewidth=1.2, zorder=1)
    for ours, colour, marker, label in ((True, OURS, "o", "ours"), (False, PEER, "s", "peers")):
        some = [spot for spot in spots if spot.ours is ours]
        axes.scatter([s.cost for s in some], [s.rate for s in some], c=colour, marker=marker, label=label, zorder=2)
    for spot in spots:
        place = {"xytext": (5, 4), "ha": "left"} if spot.ours else {"xytext": (-5, 4), "ha": "right"}
        axes.annotate(spot.name, (spot.cost, spot.rate), textcoords="offset points", fontsize=7, **place)
    axes.set_xlabel("core-seconds per hour of audio (log)")
    axes.set_ylabel("errors per word (ko, ja, zh, th: per character)")
    axes.margins(x=0.2)
    axes.legend(frameon=False)
    _save(plt, figure, axes, target)


def draw_scale(points: Sequence[tuple[float, float]], target: Path) -> None:
    """Core-seconds per hour of audio against seconds per recording."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 3.5))
    axes.plot([seconds for seconds, _ in points], [cost for _, cost in points], color=OURS, marker="o")
    axes.set_xlabel("seconds per recording, the same total (log)")
    axes.set_ylabel("core-seconds per hour of audio")
    axes.set_ylim(bottom=0)
    _save(plt, figure, axes, target)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    return plt


def _save(plt: Any, figure: Any, axes: Any, target: Path) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="minor", labelsize=7)
    axes.grid(alpha=0.25, which="both", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
