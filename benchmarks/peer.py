"""Transcribe a folder with one peer, as a process of its own: ``python -m benchmarks.peer NAME …``.

Each peer runs as its own documentation has it: one recording after the other, language detected, every option that is
not named here at its default. A recording it cannot read is heard as nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

Transcribe = Callable[[Path], tuple[str, str]]
"""From a recording to (text, language code or empty)."""


def openai_greedy(weights: Path, threads: int, multilingual: bool) -> Transcribe:
    """OpenAI's package in float32, which is all it has on a CPU, with its temperature fallback."""
    import torch
    import whisper

    torch.set_num_threads(threads)
    model = whisper.load_model(str(weights), device="cpu")

    def transcribe(recording: Path) -> tuple[str, str]:
        result = model.transcribe(str(recording), fp16=False)
        return result["text"], result["language"]

    return transcribe


def faster_whisper(weights: Path, threads: int, multilingual: bool, batch: int) -> Transcribe:
    """faster-whisper in int8 with its default beam of 5; ``batch`` 0 is one window after the other."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=threads)
    pipeline = BatchedInferencePipeline(model)

    def transcribe(recording: Path) -> tuple[str, str]:
        if batch:
            segments, info = pipeline.transcribe(str(recording), beam_size=5, batch_size=batch)
        else:
            segments, info = model.transcribe(str(recording), beam_size=5)
        return " ".join(segment.text.strip() for segment in segments), info.language

    return transcribe


def whispercpp_greedy(weights: Path, threads: int, multilingual: bool) -> Transcribe:
    """whisper.cpp through pywhispercpp; ffmpeg reads the recordings, as whisper.cpp itself reads only a few formats."""
    import numpy as np
    from pywhispercpp.model import Model

    language = "auto" if multilingual else "en"
    model = Model(str(weights), n_threads=threads, language=language, print_progress=False, print_realtime=False)

    def transcribe(recording: Path) -> tuple[str, str]:
        decode = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(recording)]
        raw = subprocess.run([*decode, "-f", "f32le", "-ac", "1", "-ar", "16000", "-"], capture_output=True, check=True)
        segments = model.transcribe(np.frombuffer(raw.stdout, np.float32))
        return " ".join(segment.text.strip() for segment in segments), ""

    return transcribe


class Peer(NamedTuple):
    """A system to compare with."""

    package: str
    weights: str
    """Field of :class:`benchmarks.weights.Weights`."""
    load: Callable[[Path, int, bool], Transcribe]
    """From (weights, threads, whether the model is multilingual)."""


SEQUENTIAL, BATCHED = (partial(faster_whisper, batch=batch) for batch in (0, 8))
PEERS = {
    "openai-greedy": Peer("openai-whisper", "openai", openai_greedy),
    "faster-whisper-sequential-beam5-int8": Peer("faster-whisper", "ctranslate2", SEQUENTIAL),
    "faster-whisper-batched8-beam5-int8": Peer("faster-whisper", "ctranslate2", BATCHED),
    "whispercpp-greedy": Peer("pywhispercpp", "ggml", whispercpp_greedy),
}


def main() -> None:
    """Read paths from the file of names, write a JSON line per recording."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--english", action="store_true", help="the model knows no other language")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--recordings", type=Path, required=True, help="JSON list of paths")
    parser.add_argument("--root", type=Path, required=True, help="folder that the paths are relative to")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    transcribe = PEERS[args.name].load(args.weights, args.threads, not args.english)
    with args.out.open("w", encoding="utf-8") as out:
        for path in json.loads(args.recordings.read_text(encoding="utf-8")):
            try:
                text, language = transcribe(args.root / path)
            except Exception as error:  # what a peer raises on a broken file is its own
                print(f"{path}: {error!r}", file=sys.stderr)
                text = language = ""
            out.write(json.dumps({"path": path, "text": text, "language": language}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
