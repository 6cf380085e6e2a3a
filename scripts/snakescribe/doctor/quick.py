"""The cheap form, at the start of every job: a wrong image fails in seconds, with the doctor's sentence."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from snakescribe import known_clip
from snakescribe.audio import FRAME_SAMPLES, SAMPLE_RATE
from snakescribe.config import Config
from snakescribe.doctor import gather
from snakescribe.doctor.cuda import load_variants
from snakescribe.doctor.facts import Nvidia, Torch
from snakescribe.doctor.gpu import gpu_problem
from snakescribe.errors import DeviceError, InstallationError
from snakescribe.models.configured import configured_model, configured_store
from snakescribe.models.store import Prepared
from snakescribe.models.unchanged import check_unchanged

if TYPE_CHECKING:
    from snakescribe.engine.backend import Backend

TRACES = tuple(map(Path, ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")))
"""Of an NVIDIA driver (the last one on WSL); without them NVML is not asked."""
FIRST_WORDS = 2 * SAMPLE_RATE
"""Samples: half a second of silence and "She opened the window"."""
TOKENS = 4
"""That are read: enough to know text from none."""


def quick_check(config: Config, warn: Callable[[str], None] = lambda line: None) -> None:
    """Check weights and, unless the CPU is asked for, the driver and what torch is built for.

    Args:
        config: the job's.
        warn: told when ``device: auto`` will leave a GPU unused, and why.

    Raises:
        ModelError: a file of the weights is not what its sum says.
        DeviceError: CUDA is asked for, and driver, card and build do not go together.
    """
    store, prepared = configured_store(config), configured_model(config)
    store.verify("silero")
    check_unchanged(store, prepared.name, Path(config.cache.path) / "checked")
    if config.device == "cpu":
        return
    asked = config.device == "cuda"
    nvidia = gather.nvidia() if any(trace.exists() for trace in TRACES) else Nvidia()
    torch = _torch_build() if nvidia != Nvidia() else Torch()
    problem = gpu_problem(nvidia, torch, gather.container(os.environ), load_variants(), asked)
    if problem and asked:
        raise DeviceError(problem)
    if problem:
        warn(f"device: auto takes the CPU: {problem}")


def check_backend(backend: Backend, prepared: Prepared) -> None:
    """Read the first words of the known clip, as a proof that the device computes and is heard from.

    Raises:
        DeviceError: the GPU answers with an error, with nothing or with no numbers.
        InstallationError: the CPU does.
    """
    from snakescribe.engine.backend import Bucket, Search
    from snakescribe.engine.log_mel import encoder_frames, log_mel
    from snakescribe.engine.tokens import prompt_tokens, tokenizer_for

    samples = known_clip.samples()[:FIRST_WORDS]
    mel = log_mel(samples, backend.n_mels, encoder_frames(len(samples)))
    prompt = prompt_tokens(tokenizer_for(prepared, known_clip.LANGUAGE, "transcribe"), "")
    failure = DeviceError if backend.hardware.device == "cuda" else InstallationError
    where = f"{backend.name} on {backend.hardware.device_name}"
    try:
        encoded = backend.encode([mel])
        bucket = Bucket(encoded, (0,), (prompt,), (TOKENS,), (len(samples) // FRAME_SAMPLES,), (Search(beam_size=1),))
        (hypothesis,) = backend.decode(bucket)
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise failure(f"{where} fails on a clear sentence ({said}); `snakescribe doctor` says more") from error
    if not hypothesis.tokens or not math.isfinite(hypothesis.mean_logprob):
        what = "computes no numbers" if hypothesis.tokens else "hears nothing"
        raise failure(f"{where} {what} in a clear sentence, without an error; `snakescribe doctor` says more")


def _torch_build() -> Torch:
    """What torch is built for; a GPU is not touched yet. The job is about to load torch anyway."""
    import torch

    from snakescribe.doctor.probes import archs

    return Torch(version=torch.__version__, cuda=torch.version.cuda, archs=tuple(archs()))
