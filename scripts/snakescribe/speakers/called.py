"""Who a row's speakers are: names are found again by the voice that they were given to, else by its label."""

from __future__ import annotations

import base64
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from snakescribe.speakers.cluster import Vectors
from snakescribe.speakers.names import Given
from snakescribe.speakers.voices import SCALE

ALIKE = 0.6
"""Cosine from which on a speaker of another recording is the same person (docs/decisions/speakers.md)."""


def packed(likeness: Vectors | None) -> bytes | None:
    """A vector of length 1 in signed bytes."""
    return None if likeness is None else np.rint(np.clip(likeness * SCALE, -127, 127)).astype(np.int8).tobytes()


def unpacked(vectors: Sequence[bytes | None]) -> list[Vectors | None]:
    """:func:`packed` again, of each speaker."""
    return [None if one is None else np.frombuffer(one, np.int8).astype(np.float32) / SCALE for one in vectors]


class Names:
    """All that were given, by recording."""

    def __init__(self, given: Sequence[Given]) -> None:
        """The later ones win."""
        self._by: dict[str, list[Given]] = {}
        for one in given:
            self._by.setdefault(one.content or _plain(one.recording), []).append(one)

    def about(self, row: Mapping[str, Any]) -> Iterator[Given]:
        """Those of one recording: by its content, where that was noted, else by its path or id."""
        for key in (_plain(row["path"]), row["recording_id"], row["sha256"]):
            yield from self._by.get(key or "", ())

    def of_folder(self, folder: str) -> Sequence[Given]:
        """Those of voices that all recordings of a folder share."""
        return self._by.get(_plain(f"{folder}/"), ())

    def of(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Name by label, of a row with speakers."""
        found: dict[str, str] = {}
        for one in self.about(row):
            if (label := _label(one, row)) is not None:
                found[label] = one.name
        return found


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path)  # as people type it; some systems write names in NFD


def _label(given: Given, row: Mapping[str, Any]) -> str | None:
    """Whom of a row's speakers a name means."""
    labels = [speaker["speaker"] for speaker in row["speakers"]]
    if not given.voice:
        return given.label if given.label in labels else None
    alike = [likeness_to(given, one) for one in unpacked(row["voice_vectors"] or [None] * len(labels))]
    best = max(range(len(labels)), key=lambda number: alike[number], default=None)
    return labels[best] if best is not None and alike[best] >= ALIKE else None


def likeness_to(given: Given, voice: Vectors | None) -> float:
    """Cosine between the voice that a name was given to and another one."""
    (own,) = unpacked([base64.b64decode(given.voice)])
    return -1.0 if voice is None or own is None else float(own @ voice / np.linalg.norm(own) / np.linalg.norm(voice))


def named(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A row whose speakers have these names (by label); one alone on its channel has else the channel's."""
    on_channel = Counter(speaker["channel"] for speaker in row["speakers"])

    def called(speaker: Mapping[str, Any]) -> dict[str, Any]:
        alone = speaker["channel"] if on_channel[speaker["channel"]] == 1 else None
        return {**speaker, "name": names.get(speaker["speaker"]) or alone}

    return {**row, "speakers": [called(speaker) for speaker in row["speakers"]]}
