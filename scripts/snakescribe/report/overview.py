"""The first screen: a run in figures, added up recording by recording."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snakescribe.evaluation.bootstrap import interval
from snakescribe.evaluation.counts import Errors, usual_unit
from snakescribe.report.entries import Entry, known


@dataclass
class Overview:
    """Sums over the recordings that are in the folder."""

    status: Counter[str] = field(default_factory=Counter)
    """Recordings that are ``ok``, ``empty``, ``failed``, and those ``removed`` from the folder."""
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Of ``audio``, ``speech``, ``text``, speech without text (``gap``), and of the ``wall`` that making took."""
    failures: Counter[str] = field(default_factory=Counter)
    languages: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0, 0.0]))
    """Recordings and seconds of each."""
    flags: Counter[str] = field(default_factory=Counter)
    """Recordings with each."""
    without_text: int = 0
    """Recordings with speech that has no text."""
    corrected: int = 0
    """Recordings that somebody has put right, or checked."""
    made_by: Counter[str] = field(default_factory=Counter)
    """Recordings by model, engine, device and precision."""
    values: Mapping[str, array[float]] = field(
        default_factory=lambda: {name: array("f") for name in ("duration", "confidence", "speed", "rate")}
    )
    """Of each recording, for the plots; shorter where something is not known."""
    _errors: defaultdict[str, list[Errors]] = field(default_factory=lambda: defaultdict(list))

    def add(self, entry: Entry, row: Mapping[str, Any]) -> None:
        """Count a recording."""
        if entry.removed:
            self.status["removed"] += 1
            return
        self.status[entry.status] += 1
        for name, column in _SECONDS.items():
            self.seconds[name] += known(row.get(column)) or 0.0
        self.without_text += entry.gap_seconds > 0
        self.flags.update(entry.flags)
        if entry.error_class:
            self.failures[entry.error_class] += 1
        else:
            self.made_by[" · ".join(filter(None, (row["model"], *map(row.get, _MADE))))] += 1
        if entry.language:
            self.languages[entry.language][0] += 1
            self.languages[entry.language][1] += entry.duration or 0.0
        if entry.beside:
            self._errors[entry.beside.language].append(entry.beside.usual)
        self.corrected += entry.corrected
        values = (entry.duration, entry.confidence, entry.speed, entry.rate)
        for name, value in zip(self.values, values, strict=True):
            if value is not None:
                self.values[name].append(value)

    @property
    def recordings(self) -> int:
        """In the folder."""
        return self.status.total() - self.status["removed"]

    @property
    def speed(self) -> float | None:
        """× real time, when the texts were made; what came from the cache counts as when it was made."""
        return self.seconds["audio"] / self.seconds["wall"] if self.seconds["wall"] else None

    def rates(self) -> list[dict[str, Any]]:
        """Error rates by language, each in the unit that it is counted in, with their intervals."""
        return [
            {"language": language, "unit": usual_unit(language), **_rate(errors)}
            for language, errors in sorted(self._errors.items())
        ]

    def document(self) -> dict[str, Any]:
        """For the page."""
        return {
            "status": dict(self.status),
            "recordings": self.recordings,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
            "speed": self.speed,
            "failures": dict(self.failures.most_common()),
            "languages": sorted(([code, *sums] for code, sums in self.languages.items()), key=lambda one: -one[2]),
            "flags": dict(self.flags.most_common()),
            "without_text": self.without_text,
            "corrected": self.corrected,
            "made_by": self.made_by.most_common(5),
            "rates": self.rates(),
        }


_MADE = ("engine", "device", "compute_type")
_SECONDS = {"audio": "duration", "speech": "speech_seconds", "text": "text_seconds", "gap": "gap_seconds"} | {
    "wall": "wall_seconds"
}


def _rate(errors: Iterable[Errors]) -> dict[str, Any]:
    counts = list(errors)
    together = sum(counts, Errors())
    pair = interval([one.total for one in counts], [one.units for one in counts]) if together.units else None
    return {"recordings": len(counts), "rate": together.rate, "interval": pair}
