"""The engine's process without a server: what it keeps, what it forgets, and how it ends."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakescribe.config import Config, load_config
from snakescribe.engine.interleave import Interleaver
from snakescribe.engine.journal import Journal
from snakescribe.engine.windows import RecordingJob, RecordingUpdate
from snakescribe.server import engine_worker
from snakescribe.server.engine_worker import Ready, Submit
from snakescribe.transcript import Transcript
from tests.server.handling import Clips, Watch, until
from tests.server.serving import PATIENCE
from tests.unit.engine_run import read_wav


class Talk:
    """The server's side of it."""

    def __init__(self, connection: Connection, running: SpawnProcess) -> None:
        self.connection, self.process = connection, running

    def say(self, *message: object) -> None:
        self.connection.send(message)

    def hear(self) -> Any:
        assert self.connection.poll(PATIENCE), "it says nothing"
        return self.connection.recv()

    def transcript(self, key: str) -> Transcript:
        """The result; what was told before must be all of it, once."""
        told = []
        while True:
            step = self.hear()
            assert isinstance(step, RecordingUpdate) and step.key == key
            told += step.segments
            if step.result is not None:
                assert isinstance(step.result, Transcript) and tuple(told) == step.result.segments
                return step.result


@pytest.fixture
def config(models_root: Path) -> Config:
    return load_config({"models": str(models_root), "model": "tiny.en"}, models_root, {})


@contextmanager
def talking(config: Config, journal: Path, main: Callable[..., None] = engine_worker.main) -> Iterator[Talk]:
    """A process that has loaded its model."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    running = context.Process(target=main, args=(theirs, config, 2, journal))
    running.start()
    theirs.close()
    talk = Talk(ours, running)
    try:
        assert isinstance(talk.hear(), Ready)
        yield talk
    finally:
        running.kill()
        running.join()


def asked(key: str, samples: Path, config: Config) -> Submit:
    """A recording of one track."""
    return Submit(RecordingJob(key, (), None, ""), config, samples, ((None, 0, samples.stat().st_size // 2),))


def test_it_ends_when_it_should_and_goes_on_later(models_root: Path, config: Config, tmp_path: Path) -> None:
    """However long those are away that come again."""
    long, path = tmp_path / "long.pcm", tmp_path / "journal.jsonl"
    long.write_bytes(read_wav(Clips(models_root, tmp_path).make(100)).tobytes())
    with talking(config, path) as first:
        first.say("submit", asked("long", long, config))
        assert first.hear().result is None
        until(lambda: busy(path))
        first.connection.close()  # as when its server dies
        first.process.join(PATIENCE)
        assert first.process.exitcode == 0
    left = Journal(path)
    assert left.windows and not left.deaths, "nobody is to blame for a window that was being read"
    watch = Watch(path)
    with talking(config, path) as second:
        time.sleep(3 * engine_worker.IDLE)
        second.say("submit", asked("long", long, config))
        assert second.transcript("long").text
        begun = watch.begun()
        assert begun and not set(begun) & left.windows.keys()
        until(lambda: path.stat().st_size == 0, "finished, and so forgotten")
        second.say("submit", asked("another", long, config))
        until(lambda: busy(path))
        second.say("stop")
        second.process.join(PATIENCE)
        assert second.process.exitcode == 0 and not Journal(path).deaths


def busy(journal: Path) -> bool:
    """Whether the model has windows before it."""
    return journal.read_text().count('"begun"') > journal.read_text().count('"ended"')


def test_nobody_comes_for_what_was_left(models_root: Path, config: Config, tmp_path: Path) -> None:
    path, clip = tmp_path / "journal.jsonl", tmp_path / "clip.pcm"
    clip.write_bytes(read_wav(models_root / "samples/beckett.wav").tobytes())
    with talking(config, path) as first:
        first.say("submit", asked("gone", clip, config))
        first.transcript("gone")
        first.process.kill()
        first.process.join()
    assert {place[0] for place in Journal(path).windows} == {"gone"}
    with talking(config, path) as second:
        second.say("settle")
        until(lambda: path.stat().st_size == 0)


def test_who_asks_is_told_once(models_root: Path, config: Config, tmp_path: Path) -> None:
    long, clip = tmp_path / "long.pcm", tmp_path / "clip.pcm"
    clip.write_bytes(np.tile(read_wav(models_root / "samples/beckett.wav"), 3).tobytes())
    long.write_bytes(np.tile(read_wav(models_root / "samples/endgame_nagg_nell.wav"), 4).tobytes())
    with talking(config, tmp_path / "journal.jsonl") as talk:
        talk.say("submit", asked("long", long, config))
        assert talk.hear().result is None
        talk.say("drop", "long")
        again = asked("a", clip, config)
        for _ in range(2):
            talk.say("submit", again)
            talk.say("drop", "a")
        talk.say("submit", again)
        assert talk.transcript("a").text.lower().count("fail better") == 3
        assert not talk.connection.poll(2 * engine_worker.IDLE), "and nothing more"

        (tmp_path / "empty.pcm").touch()
        missing = Submit(RecordingJob("missing", (), None, ""), config, tmp_path / "missing.pcm", ((None, 0, 5),))
        talk.say("submit", missing)
        failed = talk.hear()
        assert failed.key == "missing" and "voice activity" in str(failed.result)
        talk.say("submit", asked("empty", tmp_path / "empty.pcm", config))
        assert talk.transcript("empty").segments == ()


def hanging(*given: Any) -> None:
    """One whose turns never end."""
    engine_worker.STALLED = 1
    Interleaver.turn = lambda self, tell: time.sleep(PATIENCE)  # type: ignore[method-assign]
    engine_worker.main(*given)


def test_one_that_hangs_ends(models_root: Path, config: Config, tmp_path: Path) -> None:
    clip = tmp_path / "clip.pcm"
    clip.write_bytes(read_wav(models_root / "samples/beckett.wav").tobytes())
    with talking(config, tmp_path / "journal.jsonl", hanging) as talk:
        talk.say("submit", asked("clip", clip, config))
        talk.process.join(PATIENCE / 2)
        assert talk.process.exitcode == -signal.SIGALRM
