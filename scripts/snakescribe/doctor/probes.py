"""What is asked in a child process, since a driver may hang and a library may crash: JSON in, JSON out."""

from __future__ import annotations

import ctypes
import importlib
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from snakescribe import known_clip
from snakescribe.errors import SnakescribeError


def modules(names: list[str]) -> dict[str, str]:
    """Import modules, as their users do; what went wrong, by module."""
    problems = {}
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:  # a library may even call exit()
            problems[name] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return problems


def nvml() -> dict[str, Any]:
    """Driver, its highest CUDA and the GPUs, from NVIDIA's management library."""
    import pynvml

    pynvml.nvmlInit()
    cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    return {
        "driver": str(pynvml.nvmlSystemGetDriverVersion()),
        "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
        "gpus": [
            {
                "name": str(pynvml.nvmlDeviceGetName(handle)),
                "capability": ".".join(map(str, pynvml.nvmlDeviceGetCudaComputeCapability(handle))),
            }
            for handle in handles
        ],
    }


def builds(try_gpu: bool, cublas: str) -> dict[str, Any]:
    """What torch and CTranslate2 were built for, and what they say when a GPU is tried."""
    import torch

    found: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda, "archs": archs()}
    if try_gpu and torch.version.cuda:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                found["gpus"] = torch.cuda.device_count() if torch.cuda.is_available() else 0
                for index in range(found["gpus"]):
                    multiply(f"cuda:{index}")
            except RuntimeError as error:
                found["gpus"], found["problem"] = 0, _line(error)
        if not found["gpus"] and "problem" not in found:
            found["problem"] = _line(said[-1].message) if said else "it sees no GPU"
    return {"torch": found, "ctranslate2": _ctranslate2(try_gpu, cublas)}


def multiply(device: str) -> None:
    """Multiply two small matrices.

    Raises:
        RuntimeError: it cannot be done, or comes out wrong.
    """
    import torch

    ones = torch.ones(64, 64, device=device, dtype=torch.float16)
    if (ones @ ones).float().sum().item() != 64**3:
        raise RuntimeError("a product came out wrong")


def archs() -> list[str]:
    """Architectures that torch has code for; ``torch.cuda.get_arch_list`` says nothing where no GPU can be used."""
    import torch

    flags = getattr(torch._C, "_cuda_getArchFlags", None)
    return str(flags() or "").split() if flags else []


def hear(options: str, threads: int) -> dict[str, Any]:
    """Transcribe the known clip as ``options`` (a config as JSON) say, all the way a recording goes."""
    from snakescribe.config import Config
    from snakescribe.engine.journal import Journal
    from snakescribe.engine.load import load_backend
    from snakescribe.engine.transcriber import Transcriber
    from snakescribe.engine.windows import Channel, RecordingJob
    from snakescribe.models.store import Store
    from snakescribe.vad.silero import SpeechDetector

    config = Config.model_validate_json(options)
    config = config.model_copy(update={"language": known_clip.LANGUAGE, "task": "transcribe", "hotwords": []})
    try:
        with tempfile.TemporaryDirectory() as own:
            tempfile.tempdir = own  # the leases of GPUs lie there: a look must not wait for the jobs that hold them
            store = Store(Path(config.models))
            prepared = store.resolve(config.model)
            backend = load_backend(config, prepared, threads)
            began = time.perf_counter()
            transcriber = Transcriber(backend, prepared, SpeechDetector(store.silero()), config)
            job = RecordingJob("known clip", (Channel(None, known_clip.samples()),), known_clip.LANGUAGE, "")
            ((_, result, _),) = transcriber.transcribe([job], Journal(None))
    except SnakescribeError as error:
        return {"problem": str(error), "error": type(error).__name__}
    hardware = backend.hardware
    found = {
        "engine": backend.name,
        "device": hardware.device,
        "device_name": hardware.device_name,
        "compute_type": hardware.compute_type,
        "seconds": round(time.perf_counter() - began, 2),
    }
    return found | ({"problem": _line(result)} if isinstance(result, Exception) else {"text": result.text})


def _ctranslate2(try_gpu: bool, cublas: str) -> dict[str, Any]:
    try:
        import ctranslate2
    except ImportError:
        return {}
    found = {"version": ctranslate2.__version__, "has_cublas": _loads(cublas)}
    return found | ({"gpus": ctranslate2.get_cuda_device_count()} if try_gpu else {})


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _line(message: object) -> str:
    return " ".join(str(message).split())[:200]
