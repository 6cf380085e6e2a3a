"""What made a transcript: model, engine, device, versions and options, for the tables and the cache."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import ConfigDict

from snakescribe.audio.samples import NormalisedRecording
from snakescribe.config import Config
from snakescribe.engine.backend import Hardware
from snakescribe.keys import options_hash
from snakescribe.models.store import Prepared
from snakescribe.recording import Recording
from snakescribe.records import Frozen


class Provenance(Frozen):
    """What made a transcript; columns of the recordings table."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    model_sha256: str
    engine: str
    versions: str
    device: str
    device_name: str
    driver: str | None
    compute_type: str
    options_hash: str
    wall_seconds: float
    finished_at: datetime

    @classmethod
    def of(
        cls,
        config: Config,
        prepared: Prepared,
        engine: str,
        hardware: Hardware,
        recording: Recording,
        audio: NormalisedRecording,
        wall: float,
    ) -> Provenance:
        """Of a transcript that was finished just now; ``wall`` is the seconds it took after ``audio`` was decoded."""
        return cls(
            model=config.model,
            model_sha256=prepared.identity,
            engine=engine,
            versions=f"{hardware.versions}, ffmpeg {audio.ffmpeg or 'unknown'}",
            device=hardware.device,
            device_name=hardware.device_name,
            driver=hardware.driver,
            compute_type=hardware.compute_type,
            options_hash=options_hash(config, recording),
            wall_seconds=round(wall + audio.wall_seconds, 3),
            finished_at=datetime.now(UTC),
        )
