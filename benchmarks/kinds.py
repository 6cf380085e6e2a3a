"""Whether every kind of file is true to the recording: its length, its words and their times, before and after.

    python -m benchmarks.kinds [--before CHECKOUT] [--target TABLE.md]

makes about seventy files of two voices that speak one after the other: in every container, late, with gaps, joined,
with damaged sizes, several tracks, odd channels and levels, and without a header. This checkout, and an earlier one,
transcribe all of them; each is compared with the plain WAV file: seconds by a player's clock, begin of its first and
last word, and its text.
"""

from __future__ import annotations

import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import pandas as pd

from snakescribe.audio.decoder import ffmpeg_path

ROOT = Path(__file__).resolve().parents[1]
GAP = 5.0
LATE = 2.5
RATE = 16_000
NEAR = 0.1
"""Seconds that a word may be off."""


@dataclass(frozen=True)
class Kind:
    """A file, and where its two voices are by a player's clock."""

    name: str
    first: float = 0.0
    """Seconds that the first voice is later than in the plain file."""
    second: float = 0.0


class Maker:
    """Makes the files in a folder."""

    def __init__(self, samples: Path, folder: Path) -> None:
        self.folder, self.work = folder, Path(tempfile.mkdtemp(dir=folder.parent))
        self.kinds: list[Kind] = []
        mono = ("-ac", "1", "-ar", str(RATE))
        self.one, self.two, self.plain = (self.work / name for name in ("one.wav", "two.wav", "plain.wav"))
        self.ffmpeg("-i", samples / "beckett.wav", *mono, "-af", "adelay=500,apad=pad_dur=0.7", self.one)
        self.ffmpeg("-i", samples / "two_cities.wav", "-t", "8.5", *mono, self.two)
        concat = ("-filter_complex", "[0][1]concat=n=2:v=0:a=1")
        self.ffmpeg("-i", self.one, "-i", self.two, *concat, self.plain)
        self.turn = len(self.pcm(self.one)) / RATE

    def ffmpeg(self, *arguments: str | Path) -> None:
        """With the ffmpeg of the product."""
        subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)

    @staticmethod
    def pcm(path: Path) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        """Samples of a WAV file."""
        data = path.read_bytes()
        return np.frombuffer(data[data.index(b"data") + 8 :], "<i2")

    def keep(self, name: str, data: bytes | None = None, first: float = 0.0, second: float = 0.0) -> Path:
        """Note a file, with its content if it is not made by ffmpeg."""
        self.kinds.append(Kind(name, first, second))
        if data is not None:
            (self.folder / name).write_bytes(data)
        return self.folder / name

    def all(self) -> list[Kind]:
        """Make them."""
        self.containers()
        self.clocks()
        self.lengths()
        self.tracks()
        self.channels()
        self.raw()
        return self.kinds

    def containers(self) -> None:
        """The same sound in each."""
        self.keep("plain.wav", self.plain.read_bytes())
        codecs = {
            "m4a": "", "mp3": "", "ogg": "-c:a libvorbis", "opus": "", "flac": "", "aac": "", "ac3": "", "wma": "",
            "mka": "-c:a libopus", "webm": "-c:a libopus", "caf": "", "aiff": "", "w64": "", "au": "", "tta": "",
            "wv": "", "mp2": "", "3gp": "-c:a aac", "qta": "-c:a aac -f mov", "avi": "",
            "m2t": "-c:a mp2 -f mpegts", "mod": "-c:a mp2 -f mpeg", "ogx": "-c:a libopus -f ogg", "voc": "",
        }  # fmt: skip
        for suffix, options in codecs.items():
            self.ffmpeg("-i", self.plain, *options.split(), self.keep(f"plain.{suffix}"))
        self.keep("call.wav.1", self.plain.read_bytes())
        self.keep("no extension", self.plain.read_bytes())

    def clocks(self) -> None:
        """Late sound, and a gap after the first voice."""
        picture = ("-f", "lavfi", "-t", "22", "-i", "color=s=176x144:r=25")
        for suffix, options in {
            "mp4": "-c:v mpeg4 -c:a aac", "mov": "-c:v mpeg4 -c:a pcm_s16le", "mkv": "-c:v mpeg4 -c:a libopus",
            "webm": "-c:v libvpx -c:a libopus", "ts": "-c:v mpeg2video -c:a aac -output_ts_offset 95440",
            "mpg": "-c:v mpeg2video -c:a mp2", "vob": "-c:v mpeg2video -c:a ac3 -ar 48000",
            "flv": "-c:v flv -c:a libmp3lame -ar 44100", "wmv": "-c:v wmv2 -c:a wmav2",
        }.items():  # fmt: skip
            inputs = (*picture, "-itsoffset", str(LATE), "-i", self.plain, "-map", "0:v", "-map", "1:a")
            self.ffmpeg(*inputs, *options.split(), self.keep(f"late.{suffix}", None, LATE, LATE))
        for suffix, codec, options in (
            ("mkv", "libopus", ""), ("webm", "libopus", ""), ("mp4", "aac", ""), ("ts", "aac", ""), ("mpg", "mp2", ""),
            ("flv", "aac", ""), ("opus", "libopus", "-page_duration 20000"),
        ):  # fmt: skip
            source, holed = self.work / "whole.mkv", self.work / "holed.mkv"
            self.ffmpeg("-i", self.plain, "-c:a", codec, "-ar", "48000", source)
            jump = f"+gte({{0}}*TB,{self.turn})*{GAP}/TB"
            stamps = "setts=" + ":".join(f"{name.lower()}='{name}{jump.format(name)}'" for name in ("PTS", "DTS"))
            self.ffmpeg("-i", source, "-c", "copy", "-bsf:a", stamps, holed)
            target = self.keep(f"gap.{suffix}", None, 0.0, GAP)
            self.ffmpeg("-i", holed, "-c", "copy", *options.split(), target)

    def lengths(self) -> None:
        """Joined files, and WAV headers that say less than there is."""
        stereo = ("-ac", "2", "-ar", "44100")
        for name, options, others in (
            ("same.opus", (), ()), ("mono, stereo.opus", (), ("-ac", "2")), ("rate.flac", (), stereo),
            ("rate.wav", (), stereo), ("rate.m4a", (), stereo), ("same.mkv", (), ()), ("rate.aiff", (), stereo),
            ("rate.mp3", ("-ar", "22050"), stereo), ("rate.aac", ("-ar", "22050"), stereo), ("same.w64", (), ()),
        ):  # fmt: skip
            parts = self.work / f"1{Path(name).suffix}", self.work / f"2{Path(name).suffix}"
            self.ffmpeg("-i", self.one, *options, parts[0])
            self.ffmpeg("-i", self.two, *others, parts[1])
            self.keep(f"joined, {name}", b"".join(part.read_bytes() for part in parts))
        data = self.plain.read_bytes()
        at = data.index(b"data") + 4
        for name, size in (("wrapped", 3 * 2 * RATE), ("never finalised", 0), ("stream", 0xFFFFFFFF)):
            self.keep(f"size, {name}.wav", data[:at] + struct.pack("<I", size) + data[at + 4 :])
        self.ffmpeg("-i", self.plain, "-rf64", "always", self.keep("size, rf64.wav"))

    def tracks(self) -> None:
        """The voices are on the second one."""
        last = ("-map", "0:a", "-map", "1:a", "-disposition:a:0", "0", "-disposition:a:1", "default")
        silent = ("-f", "lavfi", "-t", "19", "-i", "anullsrc=r=48000")
        tone = ("-f", "lavfi", "-t", "19", "-i", "sine=1000:r=48000")
        languages = ("-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng")
        self.ffmpeg("-i", self.one, "-i", self.plain, *last, *languages, self.keep("tracks, default second.mkv"))
        self.ffmpeg(*silent, "-i", self.plain, *last[:4], "-c:a", "aac", self.keep("tracks, silent first.mp4"))
        self.ffmpeg(*tone, "-i", self.plain, *last[:4], "-c:a", "pcm_s16le", self.keep("tracks, test tone first.mov"))

    def channels(self) -> None:
        """Folded to one, and levels that 16 bits do not hold."""
        for name, pan in {
            "inverted.wav": "stereo|c0=c0|c1=-1*c0", "dead side.wav": "stereo|c1=c0", "centre.wav": "5.1|c2=c0",
            "effects.wav": "5.1|c3=c0",
        }.items():  # fmt: skip
            self.ffmpeg("-i", self.plain, "-af", f"pan={pan}", self.keep(f"channels, {name}"))
        noise = "anoisesrc=r=16000:a=0.05:d=20:seed=1[n];[0][n]amerge=inputs=2,pan=stereo|c0=c0|c1=c1"
        self.ffmpeg("-i", self.plain, "-filter_complex", noise, self.keep("channels, noise on a side.wav"))
        for name, gain in (("-60 dB", -60), ("+12 dB", 12)):
            louder = ("-af", f"aformat=sample_fmts=flt,volume={gain}dB:precision=float", "-c:a", "pcm_f32le")
            self.ffmpeg("-i", self.plain, *louder, self.keep(f"level, float {name}.wav"))

    def raw(self) -> None:
        """No header."""
        forms = {"ulaw": ("mulaw", 8000), "alaw": ("alaw", 8000), "g722": ("g722", 16_000)}
        forms |= {"sln": ("s16le", 8000), "sln16": ("s16le", 16_000), "sln48": ("s16le", 48_000)}
        for suffix, (form, rate) in forms.items():
            self.ffmpeg("-i", self.plain, "-ar", str(rate), "-f", form, self.keep(f"raw.{suffix}"))


def transcribe(checkout: Path, folder: Path, results: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of recordings, by path, and of words."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "scripts")}
    command = [sys.executable, "-m", "snakescribe.cli", "run", "--recordings", str(folder), "--results", str(results)]
    options = ["--config", "words=true", "device=cpu", "cache.mode=off", f"models={ROOT / '.models'}"]
    subprocess.run([*command, *options], check=False, env=environment, cwd=checkout)
    tables = (pd.read_parquet(results / f"tables/{name}.parquet") for name in ("recordings", "words"))
    recordings, words = tables
    return recordings.set_index("path"), words


def _plain(text: str) -> str:
    return re.sub(r"[^a-z' ]", "", text.lower())


def rows(kinds: list[Kind], results: tuple[pd.DataFrame, pd.DataFrame]) -> Iterator[tuple[str, bool]]:
    """Cells of each kind, and whether it is right."""
    recordings, words = results

    def heard(name: str) -> tuple[float, list[float], str]:
        if name not in recordings.index or recordings.loc[name, "status"] != "ok":
            return 0.0, [], ""
        row = recordings.loc[name].to_dict()
        mine = words[words.recording_id == row["recording_id"]].sort_values("start")
        return float(row["duration"]), [float(mine.start.iloc[0]), float(mine.start.iloc[-1])], str(row["text"])

    length, (begin, end), text = heard("plain.wav")
    for kind in kinds:
        seconds, times, said = heard(kind.name)
        if not times:
            yield "– | – | – | nothing", False
            continue
        off = times[0] - begin - kind.first, times[1] - end - kind.second
        errors = jiwer.wer(_plain(text), _plain(said))
        right = errors < 0.05 and max(map(abs, off)) <= NEAR and abs(seconds - length - kind.second) < 0.5
        verdict = "same" if said == text else "same words" if not errors else f"{errors:.0%} of the words"
        yield f"{seconds:.2f} | {off[0]:+.2f} | {off[1]:+.2f} | {verdict}", right
        if said != text:
            print(kind.name, text, said, sep="\n  ", file=sys.stderr)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--target", type=Path, help="the table; standard output if not given")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "kinds"
        folder.mkdir()
        kinds = Maker(ROOT / ".models/samples", folder).all()
        versions = [checkout.absolute() for checkout in (args.before, ROOT) if checkout]
        found = [
            list(rows(kinds, transcribe(checkout, folder, Path(name) / f"results{number}")))
            for number, checkout in enumerate(versions)
        ]
    head = "seconds | first word | last word | text"
    lines = ["| file | " + " | ".join([head] * len(found)) + " |", "|---|" + "--:|--:|--:|---|" * len(found)]
    lines += [
        f"| {kind.name} | {' | '.join(cells for cells, _ in columns)} |"
        for kind, *columns in zip(kinds, *found, strict=True)
    ]
    lines.append(f"\nRight: {', '.join(f'{sum(good for _, good in column)} of {len(kinds)}' for column in found)}.")
    text = "\n".join(lines) + "\n"
    args.target.write_text(text, encoding="utf-8") if args.target else print(text)


if __name__ == "__main__":
    main()
