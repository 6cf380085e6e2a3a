"""One folder for a machine without network: image, weights, sums, a script that loads and proves it, a page to read."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from snakescribe import __version__
from snakescribe.checkout import ROOT
from snakescribe.errors import ImageError
from snakescribe.files import write_atomically
from snakescribe.images.apptainer import convert
from snakescribe.images.archive import archive_name, save
from snakescribe.images.build import reference, variant_named
from snakescribe.images.tool import Tool
from snakescribe.models.store import Store, sha256

TEMPLATES = ROOT / "containers/bundle"
SUMS = "SHA256SUMS"


def create(tool: Tool, name: str, models: Path, model: str, folder: Path, sif: bool) -> None:
    """Fill ``folder`` from the variant's image, which must be built.

    Args:
        tool: podman or docker.
        name: of the variant.
        models: the store that holds ``model``.
        model: what is in the image.
        folder: where to; must be empty or absent.
        sif: also make the Apptainer image (needs ``apptainer`` here).

    Raises:
        ImageError: the image is not built, or has another model, or the folder is not empty.
        ModelError: the model is not in the store, or damaged.
    """
    variant, image = variant_named(name), reference(name)
    tool.need(image)
    has = tool.run("image", "inspect", "--format", '{{index .Config.Labels "snakescribe.model"}}', image, capture=True)
    if has != model:
        raise ImageError(f"{image} has the model {has}, not {model}; build it with --model {model}")
    if folder.exists() and any(folder.iterdir()):
        raise ImageError(f"{folder} is not empty; choose another folder")
    store = Store(models)
    store.verify(model)
    made = folder / (archive_name(name).removesuffix(".tar.gz") + ".sif") if sif else None
    if made:
        convert(tool, image, made)
    archive = save(tool, image, name, folder)
    (folder / f"{archive.name}.sha256").unlink()  # one list for all
    entry = store.entry(model)
    shutil.copytree(store.root / entry.name, folder / "models" / entry.name)
    for path in store.shared():
        shutil.copy2(path, folder / "models")
    shutil.copy2(TEMPLATES / "install.sh", folder)
    settings = {"IMAGE": image, "ARCHIVE": archive.name, "SIF": made.name if made else ""}
    lines = "".join(f"{key}='{value}'\n" for key, value in settings.items())
    write_atomically(folder / "bundle.env", lines.encode())
    needs = variant.minimum_driver
    text = (TEMPLATES / "README.md").read_text(encoding="utf-8")
    text = text.format(
        version=__version__,
        variant=name,
        model=model,
        image=image,
        archive=archive.name,
        driver=f"This one needs an NVIDIA driver from {needs} on, or a CPU." if needs else "This one runs on any CPU.",
        sif_row=f"; `{made.name}`: the same for Apptainer" if made else "",
    )
    write_atomically(folder / "README.md", text.encode())
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files)
    write_atomically(folder / SUMS, sums.encode())
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".sh" else 0o644)  # another user may install it
    folder.chmod(0o755)


def verify(folder: Path) -> None:
    """Compare every file with its sum.

    Raises:
        ImageError: names every file that is damaged or missing.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        if not folder.is_dir():
            raise ImageError(f"there is no folder {folder}; look at the name") from None
        raise ImageError(f"{folder / SUMS}: {error.strerror}; this is no bundle, or copy it again") from None
    missing, damaged = [], []
    for line in lines:
        found = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if not found or ".." in Path(found[2]).parts or os.path.isabs(found[2]):  # noqa: PTH117
            raise ImageError(f"{folder / SUMS} is damaged at {line!r}; copy it again")
        path = folder / found[2]
        if not path.is_file():
            missing.append(found[2])
        elif sha256(path) != found[1]:
            damaged.append(found[2])
    if missing or damaged:
        said = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("damaged", damaged)) if names]
        raise ImageError(f"{'; '.join(said)}; copy these files again")
