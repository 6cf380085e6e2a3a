"""A change of what text comes out raises TEXT_VERSION: else the cache gives old texts for recordings read better since.

The store's samples go the whole way that any recording goes: ffmpeg, voice activity, engine. What comes out does not
depend on the CPU: it is float32 on one engine, and these clips are clear-cut. Where sums differ in their last bits
(AVX2, AVX-512, none of them; one thread or two; a probability of speech or a mel band moved by 1e-4; ffmpeg's
resampler without FMA; another ffmpeg) texts and times were the same to the millisecond.
"""

from __future__ import annotations

import json
from pathlib import Path

from audio_files import describe
from engine_run import Engine, heard

from snakescribe.audio.recording import normalise_recording
from snakescribe.audio.samples import open_samples
from snakescribe.engine.windows import Channel, RecordingJob
from snakescribe.keys import TEXT_VERSION, digest

KEPT = Path(__file__).with_name("text_versions.json")
"""TEXT_VERSION to the digest of what it hears."""


def test_other_texts_have_another_version(models_root: Path, tmp_path: Path) -> None:
    options = {"model": "tiny.en", "engine": "torch_whisper", "compute_type": "float32", "device": "cpu"}
    engine = Engine(models_root, **options)
    jobs = []
    for path in sorted(models_root.glob("samples/*.wav")):
        samples = tmp_path / path.stem
        with samples.open("xb", buffering=0) as target:
            recording = describe(path.name, path.parent)
            normalised = normalise_recording(recording, str(path), engine.config.audio, target, lambda samples: None)
        assert normalised.error_class is None, normalised
        jobs.append(RecordingJob(path.stem, (Channel(None, open_samples(samples)),), None, ""))
    texts = {
        name: [f"{segment.start:.3f}-{segment.end:.3f} {segment.text}" for segment in heard(result).segments]
        for name, result in engine.run(jobs).items()
    }
    assert texts.keys() == {"beckett", "endgame_nagg_nell", "two_cities"}
    found = digest(texts)
    assert json.loads(KEPT.read_text()).get(str(TEXT_VERSION)) == found, (
        f"TEXT_VERSION {TEXT_VERSION} does not say this (digest {found}):\n"
        f"{json.dumps(texts, ensure_ascii=False, indent=1)}\n"
        f"If texts or their times changed on purpose, raise TEXT_VERSION in keys.py, so that no cache gives the old"
        f" ones, and add its digest to {KEPT.name} (those before stay). If not, find out what changed them."
    )
