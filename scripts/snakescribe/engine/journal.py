"""What is finished inside a batch, window by window, so that a killed job loses only the bucket in flight."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from snakescribe.transcript import Segment


class WindowText(BaseModel):
    """The text of one window of speech."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    """Content and options of the recording (the cache's key)."""
    track: int
    start: int
    end: int
    """Samples of the track."""
    segments: tuple[Segment, ...]
    flags: tuple[str, ...] = ()
    wall_seconds: float
    """This window's share of the time its bucket took."""

    @property
    def place(self) -> tuple[str, int, int, int]:
        """Which window this is."""
        return (self.key, self.track, self.start, self.end)


class Language(BaseModel):
    """The language of one recording."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    language: str
    probability: float


class Journal:
    """An append-only file of JSON lines; a line cut short by a kill is ignored and overwritten."""

    def __init__(self, path: Path | None) -> None:
        """Read what an earlier attempt finished; None keeps everything in memory only."""
        self.windows: dict[tuple[str, int, int, int], WindowText] = {}
        self.languages: dict[str, Language] = {}
        self._path = path
        self._file = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        good = 0
        if path.exists():
            data = path.read_bytes()
            good = data.rfind(b"\n") + 1
            for line in data[:good].splitlines():
                self._remember(json.loads(line))
        self._file = path.open("r+b" if path.exists() else "x+b")
        self._file.truncate(good)
        self._file.seek(good)

    def add(self, entries: Iterable[WindowText | Language]) -> None:
        """Remember ``entries`` and have them on disk before returning."""
        lines = []
        for entry in entries:
            kind = "window" if isinstance(entry, WindowText) else "language"
            record = {kind: entry.model_dump(mode="json")}
            self._remember(record)
            lines.append(json.dumps(record, ensure_ascii=False) + "\n")
        if self._file is not None and lines:
            self._file.write("".join(lines).encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Delete the file: everything in it has reached the batch file."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def _remember(self, record: Mapping[str, Any]) -> None:
        if "window" in record:
            window = WindowText.model_validate(record["window"])
            self.windows[window.place] = window
        else:
            language = Language.model_validate(record["language"])
            self.languages[language.key] = language
