"""What is counted for Prometheus; :meth:`Metrics.text` is what ``/metrics`` answers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
TOGETHER = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """All figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        """Everything starts at zero."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each one, which Prometheus does not need
        self.registry = CollectorRegistry()

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"snakescribe_{name}", meaning, labels, registry=self.registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"snakescribe_{name}", meaning, labels, registry=self.registry)

        def histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"snakescribe_{name}", meaning, labels, buckets=buckets, registry=self.registry)

        self.requests = counter("requests", "Requests answered", "route", "status")
        self.request_seconds = histogram("request_seconds", "From a request's first byte to its last", SECONDS, "route")
        self.errors = counter("errors", "Recordings without a transcript, by class of error", "error")
        self.queue = gauge("queue", "Requests that wait for a text")
        self.jobs = gauge("jobs", "Jobs by state", "state")
        self.engine_ready = gauge("engine_ready", "1 while the model is loaded")
        self.engine_restarts = gauge("engine_restarts", "Times the engine process was started again")
        self.proved = gauge("proved_timestamp_seconds", "When the known clip was last heard right (Unix time)")
        self._audio = counter("audio_seconds", "Seconds of audio transcribed")
        self._factor = histogram("real_time_factor", "Wall seconds per second of audio, of one recording", FACTORS)
        self._together = histogram("batch_recordings", "Recordings read together in one turn", TOGETHER)

    def transcribed(self, audio_seconds: float, wall_seconds: float) -> None:
        """One recording is done, decoding by ffmpeg and waiting for others included."""
        self._audio.inc(audio_seconds)
        if audio_seconds:
            self._factor.observe(wall_seconds / audio_seconds)

    def turn(self, together: int) -> None:
        """One recording had its share of a turn, together with so many."""
        self._together.observe(together)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)
