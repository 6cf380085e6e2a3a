"""A folder of recordings with its manifest: what is said in them, and how long they are."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST = "manifest.tsv"
COLUMNS = ("path", "language", "duration_s", "kind", "reference")
"""That every manifest has; reference_alt may follow."""


class BenchmarkError(Exception):
    """Something the person who benchmarks can mend; the message says how."""


@dataclass(frozen=True)
class Recording:
    """A row of the manifest."""

    path: str
    """Relative to the folder."""
    language: str
    """Whisper's code; empty where nobody speaks."""
    seconds: float
    """0 where the file cannot be read."""
    kind: str
    """``digits`` are left out of the error rates; other kinds only name what it is."""
    references: tuple[str, ...]
    """What is said, in one or two spellings; empty where nobody speaks."""


@dataclass(frozen=True)
class Folder:
    """The recordings that everything is measured on."""

    root: Path
    recordings: tuple[Recording, ...]
    digest: str
    """SHA-256 over the manifest and the files' sizes: results of other recordings do not mix with these."""

    @property
    def seconds(self) -> float:
        """Of audio, broken files not counted."""
        return sum(recording.seconds for recording in self.recordings)


def read_folder(root: Path) -> Folder:
    """Read ``root/manifest.tsv``: the columns of ``COLUMNS`` and maybe reference_alt.

    Raises:
        BenchmarkError: no manifest, one that is not UTF-8, a cell that cannot be right, a file that is missing or named
            twice, or no recording has a reference.
    """
    manifest = root / MANIFEST
    if not manifest.is_file():
        raise BenchmarkError(
            f"{root} has no {MANIFEST}, so nothing says what is said there; "
            "run: make bench DATA=/folder/with/manifest (benchmarks/README.md has its columns)"
        )
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            recordings = tuple(_recording(row, f"{manifest}, line {rows.line_num}") for row in rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkError(f"{manifest} is no table in UTF-8 ({error}); see benchmarks/README.md") from None
    digest = hashlib.sha256(manifest.read_bytes())
    first: dict[bytes, str] = {}
    for recording in recordings:
        path = root / recording.path
        if not path.is_file():
            raise BenchmarkError(f"{manifest} names {recording.path}, which is not there")
        with path.open("rb") as sound:
            content = hashlib.file_digest(sound, "sha256").digest()
        if content in first:  # ours reads what is the same once, a peer as often as it is listed
            same = f"{first[content]} and {recording.path}"
            raise BenchmarkError(f"{manifest} names the same recording twice, {same}; take one of them out")
        first[content] = recording.path
        digest.update(f"{path.stat().st_size} ".encode())
    if not any(recording.references for recording in recordings):
        raise BenchmarkError(f"{manifest}: no row has a reference; without any there is no error rate to report")
    return Folder(root, recordings, digest.hexdigest())


def _recording(row: dict[Any, Any], where: str) -> Recording:
    def wrong(what: str) -> BenchmarkError:
        return BenchmarkError(f"{where}: {what}; see benchmarks/README.md")

    if missing := [name for name in COLUMNS if row.get(name) is None]:
        raise wrong(f"the cell of {missing[0]!r} is missing")
    if None in row:
        raise wrong("there are more cells than columns")
    path = PurePosixPath(row["path"])  # without ./ and //
    if path.is_absolute() or ".." in path.parts:
        raise wrong(f"{row['path']} is not a path inside of the folder")
    try:
        seconds = float(row["duration_s"]) if row["duration_s"] else None
    except ValueError:
        seconds = math.nan
    if seconds is not None and not 0 < seconds < math.inf:
        raise wrong(f"duration_s {row['duration_s']!r} is no number of seconds above 0")
    spellings = (row["reference"], row.get("reference_alt") or "")
    return Recording(
        path=str(path),
        language=row["language"],
        seconds=seconds or 0.0,
        kind=row["kind"],
        references=tuple(text for text in spellings if text.strip()),
    )
