"""Files without a header: read by their extension, as long as they are, and never taken for something else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio_files import describe, ffmpeg, normalise, normalise_one
from raw_sound import asterisk_g723, dialogic_adpcm, sphere, wav_data

from snakescribe.config import load_config
from snakescribe.errors import ConfigError
from snakescribe.keys import samples_key
from snakescribe.media.magic import stranger
from snakescribe.media.raw import EXTENSIONS, extension

MADE: dict[str, list[str]] = {
    **{f"a.{kind}": ["-f", "mulaw", "-ar", "8000"] for kind in ("ulaw", "ul", "mu", "ulw", "ULAW")},
    **{f"a.{kind}": ["-f", "alaw", "-ar", "8000"] for kind in ("alaw", "al", "alw")},
    **{f"a.{kind}": ["-f", "s16le", "-ar", str(EXTENSIONS[kind].rate)] for kind in EXTENSIONS if kind.startswith("sl")},
    **{
        f"a.g726-{rate}": ["-f", "g726le", "-c:a", "g726le", "-b:a", f"{rate}k", "-ar", "8000"]
        for rate in (16, 24, 32, 40)
    },
    "a.g722": ["-f", "g722", "-ar", "16000"],
}


def written(speech: Path, target: Path, *options: str) -> bytes:
    ffmpeg("-i", str(speech), "-ac", "1", *options, str(target))
    return target.read_bytes()


@pytest.fixture(scope="module")
def folder(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, speech = tmp_path_factory.mktemp("raw"), models_root / "samples/beckett.wav"
    written(speech, root / "plain.wav", "-ar", "8000")
    for name, options in MADE.items():
        written(speech, root / name, *options)
    samples = np.frombuffer(written(speech, root / "a.sln", "-f", "s16le", "-ar", "8000"), "<i2")
    (root / "a.vox").write_bytes(dialogic_adpcm(samples))
    frames = wav_data(written(speech, root / "g723.wav", "-c:a", "g723_1", "-b:a", "6300", "-ar", "8000"))
    (root / "a.g723_1").write_bytes(frames)
    (root / "a.g723").write_bytes(asterisk_g723(frames[at : at + 24] for at in range(0, len(frames), 24)))
    return root


def alike(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """How much two recordings swell and fade together (correlation of the level in half a second)."""
    count = min(len(one), len(other)) // 8000
    levels = [np.log(np.abs(x[: count * 8000].reshape(-1, 8000).astype(float)).mean(1) + 10) for x in (one, other)]
    return float(np.corrcoef(*levels)[0, 1])


@pytest.mark.parametrize("name", [*MADE, "a.vox", "a.g723", "a.g723_1"])
def test_the_extension_says_what_is_in_it(folder: Path, tmp_path: Path, name: str) -> None:
    entry, (sound,) = normalise_one(folder, name, tmp_path)
    _, (plain,) = normalise_one(folder, "plain.wav", tmp_path)
    assert (entry.error_message, entry.flags) == (None, ())
    assert entry.duration == pytest.approx(len(plain) / 16_000, abs=0.06)
    assert alike(sound, plain) > 0.9
    raw = EXTENSIONS[extension(name)]
    assert raw.seconds((folder / name).stat().st_size) == pytest.approx(
        entry.duration, abs=0.1 + 2.6 * (name == "a.g723")
    )
    assert entry.decoded and (entry.decoded.codec, entry.decoded.sample_rate) == (raw.name, raw.rate)
    assert entry.decoded.clock_gaps == ()


def test_every_extension_is_made_here_or_known_by_its_size(folder: Path, tmp_path: Path) -> None:
    rest = {kind for kind in EXTENSIONS if not (folder / f"a.{kind}").exists()}
    assert rest == {"g729", "gsm", "ilbc", "g723sf"}
    noise = np.random.default_rng(1).bytes(30_000)
    for kind in ("g729", "gsm", "ilbc"):
        content = noise if kind != "gsm" else b"".join(b"\xd0" + noise[at : at + 32] for at in range(0, 29_000, 32))
        (tmp_path / f"a.{kind}").write_bytes(content)
        entry, _ = normalise_one(tmp_path, f"a.{kind}", tmp_path / "out")
        assert entry.duration == pytest.approx(EXTENSIONS[kind].seconds(len(content)), abs=0.05), entry


def test_a_file_with_a_header_is_read_by_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.ulaw").write_bytes((folder / "plain.wav").read_bytes())
    entry, _ = normalise_one(tmp_path, "a.ulaw", tmp_path / "out")
    assert entry.decoded and entry.decoded.codec == "pcm_s16le"


def test_what_the_extension_does_not_say_the_options_say(folder: Path, tmp_path: Path) -> None:
    both = np.stack([np.frombuffer((folder / "a.sln16").read_bytes(), "<i2")] * 2, 1)
    both[:, 1] = 0
    (tmp_path / "a.pcm").write_bytes(both.astype(">i2").tobytes())
    entry, _ = normalise_one(tmp_path, "a.pcm", tmp_path / "out")
    assert entry.error_class == "UnreadableRecording"
    assert entry.error_message and "like audio.raw: {pcm: {codec: s16le, rate: 8000}}" in entry.error_message
    said = {"pcm": {"codec": "s16be", "rate": 16_000, "channels": 2}}
    entry, tracks = normalise_one(tmp_path, "a.pcm", tmp_path / "out", raw=said, channels="split")
    assert entry.duration == pytest.approx(9.97, abs=0.05) and len(tracks) == 2
    assert np.abs(tracks[0]).max() > 1000 and not tracks[1].any()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"xyz": {}}, "audio.raw: 'xyz' is not known; give the codec, one of mulaw, "),
        ({"xyz": {"codec": "s16le"}}, "audio.raw: 'xyz' needs the rate in Hz"),
        ({".ulaw": {}}, "audio.raw: '.ulaw' is no extension; write it in small letters and without the dot"),
        ({"g722": {"rate": 8000}}, "g722 has 16000 Hz"),
        ({"gsm": {"channels": 2}}, "gsm has one channel"),
        ({"ulaw": {"codec": "mp3"}}, "audio.raw.ulaw.codec: should be 'mulaw'"),
        ({"ulaw": {"hz": 1}}, "unknown option 'audio.raw.ulaw.hz'"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, raw: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config({"audio": {"raw": raw}}, tmp_path, {})
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_ten_gigabytes_are_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    with (tmp_path / "a.ulaw").open("wb") as file:
        file.truncate(10**10)
    recording = {"sha256": "", "size": 10**10}
    (entry,), _ = normalise(
        tmp_path, [describe("x.ulaw", tmp_path, **recording, path_hex=b"a.ulaw".hex())], tmp_path / "o"
    )
    assert entry.error_class == "TooLong" and entry.wall_seconds < 5


def test_equal_bytes_of_different_kinds_share_nothing(tmp_path: Path) -> None:
    for name in ("a.alaw", "a.ulaw", "b.ulaw"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 100)
    recordings = [describe(name, tmp_path) for name in ("a.alaw", "a.ulaw", "b.ulaw")]
    config = load_config({"recordings": str(tmp_path)}, tmp_path, {})
    assert len({samples_key(config, recording) for recording in recordings}) == 2
    entries, samples = normalise(tmp_path, recordings, tmp_path / "out")
    a, u, same = (hashlib.sha256(samples[e.tracks[0].offset :][: e.tracks[0].samples]).hexdigest() for e in entries)
    assert a != u == same


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x03ds2\2\0\3\0" + bytes(4000), "DS2 dictation"),
        (sphere(b"ajkg\x02" + bytes(9999), "pcm,embedded-shorten-v2.00", 16_000), "shorten; convert it with sph2pipe"),
        (b"\x02#!SILK_V3" + bytes(999), "SILK voice message"),
        (b"<!DOCTYPE html><title>404</title>" * 99, "a web page"),
        (b"PK\3\4" + bytes(999), "ZIP archive"),
    ],
)
def test_what_ffmpeg_cannot_read_is_called_by_its_name(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    entry, _ = normalise_one(tmp_path, "a.wav", tmp_path / "out")
    assert entry.error_class == "UnreadableRecording" and entry.error_message and said in entry.error_message
    assert said in str(stranger(content))


def test_a_plain_copy_is_not_left_behind(folder: Path, tmp_path: Path) -> None:
    normalise_one(folder, "a.g723", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b1.json", "b1.pcm"]
