"""One job: the recordings of a batch in, one row per recording out, whatever happens to any of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from snakescribe import glossary
from snakescribe.audio.samples import NormalisedRecording
from snakescribe.audio.truncation import not_kept
from snakescribe.config import Config
from snakescribe.config.languages import spoken_language
from snakescribe.doctor.quick import check_backend, quick_check
from snakescribe.engine.journal import Journal
from snakescribe.engine.opened import open_model
from snakescribe.engine.transcriber import Transcriber
from snakescribe.engine.windows import RecordingJob
from snakescribe.errors import EngineFailure, RecordingError, VanishedRecording
from snakescribe.formats.export import record_unrecorded
from snakescribe.inventory.ledger import still_wanted
from snakescribe.keys import content_key, options_digest, options_hash, recording_options, transcript_key
from snakescribe.layout import Results
from snakescribe.models.configured import configured_model
from snakescribe.recording import Recording
from snakescribe.schema import SCHEMA_VERSION
from snakescribe.tables.batch import read_batch, write_batch
from snakescribe.transcribe.cache import Cache, CachedTranscript
from snakescribe.transcribe.progress import Meter, finished_with
from snakescribe.transcribe.provenance import Provenance
from snakescribe.transcribe.samples import BatchAudio
from snakescribe.units import counted
from snakescribe.vad.loudness import envelope

Outcome = CachedTranscript | RecordingError | NormalisedRecording
"""What became of a recording: a transcript, or why there is none."""


class Batch:
    """Transcribes one batch; everything it needs is found from the configuration and the batch's id."""

    def __init__(self, config: Config, results: Results, batch: str, threads: int) -> None:
        """``threads`` is for the CPU parts; the device comes from ``config``."""
        self.config, self.results, self.name, self.threads = config, results, batch, threads
        self.prepared = configured_model(config)
        self.cache = Cache(config)
        self.manifest = still_wanted(results, batch)
        self.keys = {r.recording_id: transcript_key(config, self.prepared, r) for r in self.manifest.recordings}
        self._options = options_digest(config, self.prepared)
        self._meter = Meter(results.progress(batch), self._options)

    def run(self) -> None:
        """Write the batch file: cached transcripts first, the rest through the engine, in the manifest's order."""
        if self._is_done():
            self._meter.log(f"{self.name}: transcribed already")
            return
        known: dict[str, CachedTranscript] = {}
        for recording in self.manifest.recordings:
            entry = self.cache.get(recording.sha256, self.keys[recording.recording_id])
            if entry is not None:
                known[self._content(recording)] = entry
        cached = set(known)
        outcomes: dict[str, Outcome] = dict(known)
        self._meter.log(
            f"{self.name}: {counted(len(self.manifest.recordings), 'recording')}, {len(known)} from the cache"
        )
        journal = Journal(self.results.journal(self.name))
        wanted = [r for r in self.manifest.recordings if self._content(r) not in known]
        with BatchAudio.of(
            self.config, self.results, self.name, wanted, self.threads, self._meter.log, "late"
        ) as audio:
            self._transcribe(audio, outcomes, journal)
        earlier = self._earlier_rows()
        record_unrecorded(self.results, self.name, earlier.values())
        write_batch(
            self.results.batch(self.name),
            (
                self._row(r, outcomes.get(self._content(r)), self._content(r) in cached, earlier)
                for r in self.manifest.recordings
            ),
        )
        self.results.earlier(self.name).unlink(missing_ok=True)
        journal.remove()
        self._meter.finish()
        self.cache.trim()

    def _is_done(self) -> bool:
        """Whether an earlier run finished this batch with these options.

        Snakemake (9.27) asks again when the samples were made again for the voices: `ancient` inputs that are not there
        count as new (findings/snakemake-ancient-temp.sh).
        """
        path = self.results.batch(self.name)
        if not path.exists() or finished_with(self.results, self.name) != self._options:
            return False
        names = ["recording_id", "sha256", "attempt"]
        there = {tuple(row[name] for name in names) for row in read_batch(path, names)}
        return there >= {(one.recording_id, one.sha256, one.attempt) for one in self.manifest.recordings}

    def _content(self, recording: Recording) -> str:
        return content_key(recording, self.keys[recording.recording_id])

    def _transcribe(self, audio: BatchAudio, outcomes: dict[str, Outcome], journal: Journal) -> None:
        recordings: dict[str, Recording] = {}
        jobs: list[RecordingJob] = []
        for recording in self.manifest.recordings:
            content = self._content(recording)
            normalised = audio.recordings.get(recording.recording_id)
            if content in outcomes or content in recordings or normalised is None:
                continue
            if normalised.error_class:
                outcomes[content] = normalised
                continue
            options = recording_options(self.config, recording)
            language, mixed = spoken_language(options["language"])
            recordings[content] = recording
            tracks = audio.tracks(recording.recording_id)
            jobs.append(RecordingJob(content, tracks, language, options["prompt"], mixed))
        if not jobs:
            return
        quick_check(self.config, self._meter.log)
        model = open_model(self.config, self.threads, max(journal.deaths.values(), default=0))
        backend = model.backend
        check_backend(backend, model.prepared)
        hardware = backend.hardware
        self._meter.log(f"{self.name}: {backend.name} on {hardware.device_name}, {hardware.compute_type}")
        read = sum(content in recordings for content, *_ in journal.windows)  # others are of other options
        if read:
            self._meter.log(f"{self.name}: {read} windows are in the journal already")
        self._meter.start(sum(audio.recordings[r.recording_id].duration or 0.0 for r in recordings.values()))
        transcriber = Transcriber(model, self.config)
        for job, result, wall in transcriber.transcribe(jobs, journal, self._meter.window_decoded):
            recording = recordings[job.key]
            normalised = audio.recordings[recording.recording_id]
            self._meter.recording_finished(normalised.duration or 0.0)
            if isinstance(result, RecordingError):
                outcomes[job.key] = result
                continue
            made = Provenance.of(self.config, self.prepared, backend.name, hardware, recording, normalised, wall)
            entry = CachedTranscript(
                transcript=result,
                flags=normalised.flags,
                decoded=normalised.decoded,
                envelope=envelope(track.samples for track in job.tracks),
                provenance=made,
            )
            self.cache.put(recording.sha256, self.keys[recording.recording_id], entry)
            outcomes[job.key] = entry

    def _earlier_rows(self) -> dict[str, dict[str, Any]]:
        """Rows of an earlier run of this batch, kept for recordings whose files are gone by now."""
        paths = (self.results.batch(self.name), self.results.earlier(self.name))
        path = next((path for path in paths if path.exists()), None)
        return {row["recording_id"]: row for row in read_batch(path)} if path else {}

    def _row(
        self, recording: Recording, outcome: Outcome | None, cached: bool, earlier: dict[str, dict[str, Any]]
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "recording_id": recording.recording_id,
            "path": recording.path,
            "sha256": recording.sha256,
            "path_bytes": recording.path_bytes,
            "codec": recording.codec,
            "sample_rate": recording.sample_rate,
            "channels": recording.channels,
            "size": recording.size,
            "model": self.config.model,
            "model_sha256": self.prepared.identity,
            "batch": self.name,
            "attempt": recording.attempt,
            "schema_version": SCHEMA_VERSION,
        }
        if (
            isinstance(outcome, CachedTranscript)
            and {"truncated", "incomplete"} & {*outcome.flags}
            and self.config.audio.truncated == "fail"
        ):
            missing = outcome.decoded.missing_seconds if outcome.decoded else 0.0
            outcome = not_kept("truncated" in outcome.flags, outcome.transcript.duration, missing)
        if isinstance(outcome, CachedTranscript):
            return row | _transcript_columns(outcome, self.config) | {"cached": cached}
        error, message = _failure(outcome)
        if error == VanishedRecording.__name__ and recording.recording_id in earlier:
            return earlier[recording.recording_id]
        failed = {
            "status": "failed",
            "error_class": error,
            "error_message": message,
            "options_hash": options_hash(self.config, recording),
            "cached": False,
            "segments": [],
        }
        flags = list(outcome.flags) if isinstance(outcome, NormalisedRecording) else []
        return row | failed | {"flags": flags, "finished_at": datetime.now(UTC)}


def _failure(outcome: Outcome | None) -> tuple[str, str]:
    if isinstance(outcome, NormalisedRecording):
        return outcome.error_class or EngineFailure.__name__, outcome.error_message or ""
    if outcome is None:
        return EngineFailure.__name__, "no result came out of the engine; see the batch's log"
    return type(outcome).__name__, str(outcome)


def _transcript_columns(entry: CachedTranscript, config: Config) -> dict[str, Any]:
    transcript = glossary.apply(entry.transcript, config.glossary)
    made = entry.provenance.model_dump()
    duration = transcript.duration
    return {
        **made,
        **(entry.decoded.columns() if entry.decoded else {}),
        "status": "ok" if transcript.text else "empty",
        "flags": sorted({*entry.flags, *transcript.flags}),
        "text": transcript.text,
        "duration": duration,
        "speech_seconds": transcript.speech_seconds,
        "gaps": [gap.model_dump() for gap in transcript.gaps],
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "replacements": list(transcript.replacements),
        "real_time_factor": round(made["wall_seconds"] / duration, 4) if duration else None,
        "segments": [segment.model_dump() for segment in transcript.segments],
        "envelope": entry.envelope,
    }
