"""Looking at the machine: every function asks one thing and judges nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from snakescribe import __version__, known_clip
from snakescribe.audio import SAMPLE_BYTES, SAMPLE_RATE
from snakescribe.audio.decoder import ffmpeg_path
from snakescribe.checkout import ROOT
from snakescribe.config import Config
from snakescribe.doctor import probes
from snakescribe.doctor.child import ChildFailed, in_child
from snakescribe.doctor.cuda import Variants, load_variants
from snakescribe.doctor.facts import (
    Container,
    CTranslate2,
    Facts,
    Ffmpeg,
    Folder,
    Gpu,
    Hearing,
    Nvidia,
    Package,
    Torch,
)
from snakescribe.errors import ModelError, SnakescribeError
from snakescribe.media import ALLOWED_DEMUXERS, PROTOCOLS
from snakescribe.models.configured import configured_model, configured_store

LOCKS = ("runtime.txt", "no-deps.txt")
ALONGSIDE = {"fastapi": "python-multipart"}
"""What a package imports only when it is needed, and does not declare itself."""
DECODERS = """
pcm_s16le pcm_s24le pcm_f32le pcm_mulaw pcm_alaw mp3 aac alac ac3 opus vorbis flac speex amrnb amrwb gsm gsm_ms
adpcm_ms adpcm_ima_wav g722 wmav2 wmapro
""".split()
DEMUXERS = "wav mp3 mov ogg flac matroska aac amr aiff au asf avi caf mpegts".split()
FILTERS = "aresample pan loudnorm highpass".split()
"""What recordings come in, and what we do to them, by ffmpeg's names."""
NVML_SECONDS, IMPORT_SECONDS, BUILD_SECONDS, HEAR_SECONDS, FFMPEG_SECONDS = 20.0, 180.0, 120.0, 600.0, 30.0
"""Time limits: the longest that was seen, and some more (a first CUDA start on a slow disk, a large model on a CPU)."""


def gather(config: Config, variants: Variants) -> Facts:
    """Look at everything that a run needs; takes about half a minute."""
    needed = packages()
    weights = bad_weights(config)
    driver = nvidia() if config.device != "cpu" else Nvidia()
    torch, ctranslate2 = builds(config.device != "cpu", variants)
    sound = not weights and torch.version is not None
    return Facts(
        snakescribe=__version__,
        python=platform.python_version(),
        python_needed=_project(ROOT).python,
        device=config.device,
        engine=config.engine,
        model=config.model,
        container=container(os.environ),
        packages=needed,
        ffmpeg=ffmpeg(),
        nvidia=driver,
        torch=torch,
        ctranslate2=ctranslate2,
        weights=weights,
        folders=folders(config),
        hearing=hearing(config) if sound else None,
    )


def container(environ: Mapping[str, str]) -> Container:
    """Whether this is a container, and which GPUs it was given."""
    kind: Literal["docker", "podman", "apptainer", "kubernetes"] | None = None
    if environ.get("APPTAINER_CONTAINER") or environ.get("SINGULARITY_CONTAINER"):
        kind = "apptainer"
    elif environ.get("KUBERNETES_SERVICE_HOST"):
        kind = "kubernetes"
    elif Path("/run/.containerenv").exists():
        kind = "podman"
    elif Path("/.dockerenv").exists():
        kind = "docker"
    return Container(
        kind=kind,
        nvidia_visible=environ.get("NVIDIA_VISIBLE_DEVICES"),
        cuda_visible=environ.get("CUDA_VISIBLE_DEVICES"),
    )


def packages(root: Path = ROOT) -> tuple[Package, ...]:
    """What pyproject.toml asks for (imported for a try), and what the lock names."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name

    wanted = [Requirement(text) for text in _project(root).dependencies]
    wanted = [requirement for requirement in wanted if not requirement.marker or requirement.marker.evaluate()]
    declared: dict[str, SpecifierSet] = {canonicalize_name(r.name): r.specifier for r in wanted}
    for name, along in ALONGSIDE.items():
        if name in declared:
            declared.setdefault(along, SpecifierSet())
    tops = _modules()
    broken = _broken([tops[name] for name in declared if name in tops])
    locked = _locked(root)
    found = []
    for name in sorted({*declared, *locked}):
        installed = _installed(name)
        asked = declared.get(name)
        found.append(
            Package(
                name=name,
                installed=installed,
                declared=None if asked is None else str(asked),
                suits=asked is None or installed is None or asked.contains(installed, prereleases=True),
                locked=locked.get(name),
                broken=broken.get(tops.get(name, "")) if asked is not None else None,
            )
        )
    return tuple(found)


def ffmpeg() -> Ffmpeg:
    """The ffmpeg that is used, what it was built without, and whether it decodes the known clip."""
    try:
        path = ffmpeg_path()
    except SnakescribeError as error:
        return Ffmpeg(path=None, problem=str(error))
    try:
        version = _run([path, "-version"]).split()[2]
        # of `-demuxers` and `-decoders` the second column, where one name may stand for several: mov,mp4,m4a
        has = {
            kind: {name for line in _run([path, "-v", "quiet", f"-{kind}"]).splitlines() for name in _names(line)}
            for kind in ("decoders", "demuxers", "filters")
        }
        wanted = {"decoders": DECODERS, "demuxers": DEMUXERS, "filters": FILTERS}
        lacks = dict.fromkeys(name for kind, names in wanted.items() for name in names if name not in has[kind])
        reading = [
            "-protocol_whitelist",
            PROTOCOLS,
            "-format_whitelist",
            ALLOWED_DEMUXERS,
            "-i",
            f"file:{known_clip.PATH}",
        ]
        writing = ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1", "pipe:1"]
        command = [path, "-nostdin", "-v", "error", *reading, *writing]
        decoded = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=FFMPEG_SECONDS)
    except (OSError, IndexError, subprocess.SubprocessError) as error:
        return Ffmpeg(path=path, problem=f"{path} cannot be run ({' '.join(str(error).split())[:200]}); reinstall it")
    said = " ".join(decoded.stderr.decode(errors="replace").split())[:200]
    problem = None
    if decoded.returncode or len(decoded.stdout) != SAMPLE_BYTES * known_clip.SAMPLES:
        problem = (
            f"ffmpeg {version} ({path}) does not decode the known clip ({said or 'too few samples'}); reinstall it"
        )
    return Ffmpeg(path=path, version=version, lacks=tuple(lacks), problem=problem)


def nvidia(proc: Path = Path("/proc"), dev: Path = Path("/dev")) -> Nvidia:
    """The driver and its GPUs: from NVML, else ``nvidia-smi``, else the driver's version from the kernel alone."""
    files = len([path for path in dev.glob("nvidia*") if path.name[6:].isdigit()]) + (dev / "dxg").exists()
    kernel = None
    with suppress(OSError):
        found = re.search(
            r"Kernel Module\D*?(?:for \S+\s+)?(\d+(?:\.\d+)+)", (proc / "driver/nvidia/version").read_text()
        )
        kernel = found[1] if found else None
    try:
        said = in_child(probes.nvml, seconds=NVML_SECONDS)
        gpus = tuple(Gpu.model_validate(gpu) for gpu in said["gpus"])
        return Nvidia(driver=said["driver"], cuda=said["cuda"], gpus=gpus, device_files=files)
    except ChildFailed as error:
        problem = str(error)
    driver, gpus = _nvidia_smi()
    return Nvidia(driver=driver or kernel, gpus=gpus, device_files=files, problem=problem)


def builds(try_gpu: bool, variants: Variants) -> tuple[Torch, CTranslate2]:
    """What torch and CTranslate2 are built for, and whether torch can really use a GPU."""
    library = variants.ctranslate2.library if variants.ctranslate2 else ""
    try:
        found = in_child(probes.builds, try_gpu, library, seconds=BUILD_SECONDS)
    except ChildFailed as error:
        version = _installed("torch")
        cuda = re.search(r"\+cu(\d+)(\d)$", version or "")
        return Torch(version=version, cuda=f"{cuda[1]}.{cuda[2]}" if cuda else None, problem=str(error)), CTranslate2()
    return Torch.model_validate(found["torch"]), CTranslate2.model_validate(found["ctranslate2"])


def bad_weights(config: Config) -> tuple[str, ...]:
    """What is wrong with the weights of ``config.model`` and of voice activity; every byte is read."""
    store = configured_store(config)
    problems = []
    try:
        store.verify(configured_model(config).name)
    except (ModelError, OSError) as error:
        problems.append(str(error))
    try:
        store.verify("silero")
    except (ModelError, OSError) as error:
        problems.append(str(error))
    return tuple(problems)


def folders(config: Config) -> tuple[Folder, ...]:
    """Free room where we write, and whether we may; of a folder that is not there yet, where it would be."""
    named = {"results": config.results, "cache": config.cache.path if config.cache.mode != "off" else None}
    found = []
    for option, path in named.items():
        if path is None:
            continue
        there = next(folder for folder in (Path(path), *Path(path).parents) if folder.exists())
        free = shutil.disk_usage(there).free / 1e9
        found.append(Folder(option=option, path=path, free_gb=free, writable=os.access(there, os.W_OK)))
    return tuple(found)


def hearing(config: Config) -> Hearing:
    """The known clip, transcribed on the configured device by the configured model."""
    try:
        found = in_child(probes.hear, config.model_dump_json(), os.cpu_count() or 1, seconds=HEAR_SECONDS)
    except ChildFailed as error:
        return Hearing(problem=str(error))
    return Hearing.model_validate(found)


class _Project(NamedTuple):
    dependencies: list[str]
    python: str


def _project(root: Path) -> _Project:
    """What the project asks for: in a checkout by its pyproject.toml, else as it was when it was installed."""
    path = root / "pyproject.toml"
    if path.is_file():
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        return _Project(project["dependencies"], project["requires-python"])
    return _Project(metadata.requires("snakescribe") or [], metadata.metadata("snakescribe")["Requires-Python"])


def _locked(root: Path) -> dict[str, str]:
    """Versions by name; those of a variant with a lock of its own, if its torch is installed."""
    locked: dict[str, str] = {}
    variants = load_variants(root / "containers/variants.yaml").variants.values()
    own = [variant.lock for variant in variants if variant.lock and variant.torch == _installed("torch")]
    for lock in (*LOCKS, *own):
        with suppress(FileNotFoundError):
            text = (root / "requirements" / lock).read_text(encoding="utf-8")
            locked |= dict(re.findall(r"^([a-z0-9][\w.-]*)==([^\s;]+)", text, re.MULTILINE))
    return locked


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _modules() -> dict[str, str]:
    """The module that a distribution is imported by: the one of its own name, else its first public one."""
    from packaging.utils import canonicalize_name

    found: dict[str, list[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            found.setdefault(canonicalize_name(distribution), []).append(module)
    return {
        name: min(modules, key=lambda module: (canonicalize_name(module) != name, module.startswith("_"), -len(module)))
        for name, modules in found.items()
    }


def _broken(modules: list[str]) -> dict[str, str]:
    """What importing each module said, of those that fail; if one crashes all, each is tried by itself."""
    try:
        return dict(in_child(probes.modules, modules, seconds=IMPORT_SECONDS))
    except ChildFailed as error:
        if len(modules) == 1:
            return {modules[0]: str(error)}
        return {name: problem for module in modules for name, problem in _broken([module]).items()}


def _nvidia_smi() -> tuple[str | None, tuple[Gpu, ...]]:
    query = ["nvidia-smi", "--query-gpu=driver_version,name,compute_cap", "--format=csv,noheader"]
    try:
        rows = [[cell.strip() for cell in line.split(",")] for line in _run(query).splitlines()]
        return rows[0][0], tuple(Gpu(name=name, capability=capability) for _, name, capability in rows)
    except (OSError, IndexError, ValueError, subprocess.SubprocessError):
        return None, ()


def _names(line: str) -> list[str]:
    """Names in a line of ffmpeg's lists, whose first column is flags."""
    columns = line.split()
    return columns[1].split(",") if len(columns) > 1 else []


def _run(command: list[str]) -> str:
    """Standard output of a command, which must succeed in time."""
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=FFMPEG_SECONDS, check=True)
    return ran.stdout.decode(errors="replace")
