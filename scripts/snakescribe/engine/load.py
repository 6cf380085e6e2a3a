"""Choose engine, device and compute type, and load the model: what is asked for, or a clear error."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import math
from typing import TextIO

from snakescribe import __version__, devices
from snakescribe.config import Config
from snakescribe.engine.backend import Backend, Hardware
from snakescribe.engine.engines import ENGINES, FASTEST, Engine
from snakescribe.engine.malloc import share_arenas
from snakescribe.errors import DeviceError, ModelError
from snakescribe.models.store import Prepared

BUCKET_BYTES = {"cpu": 94e6, "cuda": 4.5e9}
"""Keys and values of a bucket, per worker: with base 5 windows of 30 s on a CPU, where more gain little."""
MOST_ROWS = 32
CTRANSLATE2_CUBLAS = "libcublas.so.12"
"""Of CTranslate2 4.8 (`containers/variants.yaml`, read out of the wheel by a test)."""

_lease: tuple[int, TextIO] | None = None
"""Index and lock file of the GPU this process holds; open until the process ends."""


def load_backend(config: Config, prepared: Prepared, threads: int, thrift: int = 0) -> Backend:
    """Load ``prepared`` as ``config`` says.

    Args:
        config: which engine, device and precision.
        prepared: the weights.
        threads: CPU threads to use.
        thrift: how often an earlier process died, perhaps for want of memory. After one death there is one worker and
            a quarter of the rows, after two a single row: the texts are the same.

    Raises:
        DeviceError: the device or compute type asked for is not there.
        ModelError: the weights are not there in the form the engine needs.
    """
    device = devices.resolve(config.device)
    engine = _engine(config, prepared, device)
    compute_type = _compute_type(engine, config.compute_type, device)
    index = _gpu_index(device)
    hardware = Hardware(device.kind, device.name, device.driver, compute_type, versions(engine))
    rows = config.decoding.rows or _rows(prepared, device.kind, _free(device, index))
    rows = max(1, rows // 4) if thrift == 1 else 1 if thrift else rows
    workers = threads if device.kind == "cpu" and not thrift else 1
    share_arenas(max(2, workers))
    import torch

    torch.set_num_threads(1 if device.kind == "cpu" else threads)
    return engine.load(prepared, hardware, index, rows, workers)


def _rows(prepared: Prepared, device: str, free: float = math.inf) -> int:
    """Windows of 30 s that fit into a bucket, in 16 bits per number.

    Their keys and values get half of the ``free`` bytes that the weights leave: the other half is for the encoder's own
    arrays and what the hypotheses read.
    """
    window = 2 * prepared.dims["n_text_layer"] * prepared.dims["n_audio_ctx"] * prepared.dims["n_text_state"] * 2
    left = (free - 2 * prepared.capabilities.parameters) / 2
    return int(min(MOST_ROWS, max(1, min(BUCKET_BYTES[device], left) // window)))


def _free(device: devices.Device, index: int) -> float:
    """Bytes that are free on a card; a CPU's do not matter here."""
    if device.kind == "cpu":
        return math.inf
    import torch

    return float(torch.cuda.mem_get_info(index)[0])


def versions(engine: Engine) -> str:
    """Our version and those of the libraries that make the text."""
    packages = ["torch", "openai-whisper", *([engine.package] if engine.package else [])]
    return ", ".join(
        [f"snakescribe {__version__}"] + [f"{name} {importlib.metadata.version(name)}" for name in packages]
    )


def _engine(config: Config, prepared: Prepared, device: devices.Device) -> Engine:
    fastest = (ENGINES[name] for name in FASTEST[device.kind])
    usable = [engine for engine in fastest if getattr(prepared, engine.form) and _runs_on(engine, device)]
    if config.engine == "auto":
        asked = config.compute_type
        fitting = [engine for engine in usable if asked == "auto" or _fitting(engine, asked, device)]
        if not fitting:
            raise _lacks("no engine here has", asked, device, *(_compute_types(engine, device) for engine in usable))
        ahead = [engine for engine in fitting if device.kind != "cpu" or _suits_processor(engine)]
        return (ahead or fitting)[0]
    engine = ENGINES[config.engine]
    if engine in usable:
        return engine
    if not getattr(prepared, engine.form):
        raise ModelError(f"{prepared.name} has no {engine.name} form; run `snakescribe models prepare {prepared.name}`")
    raise DeviceError(f"this {engine.name} does not run on {device.kind}; use engine: torch_whisper")


def _suits_processor(engine: Engine) -> bool:
    if engine.name == "torch_whisper" and not _torch_has_int8():
        return False
    return not engine.wanted_features or bool(engine.wanted_features & devices.cpu_features())


def _runs_on(engine: Engine, device: devices.Device) -> bool:
    if engine.name == "ctranslate2":
        return _ctranslate2_runs_on(device)
    return engine.package is None or importlib.util.find_spec(engine.package) is not None


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


def _compute_types(engine: Engine, device: devices.Device) -> tuple[str, ...]:
    """What it really computes in here, the one of ``auto`` first."""
    types = engine.compute_types[device.kind]
    if engine.name == "ctranslate2":
        import ctranslate2

        supported = ctranslate2.get_supported_compute_types(device.kind)
        return tuple(kind for kind in types if kind in supported)
    if engine.name == "openvino" and not devices.has_bfloat16():
        return tuple(kind for kind in types if "bfloat16" not in kind)
    if engine.name == "torch_whisper" and not _torch_has_int8():
        return tuple(kind for kind in types if not kind.startswith("int8"))
    return types


def _torch_has_int8() -> bool:
    from snakescribe.engine import int8_linear

    return int8_linear.available()


def _fitting(engine: Engine, asked: str, device: devices.Device) -> list[str]:
    """The engine's types that are what was asked for; ``int8`` leaves open what stands beside it."""
    return [kind for kind in _compute_types(engine, device) if asked in (kind, kind.partition("_")[0])]


def _compute_type(engine: Engine, asked: str, device: devices.Device) -> str:
    """The type really used. CTranslate2 would convert an unsupported one silently; here that is an error."""
    types = _compute_types(engine, device)
    found = types if asked == "auto" else _fitting(engine, asked, device)
    if not found:
        raise _lacks(f"{engine.name} has no", asked, device, types)
    return found[0]


def _lacks(who: str, asked: str, device: devices.Device, *types: tuple[str, ...]) -> DeviceError:
    known = dict.fromkeys(kind for some in types for kind in some)
    return DeviceError(f"{who} {asked} on {device.name}; use compute_type: auto or one of {', '.join(known)}")


def _gpu_index(device: devices.Device) -> int:
    """The GPU of this process: a second model goes where the first one is, and does not wait for it to end."""
    global _lease
    if device.kind == "cpu":
        return 0
    import torch

    _lease = _lease or devices.lease_gpu(torch.cuda.device_count())
    return _lease[0]
