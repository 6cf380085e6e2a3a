"""A folder of recordings with its manifest: what is said in them, and how long they are."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.tsv"


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
    """Read ``root/manifest.tsv``: the columns path, language, duration_s, kind, reference and maybe reference_alt.

    Raises:
        BenchmarkError: no manifest, a column or a file is missing, or no recording has a reference.
    """
    manifest = root / MANIFEST
    if not manifest.is_file():
        raise BenchmarkError(
            f"{root} has no {MANIFEST}, so nothing says what is said there; "
            "run: make bench DATA=/folder/with/manifest (benchmarks/README.md has its columns)"
        )
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    try:
        recordings = tuple(_recording(row) for row in rows)
    except (KeyError, ValueError) as error:
        raise BenchmarkError(f"{manifest}: {error} is missing or no number; see benchmarks/README.md") from None
    digest = hashlib.sha256(manifest.read_bytes())
    for recording in recordings:
        path = root / recording.path
        if not path.is_file():
            raise BenchmarkError(f"{manifest} names {recording.path}, which is not there")
        digest.update(f"{path.stat().st_size} ".encode())
    if not any(recording.references for recording in recordings):
        raise BenchmarkError(f"{manifest}: no row has a reference; without any there is no error rate to report")
    return Folder(root, recordings, digest.hexdigest())


def _recording(row: dict[str, str]) -> Recording:
    spellings = (row["reference"], row.get("reference_alt") or "")
    return Recording(
        path=row["path"],
        language=row["language"],
        seconds=float(row["duration_s"] or 0),
        kind=row["kind"],
        references=tuple(text for text in spellings if text.strip()),
    )
