"""How durations, confidence, speed and error rates are spread, as SVG that takes the page's colours and type."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

import numpy as np

BAR, LINE = "#010203", "#040506"
"""Stand for the page's own colours until the SVG is written."""
_THEME = {BAR: "var(--accent)", LINE: "currentColor"}
BINS = 30
LOGARITHMIC = frozenset({"duration", "speed"})


def histograms(values: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """An SVG for each name that has values; durations are in minutes. What they show is said in words on the page."""
    return {name: _histogram(name, np.asarray(some)) for name, some in values.items() if len(some) > 1}


def _histogram(name: str, values: np.ndarray) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, NullFormatter

    if name == "duration":
        values = values / 60
    if name in LOGARITHMIC:
        values = np.maximum(values, 0.01)
        low, high = values.min(), max(values.max(), values.min() * 1.1)
        edges = np.geomspace(low, high, BINS + 1)
    else:
        edges = np.linspace(0, max(1.0, min(float(values.max()), 2.0)), BINS + 1)
        values = np.minimum(values, edges[-1])
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9, "axes.edgecolor": LINE}):
        figure = Figure(figsize=(4.2, 1.9), layout="constrained")
        axes = figure.subplots()
        axes.hist(values, bins=edges.tolist(), color=BAR)
        if name in LOGARITHMIC:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("{x:g}" if high / low < 10 else NullFormatter())
        axes.tick_params(colors=LINE, which="both")
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(written.getvalue())


def _themed(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    for placeholder, colour in _THEME.items():
        svg = svg.replace(placeholder, colour)
    # Inside a page its rules and names would be everybody's.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL).replace("</svg>\n", "</svg>")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px inherit", svg)
    return re.sub(r'<svg ([^>]*?)(?: width="[^"]*")? height="[^"]*"', r'<svg aria-hidden="true" \1', svg, count=1)
