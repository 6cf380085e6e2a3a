"""Normalised samples of a batch for whoever listens to it: what the normalise step left out is made here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from snakescribe.audio.normalise import normalise_batch
from snakescribe.audio.samples import NormalisedRecording, SamplesIndex, open_samples
from snakescribe.config import Config
from snakescribe.engine.windows import Channel
from snakescribe.files import read_record
from snakescribe.inventory.manifest import Manifest
from snakescribe.layout import Results
from snakescribe.recording import Recording
from snakescribe.vad.anybody import speech_finder


class BatchAudio:
    """Samples from one or two files; made files are removed at the end."""

    def __init__(self, parts: list[tuple[Path, SamplesIndex]], made: list[Path]) -> None:
        """``parts`` are files of samples with their indexes, ``made`` what goes at the end."""
        self._made = made
        self.recordings: dict[str, NormalisedRecording] = {}
        self._samples = {}
        for path, index in parts:
            ends = [track.offset + track.samples for entry in index.recordings for track in entry.tracks]
            mapped = open_samples(path, max(ends, default=0))
            for recording in index.recordings:
                if not recording.skipped and not index.deferred:
                    self.recordings[recording.recording_id] = recording
                    self._samples[recording.recording_id] = mapped

    @classmethod
    def of(
        cls,
        config: Config,
        results: Results,
        batch: str,
        wanted: Sequence[Recording],
        threads: int,
        log: Callable[[str], None],
        suffix: str,
    ) -> BatchAudio:
        """What the normalise step made, and what it left out (disk bound, cache changed since) of the ``wanted`` ones.

        ``suffix`` goes into the names of the files made here, so that two steps do not meet.
        """
        samples, index = results.samples(batch), results.samples_index(batch)
        parts = [(samples, read_record(index, SamplesIndex, "delete it and run again"))]
        there = {r.recording_id for r in parts[0][1].recordings if not r.skipped} if not parts[0][1].deferred else set()
        late = tuple(r for r in wanted if r.recording_id not in there)
        made: list[Path] = []
        if late:
            made = [samples.with_suffix(f".{suffix}.pcm"), samples.with_suffix(f".{suffix}.json")]
            part = normalise_batch(
                Manifest(batch=batch, recordings=late),
                config,
                samples=made[0],
                index=made[1],
                skip=lambda recording: False,
                jobs=threads,
                log=log,
                speaks=speech_finder(config),
            )
            parts.append((made[0], part))
        return cls(parts, made)

    def tracks(self, recording_id: str) -> tuple[Channel, ...]:
        """Channels of a recording with their samples."""
        samples = self._samples[recording_id]
        return tuple(
            Channel(track.channel, samples[track.offset : track.offset + track.samples])
            for track in self.recordings[recording_id].tracks
        )

    def __enter__(self) -> BatchAudio:
        return self

    def __exit__(self, *error: object) -> None:
        for path in self._made:
            path.unlink(missing_ok=True)
