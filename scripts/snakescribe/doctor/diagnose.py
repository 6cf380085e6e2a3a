"""From facts to a verdict: pure, so that every driver and card can be tried without having one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Literal

from snakescribe.doctor.cuda import Variants, version
from snakescribe.doctor.facts import ContainerTool, Facts, Package
from snakescribe.doctor.gpu import both, ctranslate2_problem, either, gpu_problem, highest_cuda
from snakescribe.engine.engines import ENGINES
from snakescribe.errors import DeviceError, InstallationError, ModelError, ResultsError, SnakescribeError
from snakescribe.known_clip import TEXT, matches, words
from snakescribe.records import Frozen

OPTIONAL = {engine.package for engine in ENGINES.values() if engine.package}
"""Packages of engines, which an image may be without."""
NEEDED_CODECS = {"pcm_s16le", "mp3", "aac", "opus", "vorbis", "flac", "wav", "mov", "ogg", "matroska"}
"""Without these, ordinary recordings cannot be read; without others, rare ones."""
LITTLE, TOO_LITTLE = 1.0, 0.1
"""Free gigabytes."""
NEARLY = 0.6
"""Share of the known clip's words from which on a text is a model's slip and no failure."""


class Check(Frozen):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warn", "bad"]
    says: str
    """One line; what to do, if it is not ok."""
    error: str | None = None
    """Class of the failure."""


class Diagnosis(Frozen):
    """The answer."""

    line: str
    """What is wrong, what to do, which variant fits; or that all is well."""
    exit_code: int
    variants: tuple[str, ...]
    """Image variants that this driver and these GPUs can run, best first."""
    checks: tuple[Check, ...]


def diagnose(facts: Facts, variants: Variants) -> Diagnosis:
    """Judge; the checks are ordered from cause to effect, so that the first bad one is the one to mend."""
    checks = tuple(_checks(facts, variants))
    worst = next((check for check in checks if check.state == "bad"), None)
    slight = sorted((check for check in checks if check.state == "warn"), key=lambda check: check.name != "device")
    fits = variants.fitting(facts.nvidia.driver, [gpu.capability for gpu in facts.nvidia.gpus])
    if worst:
        code = next(c.exit_code for c in SnakescribeError.__subclasses__() if c.__name__ == worst.error)
        line = f"not ready: {worst.says}"
    else:
        code = 0
        line = next((f"ready, but {check.says}" for check in slight), "") or f"ready: {checks[-1].says}"
    return Diagnosis(line=line, exit_code=code, variants=tuple(fits), checks=checks)


def _checks(facts: Facts, variants: Variants) -> Iterator[Check]:
    yield _python(facts)
    yield from _packages(facts, variants)
    yield _ffmpeg(facts)
    yield from _gpu(facts, variants)
    for problem in facts.weights:
        yield Check(name="weights", state="bad", says=problem, error=ModelError.__name__)
    if not facts.weights:
        yield Check(name="weights", state="ok", says=f"{facts.model} and voice activity are what their checksums say")
    yield from _folders(facts)
    for tool in facts.container_tools:
        yield _container_tool(tool, bool(facts.nvidia.gpus))
    yield _hearing(facts, variants)


def _python(facts: Facts) -> Check:
    oldest = version(facts.python_needed)
    says = f"Python {facts.python}, snakescribe {facts.snakescribe}"
    if version(facts.python)[: len(oldest)] < oldest:
        says = f"Python {facts.python} is too old: install one that is {facts.python_needed}"
        return Check(name="Python", state="bad", says=says, error=InstallationError.__name__)
    return Check(name="Python", state="ok", says=says)


def _packages(facts: Facts, variants: Variants) -> Iterator[Check]:
    declared = [package for package in facts.packages if package.declared is not None]
    broken = [p for p in declared if p.broken or not p.installed]
    needed = ENGINES[facts.engine].package if facts.engine in ENGINES else None
    fatal = [p for p in broken if p.name not in OPTIONAL or p.name == needed]
    mend = (
        "mend the image with its wheel (`snakescribe image patch`)"
        if facts.container.kind
        else "run `make setup`, or install it with pip"
    )
    if fatal:
        what = "; ".join(
            f"{p.name} {f'cannot be imported ({p.broken})' if p.installed else 'is missing'}" for p in fatal
        )
        yield Check(name="packages", state="bad", says=f"{what}: {mend}", error=InstallationError.__name__)
    elif broken:
        names = both([p.name for p in broken])
        yield Check(
            name="packages", state="ok", says=f"all can be imported; without {names}, which engines are optional"
        )
    elif declared:
        yield Check(name="packages", state="ok", says=f"all {len(declared)} that are asked for can be imported")
    unsuited = [f"{p.name} {p.installed} (wanted {p.declared})" for p in declared if p.installed and not p.suits]
    if unsuited:
        says = f"versions that were never tried: {', '.join(unsuited)}: {mend}"
        yield Check(name="versions", state="warn", says=says)
    locked = [package for package in facts.packages if package.locked]
    torches = {variant.torch.partition("+")[0] for variant in variants.variants.values()}
    off = [p for p in locked if p.installed and p.installed.partition("+")[0] not in _allowed(p, torches)]
    if off:
        yield Check(name="lock", state="warn", says=f"{_several(off)} than the lock says: {mend}")
    elif locked:
        yield Check(name="lock", state="ok", says=f"{sum(bool(p.installed) for p in locked)} packages are as locked")


def _allowed(package: Package, torches: set[str]) -> set[str | None]:
    """The locked version; of torch also those of the image variants."""
    return {package.locked, *(torches if package.name == "torch" else ())}


def _several(packages: list[Package]) -> str:
    shown = ", ".join(f"{p.name} {p.installed} (locked {p.locked})" for p in packages[:3])
    more = f" and {len(packages) - 3} more" if len(packages) > 3 else ""
    return f"{shown}{more} {'are other versions' if len(packages) > 1 else 'is another version'}"


def _ffmpeg(facts: Facts) -> Check:
    ffmpeg = facts.ffmpeg
    if ffmpeg.problem or not ffmpeg.path:
        says = ffmpeg.problem or "there is no ffmpeg; install it (apt install ffmpeg, or pip install imageio-ffmpeg)"
        return Check(name="ffmpeg", state="bad", says=says, error=InstallationError.__name__)
    needed = [name for name in ffmpeg.lacks if name in NEEDED_CODECS]
    lacking = f"ffmpeg {ffmpeg.version} ({ffmpeg.path}) was built without {', '.join(needed or ffmpeg.lacks)}"
    if needed:
        says = f"{lacking}: install another one (pip install imageio-ffmpeg)"
        return Check(name="ffmpeg", state="bad", says=says, error=InstallationError.__name__)
    if ffmpeg.lacks:
        return Check(name="ffmpeg", state="warn", says=f"{lacking}: such recordings will fail")
    return Check(name="ffmpeg", state="ok", says=f"{ffmpeg.version} ({ffmpeg.path}) decodes the known clip")


def _gpu(facts: Facts, variants: Variants) -> Iterator[Check]:
    nvidia, torch = facts.nvidia, facts.torch
    if facts.device == "cpu":
        yield Check(name="device", state="ok", says="cpu, as asked for (device or STT_DEVICE)")
        return
    asked = facts.device == "cuda"
    problem = gpu_problem(nvidia, torch, facts.container, variants, asked)
    if problem:
        if asked:
            yield Check(name="device", state="bad", says=problem, error=DeviceError.__name__)
        else:
            yield Check(name="device", state="warn", says=f"device: auto takes the CPU: {problem}")
        return
    if not nvidia.gpus and not torch.gpus:
        yield Check(name="device", state="ok", says="there is no NVIDIA GPU, so auto takes the CPU")
        return
    fits = both(variants.fitting(nvidia.driver, [gpu.capability for gpu in nvidia.gpus]))
    known = f"driver {nvidia.driver} (CUDA {highest_cuda(nvidia)})"
    cards = both([f"{gpu.name} (compute capability {gpu.capability})" for gpu in nvidia.gpus])
    says = f"{cards}, {known}, torch for CUDA {torch.cuda}" + (f"; variants that fit: {fits}" if fits else "")
    yield Check(name="device", state="ok", says=says)
    if facts.engine in ("auto", "ctranslate2"):
        problem = ctranslate2_problem(nvidia, torch, facts.ctranslate2, variants)
        if problem and facts.engine == "auto" and not facts.ctranslate2.has_cublas:  # engine/load.py sees this, too
            yield Check(name="engine", state="warn", says=f"{problem}, as auto does")
        elif problem:
            yield Check(name="engine", state="bad", says=problem, error=DeviceError.__name__)


def _folders(facts: Facts) -> Iterator[Check]:
    closed = [folder for folder in facts.folders if not folder.writable]
    full = [folder for folder in facts.folders if folder.free_gb < TOO_LITTLE]
    tight = [folder for folder in facts.folders if folder.free_gb < LITTLE]
    if closed:
        what = both([f"{folder.option} ({folder.path})" for folder in closed])
        says = f"no permission to write {what}: choose another folder, or start with your own user id"
        yield Check(name="disk", state="bad", says=says, error=ResultsError.__name__)
    elif full or tight:
        what = both([f"{folder.option} ({folder.path}): {folder.free_gb:.2f} GB" for folder in full or tight])
        says = f"hardly any room is left for {what}: free some space"
        if full:
            yield Check(name="disk", state="bad", says=says, error=ResultsError.__name__)
        else:
            yield Check(name="disk", state="warn", says=says)
    elif facts.folders:
        what = ", ".join(f"{folder.option} {folder.free_gb:.0f} GB" for folder in facts.folders)
        yield Check(name="disk", state="ok", says=f"free: {what}")


def _container_tool(tool: ContainerTool, has_gpus: bool) -> Check:
    """Never bad: a run needs neither podman nor docker."""
    if tool.problem:
        return Check(name=tool.name, state="ok", says=tool.problem)
    says = [f"{tool.version} {'without' if tool.rootless else 'with'} root", f"builder {tool.builder}"]
    says.append(f"cgroup v{tool.cgroup}" + ("" if tool.memory_limits else " without memory limits"))
    if tool.free_gb is not None:
        says.append(f"{tool.free_gb:.0f} GB free in {tool.storage}")
    if not tool.gpus:
        says.append("no GPUs in containers" + (": install the NVIDIA Container Toolkit" if has_gpus else ""))
    return Check(name=tool.name, state="ok", says=", ".join(says))


def _hearing(facts: Facts, variants: Variants) -> Check:
    hearing = facts.hearing
    if hearing is None:
        return Check(name="known clip", state="warn", says="it was not transcribed: mend the rest first")
    if hearing.problem is not None:
        on_gpu = facts.device != "cpu" and facts.torch.gpus > 0
        error = hearing.error or (DeviceError if on_gpu else InstallationError).__name__
        says = f"the known clip could not be transcribed with {facts.model}: {hearing.problem}"
        return Check(name="known clip", state="bad", says=says, error=error)
    where = f"{hearing.device_name} ({hearing.engine}, {hearing.compute_type})"
    text = hearing.text or ""
    if matches(text):
        return Check(
            name="known clip", state="ok", says=f"{facts.model} hears it right on {where} in {hearing.seconds:.1f} s"
        )
    if not words(text):
        if hearing.device == "cuda":
            fits = variants.fitting(facts.nvidia.driver, [gpu.capability for gpu in facts.nvidia.gpus])
            fits = [name for name in fits if variants.variants[name].cuda != facts.torch.cuda]
            ways = ["update the driver", f"use the variant {either(fits)}"] if fits else ["update the driver"]
            ways += ["set engine: torch_whisper"] if hearing.engine == "ctranslate2" else []
            says = (
                f"{where} hears nothing in a clear sentence, without an error: its GPU code (PTX) is newer than a "
                f"driver for CUDA {highest_cuda(facts.nvidia)} can translate: "
                + either([*ways, "set STT_DEVICE=cpu"], ", ")
            )
            return Check(name="known clip", state="bad", says=says, error=DeviceError.__name__)
        says = (
            f"{where} hears nothing in a clear sentence, without an error: try another engine and the locked packages"
        )
        return Check(name="known clip", state="bad", says=says, error=InstallationError.__name__)
    alike = difflib.SequenceMatcher(a=words(TEXT), b=words(text), autojunk=False).ratio()
    says = f"{facts.model} on {where} hears {text[:100]!r} instead of {TEXT!r}"
    if alike >= NEARLY:
        return Check(name="known clip", state="warn", says=f"{says}: a slip that a small model may make")
    error = (DeviceError if hearing.device == "cuda" else ModelError).__name__
    return Check(name="known clip", state="bad", says=f"{says}: try another engine or device", error=error)
