"""The page as one file: the list of recordings and their texts inside, compressed, and read when they are looked at."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from array import array
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from snakescribe import __version__
from snakescribe.config import Config
from snakescribe.evaluation.aligned import document
from snakescribe.evaluation.evaluate import Judged
from snakescribe.files import atomic_file
from snakescribe.layout import Results
from snakescribe.pages import SHARED
from snakescribe.report.entries import Entry, known, probability, recordings
from snakescribe.report.overview import Overview
from snakescribe.report.plots import histograms
from snakescribe.units import clock

LISTED = 100_000
"""Recordings in the list, those with the most to look after; the tables have them all."""
TEXTS = 60_000_000
"""Bytes of text in the page, about a third of it when compressed; of the others the list gives the file."""
MODULES = (
    "sentences.js",
    "tongue.js",
    "words.js",
    "data.js",
    "list.js",
    "beside.js",
    "detail.js",
    "editor.js",
    "main.js",
)
"""In the order in which they need each other: the page has them as one."""
_IMPORT = re.compile(r"^import .*?;\n", re.MULTILINE | re.DOTALL)
_PAGE = Path(__file__).parent / "page"


def write_page(results: Results, config: Config, target: Path | None = None, review: str = "") -> Overview:
    """Write ``report.html``; twice over the batches, so that memory holds a number per recording and what is listed.

    Args:
        results: of a finished run, or of one at its end.
        config: of that run.
        target: another file.
        review: the token of a server that takes corrections; without one nothing can be edited.

    Raises:
        ResultsError: the plan or a batch file is missing or damaged.
    """
    os.environ.setdefault("MPLCONFIGDIR", str(results.state / "matplotlib"))  # its list of fonts; not somebody's home
    overview, doubts, sizes = Overview(), array("f"), array("q")
    for some in recordings(results, config):
        for entry, row in some:
            overview.add(entry, row)
            doubts.append(entry.doubt)
            sizes.append(len(json.dumps(opened(row, entry.beside))))
    worst = np.argsort(-np.asarray(doubts), kind="stable")[:LISTED]
    with_text = worst[np.cumsum(np.asarray(sizes)[worst]) <= TEXTS]
    listed = np.zeros(len(doubts), np.int8)
    listed[worst], listed[with_text] = 1, 2
    with atomic_file(target or results.report) as file:
        head, foot = _template(overview, bool(review)).split("<!--DATA-->")
        file.write(head.encode())
        if review:
            file.write(_block("review", review))
        columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        for number, (entries, texts) in enumerate(_chosen(results, config, listed)):
            for place, entry in entries:
                for name, value in zip(_COLUMNS, _line(entry, number, place), strict=True):
                    columns[name].append(value)
            file.write(_block(f"block-{number}", texts))
        order = sorted(range(len(columns["doubt"])), key=lambda i: -columns["doubt"][i])
        index = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "overview": overview.document(),
            "recordings": {name: [values[i] for i in order] for name, values in columns.items()},
        }
        file.write(_block("index", index))
        file.write(foot.encode())
    return overview


def _chosen(
    results: Results, config: Config, listed: np.ndarray
) -> Iterator[tuple[list[tuple[int | None, Entry]], list[Any]]]:
    """By row group: the entries that are listed, each with its place among the texts of the group, and those."""
    number = 0
    for some in recordings(results, config):
        entries: list[tuple[int | None, Entry]] = []
        texts: list[Any] = []
        for entry, row in some:
            if listed[number] == 2:
                entries.append((len(texts), entry))
                texts.append(opened(row, entry.beside))
            elif listed[number]:
                entries.append((None, entry))
            number += 1
        yield entries, texts


_COLUMNS = (
    *("id", "path", "href", "status", "language", "duration", "speed", "confidence", "doubtful", "gap", "flags"),
    *("error", "message", "removed", "corrected", "rate", "doubt", "block", "place"),
)


def _line(entry: Entry, block: int, place: int | None) -> tuple[Any, ...]:
    return (
        entry.recording_id,
        entry.path,
        entry.href,
        entry.status,
        entry.language,
        _rounded(entry.duration, 1),
        _rounded(entry.speed, 2),
        _rounded(entry.confidence),
        _rounded(entry.doubtful),
        _rounded(entry.gap_seconds, 1),
        entry.flags,
        entry.error_class,
        entry.error_message,
        entry.removed,
        entry.corrected,
        _rounded(entry.rate),
        _rounded(entry.doubt),
        block,
        place,
    )


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if (number := known(value)) is None else round(number, digits)


def opened(row: dict[str, Any], beside: Judged | None) -> dict[str, Any]:
    """What a line opens: segments (start, end, text, confidence, flags, channel, corrected, speaker), gaps and facts.

    And the differences from its reference, if it has one.
    """
    told = bool(row.get("speakers"))
    facts = ("codec", "sample_rate", "channels", "audio_track", "audio_tracks", "model", "engine", "device", "batch")
    return {
        "segments": [
            [
                *(_rounded(s["start"]), _rounded(s["end"]), s["text"], _rounded(probability(s["mean_logprob"]), 2)),
                *(s["flags"] or [], s["channel"], s.get("corrected", False)),
                *([s["speaker"]] if s.get("speaker") else []),
            ]
            for s in row["segments"] or ()
        ],
        "gaps": [[_rounded(gap["start"]), _rounded(gap["end"]), gap["channel"]] for gap in row.get("gaps") or ()],
        "flags": row["flags"] or [],
        **({"speakers": {one["speaker"]: one["name"] or one["speaker"] for one in row["speakers"]}} if told else {}),
        "envelope": row.get("envelope"),
        "facts": {name: row[name] for name in facts if row.get(name) is not None} | _spoken(row),
        **({"beside": document(beside)} if beside else {}),
    }


def _spoken(row: Mapping[str, Any]) -> dict[str, str]:
    """Who speaks how long, for people."""
    said = (f"{one['name'] or one['speaker']} {clock(one['speech_seconds'])}" for one in row.get("speakers") or ())
    return {"speakers": ", ".join(said)} if row.get("speakers") else {}


def _block(name: str, value: Any) -> bytes:
    """A piece of data: JSON, compressed, in letters that end no element."""
    packed = gzip.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), 6, mtime=0)
    return b'<script type="text/plain" id="%b">%b</script>\n' % (name.encode(), base64.b64encode(packed))


def _template(overview: Overview, review: bool) -> str:
    """The page without its data."""
    page = (_PAGE / "index.html").read_text(encoding="utf-8")
    if review:
        page = page.replace("connect-src data:;", "connect-src data: 'self';")
    style = "".join((folder / name).read_text(encoding="utf-8") for folder, name in _STYLES)
    plots = histograms(overview.values)
    for name in overview.values:
        page = page.replace(f"<!--PLOT {name}-->", plots.get(name, ""))
    return page.replace("/*STYLE*/", style).replace("/*SCRIPT*/", script())


def script() -> str:
    """The modules as one, without their imports and exports."""
    found = []
    for name in MODULES:
        folder = _PAGE if (_PAGE / name).exists() else SHARED
        text = _IMPORT.sub("", (folder / name).read_text(encoding="utf-8"))
        found.append(re.sub(r"^export ", "", text, flags=re.MULTILINE))
    return "\n".join(found)


_STYLES = ((SHARED, "theme.css"), (_PAGE, "style.css"))
