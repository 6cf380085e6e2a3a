"""Decode the recordings of one batch to 16 kHz mono (a step of the workflow).

Recordings whose transcripts (and voices, with `speakers`) are in the cache are left out. When more
normalised audio than ``batch.ahead_gb`` waits on disk already, nothing is decoded: the transcribe step will do it.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

from snakescribe.commands.common import register_batch, resolved
from snakescribe.files import write_atomically
from snakescribe.recording import Recording
from snakescribe.units import counted


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    register_batch(parser, "recordings decoded at a time")


def run(args: argparse.Namespace) -> int:
    """Write the batch's samples and their index."""
    from snakescribe.audio.normalise import normalise_batch
    from snakescribe.audio.samples import SamplesIndex
    from snakescribe.inventory.ledger import still_wanted
    from snakescribe.speakers.settings import voices_key
    from snakescribe.transcribe.cache import Cache, transcribed_already
    from snakescribe.vad.anybody import speech_finder

    config, results = resolved(args)
    manifest = still_wanted(results, args.batch)
    samples, index = results.samples(args.batch), results.samples_index(args.batch)
    waiting = _bytes_waiting(samples.parent)
    if waiting > config.batch.ahead_gb * 1e9:
        write_atomically(samples, b"")
        deferred = SamplesIndex(batch=args.batch, deferred=True)
        write_atomically(index, deferred.model_dump_json(indent=1).encode())
        _log(f"{args.batch}: {waiting / 1e9:.1f} GB of normalised audio wait; left to the transcribe step")
        return 0
    began = time.monotonic()
    transcribed, cache = transcribed_already(config), Cache(config)

    def known(recording: Recording) -> bool:
        heard = config.speakers == "off" or cache.get_voices(recording.sha256, voices_key(config, recording))
        return bool(heard) and transcribed(recording)

    index_made = normalise_batch(manifest, config, samples, index, known, args.threads, _log, speech_finder(config))
    made = index_made.recordings
    hours = sum(recording.duration or 0.0 for recording in made) / 3600
    failed = sum(recording.error_class is not None for recording in made)
    skipped = sum(recording.skipped for recording in made)
    _log(
        f"{args.batch}: {counted(len(made) - failed - skipped, 'recording')} decoded ({hours:.2f} h), {failed} failed,"
        f" {skipped} left out (known already), {time.monotonic() - began:.1f} s"
    )
    return 0


def _bytes_waiting(work: Path) -> int:
    """Size of the normalised audio of all batches, finished or not."""
    total = 0
    for path in work.rglob("*"):
        try:
            total += path.stat().st_size if path.suffix != ".json" else 0
        except FileNotFoundError:  # a job ended meanwhile
            continue
    return total


def _log(line: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)
