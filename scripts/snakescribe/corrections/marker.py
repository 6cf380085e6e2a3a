"""Whether tables and files say what the corrections say: asked while the Snakefile is parsed, so no table is read."""

from __future__ import annotations

import hashlib

from snakescribe.files import write_atomically
from snakescribe.layout import Results


def mark(results: Results) -> None:
    """They do, from now on."""
    write_atomically(results.corrected, _digest(results))


def are_in_files(results: Results) -> bool:
    """They do; not after a review that was killed."""
    return (results.corrected.read_bytes() if results.corrected.exists() else b"") == _digest(results)


def _digest(results: Results) -> bytes:
    path = results.corrections
    return hashlib.sha256(path.read_bytes()).hexdigest().encode() if path.is_file() else b""
