"""What was heard of a recording, as bytes; the file that holds it for a batch; the journal of a batch at work."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from snakescribe.files import atomic_file
from snakescribe.speakers.voices import Voices
from snakescribe.tables.batch import readable

Heard = Mapping[str | None, Voices]
"""By the name of the channel; None where there is only one."""

_SCHEMA = pa.schema(
    [
        ("recording_id", pa.string()),
        ("status", pa.string()),  # ok or failed, as in a batch file
        ("error_class", pa.string()),
        ("error_message", pa.string()),
        ("heard", pa.binary()),
    ]
)
GROUP = 8 << 20
"""Bytes of a row group: what a reader holds in memory."""


@dataclass(frozen=True)
class Entry:
    """One recording of a batch."""

    recording_id: str
    heard: bytes | None
    """See :func:`packed`; None when its audio could not be had."""
    error_class: str | None = None
    error_message: str | None = None


def packed(heard: Heard) -> bytes:
    """As compressed arrays."""
    arrays: dict[str, Any] = {"channels": np.frombuffer(json.dumps(list(heard)).encode(), np.uint8)}
    for number, voices in enumerate(heard.values()):
        arrays |= {f"{number}.{name}": value for name, value in vars(voices).items()}
    target = io.BytesIO()
    np.savez_compressed(target, allow_pickle=False, **arrays)
    return target.getvalue()


def unpacked(data: bytes) -> Heard:
    """:func:`packed` again.

    Raises:
        ValueError: it is damaged.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            channels = json.loads(arrays["channels"].tobytes())
            return {
                channel: Voices(
                    frames=arrays[f"{number}.frames"],
                    windows=arrays[f"{number}.windows"],
                    vectors=arrays[f"{number}.vectors"],
                    levels=arrays[f"{number}.levels"],
                    narrow=bool(arrays[f"{number}.narrow"]),
                )
                for number, channel in enumerate(channels)
            }
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise ValueError(f"voices are damaged ({type(error).__name__})") from None


def write_heard(path: Path, entries: Iterable[Entry]) -> None:
    """All recordings of a batch, complete or not at all."""
    with atomic_file(path) as file, pq.ParquetWriter(file, _SCHEMA) as writer:
        rows: list[dict[str, Any]] = []
        for entry in entries:
            rows.append(vars(entry) | {"status": "ok" if entry.heard is not None else "failed"})
            if sum(len(row["heard"] or b"") for row in rows) > GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))


def read_heard(path: Path) -> Iterator[Entry]:
    """What :func:`write_heard` wrote.

    Raises:
        ResultsError: the file is missing or damaged.
    """
    with readable(path), pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            for row in file.read_row_group(number, use_threads=False).to_pylist():
                del row["status"]
                yield Entry(**row)


class VoicesJournal:
    """An append-only file of JSON lines: finished recordings, and batches of windows of the one at work.

    A line that is cut short by a kill, or that makes no sense, is done again.
    """

    def __init__(self, path: Path) -> None:
        """Read what an earlier attempt finished."""
        self._path = path
        self._known: dict[tuple[str, int], tuple[str, bytes]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.exists() else b""
        good = data.rfind(b"\n") + 1
        for line in data[:good].splitlines():
            try:
                key, number, kind, content = json.loads(line)
                self._known[key, number] = (kind, base64.b64decode(content, validate=True))
            except (ValueError, TypeError):
                continue
        self._file: IO[bytes] = path.open("ab")
        self._file.truncate(good)

    def of(self, key: str) -> KeptBatches:
        """The batches of one channel."""
        return KeptBatches(self, key)

    def get(self, key: str, number: int) -> tuple[str, bytes] | None:
        """Type and bytes of an array."""
        return self._known.get((key, number))

    def put(self, key: str, number: int, kind: str, content: bytes) -> None:
        """Add one, on disk before returning."""
        line = json.dumps([key, number, kind, base64.b64encode(content).decode()])
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def remove(self) -> None:
        """Nothing is to be gone on with any more."""
        self._file.close()
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class KeptBatches:
    """Batches of windows of one channel in a journal (:class:`snakescribe.speakers.listen.Kept`)."""

    journal: VoicesJournal
    key: str

    def get(self, number: int) -> Any:
        """The result of a batch, if it is known and whole."""
        found = self.journal.get(self.key, number)
        if found is None:
            return None
        kind, _, shape = found[0].partition(" ")
        try:
            return np.frombuffer(found[1], kind).reshape([int(size) for size in shape.split("x")])
        except (ValueError, TypeError):
            return None

    def put(self, number: int, result: Any) -> None:
        """Keep it."""
        shape = "x".join(map(str, result.shape))
        self.journal.put(self.key, number, f"{result.dtype.str} {shape}", result.tobytes())
