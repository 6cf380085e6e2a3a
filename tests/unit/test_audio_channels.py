"""What is made of the channels, and of levels that 16 bits do not hold: no voice is lost, no noise is made one."""

from __future__ import annotations

import ast
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from audio_files import Samples, ffmpeg, normalise_one

import snakescribe.audio

Sound = npt.NDArray[np.float64]
"""Full scale is 32768."""
RATE = 16_000
FLOAT = struct.pack("<H", 3)
PCM = struct.pack("<H", 1)


def write(path: Path, *channels: Sound, bits: int = 16, mask: int | None = None) -> None:
    """A WAV file of 16 or 24 bits or 32 bits float; without a mask nobody knows what the channels are."""
    sound = np.stack(channels, 1)
    if bits == 32:
        data = (sound / 32768).astype("<f4").tobytes()
    else:
        scaled = np.clip(np.rint(sound * 2 ** (bits - 16)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        data = scaled.astype("<i4").view("u1").reshape(-1, 4)[:, : bits // 8].tobytes()
    count, block = len(channels), len(channels) * bits // 8
    kind = FLOAT if bits == 32 else PCM
    fmt = struct.pack("<HIIHH", count, RATE, RATE * block, block, bits)
    if mask is None:
        fmt = kind + fmt
    else:
        guid = kind + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        fmt = b"\xfe\xff" + fmt + struct.pack("<HHI", 22, bits, mask) + guid
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def db(sound: Sound, gain: float) -> Sound:
    """Louder by so many dB."""
    return sound * 10 ** (gain / 20)


@pytest.fixture(scope="session")
def voice(beckett: Samples) -> Sound:
    """Six seconds of speech, with pauses, its peak at -11 dB."""
    return beckett[: 6 * RATE].astype(float)


@pytest.fixture(scope="session")
def other(cities: Samples) -> Sound:
    """Six seconds of another voice, as loud."""
    sound = cities[: 6 * RATE].astype(float)
    return np.asarray(sound * 9000 / np.abs(sound).max())


def noise(level: float, seed: int = 0) -> Sound:
    """Six seconds of white noise, in dBFS."""
    return np.random.default_rng(seed).normal(0, 32768 * 10 ** (level / 20), 6 * RATE)


def hum(hertz: float, amplitude: float) -> Sound:
    return np.asarray(np.sin(np.arange(6 * RATE) * 2 * np.pi * hertz / RATE) * amplitude)


NOTHING: Sound = np.zeros(6 * RATE)


def alike(sound: Samples, wanted: Sound) -> float:
    """Correlation, and so how much of the sound is this voice."""
    return float(np.corrcoef(sound[: len(wanted)].astype(float), wanted[: len(sound)])[0, 1])


def mixed(folder: Path, *channels: Sound, **wav: Any) -> tuple[tuple[str, ...], Samples]:
    """Flags, and the mix."""
    write(folder / "a.wav", *channels, **wav)
    entry, samples = normalise_one(folder, "a.wav", folder / "out")
    assert entry.error_message is None
    return entry.flags, samples[0]


def test_opposite_sides(tmp_path: Path, voice: Sound) -> None:
    """They would cancel each other out: exactly, weaker with noise, or a little later."""
    for right in (-voice, -0.7 * voice + noise(-60), -np.roll(voice, 3)):
        flags, sound = mixed(tmp_path, voice, right)
        assert flags == ("inverted_channel",) and alike(sound, voice) > 0.9
        assert np.abs(sound).max() > 0.6 * np.abs(voice).max()


def test_sides_that_are_opposite_for_a_while(tmp_path: Path, voice: Sound, other: Sound) -> None:
    """A cable is changed in the middle; or one speaker is the same on both sides and the other one opposite."""
    first = np.arange(6 * RATE) < 3 * RATE
    for left, right in (
        (voice, np.where(first, voice, -voice)),
        (voice, np.where(first, -voice, voice)),
        (voice, voice * np.where(np.arange(6 * RATE) < 4.5 * RATE, 1, -1)),
        (voice * first + other * ~first, voice * first - other * ~first),
    ):
        flags, sound = mixed(tmp_path, left, right)
        assert flags == ("inverted_channel",)
        assert all(alike(sound[part], left[part]) > 0.95 for part in (slice(0, 3 * RATE), slice(5 * RATE, 6 * RATE)))


def test_two_pairs_of_opposite_channels(tmp_path: Path, voice: Sound, other: Sound) -> None:
    """Neither voice cancels itself out."""
    flags, sound = mixed(tmp_path, voice, -voice, other, -other)
    assert flags == ("inverted_channel",) and alike(sound, voice + other) > 0.99


@pytest.mark.parametrize("right", [NOTHING, noise(-70)])
def test_a_dead_side(tmp_path: Path, voice: Sound, right: Sound) -> None:
    """It is said; a mix with silence is left as it was, half as loud."""
    flags, sound = mixed(tmp_path, right, voice)
    assert flags == ("dead_channel",) and alike(sound, voice) > 0.99
    flags, sound = mixed(tmp_path, voice, db(voice, -45))
    assert flags == ("dead_channel",) and alike(sound, voice) > 0.99


@pytest.mark.parametrize("drowning", [noise(-10), noise(-30), hum(1000, 16_000), hum(50, 8000)])
def test_a_side_of_noise_or_tone(tmp_path: Path, voice: Sound, drowning: Sound) -> None:
    """It does not drown the voice on the other one."""
    for sides in ((drowning, voice), (voice, drowning)):
        flags, sound = mixed(tmp_path, *sides)
        assert flags == ("dead_channel",) and alike(sound, voice) > 0.99


def test_a_pair_of_voices(tmp_path: Path, voice: Sound, other: Sound) -> None:
    """Two sides of a call, a far one too, and one sound on both, are mixed as ever; noise alone is not judged."""
    for right, gain in ((other, 0), (other, -25), (voice, -20)):
        flags, sound = mixed(tmp_path, voice, db(right, gain))
        assert flags == () and np.allclose(sound, (voice + np.rint(db(right, gain))) / 2, atol=2)
    assert mixed(tmp_path, noise(-30), noise(-30, 1))[0] == ()


SURROUND = 0x3F  # 5.1: left, right, centre, effects, and two behind


def test_a_film(tmp_path: Path, voice: Sound, other: Sound) -> None:
    """The dialogue is in the centre; music around it is not heard, but who speaks in turn is."""
    around = [noise(-30, seed) * (1 + np.sin(np.arange(6 * RATE) / RATE * 5 + seed)) for seed in range(4)]
    flags, sound = mixed(tmp_path, around[0], around[1], voice, NOTHING, around[2], around[3], mask=SURROUND)
    assert flags == () and np.allclose(sound, voice, atol=1)
    first = np.arange(6 * RATE) < 3 * RATE
    flags, sound = mixed(tmp_path, other * ~first, NOTHING, voice * first, *[NOTHING] * 3, mask=SURROUND)
    assert alike(sound[: 3 * RATE], voice[: 3 * RATE]) > 0.99 and alike(sound[3 * RATE :], other[3 * RATE :]) > 0.99


@pytest.mark.parametrize("place", [0, 3, 4])
def test_a_film_with_the_voice_elsewhere(tmp_path: Path, voice: Sound, place: int) -> None:
    """An empty or hissing centre gives way."""
    for centre in (NOTHING, noise(-50)):
        channels = [NOTHING] * 6
        channels[2], channels[place] = centre, voice
        flags, sound = mixed(tmp_path, *channels, mask=SURROUND)
        assert flags == ("dead_channel",) and alike(sound, voice) > 0.99


@pytest.mark.parametrize(("count", "place"), [(3, 2), (4, 3), (6, 2), (6, 3), (8, 5), (60, 32)])
def test_everybody_on_a_field_recorder(tmp_path: Path, voice: Sound, other: Sound, count: int, place: int) -> None:
    """Two people in turns on the first and another channel, with faint noise on all."""
    first = np.arange(6 * RATE) < 3 * RATE
    channels = [noise(-72, number) for number in range(count)]
    channels[0] = channels[0] + voice * first
    channels[place] = channels[place] + other * ~first
    _, sound = mixed(tmp_path, *channels)
    assert alike(sound[: 3 * RATE], voice[: 3 * RATE]) > 0.98 and alike(sound[3 * RATE :], other[3 * RATE :]) > 0.98


def test_ambisonic(tmp_path: Path, voice: Sound) -> None:
    """Directions behind have the opposite sign."""
    write(tmp_path / "mono.wav", voice)
    pan = "pan=4.0|c0=c0|c1=0.6*c0|c2=0.2*c0|c3=-0.9*c0"
    codec = ("-c:a", "libopus", "-mapping_family", "2", "-ar", "48000", "-b:a", "256k")
    ffmpeg("-i", str(tmp_path / "mono.wav"), "-af", pan, *codec, str(tmp_path / "a.opus"))
    entry, (sound,) = normalise_one(tmp_path, "a.opus", tmp_path / "out")
    assert entry.flags == ("inverted_channel",) and alike(sound, voice) > 0.9


@pytest.mark.parametrize("offset", [0.4, -0.4])
def test_a_constant_part(tmp_path: Path, voice: Sound, offset: float) -> None:
    """A high-pass takes it away, the voice stays; a voice around zero is left as it is."""
    _, sound = mixed(tmp_path, 0.8 * voice + offset * 32768)
    assert abs(sound[RATE:].mean()) < 50 and alike(sound[RATE:], voice[RATE:]) > 0.9
    assert np.array_equal(mixed(tmp_path, voice)[1], voice)


def test_over_full_scale(tmp_path: Path, voice: Sound) -> None:
    """Float keeps what 16 bits would clip: 20 dB over is turned down; what was clipped before stays."""
    _, sound = mixed(tmp_path, db(voice, 30), bits=32)
    assert alike(sound, voice) > 0.999 and np.abs(sound).max() < 32767
    clipped = np.clip(db(voice, 30), -32768, 32767)
    assert np.array_equal(mixed(tmp_path, clipped)[1], np.rint(clipped).astype(np.int16))


@pytest.mark.parametrize(("bits", "gain"), [(32, -40), (32, -60), (32, -80), (32, -100), (24, -70), (16, -45)])
def test_a_faint_voice_is_lifted(tmp_path: Path, voice: Sound, bits: int, gain: int) -> None:
    """Before it becomes 16 bits, so that its soft sounds are kept and it does not clip."""
    _, sound = mixed(tmp_path, db(voice, gain), bits=bits)
    assert alike(sound, voice) > (0.999 if bits > 16 else 0.99)
    assert 3000 < np.abs(sound).max() < 32767
    left, right = db(voice, gain), db(-voice, gain)
    flags, sound = mixed(tmp_path, left, right, bits=bits)
    assert flags == ("inverted_channel",) and alike(sound, voice) > (0.999 if bits > 16 else 0.99)


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("level", [-60, -75, -90, -105])
def test_faint_noise_is_not(tmp_path: Path, bits: int, level: int) -> None:
    """Nobody shall hear words in it."""
    _, sound = mixed(tmp_path, noise(level), bits=bits)
    assert np.abs(sound).max() <= max(1, 6 * 32768 * 10 ** (level / 20))
    _, sound = mixed(tmp_path, NOTHING, noise(level), NOTHING, bits=bits)
    assert np.abs(sound).max() <= max(1, 6 * 32768 * 10 ** (level / 20))


def test_several_threads_do_not_hang() -> None:
    """OpenBLAS stops its threads before a fork: a product of matrices meanwhile never returns."""
    calls = {"dot", "matmul", "inner", "tensordot", "linalg", "cov", "corrcoef"}
    for path in Path(snakescribe.audio.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.MatMult), path
            assert not (isinstance(node, ast.Attribute) and node.attr in calls), (path, node.lineno)
