"""``exported/ID.json``: which transcript files a batch wrote, and which of them a person has corrected."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from snakescribe.config.options import SubtitleOptions
from snakescribe.errors import ResultsError
from snakescribe.files import write_atomically

LAYOUT_VERSION = 2
"""Raised when our own code writes something else from the same rows: the files of an older version are written anew."""


def layout(options: SubtitleOptions, speakers: bool) -> str:
    """What decides, beside the rows and the formats, what is written, and where; whether voices are told apart, too."""
    return f"{LAYOUT_VERSION} {options.name}" + " highlight" * options.highlight + " speakers" * speakers


@dataclass
class Listing:
    """Names below ``transcripts``, as on disk."""

    files: list[bytes] = field(default_factory=list)
    """One for each recording and wanted format."""
    outputs: list[str] = field(default_factory=list)
    """The formats that were wanted, sorted."""
    corrected: list[bytes] = field(default_factory=list)
    """Those that were left alone, of formats that nobody wants any more too."""
    layout: str = ""
    """How they were written, see :func:`layout`."""

    @classmethod
    def read(cls, path: Path) -> Listing:
        """Read what :meth:`write` wrote.

        Raises:
            ResultsError: it is damaged.
        """
        try:
            document = json.loads(path.read_bytes())
            return cls(
                _read(document["files"]),
                list(document.get("outputs", ())),
                _read(document.get("corrected", ())),
                str(document.get("layout", "")),
            )
        except (ValueError, LookupError, TypeError, AttributeError):
            checked = path.parents[1] / ".snakescribe/checked"  # without it Snakemake asks for the listing again
            raise ResultsError(f"{path} is damaged; delete it and {checked}, and run again: it is made anew") from None

    def made_like(self, other: Listing) -> bool:
        """Whether both are of the same formats, written alike."""
        return (self.outputs, self.layout) == (other.outputs, other.layout)

    def write(self, path: Path, batch: str) -> bool:
        """Write atomically, nothing if nothing changes; returns whether it did."""
        document: dict[str, object] = {"batch": batch, "outputs": self.outputs, "layout": self.layout}
        document |= {"files": _shown(self.files), "corrected": _shown(self.corrected)}
        data = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
        changed = not path.exists() or path.read_bytes() != data
        if changed:
            write_atomically(path, data)
        return changed


def _read(names: Iterable[str | dict[str, str]]) -> list[bytes]:
    return [bytes.fromhex(name["hex"]) if isinstance(name, dict) else name.encode() for name in names]


def _shown(names: Iterable[bytes]) -> list[str | dict[str, str]]:
    """Names that are not UTF-8 in hex."""
    return [_text(name) for name in names]


def _text(name: bytes) -> str | dict[str, str]:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return {"hex": name.hex()}
