"""docs/benchmarks.md, written from the raw rows alone: nothing in it is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import compare, encoder, records, scale
from benchmarks.bench import SOFTWARE, Bench
from benchmarks.folder import BenchmarkError, Folder
from benchmarks.peer import PEERS
from benchmarks.records import Row
from benchmarks.score import groups, score
from snakescribe.evaluation.counts import Errors

KEY_PACKAGES = (
    *("python", "ffmpeg", "snakemake", "torch", "numpy", "av", "onnxruntime"),
    *("openai-whisper", "ctranslate2", "openvino", "faster-whisper", "pywhispercpp"),
)
BUSY = 0.05
"""Share of CPU seconds taken by other processes above which a run is called disturbed."""


@dataclass(frozen=True)
class Result:
    """One system: medians over its runs, and the errors of the run in the middle."""

    name: str
    version: str
    runs: int
    wall: tuple[float, float, float]
    """Seconds: median, least, most."""
    cpu: tuple[float, float, float]
    peak_mb: float
    errors: Mapping[str, Errors]
    """Of en, fr, ko, others, all."""
    disturbed: int
    """Runs with a busy machine."""

    @property
    def ours(self) -> bool:
        """Whether it is a variant of ours."""
        return self.name not in PEERS


def result(name: str, rows: Sequence[Row], scored: Sequence[Mapping[str, Errors]]) -> Result:
    """Sum up the runs of one system; ``scored`` has the errors per language of each."""
    by_total = sorted(scored, key=lambda errors: sum(counts.total for counts in errors.values()))
    return Result(
        name=name,
        version=rows[-1]["version"],
        runs=len(rows),
        wall=_spread(row["wall_s"] for row in rows),
        cpu=_spread(row["cpu_s"] for row in rows),
        peak_mb=median(row["peak_mb"] for row in rows),
        errors=groups(by_total[(len(by_total) - 1) // 2]),
        disturbed=sum(row["other_cpu_s"] > BUSY * row["cpu_s"] for row in rows),
    )


def _spread(values: Iterable[float]) -> tuple[float, float, float]:
    found = sorted(values)
    return median(found), found[0], found[-1]


def results(bench: Bench) -> list[Result]:
    """All systems, ours first, then the peers, then our other variants."""
    found = []
    for name, rows in records.current(records.read_rows(bench.raw), compare.KIND).items():
        scored = [score(bench.folder.recordings, compare.texts(bench, row)) for row in rows]
        found.append(result(name, rows, scored))
    order = [compare.OURS, *PEERS]
    return sorted(found, key=lambda r: (order.index(r.name) if r.name in order else len(order), r.name))


def write(bench: Bench, target: Path) -> None:
    """Write the document and its plots.

    Raises:
        BenchmarkError: nothing has been measured.
    """
    from benchmarks import plot

    rows = records.read_rows(bench.raw)
    found = results(bench)
    text = document(bench.folder, rows, found, target.stem)
    images = target.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    if found:
        hours = bench.folder.seconds / 3600
        spots = [plot.Spot(r.name, r.cpu[0] / hours, r.errors["all"].rate or 0.0, r.ours) for r in found]
        plot.draw_comparison(spots, images / f"{target.stem}.svg")
    if sizes := records.current(rows, scale.KIND):
        points = [(cost.each, cost.per_hour) for cost in costs(sizes, "length")]
        plot.draw_scale(points, images / f"{target.stem}-scale.svg")
    target.write_text(text, encoding="utf-8")


def document(folder: Folder, rows: Sequence[Row], found: Sequence[Result], name: str = "benchmarks") -> str:
    """The Markdown; ``name`` is what its plots are called after.

    Raises:
        BenchmarkError: nothing has been measured.
    """
    measured = [row for kind in (compare.KIND, encoder.KIND, scale.KIND) for row in _flat(rows, kind)]
    if not measured:
        raise BenchmarkError("nothing has been measured yet; run `make bench` first (benchmarks/README.md)")
    software = [row["software"] for row in rows if row["kind"] == SOFTWARE][-1]
    parts = [head(folder, measured[-1]["setting"], measured, software)]
    if found:
        parts.append(comparison(found, folder.seconds, name))
    if speeds := records.current(rows, encoder.KIND):
        parts.append(encoder_part(next(iter(speeds.values()))[-1]))
    if sizes := records.current(rows, scale.KIND):
        parts.append(scale_part(sizes, name))
    return "\n".join([*parts, versions(software)])


def _flat(rows: Sequence[Row], kind: str) -> list[Row]:
    return [row for some in records.current(rows, kind).values() for row in some]


def head(folder: Folder, setting: Row, measured: Sequence[Row], software: Mapping[str, str]) -> str:
    """Title, what was measured where, and when."""
    machine = setting["machine"]
    languages = sorted({recording.language for recording in folder.recordings} - {""})
    days = sorted({row["date"][:10] for row in measured})
    return f"""<!-- Generated by `make bench` from measurements; edit benchmarks/. -->

# Benchmarks

Whole processes, model load and Snakemake included, on the same cores, by turns; times and memory are medians, in
parentheses the least and the most. Errors stand beside every time. How it is done and how to repeat it:
[benchmarks/README.md](../benchmarks/README.md).

- Model: `{setting["model"]}`
- Recordings: {len(folder.recordings)}, {folder.seconds / 60:.1f} min, languages {", ".join(languages)}
- Machine: {machine["cpu"]}, {machine["cores"]} cores given to every run, {machine["memory_gb"]} GB, {machine["system"]}
- CPU flags that matter: {", ".join(machine["flags"]) or "none"}
- Ours: commit {software["commit"]}
- Measured: {" to ".join(dict.fromkeys([days[0], days[-1]]))}
"""


def comparison(found: Sequence[Result], seconds: float, name: str) -> str:
    """Ours beside the peers, the ratios, our other variants, the plot."""
    first = [r for r in found if r.name == compare.OURS or not r.ours]
    others = [r for r in found if r.ours and r.name != compare.OURS]
    parts = ["## Ours beside the peers\n", table(first, seconds)]
    if first[0].ours and len(first) > 1:
        parts += ["What a peer takes, as a multiple of what ours takes, and its errors less ours:\n", ratios(first)]
    if others:
        parts += ["## Our variants\n", table(others, seconds)]
    if disturbed := sum(r.disturbed for r in found):
        share = f"{disturbed} of {sum(r.runs for r in found)} runs"
        parts.append(f"In {share}, other processes took more than {BUSY:.0%} of the run's CPU seconds.\n")
    parts.append(f"![Error rate against core-seconds per hour of audio](images/{name}.svg)\n")
    return "\n".join(parts)


def table(found: Sequence[Result], seconds: float) -> str:
    """Times and errors of some systems."""
    columns = ["system", "n", "wall s", "core-s", "peak MB", "× real time", "S / D / I", "invented words"]
    shown = list(found[0].errors)
    lines = []
    for r in found:
        total = r.errors["all"]
        wall, cpu = (_with_spread(spread, r.runs) for spread in (r.wall, r.cpu))
        cells = [r.name, str(r.runs), wall, cpu, f"{r.peak_mb:.0f}", f"{seconds / r.wall[0]:.1f}"]
        cells += [f"{total.substitutions} / {total.deletions} / {total.insertions}", str(total.invented)]
        lines.append(cells + [_rate(r.errors[group]) for group in shown])
    return markdown(columns + shown, lines)


def ratios(found: Sequence[Result]) -> str:
    """Of medians, each peer's to ours; ours is the first."""
    ours = found[0]
    lines = []
    for peer in found[1:]:
        times = (peer.cpu[0] / ours.cpu[0], peer.wall[0] / ours.wall[0], peer.peak_mb / ours.peak_mb)
        theirs, own = peer.errors["all"], ours.errors["all"]
        more, invented = theirs.total - own.total, theirs.invented - own.invented
        lines.append([peer.name, *(f"{ratio:.2f}" for ratio in times), f"{more:+d}", f"{more + invented:+d}"])
    return markdown(["peer", "core-s", "wall", "memory", "errors", "with invented words"], lines)


def encoder_part(row: Row) -> str:
    """The encoder's share of what the machine can do."""
    precisions = list(row["peaks"])
    peaks = ", ".join(f"{precision} {row['peaks'][precision] / 1e9:.0f}" for precision in precisions)
    lines = []
    for one in row["encoders"]:
        speed = row["flops"] / one["seconds"]
        shares = [f"{speed / row['peaks'][precision]:.0%}" for precision in precisions]
        lines.append([f"{one['engine']} {one['compute_type']}", f"{one['seconds']:.3f}", f"{speed / 1e9:.0f}", *shares])
    return f"""## The encoder beside the machine's matrix product

One core. torch's matrix product reaches (GFLOP/s): {peaks}. The encoder takes {row["flops"] / 1e9:.1f} GFLOP for a
30-s window (the formula is in `benchmarks/encoder.py`); the first row is what `auto` takes.

{markdown(["encoder", "s per window", "GFLOP/s", *(f"of {precision}" for precision in precisions)], lines)}"""


def scale_part(sizes: Mapping[str, Sequence[Row]], name: str) -> str:
    """Cost per hour of audio over lengths and numbers of recordings."""
    parts = ["## Scale\n", "Ours alone, speech cut from the same recordings, every recording different.\n"]
    for series, title in (("length", "The same audio in recordings of"), ("count", "More recordings of one length")):
        lines = []
        before: tuple[float, float] | None = None
        for point in costs(sizes, series):
            cells = [str(point.count), f"{point.each:g}", str(point.runs), f"{point.audio / 60:.1f}"]
            cells += [f"{point.wall:.1f}", f"{point.cpu:.1f}", f"{point.peak_mb:.0f}", f"{point.per_hour:.0f}"]
            if series == "count":
                more = (point.cpu - before[0]) / (point.audio - before[1]) * 3600 if before else None
                cells.append("" if more is None else f"{more:.0f}")
                before = point.cpu, point.audio
            lines.append(cells)
        if lines:
            columns = ["recordings", "s each", "n", "min", "wall s", "core-s", "peak MB", "core-s per hour"]
            columns += ["core-s per further hour"] if series == "count" else []
            parts += [f"{title}:\n", markdown(columns, lines)]
    parts.append(f"![Core-seconds per hour of audio against length](images/{name}-scale.svg)\n")
    return "\n".join(parts)


@dataclass(frozen=True)
class Cost:
    """Medians of one point of a scale series."""

    count: int
    each: float
    """Seconds of a recording."""
    runs: int
    wall: float
    cpu: float
    peak_mb: float

    @property
    def audio(self) -> float:
        """Seconds in total."""
        return self.count * self.each

    @property
    def per_hour(self) -> float:
        """CPU seconds per hour of audio."""
        return self.cpu / self.audio * 3600


def costs(sizes: Mapping[str, Sequence[Row]], series: str) -> list[Cost]:
    """The points of a series, from few or short recordings up."""
    found = []
    for rows in sizes.values():
        if rows[0]["series"] == series:
            medians = (median(row[name] for row in rows) for name in ("wall_s", "cpu_s", "peak_mb"))
            found.append(Cost(rows[0]["count"], rows[0]["seconds"], len(rows), *medians))
    return sorted(found, key=lambda cost: (cost.each, cost.count))


def versions(found: Mapping[str, str]) -> str:
    """The packages that matter, and all of them."""
    known = ", ".join(f"{name} {found[name]}" for name in KEY_PACKAGES if name in found)
    everything = ", ".join(
        f"{name} {version}" for name, version in found.items() if name not in (*KEY_PACKAGES, "commit")
    )
    return f"""## Versions

{known}.

<details><summary>All packages</summary>

{everything}.

</details>
"""


def markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|--:|
    | 1 | 2 |
    <BLANKLINE>
    """
    rule = "|---|" + "--:|" * (len(columns) - 1)
    return "\n".join([_line(columns), rule, *(_line(cells) for cells in lines), ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _with_spread(spread: tuple[float, float, float], runs: int) -> str:
    middle, least, most = spread
    return f"{middle:.1f} ({least:.1f}–{most:.1f})" if runs > 1 else f"{middle:.1f}"


def _rate(errors: Errors) -> str:
    return "" if errors.rate is None else f"{errors.rate:.3f}"
