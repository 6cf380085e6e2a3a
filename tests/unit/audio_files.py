"""Recordings for the audio tests: made by the ffmpeg that is there, described as the inventory would."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.audio.normalise import normalise_batch
from snakescribe.audio.samples import NormalisedRecording, open_samples
from snakescribe.config import Config, load_config
from snakescribe.inventory.manifest import Manifest
from snakescribe.recording import Recording

Samples = npt.NDArray[np.int16]
WRITER = shutil.which("ffmpeg") or ffmpeg_path()
"""Writes the recordings: a distribution's can write more (GSM) than the wheel's, which reads them."""


def ffmpeg(*arguments: str, output: Path | None = None) -> None:
    """Run ffmpeg; with ``output`` through a pipe, so that it cannot go back and fill in lengths."""
    command = [WRITER, "-nostdin", "-v", "error", "-y", *arguments]
    run = subprocess.run(command, capture_output=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr.decode(errors="replace"))
    if output is not None:
        output.write_bytes(run.stdout)


def tone(hertz: float, seconds: float, amplitude: float = 0.5, rate: int = 16_000) -> Samples:
    """A sine."""
    time = np.arange(round(seconds * rate)) / rate
    return np.asarray(np.sin(2 * np.pi * hertz * time) * amplitude * 32767, np.int16)


def write_wav(path: Path | str | bytes, *channels: Samples, rate: int = 16_000) -> None:
    """A WAV file of one or more channels."""
    with open(path, "wb") as file, wave.open(file, "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.stack(channels, 1).tobytes())


def describe(path: bytes | str | Path, root: Path, **known: Any) -> Recording:
    """What the inventory would say about a file (relative path); its probe may have failed."""
    raw = os.fsencode(path)
    full = os.path.join(os.fsencode(root), raw)  # noqa: PTH118
    sha256, size, mtime_ns = "", 0, None
    if os.path.isfile(full):  # noqa: PTH113
        with open(full, "rb") as file:
            sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            mtime_ns = os.fstat(file.fileno()).st_mtime_ns
    fields: dict[str, Any] = {
        "recording_id": hashlib.sha256(raw).hexdigest()[:16],
        "path": raw.decode(errors="backslashreplace"),
        "path_hex": raw.hex(),
        "sha256": sha256,
        "size": size,
        "mtime_ns": mtime_ns,
        "attempt": 1,
    }
    return Recording(**(fields | known))


def configure(root: Path, **audio: Any) -> Config:
    """A configuration for the recordings in ``root``."""
    return load_config({"recordings": str(root), "audio": audio}, root, {})


def normalise(
    root: Path, recordings: list[Recording], out: Path, jobs: int = 2, **audio: Any
) -> tuple[list[NormalisedRecording], Samples]:
    """Normalise a batch; returns its entries and all samples."""
    out.mkdir(exist_ok=True)
    index = normalise_batch(
        Manifest(batch="b1", recordings=tuple(recordings)),
        configure(root, **audio),
        out / "b1.pcm",
        out / "b1.json",
        skip=lambda recording: False,
        jobs=jobs,
        log=lambda line: None,
    )
    return list(index.recordings), open_samples(out / "b1.pcm")


def normalise_one(
    root: Path, name: bytes | str | Path, out: Path, known: dict[str, Any] | None = None, **audio: Any
) -> tuple[NormalisedRecording, list[Samples]]:
    """Normalise one file; returns its entry and the samples of its tracks."""
    (entry,), samples = normalise(root, [describe(name, root, **(known or {}))], out, **audio)
    return entry, [samples[track.offset : track.offset + track.samples] for track in entry.tracks]
