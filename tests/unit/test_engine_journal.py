"""The journal of a batch: what is finished comes back, and who was in flight when a process died is named."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from snakescribe.engine.journal import FATAL_DEATHS, FATAL_STARVATIONS, Journal, Language, Place, WindowText
from snakescribe.errors import EngineFailure, OutOfMemory, ResultsError
from snakescribe.memory import Memory
from snakescribe.transcript import Segment


def _window(start: int, text: str = "말") -> WindowText:
    segment = Segment(
        start=start / 16_000,
        end=start / 16_000 + 1,
        text=text,
        mean_logprob=-0.1,
        no_speech_probability=0.0,
        compression_ratio=1.0,
        temperature=0.0,
    )
    return WindowText(key="k", track=0, start=start, end=start + 16_000, segments=(segment,), wall_seconds=0.5)


def test_journal_comes_back_and_drops_a_line_cut_by_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "journal/b000001.jsonl"
    journal = Journal(path)
    journal.add([Language(key="k", language="ko", probability=0.9), _window(0), _window(16_000)])
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    again = Journal(path)
    assert set(again.windows) == {_window(0).place} and again.languages["k"].language == "ko"
    again.add([_window(32_000)])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [list(json.loads(line)) for line in lines] == [["language"], ["window"], ["window"]]
    assert set(Journal(path).windows) == {_window(0).place, _window(32_000).place}
    again.remove()
    assert not path.exists()


A, B, C = (_window(start).place for start in (0, 16_000, 32_000))


def test_an_old_journal_is_read(tmp_path: Path) -> None:
    """Before windows could end without text, ``begun`` alone told what was in flight; gaps were not noted."""
    window = _window(0).model_dump(mode="json")
    del window["gaps"]
    path = tmp_path / "old.jsonl"
    records = [{"begun": [A, B, C]}, {"window": window}, {"died": [B]}, {"begun": [B]}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    journal = Journal(path)
    assert journal.deaths == {B: 2} and journal.windows == {A: _window(0)}
    assert Journal(path).deaths == {B: 2}  # nobody died since


def test_what_ended_was_not_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    with journal.in_flight([A, B]):
        pass
    with pytest.raises(RuntimeError), journal.in_flight([A]):
        raise RuntimeError("the engine says no, and lives")
    assert not Journal(path).deaths
    with journal.in_flight([B]), journal.in_flight([C]):
        assert Journal(path).deaths == {B: 1, C: 1}


def test_a_window_seen_again_is_in_flight_until_its_last_end(tmp_path: Path) -> None:
    """Encoding ends before decoding begins: a death in the second counts, the first has ended."""
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    with journal.in_flight([A, B]):
        pass
    with journal.in_flight([A]):
        assert Journal(path).deaths == {A: 1}


def test_in_memory_only(tmp_path: Path) -> None:
    journal = Journal(None)
    journal.add([_window(0)])
    with journal.in_flight([B]):
        assert set(journal.windows) == {A}
    journal.remove()
    assert not list(tmp_path.iterdir())


def _killed(path: Path) -> None:
    """Two threads at work when the process is gone at once: A's bucket has ended, B's and C's have not."""
    journal = Journal(path)
    reached = threading.Barrier(3)

    def task(*places: tuple[str, int, int, int]) -> None:
        for place in places:
            with journal.in_flight([place]):
                if place == places[-1]:
                    reached.wait()
                    threading.Event().wait()
            journal.add([_window(place[2])])

    for places in ((A, B), (C,)):
        threading.Thread(target=task, args=places, daemon=True).start()
    reached.wait()
    os._exit(9)


def test_a_kill_names_the_windows_of_both_threads(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    for times in (1, 2):
        process = multiprocessing.get_context("fork").Process(target=_killed, args=(path,))
        process.start()
        process.join()
        assert process.exitcode == 9
        journal = Journal(path)
        assert set(journal.windows) == {A}
        assert journal.deaths == {B: times, C: times}


def test_two_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)

    def task(first: int) -> None:
        for i in range(100):
            window = _window(first + i, text="말" * 2000)
            with journal.in_flight([window.place]):
                pass
            journal.add([window])

    threads = [threading.Thread(target=task, args=(first,)) for first in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Journal(path)
    assert again.windows == journal.windows and len(again.windows) == 200 and not again.deaths


@pytest.mark.parametrize(
    "line",
    [
        b'{"window": {"key": "k", "tra',
        b'{"window": {"key": "k", "text": "of another version"}}',
        b'{"begun": [[1, 2]]}',
        b'{"begun": 5}',
        b'{"unknown": {}}',
        b"[]",
        b"\xff\x00",
    ],
)
def test_a_damaged_line_is_named_and_nothing_is_touched(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.add([_window(0)])
    good = path.read_bytes()
    path.write_bytes(good + line + b"\n" + good)
    with pytest.raises(ResultsError, match="delete this line and start again") as caught:
        Journal(path)
    assert str(caught.value).startswith(f"{path}, line 2, is damaged")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == good + line + b"\n" + good


def _killed_with(path: Path, kills: int, *places: Place) -> Journal:
    """A process reads ``places`` and is killed; the kernel counts ``kills`` for want of memory when the next begins."""
    journal = Journal(path, Memory(10**9, 10**9, None, kills, "group"))
    journal._append([{"begun": places, "mark": ("group", kills)}])
    return journal


def test_want_of_memory_is_named_and_other_deaths_are_not(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    for kills in (1, 2, 3):
        assert _killed_with(path, kills, A).verdict(A) is None
    starved = Journal(path, Memory(10**9, 10**9, None, 4, "group"))
    verdict = starved.verdict(A)
    assert isinstance(verdict, OutOfMemory) and "limit 1000 MB" in str(verdict) and "at 0.0 s" in str(verdict)
    assert starved.verdict(B) is None
    starved.rewrite()
    assert isinstance(Journal(path).verdict(A), OutOfMemory), "and it stays so"
    starved.keep(())
    starved.rewrite()
    assert path.read_bytes() == b"" and Journal(path).verdict(A) is None

    for _ in range(FATAL_DEATHS):
        _killed_with(path, 4, B)
    assert isinstance(Journal(path, Memory(10**9, 1, None, 4, "group")).verdict(B), EngineFailure)
    path.unlink()
    for _ in range(FATAL_DEATHS):
        _killed_with(path, 4, B)
    assert isinstance(Journal(path, Memory(10**9, 1, None, 9, "another")).verdict(B), EngineFailure)


def test_memory_that_always_lacks_somewhere_else_comes_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    for kills in range(FATAL_STARVATIONS):
        journal = _killed_with(path, kills, _window(16_000 * kills).place)
        assert journal.verdict(A) is None
    assert isinstance(Journal(path, Memory(1, 1, 1, FATAL_STARVATIONS, "group")).verdict(A), OutOfMemory)
