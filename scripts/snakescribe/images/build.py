"""Build an image: a context of wheels, weights and source, then podman or docker without network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snakescribe import __version__
from snakescribe.checkout import ROOT
from snakescribe.doctor.cuda import Variant, load_variants
from snakescribe.errors import ConfigError, ImageError
from snakescribe.images.look import look
from snakescribe.images.tool import Tool
from snakescribe.models.store import Store

SOURCE = tuple(
    "Snakefile LICENSE README.md pyproject.toml config containers docs profiles requirements workflow".split()
)
CODE = "scripts/snakescribe"
"""What of the checkout goes into the image."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
BASE = "debian:bookworm-slim"

DISK_PER_WHEEL = 13
"""Bytes that a build takes for each byte of wheels: context, layers unpacked, compiled and copied. (Measured with
docker's own builder: 8.1 GB for `cpu`, of 0.62 GB of wheels and 0.4 of weights.)"""


def reference(variant: str) -> str:
    """The name of an image: version and variant, and nothing that changes by itself.

    Without a host: podman puts ``localhost/`` before it by itself, docker would take that for another image.
    """
    return f"snakescribe:{__version__}-{variant}"


def variant_named(name: str) -> Variant:
    """One of ``containers/variants.yaml``.

    Raises:
        ConfigError: there is none of this name.
    """
    variants = load_variants().variants
    if name not in variants:
        raise ConfigError(f"there is no variant {name!r}; there are {', '.join(variants)}")
    return variants[name]


def build(tool: Tool, name: str, wheels: Path, models: Path, model: str, base: str, network: str) -> str:
    """Build the image of a variant; its last stage is its proof.

    Args:
        tool: podman or docker.
        name: of the variant.
        wheels: filled by :func:`snakescribe.images.wheels.collect`.
        models: the store that ``model`` is taken from.
        model: what is baked in.
        base: image with glibc.
        network: ``none``, or ``host`` where the base has no Python yet.

    Returns:
        Its reference.

    Raises:
        ImageError: the build or the proof failed.
        ModelError: the model is not in the store, or damaged.
    """
    variant = variant_named(name)
    labels = {
        "org.opencontainers.image.title": "snakescribe",
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.revision": _revision(),
        "org.opencontainers.image.base.name": base,
        "snakescribe.variant": name,
        "snakescribe.model": model,
        "snakescribe.torch": variant.torch,
        "snakescribe.cuda": variant.cuda or "none",
        "snakescribe.minimum-driver": variant.minimum_driver or "none",
    }
    arguments = {"BASE_IMAGE": base, "VARIANT": name, "MODEL": model}
    look_at_builder(tool, wheels, base)
    with _context(name, wheels, models, model) as context:
        command = ["build", "--network", network, "--file", str(ROOT / "containers/Containerfile")]
        command += ["--tag", reference(name)]
        if tool.name == "podman":
            command += ["--format", "docker", "--timestamp", "0"]  # the OCI format has no health check
        for key, value in arguments.items():
            command += ["--build-arg", f"{key}={value}"]
        for key, value in labels.items():
            command += ["--label", f"{key}={value}"]
        tool.run(*command, str(context))
    return reference(name)


def look_at_builder(tool: Tool, wheels: Path, base: str) -> None:
    """Before gigabytes are sent to it: whether the base is there, and room for what is made of it.

    Raises:
        ImageError: one of them is missing.
    """
    found = look(tool)
    print(f"{tool.name} {found.version}, builder {found.builder}, images in {found.storage}", file=sys.stderr)
    needed = DISK_PER_WHEEL * sum(wheel.stat().st_size for wheel in wheels.glob("*.whl")) / 1e9
    if found.free_gb is not None and found.free_gb < needed:
        raise ImageError(
            f"{found.free_gb:.1f} GB are free in {found.storage} and the build takes {needed:.0f}: make room there"
            f" (`{tool.name} system prune`), or move {tool.name}'s storage to a larger disk"
        )
    if not tool.there(base):
        try:
            tool.run("pull", base)
        except ImageError:
            hint = "without a hub, make one (docs/operations/images.md) for --base"
            raise ImageError(f"{base} is not here and cannot be fetched: {hint}") from None


@contextmanager
def _context(variant: str, wheels: Path, models: Path, model: str) -> Iterator[Path]:
    """The folder that the image is built from; big files are linked, where that works."""
    if not any(wheels.glob("*.whl")):
        raise ImageError(
            f"there are no wheels in {wheels}; `snakescribe image wheels --variant {variant}` collects them"
        )
    store = Store(models)
    store.verify(model)
    entry = store.entry(model)
    with tempfile.TemporaryDirectory(dir=wheels.parent, prefix=".context-") as scratch:
        context = Path(scratch)
        shutil.copytree(wheels, context / "wheels", copy_function=_linked)
        (context / "models").mkdir()
        shutil.copytree(store.root / entry.name, context / "models" / entry.name, copy_function=_linked)
        for path in store.shared():
            _linked(path, context / "models" / path.name)
        for part in (*SOURCE, CODE):
            there, here = ROOT / part, context / "source" / part
            here.parent.mkdir(parents=True, exist_ok=True)
            if there.is_dir():
                shutil.copytree(there, here, ignore=LEFT_OUT)
            else:
                shutil.copy2(there, here)
        yield context


def _linked(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _revision() -> str:
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
