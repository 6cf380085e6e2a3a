"""The rules of batches: everything once, within the limits, and nothing ever moves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from snakescribe.inventory import plan
from snakescribe.inventory.ledger import FileContent, Known, PlannedBatch
from snakescribe.inventory.plan import Batches, Listed, Plan, estimated_seconds
from snakescribe.recording import Header, Overrides, Recording

SECONDS = st.lists(st.floats(0, 200, allow_nan=False), max_size=60)


def assign(seconds: list[float], longest: float, files: int) -> list[list[int]]:
    """Indices into ``seconds``, by batch."""
    placed, batches = Batches(longest, files), list[list[int]]()
    for index, duration in enumerate(seconds):
        number, position = placed.place(duration)
        batches += [[]] if number > len(batches) else []
        batches[number - 1].append(index)
        assert len(batches[number - 1]) == position + 1
    return batches


@given(SECONDS, st.floats(1, 120), st.integers(1, 10))
def test_batches_hold_everything_once_within_the_limits(seconds: list[float], longest: float, files: int) -> None:
    batches = assign(seconds, longest, files)
    assert sorted(index for batch in batches for index in batch) == list(range(len(seconds)))
    for batch in batches:
        assert batch == sorted(batch)
        assert len(batch) <= files
        assert len(batch) == 1 or sum(seconds[index] for index in batch) <= longest * (1 + 1e-9)
    assert batches == sorted(batches), "in the order of their first recording"


@given(SECONDS, st.floats(1, 120), st.integers(1, 10))
def test_batches_are_filled(seconds: list[float], longest: float, files: int) -> None:
    shared = [b for b in assign(seconds, longest, files) if not (len(b) == 1 and seconds[b[0]] > longest)]
    for batch, following in pairwise(shared):
        time = sum(seconds[index] for index in batch) + seconds[following[0]]
        assert len(batch) == files or time > longest * (1 - 1e-9)


def test_one_file_per_batch() -> None:
    assert assign([1, 2, 3], 3600, 1) == [[0], [1], [2]]


def test_unknown_durations_count_by_size() -> None:
    assert estimated_seconds(FileContent(8000, 0, "")) == 2.0
    assert estimated_seconds(FileContent(8000, 0, "", Header(duration=7.5))) == 7.5


def listed(name: str, content: str, language: str | None = None) -> Listed:
    path = name.encode()
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    return Listed(name, path, FileContent(len(content), 0, sha256, Header(duration=30.0)), Overrides(language))


class Changes(NamedTuple):
    """All of them together."""

    recordings: dict[str, Known]
    attempts: list[tuple[str, int, float, Recording]]
    new: int
    changed: int
    retried: int


def changes(
    known: Mapping[str, Known],
    items: list[Listed],
    kept: Set[str],
    retry: frozenset[str],
    minutes: float,
    files: int,
    last_batch: int,
) -> Changes:
    pairs = [(item, known.get(item.recording_id)) for item in items]
    found = list(plan.changes(known, pairs, kept, retry, minutes, files, last_batch))
    attempts = sorted((one.attempt for one in found if one.attempt), key=lambda attempt: attempt[:2])
    why = [one.why for one in found]
    counts = why.count("new"), why.count("changed"), why.count("retried")
    return Changes({one.recording_id: one.entry for one in found}, attempts, *counts)


def applied(known: dict[str, Known], there: dict[str, str], retry: frozenset[str] = frozenset()) -> Changes:
    items = [listed(name, content) for name, content in sorted(there.items())]
    last = max((int(entry.batch[1:]) for entry in known.values()), default=0)
    return changes(known, items, frozenset(), retry, minutes=1, files=5, last_batch=last)


FOLDERS = st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123"), max_size=8), max_size=6)


@given(FOLDERS)
def test_whatever_comes_and_goes_a_recording_keeps_its_batch(folders: list[dict[str, str]]) -> None:
    known: dict[str, Known] = {}
    attempts: dict[tuple[str, int], str] = {}
    for there in folders:
        found = applied(known, there)
        for batch, _, _, recording in found.attempts:
            assert (recording.recording_id, recording.attempt) not in attempts
            assert int(batch[1:]) > max((int(entry.batch[1:]) for entry in known.values()), default=0)
            attempts[recording.recording_id, recording.attempt] = batch
        after = known | found.recordings
        for name, entry in after.items():
            before = known.get(name)
            if before and (name not in there or before.sha256 == entry.sha256):
                assert (entry.batch, entry.attempt) == (before.batch, before.attempt)
            elif before:
                assert entry.attempt == before.attempt + 1
            assert attempts[name, entry.attempt] == entry.batch
            assert entry.state == ("present" if name in there else "removed")
            twins = sorted(other for other in there if there[other] == there.get(name))
            assert entry.duplicate_of == (twins[0] if twins and twins[0] != name else None)
        known = after
        assert applied(known, there) == Changes({}, [], 0, 0, 0), "a second look finds nothing to do"


def test_retries_and_new_files_share_batches_in_the_order_of_paths() -> None:
    known = applied({}, {"b": "1", "c": "2"}).recordings
    found = applied(known, {"a": "3", "b": "1", "c": "2", "d": "4"}, retry=frozenset("b"))
    assert [(batch, position, r.recording_id, r.attempt) for batch, position, _, r in found.attempts] == [
        ("b000002", 0, "a", 1),
        ("b000002", 1, "b", 2),
        ("b000003", 0, "d", 1),
    ]
    assert (found.new, found.changed, found.retried) == (2, 0, 1)


def test_an_override_is_new_work_and_extras_are_not() -> None:
    known = applied({}, {"a": "1"}).recordings

    def once(item: Listed) -> Changes:
        return changes(known, [item], frozenset(), frozenset(), minutes=1, files=5, last_batch=1)

    assert once(listed("a", "1", language="ko")).changed == 1
    item = Listed("a", b"a", listed("a", "1").content, reference="text", extras='{"who": "me"}')
    found = once(item)
    assert (found.changed, found.attempts) == (0, [])
    assert (found.recordings["a"].reference, found.recordings["a"].batch) == ("text", "b000001")


def test_unsettled_recordings_stay_as_they_are() -> None:
    known = applied({}, {"a": "1"}).recordings
    assert changes(known, [], frozenset("a"), frozenset(), 1, 5, 1).recordings == {}


def test_what_is_forgotten_comes_back_only_with_other_content() -> None:
    known = {"a": applied({}, {"a": "1"}).recordings["a"]._replace(forgotten=True)}
    assert applied(known, {"a": "1"}, retry=frozenset("a")) == Changes({}, [], 0, 0, 0)
    found = applied(known, {"a": "2"})
    assert (found.recordings["a"].forgotten, found.recordings["a"].attempt) == (False, 2)
    twins = applied(known, {"a": "1", "b": "1"})
    assert twins.recordings["b"].duplicate_of is None


def test_unreadable_files_are_no_twins_and_change_with_their_time() -> None:
    def unreadable(name: str, mtime_ns: int) -> Listed:
        return Listed(name, name.encode(), FileContent(5, mtime_ns, "", Header(probe_error="Permission denied")))

    found = changes({}, [unreadable("a", 1), unreadable("b", 1)], frozenset(), frozenset(), 1, 5, 0)
    assert [entry.duplicate_of for entry in found.recordings.values()] == [None, None]
    again = changes(found.recordings, [unreadable("a", 1), unreadable("b", 2)], frozenset(), frozenset(), 1, 5, 1)
    assert again.changed == 1


def test_the_plan_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan = Plan(
        batches=(PlannedBatch("b000001", 2, 61.5),),
        recordings=2,
        seconds=61.5,
        removed=1,
        duplicates=0,
        skipped={"hidden": 1, "not audio": 3},
        passed_over={"": 1, ".raw": 2},
        passed_names=("a", "b.raw", "c.raw"),
        columns=("통화",),
        ledger="0f",
    )
    plan.write(path)
    assert Plan.read(path) == plan
    assert json.loads(path.read_bytes()) == {
        "schema_version": 1,
        "batches": [{"batch": "b000001", "recordings": 2, "seconds": 61.5}],
        "recordings": 2,
        "seconds": 61.5,
        "removed": 1,
        "duplicates": 0,
        "skipped": {"hidden": 1, "not audio": 3},
        "passed_over": {"": 1, ".raw": 2},
        "passed_names": ["a", "b.raw", "c.raw"],
        "waiting_names": [],
        "columns": ["통화"],
        "ledger": "0f",
    }
