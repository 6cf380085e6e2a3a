"""One voice, one label in all recordings of a folder."""

from __future__ import annotations

import base64
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt

from snakescribe.speakers.across import Known, relabelled
from snakescribe.speakers.called import Names, named, packed
from snakescribe.speakers.names import Given

PEOPLE = np.linalg.qr(np.random.default_rng(0).normal(size=(192, 192)))[0].T.astype(np.float32)
"""Each a direction of its own."""


def like(person: int, seed: int) -> npt.NDArray[np.float32]:
    """A voice as another recording has it: at a cosine of 0.9 to the person's own, about 0.81 to another such."""
    stray = PEOPLE[100:].T @ np.random.default_rng(seed).normal(size=92).astype(np.float32)
    return np.asarray(0.9 * PEOPLE[person] + 0.436 * stray / np.linalg.norm(stray), np.float32)


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


def test_who_had_a_number_keeps_it() -> None:
    known = Known(3)
    assert known.numbers([like(0, 1), like(1, 2)], [2, 0]) == [2, 0], "whatever is heard"
    assert known.numbers([like(1, 3), like(5, 4)]) == [0, 3], "a number that is not used any more is never given again"


def speaker(label: str, channel: str | None) -> dict[str, Any]:
    return {"speaker": label, "name": channel, "channel": channel, "turns": 1}


def test_a_row_is_told_by_other_labels() -> None:
    row = {
        "path": "a.wav",
        "segments": [
            {"text": "네", "speaker": "SPEAKER_01", "words": [{"text": "네", "speaker": "SPEAKER_01"}]},
            {"text": "음", "speaker": None, "words": None},
        ],
        "turns": [{"start": 0.0, "end": 1.0, "speaker": "SPEAKER_00"}],
        "speakers": [speaker("SPEAKER_00", "왼쪽"), speaker("SPEAKER_01", "오른쪽")],
    }
    told = relabelled(row, ["SPEAKER_01", "SPEAKER_07"])
    assert [one["speaker"] for one in told["speakers"]] == ["SPEAKER_01", "SPEAKER_07"]
    assert [one["speaker"] for one in told["segments"]] == ["SPEAKER_07", None]
    assert told["segments"][0]["words"] == [{"text": "네", "speaker": "SPEAKER_07"}]
    assert told["turns"] == [{"start": 0.0, "end": 1.0, "speaker": "SPEAKER_01"}]
    for name, wanted in (("김서연", "김서연"), ("", "오른쪽")):
        assert [one["name"] for one in named(told, {"SPEAKER_07": name})["speakers"]] == ["왼쪽", wanted]


def row_of(*voices: npt.NDArray[np.float32], path: str = "회의/a.wav", sha256: str = "aa") -> dict[str, Any]:
    speakers = [speaker(f"SPEAKER_{number:02d}", None) for number in range(len(voices))]
    vectors = [packed(voice) for voice in voices]
    return {"recording_id": "r1", "path": path, "sha256": sha256, "speakers": speakers, "voice_vectors": vectors}


def voiced(name: str, voice: npt.NDArray[np.float32]) -> Given:
    return Given("r1", "SPEAKER_00", name, "aa", base64.b64encode(packed(voice) or b"").decode())


def test_a_name_goes_with_its_voice_and_its_content() -> None:
    names = Names([voiced("김서연", like(0, 1))])
    assert names.of(row_of(like(0, 2), like(1, 3))) == {"SPEAKER_00": "김서연"}
    assert names.of(row_of(like(1, 3), like(0, 2))) == {"SPEAKER_01": "김서연"}, "labels have changed places"
    assert names.of(row_of(like(0, 2), path="다른/z.wav")) == {"SPEAKER_00": "김서연"}, "the file was moved"
    assert names.of(row_of(like(1, 3))) == {}, "of two speakers only the other one is left"
    assert names.of(row_of(like(0, 2), sha256="bb")) == {}, "another recording lies there"


def test_a_name_of_a_sheet_goes_with_the_label_and_the_path_as_people_type_it() -> None:
    row = row_of(like(0, 2), path=unicodedata.normalize("NFD", "회의/a.wav"))
    assert Names([Given("회의/a.wav", "SPEAKER_00", "이준")]).of(row) == {"SPEAKER_00": "이준"}
    assert Names([Given("회의/a.wav", "SPEAKER_01", "이준")]).of(row) == {}
    twice = [Given("회의/a.wav", "SPEAKER_00", "이준"), Given("r1", "SPEAKER_00", "")]
    assert Names(twice).of(row) == {"SPEAKER_00": ""}, "taken back"
