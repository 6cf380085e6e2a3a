"""Putting weights into the store, in the forms that engines need. Never called inside a job."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from snakescribe.errors import ModelError
from snakescribe.files import write_atomically
from snakescribe.models.alignment import alignment_heads
from snakescribe.models.catalog import catalog
from snakescribe.models.progress import telling
from snakescribe.models.store import (
    CONVERSION,
    CTRANSLATE2,
    ENTRY,
    LICENCES,
    OPENVINO,
    PT,
    REPLACED,
    SHARED,
    Heads,
    Imported,
    ModelEntry,
    Store,
    Sum,
    sha256,
    shared_wheel,
    stamp,
)
from snakescribe.models.unchanged import note_sealed

if TYPE_CHECKING:
    from snakescribe.models.checkpoint import Checkpoint


RESERVED = {*SHARED, *(one.file for name in SHARED for one in shared_wheel(name).members), LICENCES, "samples"}
"""What lies beside the models in a store, or is called so in commands."""


def add(
    store: Store,
    name: str,
    source: Path,
    origin: str,
    imported: tuple[Imported, ...] = (),
    own_heads: Heads | None = None,
) -> ModelEntry:
    """Make the entry ``name`` from weights in any form that :func:`open_weights` reads, replacing the model it was.

    The float16 numbers are the same in the stored form and in ``source``; this is checked, not hoped for.

    Args:
        store: where to.
        name: of the entry.
        source: a ``.pt`` file or a folder; only its weights are read.
        origin: what to record as the source.
        imported: paths by which the entry can be found besides its name.
        own_heads: alignment heads that came with the weights, where ``source`` has none.

    Raises:
        ModelError: not Whisper weights, or something that is no model has this name.
    """
    from snakescribe.models.ct2 import open_ctranslate2, save_ctranslate2

    target = store.root / name
    if os.path.lexists(target) and not store.find(name):
        raise ModelError(f"{target} is in the way, and no model of this store; choose another name with --name")
    with telling(f"{name}: converting"), store.workplace() as work:
        folder = work / "entry"
        folder.mkdir()
        weights = open_weights(source)
        identity = weights.identity()
        heads = alignment_heads(identity, name, weights.dims, weights.alignment_heads or own_heads)
        save_ctranslate2(weights, heads, folder / CTRANSLATE2)
        stored = open_ctranslate2(folder / CTRANSLATE2)
        if stored.identity() != identity:
            raise ModelError(f"{source}: the weights changed on the way; please report this")
        del weights  # what is mapped from the source need not stay in memory
        if "openvino" in libraries():
            from snakescribe.models.openvino import save_openvino

            save_openvino(stored, heads, folder / OPENVINO)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        entry = ModelEntry(
            name=name,
            identity=identity,
            source=origin,
            files={str(path.relative_to(folder)): _seal(path) for path in files},
            dims=stored.dims,
            alignment_heads=heads,
            made_with=libraries(),
            imported=imported,
        )
        write_atomically(folder / ENTRY, entry.model_dump_json(indent=1).encode())
        note_sealed(folder, entry.files)
        if target.exists():
            target.rename(work / REPLACED)
        folder.rename(target)
    return entry


def import_path(store: Store, path: Path, name: str | None = None) -> ModelEntry:
    """Bring a ``.pt`` file or a folder of weights into the store, to be found by its path and by ``name``.

    Raises:
        ModelError: no such file, no Whisper weights, or a name that belongs to other weights.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 (links are kept: the user's name for it)
    try:
        now = stamp(path)
    except OSError as error:
        forms = "a .pt file, or a folder of transformers or CTranslate2"
        raise ModelError(f"{path}: {error.strerror}; give {forms}") from None
    name = checked_name(name or path.name.removesuffix(".pt"))
    with telling(f"{name}: reading"):
        weights = open_weights(path)
        identity, dims, heads = weights.identity(), weights.dims, weights.alignment_heads
        del weights  # its pages need not stay while it is converted
    _keep_promise(name, identity, dims, path)
    entry = store.find(name)
    if not entry:
        return add(store, name, path, now.path, (now,))
    imported = (*(known for known in entry.imported if known.path != now.path), now)
    if identity == entry.identity:
        if heads not in (None, entry.alignment_heads) or not _sound(store, name):
            return add(store, name, path, now.path, imported, entry.alignment_heads)
        entry = entry.model_copy(update={"imported": imported})
        write_atomically(store.root / name / ENTRY, entry.model_dump_json(indent=1).encode())
        return entry
    if entry.source == now.path:
        return add(store, name, path, now.path, (now,))
    raise ModelError(
        f"the name {name} is taken by weights from {entry.source} (identity {entry.identity[:12]}; "
        f"{path} has {identity[:12]}); choose another one with --name"
    )


def open_weights(path: Path) -> Checkpoint:
    """Read a ``.pt`` file, a CTranslate2 folder (``model.bin``) or one of transformers (``*.safetensors``).

    Raises:
        ModelError: it is damaged, or no Whisper model that an engine can run.
    """
    from snakescribe.models.checkpoint import open_openai
    from snakescribe.models.ct2 import open_ctranslate2

    if not path.is_dir():
        return open_openai(path)
    if (path / "model.bin").exists():
        return open_ctranslate2(path)
    from snakescribe.models.transformers import open_transformers

    return open_transformers(path)


def prepare(store: Store, name: str) -> bool:
    """Make the forms of a model anew if they are missing or made by other versions.

    Returns:
        Whether there was anything to do.

    Raises:
        ModelError: there is no such model, or its files are damaged.
    """
    store.verify(name)
    entry = store.entry(name)
    now, then = libraries(), entry.made_with
    if all(then.get(key) == now.get(key) for key in ("conversion", "openvino")):
        return False
    source = PT if PT in entry.files else CTRANSLATE2
    add(store, entry.name, store.root / entry.name / source, entry.source, entry.imported, entry.alignment_heads)
    return True


def _sound(store: Store, name: str) -> bool:
    try:
        store.verify(name)
    except ModelError:
        return False
    return True


def checked_name(name: str) -> str:
    """``name`` in its canonical form if it can be a folder of the store."""
    name = catalog().canonical(name)
    hidden = name.startswith((".", "-")) or name in RESERVED or not name
    if hidden or "/" in name or not name.isprintable() or len(os.fsencode(name)) > 200:
        raise ModelError(f"{name!r} cannot name a model; choose a plain name with --name")
    return name


def libraries() -> dict[str, str]:
    """Versions of everything that converts, as far as it is installed."""
    versions = {"conversion": CONVERSION}
    for name in ("torch", "openai-whisper", "openvino"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _keep_promise(name: str, identity: str, dims: dict[str, int], path: Path) -> None:
    """Refuse to call weights by an official name when they are known not to be OpenAI's."""
    official = catalog().models.get(name)
    if not official or official.identity == identity:
        return
    advice = f"{path}: {name} is the name of OpenAI's model; choose another one with --name"
    if path.is_file():
        found = sha256(path)
        if found != official.sha256:
            raise ModelError(f"{advice} (expected sha256 {official.sha256}, found {found})")
    elif official.identity:
        raise ModelError(f"{advice} (expected identity {official.identity}, found {identity})")
    elif official.dims != dims:
        raise ModelError(f"{advice} (its dimensions are others)")


def _seal(path: Path) -> Sum:
    """Bring a finished file safely to the disk, and take its sum."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return Sum(sha256=sha256(path), size=path.stat().st_size)
