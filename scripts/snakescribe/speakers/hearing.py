"""One job: the voices of a batch, heard once; what is in the cache or the journal is not heard again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from snakescribe.config import Config
from snakescribe.errors import PASSING, EngineFailure
from snakescribe.files import write_atomically
from snakescribe.inventory.ledger import Ledger, still_wanted
from snakescribe.layout import Results
from snakescribe.models.configured import configured_store
from snakescribe.recording import Recording
from snakescribe.speakers.heard import Entry, VoicesJournal, packed, write_heard
from snakescribe.speakers.listen import Listener
from snakescribe.speakers.settings import voices_key
from snakescribe.tables.batch import read_batch
from snakescribe.transcribe.cache import Cache
from snakescribe.transcribe.progress import Progress, describe
from snakescribe.transcribe.samples import BatchAudio
from snakescribe.units import counted

HEARTBEAT = 60.0
"""Seconds between two lines of progress."""


def hear_batch(config: Config, results: Results, batch: str, threads: int, log: Callable[[str], None]) -> None:
    """Write ``voices/BATCH.parquet``; a recording that cannot be read is an entry in it.

    Raises:
        ModelError: the weights are not there.
    """
    cache, manifest = Cache(config), still_wanted(results, batch)
    spoken = _with_speech(results, batch)
    manifest = manifest.model_copy(
        update={"recordings": tuple(one for one in manifest.recordings if one.recording_id in spoken)}
    )
    keys = {recording.recording_id: voices_key(config, recording) for recording in manifest.recordings}
    known: dict[tuple[str, str], bytes] = {}
    wanted: dict[tuple[str, str], Recording] = {}
    for recording in manifest.recordings:
        content = recording.sha256, keys[recording.recording_id]
        heard = cache.get_voices(*content)
        if heard is not None:
            known[content] = heard
        else:
            wanted.setdefault(content if recording.sha256 else ("", recording.recording_id), recording)
    log(f"{batch}: voices of {counted(len(wanted), 'recording')} to hear, {len(known)} from the cache")
    journal = VoicesJournal(results.voices_journal(batch))
    failed: dict[str, tuple[str, str]] = {}
    with BatchAudio.of(config, results, batch, list(wanted.values()), threads, log, "voices") as audio:
        meter = _Meter(
            results.voices_progress(batch),
            sum(audio.recordings[r.recording_id].duration or 0.0 for r in wanted.values()),
            log,
        )
        listener: Listener | None = None
        for content, recording in wanted.items():
            entry = audio.recordings[recording.recording_id]
            if entry.error_class:
                failed[recording.recording_id] = entry.error_class, entry.error_message or ""
                continue
            listener = listener or Listener.of(configured_store(config), threads)
            tracks = audio.tracks(recording.recording_id)
            heard_channels = {}
            for number, track in enumerate(tracks):
                kept = journal.of(f"{content[0] or content[1]} {content[1]} {number}")
                heard_channels[track.channel] = listener.hear(
                    track.samples, kept, meter.of(number, len(tracks), entry.duration or 0.0)
                )
            known[content] = packed(heard_channels)
            cache.put_voices(*content, known[content])
            meter.done(entry.duration or 0.0)

    def entry_of(recording: Recording) -> Entry:
        key = keys[recording.recording_id]
        heard = known.get((recording.sha256, key)) if recording.sha256 else known.get(("", recording.recording_id))
        if heard is not None:
            return Entry(recording.recording_id, heard)
        twin = wanted.get((recording.sha256, key), recording)
        error, message = failed.get(twin.recording_id, (EngineFailure.__name__, "its voices were not heard"))
        return Entry(recording.recording_id, None, error, message)

    write_heard(results.voices(batch), map(entry_of, manifest.recordings))
    _note(results, batch, any(error in PASSING for error, _ in failed.values()))
    journal.remove()
    results.voices_progress(batch).unlink(missing_ok=True)
    cache.trim()


def _with_speech(results: Results, batch: str) -> set[str]:
    """Recordings in which anybody speaks, but for those of which the sheet says `off`: nothing else is heard."""
    with Ledger.open(results.ledger, readonly=True) as ledger:
        off = {key for key, known in ledger.current(batch).items() if known.extras.get("speakers", "").strip() == "off"}
    rows = read_batch(results.batch(batch), ["recording_id", "status", "speech_seconds"])
    return {row["recording_id"] for row in rows if row["status"] != "failed" and row["speech_seconds"] != 0} - off


def _note(results: Results, batch: str, failed: bool) -> None:
    """For the next run: how often it was in vain."""
    path = results.unheard(batch)
    if failed:
        before = int(path.read_text(encoding="ascii")) if path.exists() else 0
        write_atomically(path, str(before + 1).encode())
    else:
        path.unlink(missing_ok=True)


class _Meter:
    """Progress in hours of audio: a file for the run to read, and a line in the log each minute."""

    def __init__(self, path: Path, total: float, log: Callable[[str], None]) -> None:
        self._path, self._total, self._log = path, total, log
        self._finished = 0.0
        self._began = self._logged = self._written = time.monotonic()

    def of(self, number: int, channels: int, seconds: float) -> Callable[[float], None]:
        """To be told how much of one channel of so many is done, in a recording of so many seconds."""
        return lambda share: self._tell(self._finished + seconds * (number + share) / channels)

    def done(self, seconds: float) -> None:
        """A recording of so many seconds is finished."""
        self._finished += seconds

    def _tell(self, done: float) -> None:
        now = time.monotonic()
        if now - self._written >= 1.0:
            write_atomically(self._path, json.dumps({"done": round(done, 1)}).encode())
            self._written = now
        if now - self._logged >= HEARTBEAT:
            self._log("voices: " + describe(Progress(done, self._total, done / (now - self._began))))
            self._logged = now
