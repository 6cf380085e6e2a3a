"""What keeps a GPU from being used, as one sentence each: what is wrong, what to do, which variant fits."""

from __future__ import annotations

from snakescribe.doctor.cuda import Variants, build_of, driver_cuda, is_data_centre, minimum_driver, version
from snakescribe.doctor.facts import Container, CTranslate2, Gpu, Nvidia, Torch

_START = {
    "docker": "docker run --gpus all",
    "podman": "podman run --device nvidia.com/gpu=all",
    "apptainer": "apptainer exec --nv",
    "kubernetes": "a limit nvidia.com/gpu: 1 in the pod",
}


def gpu_problem(
    nvidia: Nvidia, torch: Torch, container: Container, variants: Variants, asked: bool = True
) -> str | None:
    """Why torch cannot use the GPU, and what to do; None when nothing speaks against it.

    Args:
        nvidia: what the driver says.
        torch: the build; ``problem`` may be unknown yet.
        container: where we run.
        variants: the images there are.
        asked: whether a machine without any trace of a GPU is a problem.
    """
    here = "this image" if container.kind else "this installation"
    instead = "set STT_DEVICE=cpu"
    if not nvidia.driver and not nvidia.gpus and not nvidia.device_files:
        start = f"start it with {_START[container.kind]}" if container.kind else "install NVIDIA's driver"
        if container.nvidia_visible in ("", "void", "none"):
            start = f"NVIDIA_VISIBLE_DEVICES is {container.nvidia_visible!r}; {start}"
        sees = "this container sees" if container.kind else "this machine has"
        return f"{sees} no NVIDIA GPU and no driver: {start}, or {instead}" if asked else None
    driver = f"driver {nvidia.driver}" if nvidia.driver else "driver"
    if container.kind and not nvidia.device_files and not nvidia.gpus:
        shown = "" if container.nvidia_visible is None else f" (NVIDIA_VISIBLE_DEVICES is {container.nvidia_visible!r})"
        return (
            f"the host has NVIDIA {driver}, but this container was started without its GPUs{shown}: "
            f"start it with {_START[container.kind]}, or {instead}"
        )
    fits = variants.fitting(nvidia.driver, [gpu.capability for gpu in nvidia.gpus])
    use = f"use the variant {either(fits)}" if fits else ""
    cards = both(sorted({gpu.name for gpu in nvidia.gpus})) or "an NVIDIA GPU"
    if torch.cuda is None:
        return (
            f"{cards} ({driver}) is there, but torch {torch.version} in {here} is built for the CPU only: "
            f"{use or 'install a build for CUDA'}, or {instead}"
        )
    if _too_old(nvidia, torch.cuda):
        needed = minimum_driver(torch.cuda)
        ways = [use, f"update the driver to {needed} or newer", _forward(nvidia, torch.cuda), instead]
        return (
            f"NVIDIA {driver} supports up to CUDA {highest_cuda(nvidia)}, {here} (torch {torch.version}, CUDA "
            f"{torch.cuda}) needs {needed} or newer: {either([way for way in ways if way], ', ')}"
        )
    if problem := _unsupported(nvidia, torch):
        ways = [use or "no variant fits this card with this driver: update the driver", instead]
        return f"{problem}: {either(ways, ', ')}"
    if nvidia.problem and not nvidia.gpus:
        mismatch = "ersion mismatch" in nvidia.problem
        do = "restart the machine (the driver was updated under it)" if mismatch else "look at nvidia-smi and dmesg"
        return f"NVIDIA {driver} does not answer ({nvidia.problem}): {do}, or {instead}"
    if container.cuda_visible is not None and container.cuda_visible.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={container.cuda_visible!r} hides {cards}: unset it, or {instead}"
    if torch.problem:
        return f"torch {torch.version} cannot use {cards} ({driver}): {torch.problem}; mend that, or {instead}"
    return None


def ctranslate2_problem(nvidia: Nvidia, torch: Torch, ctranslate2: CTranslate2, variants: Variants) -> str | None:
    """Why CTranslate2 would fail on a GPU that torch can use; None when it would not, or does not see one."""
    wheel = variants.ctranslate2
    if not ctranslate2.version or not ctranslate2.gpus or not wheel:
        return None
    name = f"CTranslate2 {ctranslate2.version}"
    if not ctranslate2.has_cublas:
        return (
            f"{name} needs {wheel.library}, which torch for CUDA {torch.cuda} does not bring: set engine: torch_whisper"
        )
    for gpu in nvidia.gpus:
        if problem := wheel.problem(gpu.capability, highest_cuda(nvidia)):
            why = f"no code for {_card(gpu)}"
            if problem == "translate":
                why = f"only PTX of CUDA {wheel.cuda} for {_card(gpu)}, which a driver for CUDA {highest_cuda(nvidia)} "
                why += "cannot translate (the text would be empty)"
            return f"{name} has {why}: set engine: torch_whisper"
    return None


def _too_old(nvidia: Nvidia, cuda: str) -> bool:
    """Whether the driver is older than a toolkit needs, and no forward-compatibility package makes up for it."""
    if not nvidia.driver or version(nvidia.driver) >= version(minimum_driver(cuda)):
        return False
    says, is_said = version(nvidia.cuda or "0"), version(driver_cuda(nvidia.driver))
    return not (says > is_said and says[0] >= version(cuda)[0])


def _unsupported(nvidia: Nvidia, torch: Torch) -> str | None:
    build = build_of(torch.cuda, torch.archs)
    for gpu in nvidia.gpus:
        problem = build.problem(gpu.capability, highest_cuda(nvidia)) if torch.archs else None
        if problem == "none":
            oldest, newest = (f(build.capabilities or ("?",), key=version) for f in (min, max))
            return (
                f"{_card(gpu)} is not supported by torch {torch.version} (CUDA {torch.cuda}, built for compute "
                f"capability {oldest} to {newest})"
            )
        if problem:
            return (
                f"torch {torch.version} has only PTX of CUDA {torch.cuda} for {_card(gpu)}, which a driver for CUDA "
                f"{highest_cuda(nvidia)} cannot translate"
            )
    return None


def _forward(nvidia: Nvidia, cuda: str) -> str:
    """NVIDIA's forward-compatibility package, for cards it is meant for."""
    if not any(is_data_centre(gpu.name) for gpu in nvidia.gpus):
        return ""
    return f"install cuda-compat-{cuda.replace('.', '-')} in the image (data-centre cards only)"


def _card(gpu: Gpu) -> str:
    return f"{gpu.name} (compute capability {gpu.capability})"


def highest_cuda(nvidia: Nvidia) -> str | None:
    """The highest CUDA version the driver supports."""
    return nvidia.cuda or (driver_cuda(nvidia.driver) if nvidia.driver else None)


def either(names: list[str], comma: str = " or ") -> str:
    """``a``, ``a or b``; with a comma, ``a, b, or c``."""
    if comma == " or " or len(names) < 2:
        return " or ".join(names)
    return f"{comma.join(names[:-1])}, or {names[-1]}"


def both(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
