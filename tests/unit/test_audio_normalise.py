"""Batches: channels, filters, order, copies, what is left behind; the command."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from audio_files import Samples, configure, describe, normalise, normalise_one, tone, write_wav

import snakescribe
from snakescribe.audio.normalise import normalise_batch
from snakescribe.audio.recording import normalise_recording
from snakescribe.audio.samples import SamplesIndex, open_samples, release
from snakescribe.config import load_config
from snakescribe.errors import ResultsError
from snakescribe.inventory.manifest import Manifest
from snakescribe.inventory.take import take
from snakescribe.layout import Results

LEFT, RIGHT = tone(300, 2), tone(1000, 2)


def pitch(samples: Samples) -> float:
    """The loudest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float)))
    return float(np.argmax(spectrum) * 16_000 / len(samples))


def level(samples: Samples) -> float:
    """Root mean square in dBFS."""
    return float(20 * np.log10(np.sqrt(np.mean((samples / 32768.0) ** 2)) + 1e-9))


def there(folder: Path) -> list[str]:
    """Names in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("known", [{}, {"channels": 2}])
def test_stereo(tmp_path: Path, known: dict[str, int]) -> None:
    """Each mode takes the channels it says, whether the inventory knew their number or not."""
    write_wav(tmp_path / "a.wav", LEFT, RIGHT)

    def tracks(**audio: object) -> list[tuple[str | None, Samples]]:
        entry, samples = normalise_one(tmp_path, "a.wav", tmp_path / "out", known, **audio)
        assert entry.duration == 2.0
        return list(zip((track.channel for track in entry.tracks), samples, strict=True))

    ((name, mixed),) = tracks()
    assert name is None
    assert np.allclose(mixed, (LEFT.astype(int) + RIGHT) / 2, atol=2)
    ((name, left),) = tracks(channels="left")
    assert name is None and np.array_equal(left, LEFT)
    ((name, right),) = tracks(channels="right")
    assert name is None and np.array_equal(right, RIGHT)
    first, second = tracks(channels="split", channel_names={"left": "상담원"})
    assert (first[0], second[0]) == ("상담원", "right")
    assert np.array_equal(first[1], LEFT) and np.array_equal(second[1], RIGHT)


@pytest.mark.parametrize("mode", ["mix", "split", "left", "right"])
def test_mono_has_one_channel_in_every_mode(tmp_path: Path, mode: str) -> None:
    """And it needs no name."""
    write_wav(tmp_path / "a.wav", LEFT)
    entry, (samples,) = normalise_one(tmp_path, "a.wav", tmp_path / "out", channels=mode)
    assert entry.tracks[0].channel is None
    assert np.array_equal(samples, LEFT)


def test_many_channels(tmp_path: Path) -> None:
    """More than ffmpeg has a layout for; beyond 64 it can only say so."""
    write_wav(tmp_path / "ten.wav", *(tone(300 + 100 * number, 1, 0.05) for number in range(10)))
    entry, samples = normalise_one(tmp_path, "ten.wav", tmp_path / "out", channels="split")
    assert [track.channel for track in entry.tracks] == [f"c{number}" for number in range(10)]
    assert [round(pitch(channel)) for channel in samples] == [300 + 100 * number for number in range(10)]
    entry, (mixed,) = normalise_one(tmp_path, "ten.wav", tmp_path / "out", {"channels": 10})
    assert entry.duration == 1.0 and level(mixed) == pytest.approx(level(samples[0]) - 10, abs=0.5)
    write_wav(tmp_path / "many.wav", *[LEFT[:100]] * 70)
    entry, _ = normalise_one(tmp_path, "many.wav", tmp_path / "out", channels="split")
    assert entry.error_class == "UnreadableRecording"
    assert entry.error_message and "70 channels" in entry.error_message


def test_a_recording_overrides_the_channels(tmp_path: Path) -> None:
    """As a sample sheet says."""
    write_wav(tmp_path / "a.wav", LEFT, RIGHT)
    _, (samples,) = normalise_one(tmp_path, "a.wav", tmp_path / "out", {"channel_mode": "right"}, channels="left")
    assert np.array_equal(samples, RIGHT)


def test_resampling(tmp_path: Path) -> None:
    """A tone keeps its pitch and length from any rate."""
    for rate in (8_000, 11_025, 22_050, 44_100, 48_000, 96_000):
        write_wav(tmp_path / "a.wav", tone(440, 2, rate=rate), rate=rate)
        entry, (samples,) = normalise_one(tmp_path, "a.wav", tmp_path / "out")
        assert entry.duration == pytest.approx(2.0, abs=0.001)
        assert pitch(samples) == pytest.approx(440, abs=1)


def test_highpass_and_loudness(tmp_path: Path) -> None:
    """Hum goes, a whisper comes up; the length stays."""
    write_wav(tmp_path / "hum.wav", tone(40, 10) // 2 + tone(1000, 10, 0.1))
    _, (plain,) = normalise_one(tmp_path, "hum.wav", tmp_path / "out")
    entry, (clean,) = normalise_one(tmp_path, "hum.wav", tmp_path / "out", highpass=200.0)
    assert pitch(plain) == pytest.approx(40, abs=1) and pitch(clean) == pytest.approx(1000, abs=1)
    assert entry.duration == 10.0
    write_wav(tmp_path / "quiet.wav", tone(1000, 10, 0.01))
    entry, (loud,) = normalise_one(tmp_path, "quiet.wav", tmp_path / "out", loudness=-20.0)
    assert entry.duration == 10.0
    assert level(loud) == pytest.approx(-20, abs=2)  # a 1 kHz sine reads about its RMS in LUFS


def test_order_and_offsets(tmp_path: Path) -> None:
    """Samples lie in the manifest's order whoever finishes first; failures take no room."""
    pitches = [300, 500, 700, 900, 1100]
    for number, hertz in enumerate(pitches):
        write_wav(tmp_path / f"{number}.wav", tone(hertz, 30 if number == 0 else 1))
    (tmp_path / "bad.wav").write_text("no audio")
    names = ["0.wav", "1.wav", "bad.wav", "2.wav", "3.wav", "4.wav"]
    entries, samples = normalise(tmp_path, [describe(name, tmp_path) for name in names], tmp_path / "out", jobs=4)
    assert [entry.error_class is None for entry in entries] == [True, True, False, True, True, True]
    tracks = [entry.tracks[0] for entry in entries if entry.tracks]
    assert [track.offset for track in tracks] == [0, 480_000, 496_000, 512_000, 528_000]
    found = [samples[track.offset : track.offset + track.samples] for track in tracks]
    assert [round(pitch(piece)) for piece in found] == pitches
    assert len(samples) == 544_000


def test_copies_are_decoded_once(tmp_path: Path) -> None:
    """Same content, same channels, same tracks, also when the first copy is gone."""
    write_wav(tmp_path / "a.wav", LEFT, RIGHT)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    recordings = [
        describe("a.wav", tmp_path),
        describe("b.wav", tmp_path),
        describe("b.wav", tmp_path, recording_id="other", channel_mode="left"),
    ]
    entries, samples = normalise(tmp_path, recordings, tmp_path / "out")
    assert entries[0].tracks == entries[1].tracks != entries[2].tracks
    assert [entry.recording_id for entry in entries] == [recording.recording_id for recording in recordings]
    assert len(samples) == 2 * 32_000
    (tmp_path / "a.wav").unlink()
    entries, samples = normalise(tmp_path, recordings[:2], tmp_path / "out")
    assert entries[0].tracks == entries[1].tracks and len(samples) == 32_000
    (tmp_path / "b.wav").unlink()
    entries, _ = normalise(tmp_path, recordings[:2], tmp_path / "out")
    assert [entry.error_class for entry in entries] == ["VanishedRecording"] * 2


def test_another_file_of_the_same_size(tmp_path: Path) -> None:
    """Its samples would be kept under the checksum of the first one; a file that was only touched is the same."""
    write_wav(tmp_path / "a.wav", LEFT)
    recording = describe("a.wav", tmp_path)
    os.utime(tmp_path / "a.wav", ns=(0, 0))
    (entry,), _ = normalise(tmp_path, [recording], tmp_path / "out")
    assert entry.error_class is None
    write_wav(tmp_path / "a.wav", RIGHT)
    (entry,), _ = normalise(tmp_path, [recording], tmp_path / "out")
    assert entry.error_class == "VanishedRecording"


def test_a_file_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", LEFT)
    recording = describe("a.wav", tmp_path)
    write_wav(tmp_path / "b.wav", RIGHT)

    def replace(samples: int) -> None:
        (tmp_path / "b.wav").replace(tmp_path / "a.wav") if (tmp_path / "b.wav").exists() else None

    with (tmp_path / "out").open("w+b", buffering=0) as target:
        source = str(tmp_path / "a.wav")
        entry = normalise_recording(recording, source, configure(tmp_path).audio, target, replace)
    assert entry.error_class == "VanishedRecording" and not entry.tracks


def test_known_recordings_are_left_out(tmp_path: Path) -> None:
    """Their files are not even opened."""
    write_wav(tmp_path / "a.wav", LEFT)
    recordings = (describe("gone.wav", tmp_path, sha256="0" * 64), describe("a.wav", tmp_path))
    manifest = Manifest(batch="b1", recordings=recordings)
    known = recordings[0].recording_id
    index = normalise_batch(
        manifest,
        configure(tmp_path),
        tmp_path / "work/b1.pcm",
        tmp_path / "work/b1.json",
        skip=lambda recording: recording.recording_id == known,
        jobs=1,
        log=lambda line: pytest.fail(line),
    )
    assert [entry.skipped for entry in index.recordings] == [True, False]
    assert SamplesIndex.model_validate_json((tmp_path / "work/b1.json").read_bytes()) == index
    assert np.array_equal(open_samples(tmp_path / "work/b1.pcm"), LEFT)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Not the parts of a killed run, nor those of one that fails half-way."""
    write_wav(tmp_path / "a.wav", LEFT)
    (tmp_path / "bad.wav").write_text("no audio")
    (tmp_path / "out/.b1.pcm.parts").mkdir(parents=True)
    (tmp_path / "out/.b1.pcm.parts/7").write_bytes(b"old")
    recordings = [describe(name, tmp_path) for name in ("a.wav", "bad.wav", "a.wav")]
    normalise(tmp_path, recordings, tmp_path / "out")
    assert there(tmp_path / "out") == ["b1.json", "b1.pcm"]

    def full(line: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        normalise_batch(
            Manifest(batch="b2", recordings=tuple(recordings)),
            configure(tmp_path),
            tmp_path / "out/b2.pcm",
            tmp_path / "out/b2.json",
            skip=lambda recording: False,
            jobs=2,
            log=full,
        )
    assert there(tmp_path / "out") == ["b1.json", "b1.pcm"]


BATCH = "b000001"


def step(tmp_path: Path, models_root: Path, **options: object) -> tuple[Results, str, int]:
    """Take the inventory of ``tmp_path``, run ``snakescribe normalise``: results, log, peak memory in MB."""
    results = Results(tmp_path / "results")
    folders = {"recordings": str(tmp_path), "results": str(results.root), "models": str(models_root)}
    settings = {**folders, "cache": {"path": str(tmp_path / "cache")}, **options}
    results.config.parent.mkdir(parents=True, exist_ok=True)
    config = load_config(settings, tmp_path)
    results.config.write_text(config.model_dump_json())
    take(config)
    arguments = ["-m", "snakescribe", "normalise", "--config", str(results.config), "--batch", BATCH]
    # A process between, for the peak of a child counts its parent's before exec (which is pytest's, otherwise).
    measured = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
        " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(snakescribe.__file__).parents[1])}
    command = [sys.executable, "-c", measured, sys.executable, *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return results, run.stderr, int(run.stdout) // 1024


def test_the_command(tmp_path: Path, models_root: Path) -> None:
    """It names what failed and adds up the rest."""
    write_wav(tmp_path / "a.wav", LEFT)
    (tmp_path / "bad\n.wav").write_text("no audio")
    results, log, _ = step(tmp_path, models_root)
    assert "1 recording decoded (0.00 h), 1 failed, 0 left out" in log
    assert describe("bad\n.wav", tmp_path).recording_id in log and ".wav': UnreadableRecording" in log
    assert np.array_equal(open_samples(results.samples(BATCH)), LEFT)
    assert there(results.samples(BATCH).parent) == [f"{BATCH}.json", f"{BATCH}.pcm"]


def test_too_much_waiting_is_left_to_the_next_step(tmp_path: Path, models_root: Path) -> None:
    """The disk is bounded, and nothing waits for anything."""
    write_wav(tmp_path / "a.wav", LEFT)
    other = Results(tmp_path / "results").samples("b0")
    other.parent.mkdir(parents=True)
    other.touch()
    os.truncate(other, 200_000_000)
    for limit, deferred in ((0.1, True), (0.3, False)):
        results, log, _ = step(tmp_path, models_root, batch={"ahead_gb": limit})
        index = SamplesIndex.model_validate_json(results.samples_index(BATCH).read_bytes())
        assert index.deferred == deferred == ("left to the transcribe step" in log)
        assert len(open_samples(results.samples(BATCH))) == (0 if deferred else 32_000)
        results.samples(BATCH).unlink()


def test_memory_does_not_grow_with_the_recording(tmp_path: Path, models_root: Path) -> None:
    """Two hours are 230 MB of samples, and never in memory."""
    with wave.open(str(tmp_path / "long.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        for _ in range(2 * 60):
            out.writeframes(bytes(2 * 60 * 16_000))
    results, log, megabytes = step(tmp_path, models_root)
    assert "2.00 h" in log and results.samples(BATCH).stat().st_size == 2 * 2 * 3600 * 16_000
    assert megabytes < 230


def test_samples_that_were_used_need_no_memory(tmp_path: Path) -> None:
    """They are read from the file again."""
    path = tmp_path / "b1.pcm"
    np.arange(1 << 20, dtype="<i2").tofile(path)

    def resident() -> int:
        maps = Path("/proc/self/smaps").read_text().split(str(path))[1]
        return int(maps.split("Rss:")[1].split()[0])

    samples = open_samples(path)[16:]
    before = int(samples.sum())
    assert resident() > 1000
    release(samples)
    assert resident() == 0
    assert int(samples.sum()) == before
    release(samples.copy())  # of its own memory there is nothing to let go of


@pytest.mark.parametrize("size", [0, 3, 198])
def test_samples_that_are_cut_short_are_no_silence(tmp_path: Path, size: int) -> None:
    (tmp_path / "b.pcm").write_bytes(bytes(size))
    with pytest.raises(ResultsError, match=r"b\.pcm is cut short .*delete it and .*b\.json, and run again"):
        open_samples(tmp_path / "b.pcm", 100)
