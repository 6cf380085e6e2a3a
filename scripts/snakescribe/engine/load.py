"""Choose engine, device and compute type, and load the model: what is asked for, or a clear error."""

from __future__ import annotations

import importlib.metadata
from typing import TextIO

from snakescribe import __version__, devices
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Hardware
from snakescribe.errors import DeviceError, ModelError
from snakescribe.models.store import Prepared

ROWS = {"cpu": 8, "cuda": 16}
"""Windows per bucket: more gain little on a CPU; a GPU's memory bounds them with large models."""
TORCH_TYPES = {"cpu": ("float32", "bfloat16"), "cuda": ("float16", "bfloat16", "float32")}
"""The first is ``auto``."""

_lease: TextIO | None = None
"""The lock file of the GPU this process holds; open until the process ends."""


def load_backend(config: Config, prepared: Prepared, threads: int) -> Backend:
    """Load ``prepared`` as ``config`` says.

    Raises:
        DeviceError: the device or compute type asked for is not there.
        ModelError: the weights are not there in the form the engine needs.
    """
    device = devices.resolve(config.device)
    engine = _engine(config.engine, prepared, device)
    compute_type = _compute_type(engine, config.compute_type, device)
    index = _gpu_index(device)
    hardware = Hardware(device.kind, device.name, device.driver, compute_type, versions(engine))
    import torch

    torch.set_num_threads(threads)
    if engine == "ctranslate2":
        from snakescribe.engine.ctranslate2 import CTranslate2Whisper

        return CTranslate2Whisper(prepared, hardware, index, ROWS[device.kind], threads)
    from snakescribe.engine.torch_whisper import TorchWhisper

    return TorchWhisper(prepared, hardware, index, ROWS[device.kind])


def versions(engine: str) -> str:
    """Our version and those of the libraries that make the text."""
    packages = ["torch", "openai-whisper"] + (["ctranslate2"] if engine == "ctranslate2" else [])
    return ", ".join(
        [f"snakescribe {__version__}"] + [f"{name} {importlib.metadata.version(name)}" for name in packages]
    )


def _engine(asked: str, prepared: Prepared, device: devices.Device) -> str:
    usable = prepared.ctranslate2 is not None and _ctranslate2_runs_on(device)
    if asked == "auto":
        return "ctranslate2" if usable else "torch_whisper"
    if asked == "ctranslate2" and not usable:
        if prepared.ctranslate2 is None:
            raise ModelError(
                f"{prepared.name} has no CTranslate2 form; run `snakescribe models prepare {prepared.name}`"
            )
        raise DeviceError(f"this CTranslate2 does not run on {device.kind}; use engine: torch_whisper")
    return asked


def _ctranslate2_runs_on(device: devices.Device) -> bool:
    try:
        import ctranslate2
    except ImportError:
        return False
    return device.kind == "cpu" or ctranslate2.get_cuda_device_count() > 0


def _compute_type(engine: str, asked: str, device: devices.Device) -> str:
    """The type really used. CTranslate2 would convert an unsupported one silently; here that is an error."""
    if engine == "torch_whisper":
        types: tuple[str, ...] = TORCH_TYPES[device.kind]
    else:
        import ctranslate2

        supported = ctranslate2.get_supported_compute_types(device.kind)
        preferred = ("int8_float32", "float32") if device.kind == "cpu" else ("float16", "int8_float32", "float32")
        types = tuple(t for t in (*preferred, "bfloat16") if t in supported)
    if asked == "auto":
        return types[0]
    wanted = {"int8": "int8_float32"}.get(asked, asked) if engine == "ctranslate2" else asked
    if wanted not in types:
        raise DeviceError(
            f"{engine} has no {asked} on {device.name}; use compute_type: auto or one of {', '.join(types)}"
        )
    return wanted


def _gpu_index(device: devices.Device) -> int:
    global _lease
    if device.kind == "cpu":
        return 0
    import torch

    index, _lease = devices.lease_gpu(torch.cuda.device_count())
    return index
