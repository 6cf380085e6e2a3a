"""What is finished inside a batch, window by window, so that a killed job loses only the bucket in flight."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from snakescribe.audio import SAMPLE_RATE
from snakescribe.errors import EngineFailure, OutOfMemory, RecordingError, ResultsError
from snakescribe.files import first_problem, write_atomically
from snakescribe.flags import SegmentFlag
from snakescribe.memory import Mark, Memory, memory_here
from snakescribe.records import Frozen
from snakescribe.transcript import Gap, Segment

Place = tuple[str, int, int, int]
"""A window: the recording's key, the track, first sample and the one after the last."""
FATAL_DEATHS = 3
"""A window in flight at this many deaths of the process (crash, killed for memory) fails its recording: once in a
bucket, then twice alone, so that kills from outside hardly ever blame a good one."""
FATAL_STARVATIONS = 6
"""A recording in flight at this many deaths for want of memory fails, even with another of its windows each time."""


class WindowText(Frozen):
    """The text of one window of speech."""

    key: str
    """Content and options of the recording (the cache's key)."""
    track: int
    start: int
    end: int
    """Samples of the track."""
    segments: tuple[Segment, ...]
    gaps: tuple[Gap, ...] = ()
    flags: tuple[SegmentFlag, ...] = ()
    wall_seconds: float
    """This window's share of the time its bucket took."""

    @property
    def place(self) -> Place:
        """Which window this is."""
        return (self.key, self.track, self.start, self.end)


class Language(Frozen):
    """The language of one recording."""

    key: str
    language: str
    probability: float


class Journal:
    """An append-only file of JSON lines, from any thread; a line cut short by a kill is ignored and overwritten."""

    def __init__(self, path: Path | None, memory: Memory | None = None) -> None:
        """Read what an earlier attempt finished; None keeps everything in memory only.

        Args:
            path: of the file.
            memory: what the control group says; asked here when it is not given.

        Raises:
            ResultsError: a whole line makes no sense. The disk may be failing: a person decides what goes.
        """
        self.windows: dict[Place, WindowText] = {}
        self.languages: dict[str, Language] = {}
        self.deaths: Counter[Place] = Counter()
        """How often an earlier attempt died with a window in flight."""
        self.starved: dict[Place, str] = {}
        """Windows in flight when the kernel killed an attempt for memory: what the control group said then."""
        self._starvations: Counter[str] = Counter()
        """How often that was so, by recording."""
        memory = memory or memory_here()
        self._mark: Mark | None = memory.mark
        self._last_mark: Mark | None = None
        """Of the attempt that began the windows in flight."""
        self._in_flight: set[Place] = set()
        self._lock = threading.Lock()
        self._path = path
        self._file: IO[bytes] | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        good = 0
        if path.exists():
            data = path.read_bytes()
            good = data.rfind(b"\n") + 1
            for number, line in enumerate(data[:good].splitlines(), 1):
                try:
                    self._remember(json.loads(line))
                except (ValueError, TypeError) as error:
                    why = first_problem(error) if isinstance(error, ValidationError) else error
                    raise ResultsError(
                        f"{path}, line {number}, is damaged, or written by another version of snakescribe ({why}); "
                        "delete this line and start again: what the other lines say is kept"
                    ) from None
        self._file = path.open("r+b" if path.exists() else "x+b")
        self._file.truncate(good)
        self._file.seek(good)
        died = [place for place in self._in_flight if place not in self.windows]
        if died:
            starved = {"memory": str(memory)} if memory.killed_since(self._last_mark) else {}
            self._append([{"died": sorted(died), **starved}])

    def add(self, entries: Iterable[WindowText | Language]) -> None:
        """Remember ``entries`` and have them on disk before returning."""
        kept = list(entries)
        with self._lock:
            for entry in kept:
                self._keep(entry)
            self._write(map(_record, kept))
        if kept and self._file is not None:
            os.fsync(self._file.fileno())

    @contextmanager
    def in_flight(self, places: Iterable[Place]) -> Iterator[None]:
        """Note which windows the model sees during the block; a process that dies in it leaves this behind."""
        if self._file is None:
            yield
            return
        noted = list(places)
        self._append([{"begun": noted, **({"mark": self._mark} if self._mark else {})}])
        try:
            yield
        finally:
            self._append([{"ended": noted}])

    def verdict(self, place: Place) -> RecordingError | None:
        """Why the recording of a window must not be tried again; None if it may."""
        at = f"at {place[2] / SAMPLE_RATE:.1f} s"
        if self._starvations[place[0]] >= FATAL_STARVATIONS or (
            self.deaths[place] >= FATAL_DEATHS and place in self.starved
        ):
            said = next(said for starved, said in reversed(self.starved.items()) if starved[0] == place[0])
            return OutOfMemory(
                f"not enough memory ({said}) for this recording, {at}; give more, or take a smaller model"
            )
        if self.deaths[place] >= FATAL_DEATHS:
            return EngineFailure(f"the engine died {FATAL_DEATHS} times on this recording, {at}")
        return None

    def absolve(self) -> None:
        """Nothing in flight is to blame for the end of this process: it was told to end."""
        with self._lock:
            innocent = sorted(self._in_flight)
        self._append([{"ended": innocent}])

    def keep(self, keys: Container[str]) -> int:
        """Remember nothing of any other recording (:meth:`rewrite` has it leave the disk); how much was forgotten."""
        with self._lock:
            before = len(self.windows) + len(self.languages) + len(self.deaths)
            self.windows = {place: window for place, window in self.windows.items() if place[0] in keys}
            self.languages = {key: language for key, language in self.languages.items() if key in keys}
            self.deaths = Counter({place: count for place, count in self.deaths.items() if place[0] in keys})
            self.starved = {place: said for place, said in self.starved.items() if place[0] in keys}
            self._starvations = Counter({key: count for key, count in self._starvations.items() if key in keys})
            return before - len(self.windows) - len(self.languages) - len(self.deaths)

    def rewrite(self) -> None:
        """Have on disk what is remembered and nothing else (while no window is in flight)."""
        if self._file is None or self._path is None:
            return
        with self._lock:
            records = [_record(window) for window in self.windows.values()]
            records += [_record(language) for language in self.languages.values()]
            for number in range(max(self.deaths.values(), default=0)):
                died = [place for place, count in self.deaths.items() if count > number]
                records += [{"died": [place]} for place in died if place not in self.starved]
                for said in sorted({self.starved[place] for place in died if place in self.starved}):
                    records.append({"died": [p for p in died if self.starved.get(p) == said], "memory": said})
            write_atomically(self._path, "".join(_line(record) for record in records).encode())
            self._file.close()
            self._file = self._path.open("ab")

    def remove(self) -> None:
        """Delete the file: everything in it has reached the batch file."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def _append(self, records: Sequence[Mapping[str, Any]]) -> None:
        with self._lock:
            for record in records:
                self._remember(record)
            self._write(records)

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        if self._file is not None:
            self._file.writelines(_line(record).encode() for record in records)
            self._file.flush()

    def _keep(self, entry: WindowText | Language) -> None:
        if isinstance(entry, WindowText):
            self.windows[entry.place] = entry
        else:
            self.languages[entry.key] = entry

    def _remember(self, record: Mapping[str, Any]) -> None:
        match record:
            case {"window": value}:
                self._keep(WindowText.model_validate(value))
            case {"language": value}:
                self._keep(Language.model_validate(value))
            case {"begun": places}:
                self._in_flight.update((key, track, start, end) for key, track, start, end in places)
                group, kills = record.get("mark") or ("", 0)
                self._last_mark = (group, kills) if group else None
            case {"ended": places}:
                self._in_flight.difference_update((key, track, start, end) for key, track, start, end in places)
            case {"died": places}:
                dead: list[Place] = [(key, track, start, end) for key, track, start, end in places]
                self.deaths.update(dead)
                if said := record.get("memory"):
                    self.starved |= dict.fromkeys(dead, said)
                    self._starvations.update({key for key, *_ in dead})
                self._in_flight.clear()
            case _:
                raise ValueError("it is none of ours")


def _record(entry: WindowText | Language) -> dict[str, Any]:
    return {"window" if isinstance(entry, WindowText) else "language": entry.model_dump(mode="json")}


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
