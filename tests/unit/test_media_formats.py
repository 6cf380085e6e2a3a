"""Every kind of file in docs/formats.md is made and read here, and the document says no more than that.

``python tests/unit/test_media_formats.py`` writes it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from audio_files import WRITER, ffmpeg, normalise_one
from raw_sound import sphere, wav
from test_audio_raw import alike

from snakescribe.media.magic import STRANGERS
from snakescribe.media.raw import CODECS, EXTENSIONS, UNSAID

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/formats.md"
ENCODERS = set(subprocess.run([WRITER, "-encoders"], capture_output=True, text=True, check=True).stdout.split())

WRITTEN: dict[str, tuple[str, list[str]]] = {
    "WAV, 16 bit": ("a.wav", []),
    "WAV, 24 bit": ("24.wav", ["-c:a", "pcm_s24le"]),
    "WAV, float": ("float.wav", ["-c:a", "pcm_f32le"]),
    "WAV, µ-law": ("ulaw.wav", ["-c:a", "pcm_mulaw", "-ar", "8000"]),
    "WAV, A-law": ("alaw.wav", ["-c:a", "pcm_alaw", "-ar", "8000"]),
    "WAV, IMA ADPCM": ("ima.wav", ["-c:a", "adpcm_ima_wav"]),
    "WAV, Microsoft ADPCM": ("ms.wav", ["-c:a", "adpcm_ms"]),
    "WAV, GSM (WAV49)": ("gsm.wav49", ["-f", "wav", "-c:a", "libgsm_ms", "-ar", "8000"]),
    "WAV, G.726": ("g726.wav", ["-c:a", "g726", "-b:a", "32k", "-ar", "8000"]),
    "WAV, G.723.1": ("g723.wav", ["-c:a", "g723_1", "-b:a", "6300", "-ar", "8000"]),
    "RF64": ("rf64.wav", ["-rf64", "always"]),
    "Sony Wave64": ("a.w64", []),
    "CAF": ("a.caf", ["-c:a", "pcm_s16le"]),
    "AIFF": ("a.aiff", []),
    "Sun AU": ("a.au", []),
    "FLAC": ("a.flac", []),
    "MP3": ("a.mp3", []),
    "MP2": ("a.mp2", []),
    "AAC (ADTS)": ("a.aac", []),
    "AC-3": ("a.ac3", []),
    "MPEG-4 audio (AAC)": ("a.m4a", []),
    "iOS Voice Memo": ("a.qta", ["-f", "mov", "-c:a", "aac"]),
    "3GPP (AAC)": ("a.3gp", ["-c:a", "aac"]),
    "QuickTime": ("a.mov", ["-c:a", "aac"]),
    "Ogg Opus": ("a.opus", []),
    "Opus in WebM": ("webm.opus", ["-f", "webm", "-c:a", "libopus"]),
    "WhatsApp's Ogg": ("a.ogx", ["-f", "ogg", "-c:a", "libopus"]),
    "Ogg Vorbis": ("a.ogg", ["-c:a", "libvorbis"]),
    "Speex": ("a.spx", ["-c:a", "libspeex"]),
    "Matroska": ("a.mkv", ["-c:a", "libopus"]),
    "MPEG transport stream": ("a.ts", ["-c:a", "aac"]),
    "AVCHD, HDV": ("a.m2t", ["-f", "mpegts", "-c:a", "mp2"]),
    "DVD (VOB)": ("a.vob", ["-c:a", "ac3"]),
    "MPEG program stream": ("a.mpg", ["-c:a", "mp2"]),
    "Windows Media": ("a.wma", []),
    "AVI": ("a.avi", ["-c:a", "mp3"]),
    "Flash video": ("a.flv", ["-c:a", "aac"]),
    "WavPack": ("a.wv", []),
    "True Audio": ("a.tta", []),
    "AMR": ("a.amr", ["-c:a", "libopencore_amrnb", "-ar", "8000"]),
    "Creative Voice": ("a.voc", ["-ar", "8000"]),
}
"""Kind, file name, options of ffmpeg."""
MXF = [
    "-f",
    "lavfi",
    "-t",
    "10",
    "-i",
    "color=s=720x576:r=25",
    "-c:v",
    "mpeg2video",
    "-c:a",
    "pcm_s16le",
    "-ar",
    "48000",
]

Pcm = np.ndarray[tuple[int], np.dtype[np.int16]]
HEADERS: dict[str, tuple[str, Callable[[Pcm], bytes]]] = {
    "WAV whose size was never written": ("zero.wav", lambda x: wav(x.tobytes(), 0)),
    "WAV of a stream (size 0xFFFFFFFF)": ("stream.wav", lambda x: wav(x.tobytes(), 0xFFFFFFFF)),
    "SPHERE": ("a.sph", lambda x: sphere(x.tobytes(), "pcm", 16_000)),
    "SPHERE, big-endian": ("big.sph", lambda x: sphere(x.astype(">i2").tobytes(), "pcm", 16_000, order="10")),
    "SPHERE, two channels": ("two.sph", lambda x: sphere(np.stack([x, x], 1).tobytes(), "pcm", 16_000, 2)),
}
"""Kind, file name, and what makes it of 16-bit samples at 16 kHz."""

UNTRIED = """\
AMR-WB (`.awb`, 3GP), DSS (`.dss`), QCELP (`.qcp`), RealMedia (`.rm`) and Monkey's Audio (`.ape`) are read by ffmpeg,
but not tried here: nothing at hand writes them."""


@pytest.fixture(scope="module")
def speech(models_root: Path) -> Path:
    return models_root / "samples/beckett.wav"


def read(root: Path, name: str, speech: Path) -> None:
    """As long as the speech it was made of, and sounding like it."""
    entry, tracks = normalise_one(root, name, root / "out")
    _, (plain,) = normalise_one(speech.parent, speech.name, root / "plain")
    assert (entry.error_message, entry.flags) == (None, ())
    assert entry.duration == pytest.approx(len(plain) / 16_000, abs=0.15)
    assert alike(tracks[0], plain) > 0.9


def writable(options: list[str]) -> bool:
    """Builds of ffmpeg differ in what they can write (GSM, AMR); what this one cannot is not tried."""
    return "-c:a" not in options or options[options.index("-c:a") + 1] in ENCODERS


@pytest.mark.parametrize("kind", [kind for kind, (_, options) in WRITTEN.items() if writable(options)])
def test_it_is_read(kind: str, speech: Path, tmp_path: Path) -> None:
    name, options = WRITTEN[kind]
    ffmpeg("-i", str(speech), "-ac", "1", *options, str(tmp_path / name))
    read(tmp_path, name, speech)


@pytest.mark.parametrize("kind", HEADERS)
def test_other_programs_headers_are_read(kind: str, speech: Path, tmp_path: Path) -> None:
    ffmpeg("-i", str(speech), "-ac", "1", "-ar", "16000", "-f", "s16le", str(tmp_path / "pcm"))
    name, make = HEADERS[kind]
    (tmp_path / name).write_bytes(make(np.frombuffer((tmp_path / "pcm").read_bytes(), "<i2")))
    read(tmp_path, name, speech)


def test_mxf(speech: Path, tmp_path: Path) -> None:
    ffmpeg("-i", str(speech), *MXF, "-shortest", str(tmp_path / "a.mxf"))
    read(tmp_path, "a.mxf", speech)


def document() -> str:
    names = {kind: name for kind, (name, _) in [*WRITTEN.items(), *HEADERS.items()]} | {"MXF": "a.mxf"}
    rows = "".join(f"| {kind} | `.{name.rpartition('.')[2]}` |\n" for kind, name in sorted(names.items()))
    by_format: dict[tuple[str, int], list[str]] = {}
    for extension, raw in EXTENSIONS.items():
        by_format.setdefault((raw.codec, raw.rate), []).append(f"`.{extension}`")
    raws = "".join(f"| {' '.join(kinds)} | `{codec}` | {rate} |\n" for (codec, rate), kinds in by_format.items())
    strangers = "".join(f"- {what}\n" for what in dict.fromkeys(what for _, _, what in STRANGERS))
    unsaid = ", ".join(f"`.{kind}`" for kind in UNSAID)
    codecs = ", ".join(f"`{codec}`" for codec in CODECS)
    return f"""\
<!-- Generated by `python tests/unit/test_media_formats.py`, which makes and reads every one; edit that. -->

# Which files are read

A file is read by its content, whatever it is called. In a folder, names with an extension of sound or video are taken;
of names with an unknown extension or none (`call.wav.1`), those whose first bytes are a recording's. Texts, pictures,
archives and hidden or unfinished files are passed over; `summary.txt` counts and names what was.

## Made and read by the tests

| kind | extension |
|---|---|
{rows}
{UNTRIED}

## Files without a header

Telephone systems write sound without saying what it is; the extension decides, unless the file has a header.

| extension | codec | Hz |
|---|---|---|
{raws}
Others, or another rate, by the option `audio.raw`, e.g. `{{ulaw: {{rate: 16000}}, pcm: {{codec: s16le, rate: 8000,
channels: 2}}}}`. {unsaid} are used for different things, and are read only when `audio.raw` says what is in them:

```sh
.venv/bin/snakescribe run --recordings calls --results texts --config 'audio.raw={{pcm: {{codec: s16le, rate: 8000}}}}'
```

Codecs: {codecs}. G.726 comes in two orders of bits: from the low ones on, as in RTP and Asterisk, and from the high
ones (`g726be-…`), as ffmpeg's own `.g726` files have it; read in the wrong one it is noise that sounds like somebody.

## What is refused by its name

- SPHERE with its sound compressed by shorten; convert it with sph2pipe -f wav, or with SoX
{strangers}"""


def test_the_document_is_what_is_tested() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run python tests/unit/test_media_formats.py"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
