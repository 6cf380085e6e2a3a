"""Who speaks when: both networks against their own implementations, and a dialogue of two real people."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.config import load_config
from snakescribe.errors import InputError, ModelError
from snakescribe.inventory.sheet import read_sheet
from snakescribe.layout import Results
from snakescribe.models.store import Store
from snakescribe.speakers.campplus import VoiceEncoder
from snakescribe.speakers.cluster import MANY, Groups, centroids, linked
from snakescribe.speakers.crosstalk import without_crosstalk
from snakescribe.speakers.fbank import log_mel
from snakescribe.speakers.heard import VoicesJournal, packed, unpacked
from snakescribe.speakers.listen import Listener
from snakescribe.speakers.names import read_names
from snakescribe.speakers.segmentation import Segmenter
from snakescribe.speakers.settings import speakers_digest
from snakescribe.speakers.turns import Turn, overlap_seconds, turns
from snakescribe.speakers.voices import Voices, joined, windows_of
from snakescribe.speakers.words import Turns, told
from snakescribe.unfinished import put_aside_unfinished


class Nothing:
    """Keeps nothing."""

    def get(self, number: int) -> None:
        """Never known."""

    def put(self, number: int, result: npt.NDArray[np.int8]) -> None:
        """Not kept."""


@pytest.fixture(scope="module")
def speech(models_root: Path) -> dict[str, Path]:
    """Sample recordings; the second one has two speakers."""
    samples = models_root / "samples"
    names = {"beckett": "beckett", "endgame": "endgame_nagg_nell", "two_cities": "two_cities"}
    return {short: samples / f"{name}.wav" for short, name in names.items()}


@pytest.fixture(scope="module")
def weights(models_root: Path) -> tuple[Path, Path]:
    return Store(models_root).speakers()


@pytest.fixture(scope="module")
def listener(weights: tuple[Path, Path]) -> Listener:
    return Listener.load(weights, 2)


def test_weights_that_are_not_what_they_should_be_are_refused(weights: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights"):
        Listener.of(Store(tmp_path), 1)
    for path in weights:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / path.name).write_bytes(data)
    with pytest.raises(ModelError, match="damaged: expected sha256"):
        Listener.of(Store(tmp_path), 1)


def sound(path: Path) -> npt.NDArray[np.int16]:
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), "-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.int16)


@pytest.fixture(scope="module")
def dialogue(listener: Listener, speech: dict[str, Path]) -> Voices:
    """Nagg and Nell: 'What is it, my pet? Time for love?' — 'Were you asleep?' and so on, 28 s."""
    return listener.hear(sound(speech["endgame"]), Nothing())


def chirp() -> npt.NDArray[np.int16]:
    n = np.arange(24000)
    tone = 8000 * np.sin(2 * np.pi * (200 * n / 16000 + 900 * (n / 16000) ** 2))
    return (tone + 500 * ((n * 7919) % 101 - 50) / 50).astype(np.int16)


def test_the_features_are_kaldis() -> None:
    """The values are those of kaldi-native-fbank 1.22 (80 bins, no dither) for the same samples."""
    features = log_mel(chirp())
    assert features.shape == (148, 80)
    kaldi = {
        0: [-6.587, -1.579, -7.462, -3.921, -3.640],
        70: [-15.942, -12.220, -7.635, -3.921, -3.647],
        147: [-13.512, -12.131, -7.470, -3.923, -3.641],
    }
    for frame, values in kaldi.items():
        np.testing.assert_allclose(features[frame, [0, 9, 29, 59, 79]], values, atol=2e-3)


def test_the_encoder_is_campplus(weights: tuple[Path, Path]) -> None:
    """The values are those of 3D-Speaker's own network with the same weights."""
    features = log_mel(chirp())
    vector = VoiceEncoder(weights[0]).vectors((features - features.mean(0)).unsqueeze(0))[0]
    expected = [-0.1669, 0.0557, -0.0271, -0.0662, -0.0776, 0.0316, 0.0921, 0.0277]
    np.testing.assert_allclose(vector[:8], expected, atol=3e-4)
    assert float(vector.norm()) == pytest.approx(1.0)


def test_the_segmentation_hears_a_voice_and_silence(weights: tuple[Path, Path], speech: dict[str, Path]) -> None:
    samples = np.zeros(160_000, np.int16)
    samples[80_000:] = sound(speech["beckett"])[:80_000]
    found = Segmenter(weights[1]).voices(torch.from_numpy(samples / np.float32(32768))[None])[0].numpy()
    assert found.shape == (589, 3)
    assert found[:280].max() < 0.2
    assert found[315:340].max(1).min() > 0.8


def test_two_people_are_told_apart_with_their_short_answers(dialogue: Voices) -> None:
    found = turns(dialogue)
    assert {turn.speaker for turn in found} == {0, 1}
    starts = [round(turn.start, 1) for turn in found]
    assert starts == sorted(starts)
    seconds = [sum(turn.end - turn.start for turn in found if turn.speaker == number) for number in (0, 1)]
    assert seconds == [pytest.approx(14, abs=1), pytest.approx(7.2, abs=1)]
    assert sum(a.speaker != b.speaker for a, b in pairwise(found)) >= 10, "short answers are kept"
    assert {turn.speaker for turn in turns(dialogue, count=1)} == {0}
    assert turns(dialogue, count=2) == found
    assert {turn.speaker for turn in turns(dialogue, most=1)} == {0}


@pytest.mark.parametrize("name", ["beckett", "two_cities"])
def test_one_speaker_stays_one(listener: Listener, speech: dict[str, Path], name: str) -> None:
    assert {turn.speaker for turn in turns(listener.hear(sound(speech[name]), Nothing()))} == {0}


def test_the_telephone_is_recognised(
    listener: Listener, speech: dict[str, Path], dialogue: Voices, tmp_path: Path
) -> None:
    call_file = tmp_path / "call.wav"
    command = ["-i", str(speech["endgame"]), "-ar", "8000", "-c:a", "pcm_mulaw", str(call_file)]
    subprocess.run([ffmpeg_path(), "-v", "error", *command], check=True)
    call = listener.hear(sound(call_file), Nothing())
    assert (dialogue.narrow, call.narrow) == (False, True)
    seconds = [sum(t.end - t.start for t in turns(call, count=2) if t.speaker == number) for number in (0, 1)]
    assert seconds == [pytest.approx(14, abs=1.5), pytest.approx(7, abs=1.5)], "alone it finds one: that is less sure"
    soft = (sound(speech["endgame"]) / 300).astype(np.int16)
    assert not listener.hear(soft, Nothing()).narrow, "soft is not narrow"


def test_the_same_to_the_bit_for_any_threads_and_after_a_kill(
    listener: Listener, weights: tuple[Path, Path], speech: dict[str, Path], dialogue: Voices, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    samples = sound(speech["endgame"])
    journal = VoicesJournal(tmp_path / "b1.voices.jsonl")
    done = 0

    def count(share: float) -> None:
        nonlocal done
        done += 1
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        Listener.load(weights, 1).hear(samples, journal.of("call"), count)
    with (tmp_path / "b1.voices.jsonl").open("ab") as file:
        file.write(b'["call", 9, "|i1 8x192", "AAA')  # cut short
    again = VoicesJournal(tmp_path / "b1.voices.jsonl")
    kept = again.of("call")
    assert kept.get(0) is not None
    resumed = Listener.load(weights, 3).hear(samples, kept)
    assert packed({None: resumed}) == packed({None: dialogue})
    again.remove()
    assert not (tmp_path / "b1.voices.jsonl").exists()


def test_what_was_heard_is_packed_and_unpacked(dialogue: Voices) -> None:
    data = packed({"left": dialogue, None: dialogue})
    found = unpacked(data)
    assert list(found) == ["left", None]
    assert found[None].narrow is False
    np.testing.assert_array_equal(found["left"].vectors, dialogue.vectors)
    with pytest.raises(ValueError, match="damaged"):
        unpacked(data[:-30])


@pytest.mark.parametrize("leak", [-30, -20])
def test_who_is_heard_from_another_channel_is_not_counted_twice(
    listener: Listener, speech: dict[str, Path], leak: int
) -> None:
    one, other = sound(speech["beckett"])[:140_000], sound(speech["two_cities"])[19_000:159_000]
    quiet = np.zeros(140_000)
    near = np.concatenate([one, quiet, one[:70_000]]), np.concatenate([quiet, other / 4, quiet[:70_000]])
    share = 10 ** (leak / 20)
    mixed = [(near[0] + share * near[1]).astype(np.int16), (near[1] + share / 4 * near[0]).astype(np.int16)]
    heard = {name: listener.hear(samples, Nothing()) for name, samples in zip(("left", "right"), mixed, strict=True)}
    found = {channel: turns(voices) for channel, voices in without_crosstalk(heard).items()}
    assert {channel: {turn.speaker for turn in some} for channel, some in found.items()} == {"left": {0}, "right": {0}}
    assert max(turn.end for turn in found["left"] if turn.start < 8.75) < 9.5
    assert found["right"][0].start > 8.2 and found["right"][-1].end < 18


def test_two_who_speak_at_once_are_both_heard(listener: Listener, speech: dict[str, Path]) -> None:
    both = {"left": sound(speech["beckett"])[:140_000] / 3, "right": sound(speech["two_cities"])[19_000:159_000]}
    heard = {name: listener.hear(samples.astype(np.int16), Nothing()) for name, samples in both.items()}
    kept = without_crosstalk(heard)
    for name, voices in heard.items():
        before, after = (sum(turn.end - turn.start for turn in turns(one)) for one in (voices, kept[name]))
        assert after > 0.85 * before


def test_the_shortest_recordings_of_two_channels_have_nobody(listener: Listener) -> None:
    for samples in (1, 500, 4000):
        heard = {name: listener.hear(np.ones(samples, np.int16), Nothing()) for name in ("left", "right")}
        assert [turns(voices) for voices in without_crosstalk(heard).values()] == [[], []]


def test_voices_that_could_not_be_heard_are_tried_again_so_often(tmp_path: Path) -> None:
    results = Results(tmp_path)
    config = load_config({"speakers": "auto", "attempts": 3}, tmp_path)
    for times in (2, 3):
        for path in (results.voices("b000001"), results.speakers("b000001"), results.unheard("b000001")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(times), encoding="ascii")
        put_aside_unfinished(results, "", "", config)
        there = (results.voices("b000001").exists(), results.speakers("b000001").exists())
        assert there == (times == 3, times == 3)
    put_aside_unfinished(results, "", "", load_config({}, tmp_path))
    assert not results.speakers("b000001").exists(), "nobody is to be shown who said it"


def test_a_cell_of_the_sheet_that_cannot_be_right_is_told_where_voices_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text("path,speakers\na.wav, 2 \nb.wav,off\nc.wav,21\n")
    sheet = read_sheet(tmp_path / "sheet.csv")
    asked = {"recordings": str(tmp_path / "sheet.csv")}
    with pytest.raises(InputError, match=r"line 4: speakers: use off, auto, or how many there are \(1 to 20\)$"):
        speakers_digest(load_config(asked | {"speakers": "auto"}, tmp_path), sheet)
    assert not speakers_digest(load_config(asked, tmp_path), sheet), "a column of somebody's own, then"


def test_windows_lie_in_the_speech_of_one_voice() -> None:
    frames = np.zeros((600, 3), np.uint8)
    frames[60:300, 0] = 255  # 1.0 to 5.1 s
    frames[300:330, 1] = 255  # half a second of somebody else
    windows = windows_of(frames, 1000)
    assert windows[:, 1].max() == 148
    own, other = windows[windows[:, 1] == 148], windows[windows[:, 1] < 148]
    assert own[0, 0] == pytest.approx(103, abs=2)
    assert (own[:, 0] + 148).max() <= 511
    assert other.tolist() == [[pytest.approx(508, abs=2), pytest.approx(51, abs=2)]]


def test_windows_that_number_their_voices_anew_are_joined() -> None:
    first, second = np.zeros((20, 3), np.uint8), np.zeros((20, 3), np.uint8)
    first[5:, 0] = 255
    second[:15, 2] = 255
    whole = joined(iter([(0, first), (10, second)]), 30)
    assert (whole[5:25, 0] == 255).all()
    assert whole.sum() == 20 * 255


def voices(counts: Sequence[int], spread: float = 0.05) -> npt.NDArray[np.float32]:
    """Vectors about as many directions as there are counts, so many of each, in turn."""
    random = np.random.default_rng(7)
    centre = np.linalg.qr(random.normal(size=(192, len(counts))))[0].T
    made = np.concatenate([centre[i] + spread * random.normal(size=(n, 192)) for i, n in enumerate(counts)])
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made[random.permutation(len(made))].astype(np.float32)


def test_voices_are_found_counted_and_bounded() -> None:
    vectors = voices([40, 30, 20])
    assert [len(centroids(vectors, None, 1, most)) for most in (20, 2)] == [3, 2]
    assert [len(centroids(vectors, count, 1, 20)) for count in (1, 2, 3)] == [1, 2, 3]
    assert len(centroids(vectors, None, 4, 20)) == 4
    assert len(centroids(voices([40, 2]), None, 1, 20)) == 1, "two windows make no voice"
    assert len(centroids(voices([1]), None, 1, 20)) == 1


def test_ten_hours_of_windows_are_no_square_of_them() -> None:
    vectors = voices([30_000, 10_000, 500])
    assert len(vectors) > 20 * MANY
    assert len(centroids(vectors, None, 1, 20)) == 3


@given(st.integers(2, 30), st.integers(0, 1000))
def test_linkage_is_the_mean_over_all_pairs(size: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(size, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    members = {number: [number] for number in range(size)}
    for merge in linked(Groups(vectors, np.ones(size, np.float32))):
        means = {
            (a, b): float(np.mean([1 - vectors[i] @ vectors[j] for i in members[a] for j in members[b]]))
            for a in members
            for b in members
            if a < b
        }
        assert merge.distance == pytest.approx(min(means.values()), abs=1e-5)
        assert means[merge.into, merge.gone] == pytest.approx(merge.distance, abs=1e-5)
        members[merge.into] += members.pop(merge.gone)
    assert len(members) == 1


def word(start: float, end: float, text: str) -> dict[str, object]:
    return {"start": start, "end": end, "text": text, "probability": 0.9}


LABELS = {0: "SPEAKER_00", 1: "SPEAKER_01"}


def test_a_segment_is_cut_where_another_one_speaks() -> None:
    spoken = [word(0, 0.5, "환불"), word(0.5, 1, "되나요?"), word(1.1, 1.4, "네"), word(1.9, 2.4, "됩니다.")]
    segment = {"start": 0.0, "end": 2.5, "text": "환불 되나요? 네 됩니다.", "words": spoken, "flags": []}
    found = told(segment, Turns([Turn(0, 1.05, 0), Turn(1.05, 1.5, 1), Turn(1.8, 2.5, 0)]), LABELS)
    assert [(one["speaker"], one["text"]) for one in found] == [
        ("SPEAKER_00", "환불 되나요?"),
        ("SPEAKER_01", "네"),
        ("SPEAKER_00", "됩니다."),
    ]
    assert [(one["start"], one["end"]) for one in found] == [(0, 1), (1.1, 1.4), (1.9, 2.5)]
    assert found[1]["words"][0] == spoken[2] | {"speaker": "SPEAKER_01", "speaker_confidence": 1.0, "overlap": False}


def test_a_word_in_the_middle_of_a_sentence_stays_with_it() -> None:
    spoken = [word(0, 0.6, "I"), word(0.6, 0.8, "really"), word(0.8, 1.6, "think so.")]
    segment = {"start": 0.0, "end": 1.6, "text": "I really think so.", "words": spoken}
    (found,) = told(segment, Turns([Turn(0, 0.6, 0), Turn(0.55, 0.8, 1), Turn(0.8, 1.6, 0)]), LABELS)
    assert found["speaker"] == "SPEAKER_00"
    assert [one["overlap"] for one in found["words"]] == [False, False, False]


def test_without_words_and_with_a_glossary_the_most_time_decides() -> None:
    plain = {"start": 0.0, "end": 3.0, "text": "네 그럼요", "words": []}
    (found,) = told(plain, Turns([Turn(0, 1, 0), Turn(1, 3, 1)]), LABELS)
    assert found["speaker"] == "SPEAKER_01"
    changed = plain | {"text": "anders", "words": [word(0, 1, "네."), word(1, 3, "그럼요")]}
    (found,) = told(changed, Turns([Turn(0, 1, 0), Turn(1, 3, 1)]), LABELS)
    assert (found["speaker"], found["text"]) == ("SPEAKER_01", "anders")
    (found,) = told(plain, Turns([Turn(9, 10, 0)]), LABELS)
    assert found["speaker"] is None, "nobody is near"


def test_overlap_is_counted_once() -> None:
    assert overlap_seconds([Turn(0, 4, 0), Turn(3, 6, 1), Turn(3.5, 5, 2)]) == pytest.approx(2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("recording,name\na,b\n", "no column 'label'"),
        ("recording,label,name\n,SPEAKER_00,x\n", "line 2"),
        ("recording,label,name\na,SPEAKER_1,x\n", "SPEAKER_00, SPEAKER_01"),
        ("recording,label,name\na,SPEAKER_00,SPEAKER_01\n", "is no label"),
        ("recording,label,name,content,voice\na,SPEAKER_00,x,,AAAA\n", "voice is damaged"),
        (f"recording,label,name\na,SPEAKER_00,{'x' * 201}\n", "line 2"),
        ("recording,label,name\na,SPEAKER_00,팀장 [부장]\n", "without square brackets"),
        (f'recording,label,name\na,SPEAKER_00,"{"x" * 200_000}', "line 2"),
    ],
)
def test_names_that_cannot_be_right_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "names.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(message)):
        read_names(path)
    with pytest.raises(InputError, match="existing"):
        read_names(tmp_path / "none.csv")
