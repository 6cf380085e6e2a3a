"""How a run went, for people: counts, hours of audio, what was flagged, and every failed file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from snakescribe.files import write_atomically
from snakescribe.flags import MEANING
from snakescribe.inventory.plan import Plan
from snakescribe.layout import Results
from snakescribe.units import counted, hours

SHOWN = 50
"""Failed files that are named; the table has them all."""
FEW = 5
"""Other recordings that are named in a line about them."""
USED = ("engine", "compute_type", "device_name", "model")
COLUMNS = [
    *("path", "status", "error_class", "error_message", "flags", "duration", "wall_seconds", "source_state"),
    *("audio_track", "audio_tracks"),
    *USED,
]


@dataclass(frozen=True)
class Summary:
    """A summary as text, and how many recordings failed that are still in the folder."""

    text: str
    failed: int


def summarise(results: Results, notes: Iterable[str] = ()) -> Summary:
    """Summarise the recordings table and whatever ``notes`` say; the text is left in ``summary.txt``."""
    from snakescribe.tables.batch import row_groups

    count: Counter[str] = Counter()
    named: defaultdict[str, list[str]] = defaultdict(list)
    """Paths of recordings that are empty, have a flag, or other tracks."""
    used: Counter[tuple[str, ...]] = Counter()
    audio = wall = 0.0
    failures: list[str] = []
    for group in row_groups(results.table("recordings", "parquet"), COLUMNS):
        for row in group.to_pylist():
            if row["source_state"] == "removed":
                count["removed"] += 1
                continue
            count[row["status"]] += 1
            more_tracks = row["audio_track"] is not None and row["audio_tracks"] > 1
            for what in [*(row["flags"] or ()), *["empty"] * (row["status"] == "empty"), *["tracks"] * more_tracks]:
                named[what].append(_printable(row["path"]))
            if row["engine"]:
                used[tuple(_printable(row[name] or "") for name in USED)] += 1
            audio += row["duration"] or 0
            wall += row["wall_seconds"] or 0
            if row["status"] == "failed" and len(failures) < SHOWN:
                failures.append(_failure(row))
    statuses = ", ".join(f"{count[status]} {status}" for status in ("ok", "empty", "failed"))
    removed = f", {count['removed']} removed since" if count["removed"] else ""
    present = sum(count[status] for status in ("ok", "empty", "failed"))
    speed = f", {audio / wall:.1f} × real time while transcribing" if wall else ""
    lines = [f"{counted(present, 'recording')}: {statuses}{removed}; {hours(audio)} of audio{speed}"]
    for (engine, kind, device, model), recordings in used.most_common(FEW):
        share = f": {counted(recordings, 'recording')}" if len(used) > 1 else ""
        lines.append(f"read by {engine}, {kind}, on {device}, model {model}{share}")
    if named["empty"]:
        lines.append(f"no speech (status = empty): {_few(named['empty'])}")
    if flagged := [flag for flag in MEANING if named[flag]]:
        lines.append("flagged in the tables:")
        lines += (f"  {len(named[flag])} {flag}: {MEANING[flag]}: {_few(named[flag])}" for flag in flagged)
    if tracks := named["tracks"]:
        lines.append(f"{len(tracks)} with audio tracks that were not heard (audio.track=all hears all): {_few(tracks)}")
    lines += notes
    if results.plan.exists():
        lines += Plan.read(results.plan).passed_over_notes()
    lines += failures
    if count["failed"] > SHOWN:
        table = results.table("recordings", "tsv")
        lines.append(f"… and {count['failed'] - SHOWN} more; all are in {table} (status = failed)")
    summary = Summary("\n".join(lines), count["failed"])
    write_atomically(results.summary, f"{summary.text}\n".encode())
    return summary


def _few(paths: list[str]) -> str:
    return ", ".join([*paths[:FEW], *["…"] * (len(paths) > FEW)])


def _failure(row: dict[str, Any]) -> str:
    return f"  {_printable(row['path'])}: {row['error_class']}: {_printable(row['error_message'] or '')}"


def _printable(text: str) -> str:
    """Control characters of hostile names written as escapes, so that they do not reach the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
