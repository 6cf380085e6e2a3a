"""Choose engine, device and compute type, and load the model: what is asked for, or a clear error."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import TextIO

from snakescribe import __version__, devices
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Hardware
from snakescribe.engine.malloc import share_arenas
from snakescribe.errors import DeviceError, ModelError
from snakescribe.models.store import Prepared

BUCKET_BYTES = {"cpu": 94e6, "cuda": 4.5e9}
"""Keys and values of a bucket, per worker: with base 5 windows of 30 s on a CPU, where more gain little."""
MOST_ROWS = 32
CTRANSLATE2_CUBLAS = "libcublas.so.12"
"""Of CTranslate2 4.8 (`containers/variants.yaml`, read out of the wheel by a test)."""
TYPES: dict[tuple[str, str], tuple[str, ...]] = {
    ("torch_whisper", "cpu"): ("float32", "bfloat16"),
    ("torch_whisper", "cuda"): ("float16", "bfloat16", "float32"),
    ("openvino", "cpu"): ("int8_bfloat16", "int8_float32"),
}
"""Per engine and device; the first is ``auto``. After ``int8_``, of the linear layers, stands what the rest is."""
FASTEST: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("openvino", lambda: devices.has_bfloat16() or "avx512_vnni" in devices.cpu_features()),
    ("ctranslate2", lambda: True),
    ("torch_whisper", lambda: True),
)
"""Of ``auto`` on a CPU: the engine, and what the CPU must have for it to be ahead of the next one. What `snakescribe
bench` measured is in docs/decisions/precision-and-engines.md."""

_lease: TextIO | None = None
"""The lock file of the GPU this process holds; open until the process ends."""


def load_backend(config: Config, prepared: Prepared, threads: int) -> Backend:
    """Load ``prepared`` as ``config`` says.

    Raises:
        DeviceError: the device or compute type asked for is not there.
        ModelError: the weights are not there in the form the engine needs.
    """
    device = devices.resolve(config.device)
    engine = _engine(config, prepared, device)
    compute_type = _compute_type(engine, config.compute_type, device)
    index = _gpu_index(device)
    hardware = Hardware(device.kind, device.name, device.driver, compute_type, versions(engine))
    rows = config.decoding.rows or _rows(prepared, device)
    workers = threads if device.kind == "cpu" else 1
    share_arenas(max(2, workers))
    import torch

    torch.set_num_threads(1 if device.kind == "cpu" else threads)
    if engine == "ctranslate2":
        from snakescribe.engine.ctranslate2 import CTranslate2Whisper

        return CTranslate2Whisper(prepared, hardware, index, rows, workers)
    if engine == "openvino":
        from snakescribe.engine.openvino import OpenVinoWhisper

        return OpenVinoWhisper(prepared, hardware, rows, workers)
    from snakescribe.engine.torch_whisper import TorchWhisper

    return TorchWhisper(prepared, hardware, index, rows, workers)


def _rows(prepared: Prepared, device: devices.Device) -> int:
    """Windows of 30 s that fit into a bucket, in 16 bits per number."""
    window = 2 * prepared.dims["n_text_layer"] * prepared.dims["n_audio_ctx"] * prepared.dims["n_text_state"] * 2
    return int(min(MOST_ROWS, max(1, BUCKET_BYTES[device.kind] // window)))


def versions(engine: str) -> str:
    """Our version and those of the libraries that make the text."""
    packages = ["torch", "openai-whisper"] + ([engine] if engine in ("ctranslate2", "openvino") else [])
    return ", ".join(
        [f"snakescribe {__version__}"] + [f"{name} {importlib.metadata.version(name)}" for name in packages]
    )


def _engine(config: Config, prepared: Prepared, device: devices.Device) -> str:
    asked = config.engine
    forms = {"ctranslate2": prepared.ctranslate2, "openvino": prepared.openvino}
    runs = {
        "ctranslate2": lambda: _ctranslate2_runs_on(device),
        "openvino": lambda: device.kind == "cpu" and importlib.util.find_spec("openvino") is not None,
    }
    usable = [engine for engine in forms if forms[engine] and runs[engine]()] + ["torch_whisper"]
    if asked == "auto":
        fitting = [e for e in usable if config.compute_type == "auto" or _fitting(e, config.compute_type, device)]
        ahead = [engine for engine, condition in FASTEST if engine in fitting and condition()]
        return (ahead or fitting or ["torch_whisper"])[0]
    if asked in usable:
        return asked
    if not forms[asked]:
        raise ModelError(f"{prepared.name} has no {asked} form; run `snakescribe models prepare {prepared.name}`")
    raise DeviceError(f"this {asked} does not run on {device.kind}; use engine: torch_whisper")


def _ctranslate2_runs_on(device: devices.Device) -> bool:
    try:
        import ctranslate2
    except ImportError:
        return False
    return device.kind == "cpu" or (ctranslate2.get_cuda_device_count() > 0 and _has_cublas())


def _has_cublas() -> bool:
    """Whether the cuBLAS that CTranslate2 asks for can be loaded: torch brings its own, which may be a newer one."""
    import torch  # noqa: F401 (loads its CUDA libraries)

    try:
        ctypes.CDLL(CTRANSLATE2_CUBLAS)
    except OSError:
        return False
    return True


def _compute_types(engine: str, device: devices.Device) -> tuple[str, ...]:
    """What it really computes in here, the one of ``auto`` first."""
    if engine == "ctranslate2":
        import ctranslate2

        supported = ctranslate2.get_supported_compute_types(device.kind)
        preferred = ("int8_float32", "float32") if device.kind == "cpu" else ("float16", "int8_float32", "float32")
        return tuple(kind for kind in (*preferred, "bfloat16") if kind in supported)
    types = TYPES[engine, device.kind]
    if engine == "openvino" and not devices.has_bfloat16():
        return tuple(kind for kind in types if "bfloat16" not in kind)
    return types


def _fitting(engine: str, asked: str, device: devices.Device) -> list[str]:
    """The engine's types that are what was asked for; ``int8`` leaves open what stands beside it."""
    return [kind for kind in _compute_types(engine, device) if asked in (kind, kind.partition("_")[0])]


def _compute_type(engine: str, asked: str, device: devices.Device) -> str:
    """The type really used. CTranslate2 would convert an unsupported one silently; here that is an error."""
    types = _compute_types(engine, device)
    found = types if asked == "auto" else _fitting(engine, asked, device)
    if not found:
        raise DeviceError(
            f"{engine} has no {asked} on {device.name}; use compute_type: auto or one of {', '.join(types)}"
        )
    return found[0]


def _gpu_index(device: devices.Device) -> int:
    global _lease
    if device.kind == "cpu":
        return 0
    import torch

    index, _lease = devices.lease_gpu(torch.cuda.device_count())
    return index
