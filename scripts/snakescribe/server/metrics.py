"""What is counted for Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
TOGETHER = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """All figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        """Everything starts at zero."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each one, which Prometheus does not need
        self.registry = CollectorRegistry()
        ours: Any = {"namespace": "snakescribe", "registry": self.registry}
        self.requests = Counter("requests", "Requests answered", ("route", "status"), **ours)
        meaning = "From a request's first byte to its last"
        self.request_seconds = Histogram("request_seconds", meaning, ("route",), buckets=SECONDS, **ours)
        self.errors = Counter("errors", "Recordings without a transcript, by class of error", ("error",), **ours)
        self.queue = Gauge("queue", "Requests that wait for a text", **ours)
        self.jobs = Gauge("jobs", "Jobs by state", ("state",), **ours)
        self.engine_ready = Gauge("engine_ready", "1 while the model is loaded", **ours)
        self.engine_restarts = Gauge("engine_restarts", "Times the engine process was started again", **ours)
        meaning = "When the known clip was last heard right (Unix time)"
        self.proved = Gauge("proved_timestamp_seconds", meaning, **ours)
        self.audio = Counter("audio_seconds", "Seconds of audio transcribed", **ours)
        meaning = "Wall seconds per second of audio, of one recording"
        self.factor = Histogram("real_time_factor", meaning, buckets=FACTORS, **ours)
        self.together = Histogram("batch_recordings", "Recordings read together in one turn", buckets=TOGETHER, **ours)
