"""Recordings that come at any time: the text is what a batch makes of them, and nobody waits for a long one."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_run import Engine, Samples, Watched, heard, job, plain, samples_of
from espeak import say

from snakescribe.engine import interleave
from snakescribe.engine.interleave import Interleaver
from snakescribe.engine.journal import Journal, Language, WindowText
from snakescribe.engine.windows import Channel, RecordingJob, RecordingUpdate
from snakescribe.errors import EngineFailure, RecordingError
from snakescribe.transcript import Segment, Transcript

SPEECH = 12.0
"""Seconds of speech in a turn; the real figure would read all of this at once."""


@pytest.fixture(scope="module")
def base(models_root: Path) -> Engine:
    return Engine(models_root, model="base", words=True)


@pytest.fixture(scope="module")
def tiny(models_root: Path) -> Engine:
    return Engine(models_root, model="tiny.en")


@pytest.fixture(scope="module")
def spoken(models_root: Path) -> dict[str, Samples]:
    return samples_of(models_root)


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleave, "FIRST_TURN", SPEECH)
    monkeypatch.setattr(interleave, "TURN", 0.0)  # however fast the machine is, a turn is no longer than half of that


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def line_of(engine: Engine, journal: Journal, backend: Watched | None = None) -> Interleaver:
    return Interleaver(replace(engine.model, backend=backend or engine.backend), journal)


def watched(engine: Engine) -> Watched:
    return Watched(engine.backend)


def turn(line: Interleaver) -> list[RecordingUpdate]:
    """What is told in one turn."""
    told: list[RecordingUpdate] = []
    line.turn(told.append)
    return told


def steps(line: Interleaver) -> list[RecordingUpdate]:
    """Turns until nobody waits."""
    told: list[RecordingUpdate] = []
    while line:
        line.turn(told.append)
    return told


def results(told: list[RecordingUpdate]) -> dict[str, Transcript | RecordingError]:
    """By key, in the order in which they were finished."""
    return {step.key: step.result for step in told if step.result is not None}


@pytest.fixture(scope="module")
def long(spoken: dict[str, Samples]) -> Samples:
    """Two minutes that are read in several turns."""
    return np.concatenate([spoken["endgame_nagg_nell"], spoken["beckett"]] * 3)


def split(**channels: Samples) -> tuple[Channel, ...]:
    return tuple(Channel(name, samples) for name, samples in channels.items())


@pytest.mark.usefixtures("short_turns")
def test_a_recording_says_the_same_whenever_it_comes(
    base: Engine, spoken: dict[str, Samples], journal: Journal
) -> None:
    beckett, endgame = spoken["beckett"], spoken["endgame_nagg_nell"][: 16_000 * 16]
    spanish = say("Buenos días a todos. Hoy vamos a hablar de la historia de nuestra ciudad y de su gente.", "es")
    pause = np.zeros(16_000 * 4, np.int16)
    late = np.concatenate([*[spanish, pause] * 3, endgame])  # the longest window comes last, and tells the language
    two = split(agent=endgame, caller=spoken["two_cities"][16_000 * 20 : 16_000 * 36])
    arrivals: Mapping[int, list[RecordingJob]] = {
        0: [job("late", late), job("beckett", beckett, "en")],
        1: [
            job("silence", np.zeros(48_000, np.int16)),
            RecordingJob("two", two, None, ""),
            job("nothing", beckett[:0]),
        ],
        2: [job("spanish", spanish), RecordingJob("prompted", split(only=beckett), "en", "Samuel Beckett reads.")],
        4: [RecordingJob("mixed", split(only=np.concatenate([spanish, beckett])), None, "", mixed=True)],
    }
    line = line_of(base, journal)
    told: list[RecordingUpdate] = []
    together = 0
    for number in range(100):
        for arriving in arrivals.get(number, []):
            line.add(arriving, base.config)
        new = turn(line)
        assert all(step.together == len(new) for step in new)
        together = max(together, len(new))
        told += new
        if not line and number >= max(arrivals):
            break
    found = results(told)
    every = [one for arriving in arrivals.values() for one in arriving]
    assert found.keys() == {one.key for one in every}
    assert together >= 3 and number >= 4  # they did share turns, and there were several
    for one in every:
        alone, by_turns = heard(base.run([one])[one.key]), heard(found[one.key])
        assert (by_turns.text, by_turns.language) == (alone.text, alone.language), one.key
        assert by_turns.language_probability == pytest.approx(alone.language_probability, abs=0.01), one.key
        assert [(s.start, s.end, s.channel) for s in by_turns.segments] == [
            (s.start, s.end, s.channel) for s in alone.segments
        ]
        assert (by_turns.duration, by_turns.speech_seconds) == (alone.duration, alone.speech_seconds)
    assert heard(found["spanish"]).language == "es" and heard(found["late"]).language == "en"
    assert heard(found["silence"]).segments == heard(found["nothing"]).segments == ()
    _check_told(told, found)


def _check_told(told: list[RecordingUpdate], found: Mapping[str, Transcript | RecordingError]) -> None:
    """Text is told once and in the transcript's order, and progress only grows."""
    by_key: defaultdict[str, list[RecordingUpdate]] = defaultdict(list)
    for step in told:
        by_key[step.key].append(step)
    for key, mine in by_key.items():
        assert tuple(s for step in mine for s in step.segments) == heard(found[key]).segments, key
        assert [step.done for step in mine] == sorted(step.done for step in mine)
        assert mine[-1].done == pytest.approx(mine[-1].total, abs=0.01)
        assert [step.result is not None for step in mine] == [False] * (len(mine) - 1) + [True]


@pytest.mark.usefixtures("short_turns")
def test_text_of_two_tracks_is_told_in_the_order_of_the_transcript(
    tiny: Engine, spoken: dict[str, Samples], journal: Journal
) -> None:
    parts = [spoken["endgame_nagg_nell"], spoken["beckett"]]
    line = line_of(tiny, journal)
    line.add(
        RecordingJob("two", split(left=np.concatenate(parts), right=np.concatenate(parts[::-1])), "en", ""), tiny.config
    )
    told = steps(line)
    found = results(told)
    assert len(told) > 2 and sum(bool(step.segments) for step in told) > 1
    assert {segment.channel for segment in heard(found["two"]).segments} == {"left", "right"}
    _check_told(told, found)


@pytest.mark.usefixtures("short_turns")
def test_a_short_one_overtakes_a_long_one(
    tiny: Engine, spoken: dict[str, Samples], long: Samples, journal: Journal
) -> None:
    line = line_of(tiny, journal)
    line.add(job("long", long, "en"), tiny.config)
    before = turn(line)
    line.add(job("short", spoken["beckett"], "en"), tiny.config)
    told = before + steps(line)
    assert list(results(told)) == ["short", "long"]
    waited = next(i for i, step in enumerate(told) if step.key == "short" and step.result)
    assert waited < len(told) / 2, [step.key for step in told]


def test_who_is_finished_hears_before_the_turn_is_over(
    tiny: Engine, spoken: dict[str, Samples], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, heard_of = interleave.WindowDecoder.text, threading.Event()

    def text(self, task, attempt, took):  # type: ignore[no-untyped-def]
        assert task.state.job.key == "long" or heard_of.wait(600)
        return real(self, task, attempt, took)

    monkeypatch.setattr(interleave.WindowDecoder, "text", text)
    line = line_of(tiny, journal)
    for key, samples in (("short", spoken["beckett"][: 16_000 * 3]), ("long", spoken["endgame_nagg_nell"])):
        line.add(job(key, samples, "en"), tiny.config)
    told: list[RecordingUpdate] = []

    def tell(step: RecordingUpdate) -> None:
        told.append(step)
        heard_of.set()

    line.turn(tell)
    assert [(step.key, step.together) for step in told] == [("long", 2), ("short", 2)] and not line
    _check_told(told, results(told))


@pytest.mark.usefixtures("short_turns")
def test_nobody_starves_who_decodes_otherwise(
    tiny: Engine, spoken: dict[str, Samples], long: Samples, journal: Journal
) -> None:
    """Only recordings with the same options share a turn; the others have the next one."""
    line = line_of(tiny, journal)
    greedy = tiny.config.model_copy(update={"decoding": tiny.config.decoding.model_copy(update={"beam_size": 1})})
    line.add(job("long", long, "en"), tiny.config)
    line.add(job("greedy", spoken["beckett"], "en"), greedy)
    told = steps(line)
    assert {step.together for step in told} == {1}
    assert [step.key for step in told][:2] == ["long", "greedy"]
    assert list(results(told)) == ["greedy", "long"]


@pytest.mark.usefixtures("short_turns")
def test_dropped_is_read_no_further(tiny: Engine, long: Samples, journal: Journal) -> None:
    backend = watched(tiny)
    line = line_of(tiny, journal, backend)
    line.add(job("long", long, "en"), tiny.config)
    assert [step.result for step in turn(line)] == [None]
    read = sum(backend.encoded)
    line.drop("long")
    assert steps(line) == [] and not line
    assert sum(backend.encoded) == read


@pytest.mark.usefixtures("short_turns")
def test_dropped_while_it_is_read_is_not_told_of(tiny: Engine, spoken: dict[str, Samples], journal: Journal) -> None:
    """Its caller may have come back already, and would take these steps for its own."""
    backend = watched(tiny)
    line = line_of(tiny, journal, backend)
    encode, first = backend.encode, threading.Event()

    def dropped_meanwhile(log_mels):  # type: ignore[no-untyped-def]
        if not first.is_set():
            first.set()
            line.drop("b")
            line.add(job("b", spoken["beckett"], "en"), tiny.config)
        return encode(log_mels)

    backend.encode = dropped_meanwhile  # type: ignore[method-assign]
    line.add(job("b", spoken["beckett"], "en"), tiny.config)
    told = steps(line)
    assert len(results(told)) == 1 and len([step for step in told if step.result]) == 1
    _check_told(told, results(told))


def test_not_wanted_any_more_after_listening(tiny: Engine, spoken: dict[str, Samples], journal: Journal) -> None:
    line = line_of(tiny, journal)
    line.add(job("b", spoken["beckett"]), tiny.config, wanted=lambda: False)
    assert not line


@pytest.mark.usefixtures("short_turns")
def test_what_breaks_the_reading_of_one_fails_no_other(
    tiny: Engine, spoken: dict[str, Samples], journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong outside the model, where nothing else would catch it."""
    real = interleave.WindowDecoder.text

    def text(self, task, attempt, took):  # type: ignore[no-untyped-def]
        if task.state.job.key == "bad":
            raise LookupError("not of this world")
        return real(self, task, attempt, took)

    monkeypatch.setattr(interleave.WindowDecoder, "text", text)
    line = line_of(tiny, journal)
    for key in ("good", "bad", "fine"):
        line.add(job(key, spoken["beckett"], "en"), tiny.config)
    told = steps(line)
    found = results(told)
    failure = found.pop("bad")
    assert isinstance(failure, EngineFailure) and "LookupError" in str(failure)
    for result in found.values():
        assert plain(heard(result).text).count("fail better") == 1
    _check_told([step for step in told if step.key != "bad"], found)


@pytest.mark.usefixtures("short_turns")
def test_a_second_process_goes_on_where_the_first_one_died(tiny: Engine, long: Samples, tmp_path: Path) -> None:
    recording = job("long", long)
    path = tmp_path / "journal.jsonl"
    whole = heard(tiny.run([recording])["long"])
    first = watched(tiny)
    line = line_of(tiny, Journal(path), first)
    line.add(recording, tiny.config)
    for _ in range(2):
        turn(line)
    before = Counter(place for place in Journal(path).windows)
    second = watched(tiny)
    journal = Journal(path)
    line = line_of(tiny, journal, second)
    line.add(recording, tiny.config)
    told = steps(line)
    assert heard(results(told)["long"]).text == whole.text
    assert heard(results(told)["long"]).language == whole.language
    line = line_of(tiny, Journal(path))
    line.add(recording, tiny.config)
    assert len(steps(line)) == 1 and line._speech == interleave.FIRST_TURN  # what is known says nothing of the speed
    assert 0 < len(before) < len(journal.windows)
    left = len(journal.windows) - len(before)
    assert left <= len(second.hypotheses) < left + 3  # a doubtful one is heard more than once
    _check_told(told, results(told))


@pytest.mark.usefixtures("short_turns")
def test_what_was_read_before_is_told_of_in_the_first_turn(tiny: Engine, long: Samples, tmp_path: Path) -> None:
    """Or the speed would be taken for that of the journal, and the time that remains for nothing."""
    path = tmp_path / "journal.jsonl"
    before = line_of(tiny, Journal(path))
    before.add(job("long", long), tiny.config)
    ((first, *_), (last, *_)) = turn(before), [turn(before) for _ in range(3)][-1]
    assert first.done < last.done < last.total
    again = line_of(tiny, Journal(path))
    again.add(job("long", long), tiny.config)
    assert turn(again)[0].done >= last.done


def window(key: str, start: int, text: str) -> WindowText:
    said = Segment(
        start=start / 16_000,
        end=start / 16_000 + 1,
        text=text,
        language="ko",
        channel=None,
        mean_logprob=-0.1,
        no_speech_probability=0.1,
        compression_ratio=1.0,
        temperature=0.0,
    )
    return WindowText(key=key, track=0, start=start, end=start + 16_000, segments=(said,), wall_seconds=0.1)


def test_journal_keeps_what_is_wanted_and_forgets_the_rest_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.add([Language(key=key, language="ko", probability=0.9) for key in ("mine", "other")])
    journal.add([window("mine", 0, "남는 말"), window("other", 0, "잊을 말")])
    with pytest.raises(KeyboardInterrupt), journal.in_flight([("mine", 0, 16_000, 32_000), ("other", 0, 5, 6)]):
        path.with_suffix(".left").write_bytes(path.read_bytes())
        raise KeyboardInterrupt
    path.with_suffix(".left").replace(path)  # as a process leaves it that dies while the model sees them

    journal = Journal(path)
    assert journal.deaths.total() == 2
    assert journal.keep({"mine"}) == 3
    journal.rewrite()
    assert "잊을 말" not in path.read_text(encoding="utf-8") and "other" not in path.read_text(encoding="utf-8")
    journal.add([window("mine", 48_000, "새 말")])
    with journal.in_flight([("mine", 0, 48_000, 64_000)]):
        pass
    for known in (journal, Journal(path)):
        assert [text.segments[0].text for text in known.windows.values()] == ["남는 말", "새 말"]
        assert set(known.languages) == {"mine"}
        assert known.deaths == Counter({("mine", 0, 16_000, 32_000): 1})
    assert journal.keep(()) == 4 and not journal.windows
    journal.rewrite()
    assert path.read_bytes() == b""


def test_windows_in_flight_are_not_to_blame_when_the_process_is_told_to_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    with journal.in_flight([("a", 0, 0, 16_000)]):
        assert Journal(path.with_name("copy")).deaths.total() == 0
        path.with_suffix(".killed").write_bytes(path.read_bytes())
        journal.absolve()
        path.with_suffix(".told").write_bytes(path.read_bytes())
    assert Journal(path.with_suffix(".killed")).deaths.total() == 1
    assert Journal(path.with_suffix(".told")).deaths.total() == 0
