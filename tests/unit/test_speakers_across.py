"""One voice, one label in all recordings of a folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from snakescribe.speakers.across import Known, relabelled

PEOPLE = np.eye(192, dtype=np.float32)


def like(person: int, seed: int) -> npt.NDArray[np.float32]:
    """A voice as another recording has it: at a cosine of 0.8 to the person's own, 0.64 to another such."""
    stray = np.random.default_rng(seed).normal(size=192).astype(np.float32)
    stray[:10] = 0
    return np.asarray(0.8 * PEOPLE[person] + 0.6 * stray / np.linalg.norm(stray), np.float32)


def test_who_was_heard_before_has_the_same_number() -> None:
    known = Known()
    assert known.numbers([like(0, 1), like(1, 2)]) == [0, 1]
    assert known.numbers([like(1, 3), like(2, 4)]) == [1, 2]
    assert known.numbers([like(2, 5), like(0, 6), like(1, 7)]) == [2, 0, 1]
    assert known.count == 3


def test_two_speakers_of_one_recording_are_never_one_voice() -> None:
    known = Known()
    known.numbers([PEOPLE[0]])
    assert known.numbers([like(0, 1), like(0, 2)]) in ([0, 1], [1, 0])


def test_who_says_too_little_is_nobody_known_then_or_later() -> None:
    known = Known()
    assert known.numbers([like(0, 1), None]) == [0, 1]
    assert known.numbers([None, like(0, 2), like(1, 3)]) == [2, 0, 3]


def test_many_voices_are_kept_apart() -> None:
    known = Known()
    assert [known.numbers([PEOPLE[person]]) for person in range(100)] == [[person] for person in range(100)]
    assert known.numbers([PEOPLE[70]]) == [70]


@pytest.mark.parametrize(("name", "wanted"), [("김서연", "김서연"), ("", "오른쪽")])
def test_a_row_is_told_by_other_labels(name: str, wanted: str) -> None:
    def speaker(label: str, channel: str) -> dict[str, Any]:
        return {"speaker": label, "name": channel, "channel": channel, "turns": 1}

    row = {
        "path": "a.wav",
        "segments": [
            {"text": "네", "speaker": "SPEAKER_01", "words": [{"text": "네", "speaker": "SPEAKER_01"}]},
            {"text": "음", "speaker": None, "words": None},
        ],
        "turns": [{"start": 0.0, "end": 1.0, "speaker": "SPEAKER_00"}],
        "speakers": [speaker("SPEAKER_00", "왼쪽"), speaker("SPEAKER_01", "오른쪽")],
    }
    told = relabelled(row, ["SPEAKER_01", "SPEAKER_07"], {"SPEAKER_01": "", "SPEAKER_07": name})
    assert [(one["speaker"], one["name"]) for one in told["speakers"]] == [
        ("SPEAKER_01", "왼쪽"),
        ("SPEAKER_07", wanted),
    ]
    assert [one["speaker"] for one in told["segments"]] == ["SPEAKER_07", None]
    assert told["segments"][0]["words"] == [{"text": "네", "speaker": "SPEAKER_07"}]
    assert told["turns"] == [{"start": 0.0, "end": 1.0, "speaker": "SPEAKER_01"}]
    assert relabelled(told, ["SPEAKER_01", "SPEAKER_07"], {"SPEAKER_01": "", "SPEAKER_07": name}) == told
