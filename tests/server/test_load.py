"""A little load, by the benchmark's own means: nothing lost, every text right, the event loop free."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.serve import Server, probing, put_under_load, read_clips
from tests.server.handling import Clips, leftovers, until
from tests.server.serving import scratch, serving

CLIENTS = 8
SECONDS = 8


def test_many_clients_with_short_clips(models_root: Path, tmp_path: Path) -> None:
    made = Clips(models_root, tmp_path)
    for number in range(2 * CLIENTS):
        made.make(1.5 + number / 3)
    with (
        scratch() as folder,
        serving(models_root, Path(folder), "a-key", {"model": "tiny.en", "cache.mode": "off"}) as served,
    ):
        served.wait_ready()
        server = Server(served.url, served.key)
        clips = read_clips(server, tmp_path)
        assert len(clips) == 2 * CLIENTS and len({clip.text for clip in clips}) > CLIENTS / 2
        with probing(server) as live:
            load = put_under_load(server, clips, CLIENTS, SECONDS)
        assert load.lost == load.different == []
        assert len(load.took) >= CLIENTS
        shared = [line for line in served.http.get("/metrics").text.splitlines() if "batch_recordings" in line]
        alone, every = (
            float(next(line for line in shared if start in line).split()[1]) for start in ('le="1.0"', "_count")
        )
        assert every - alone > len(load.took) / 2, shared  # most were read together with others
        assert median(live) < median(load.took) / 10, sorted(live)[-20:]  # who asks if it lives waits for no text
        until(lambda: not leftovers(served), lambda: leftovers(served))
