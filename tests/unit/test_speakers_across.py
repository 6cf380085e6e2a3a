"""One voice, one label in all recordings of a folder."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from finished import finish, row, segment

from snakescribe.cli import main
from snakescribe.config import read_resolved
from snakescribe.layout import Results
from snakescribe.speakers.across import Known, label_across, relabelled
from snakescribe.speakers.called import Names, named, packed
from snakescribe.speakers.names import Given, add_names, given_names
from snakescribe.tables.batch import read_batch, write_batch

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


def told(tmp_path: Path, voices: Mapping[str, Sequence[npt.NDArray[np.float32] | None]]) -> Results:
    """A finished run in which voices were told apart, by path."""
    rows = []
    for path, vectors in voices.items():
        who = [speaker(f"SPEAKER_{number:02d}", None) for number in range(len(vectors))]
        speakers = [one | {"speech_seconds": 1.0, "first_start": 0.0} for one in who]
        about = {"speakers": speakers, "voice_vectors": list(map(packed, vectors)), "turns": []}
        rows.append(row(path, segment(0, 2, "네") | {"speaker": "SPEAKER_00"}, **about, speakers_found=len(vectors)))
    results = finish(tmp_path, {"b000001": rows})
    write_batch(results.speakers("b000001"), rows)
    return results


def called(results: Results) -> dict[str, list[tuple[str, str | None]]]:
    rows = read_batch(results.speakers("b000001"))
    return {row["path"]: [(one["speaker"], one["name"]) for one in row["speakers"]] for row in rows}


def test_names_of_a_folder(tmp_path: Path) -> None:
    results = told(tmp_path, {"회의/a.wav": [like(0, 1), None], "회의/b.wav": [like(1, 2), None, like(0, 3)]})
    content = next(iter(read_batch(results.speakers("b000001"))))["sha256"]
    short = Given(
        "a", "SPEAKER_01", "라벨만", content
    )  # of a run without `speakers_across`: SPEAKER_01 is another one now
    sheet = [Given("회의/b.wav", "SPEAKER_02", "이준"), Given("회의/b.wav", "SPEAKER_09", "아무도")]
    own = Given("회의/", "SPEAKER_05", "김서연", "", voiced("", like(0, 4)).voice)
    add_names(results, [short, *sheet, own, Given("다른/", "SPEAKER_00", "x")])
    label_across(read_resolved(results.config), results, lambda line: None)
    assert called(results) == {
        "회의/a.wav": [("SPEAKER_00", "김서연"), ("SPEAKER_01", None)],
        "회의/b.wav": [("SPEAKER_02", "이준"), ("SPEAKER_03", None), ("SPEAKER_00", "김서연")],
    }


def test_what_is_forgotten_takes_its_names_along(tmp_path: Path) -> None:
    results = told(tmp_path, {"회의/a.wav": [like(0, 1), like(1, 2)], "회의/b.wav": [like(0, 3)]})
    gone, stays = read_batch(results.speakers("b000001"))
    names = [
        Given("회의/", "SPEAKER_00", "둘 다", "", voiced("", like(0, 4)).voice),
        Given("회의/", "SPEAKER_01", "a에서만", "", voiced("", like(1, 4)).voice),
        Given("회의/", "SPEAKER_02", "말이 짧은 사람"),
        Given(gone["recording_id"], "SPEAKER_00", "a", gone["sha256"]),
        Given("회의/a.wav", "SPEAKER_00", "a"),
        Given("moved", "SPEAKER_00", "b", stays["sha256"]),
    ]
    add_names(results, names)
    assert main(["forget", "회의/a.wav", "--results", str(results.root)]) == 0
    assert [one.name for one in given_names(results)] == ["둘 다", "말이 짧은 사람", "b"]
