"""A batch manifest: the recordings of one job, written once by the inventory and never changed."""

from __future__ import annotations

from pathlib import Path

from snakescribe.files import read_record, write_atomically
from snakescribe.recording import Recording
from snakescribe.records import Frozen


class Manifest(Frozen):
    """The recordings of one batch, in the order they appear in the tables."""

    batch: str
    recordings: tuple[Recording, ...]

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest written by :meth:`write`.

        Raises:
            ResultsError: it is missing, damaged or of another version.
        """
        return read_record(path, cls, "delete it and run again: it is made from the ledger")

    def write(self, path: Path) -> None:
        """Write atomically; a manifest that exists already is left alone."""
        if not path.exists():
            write_atomically(path, self.model_dump_json(indent=1).encode())
