"""What NVIDIA's drivers, GPUs and CUDA builds need of each other. Pure rules; their sources stand beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from snakescribe.checkout import VARIANTS
from snakescribe.records import Frozen

MINIMUM_DRIVERS = {11: "450.80.02", 12: "525.60.13", 13: "580"}
"""Oldest Linux driver for any toolkit of a CUDA major version (NVIDIA, CUDA Compatibility, minor version
compatibility); what it does not do is translate PTX of a newer minor version."""

BRANCHES = {
    390: "9.1",
    396: "9.2",
    410: "10.0",
    418: "10.1",
    440: "10.2",
    450: "11.0",
    455: "11.1",
    460: "11.2",
    465: "11.3",
    470: "11.4",
    495: "11.5",
    510: "11.6",
    515: "11.7",
    520: "11.8",
    525: "12.0",
    530: "12.1",
    535: "12.2",
    545: "12.3",
    550: "12.4",
    555: "12.5",
    560: "12.6",
    565: "12.7",
    570: "12.8",
    575: "12.9",
    580: "13.0",
    590: "13.1",
    595: "13.2",
}
"""Highest CUDA that a driver branch supports by itself (NVIDIA, CUDA toolkit release notes, table 3)."""

_DATA_CENTRE = re.compile(
    r"\b(Tesla|A2|A10G?|A16|A30|A40|A100|A800|B[123]00|GB[123]00|GH200|H20|H[128]00|L4|L20|L40S?|P4|P40|P100|T4|V100)\b"
)
_WORKSTATION = re.compile(r"GeForce|Quadro|RTX|TITAN")
_ARCH = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


class Build(Frozen):
    """A wheel with GPU code."""

    cuda: str | None
    """Toolkit it was built with; None without GPU code."""
    capabilities: tuple[str, ...] = ()
    """With machine code, e.g. ``8.6``."""
    ptx: str | None = None
    """The highest capability that is there as PTX."""

    def problem(self, capability: str, driver_cuda: str | None) -> Literal["none", "translate"] | None:
        """Why a GPU of ``capability`` cannot run it: no code for it, or PTX that the driver cannot translate."""
        wanted = version(capability)
        for own in map(version, self.capabilities):
            if own[0] == wanted[0] and own[1] <= wanted[1]:
                return None
        if self.ptx is None or version(self.ptx) > wanted:
            return "none"
        knows = driver_cuda is None or self.cuda is None or version(driver_cuda) >= version(self.cuda)
        return None if knows else "translate"


class Library(Build):
    """CTranslate2's wheel."""

    version: str
    library: str
    """What it loads when a GPU is used."""


class Variant(Build):
    """An image that can be built."""

    torch: str
    minimum_driver: str | None
    ctranslate2: str | None
    openvino: bool = True
    lock: str | None = None
    wheels: Literal["pytorch", "any"]


class Variants(Frozen):
    """``containers/variants.yaml``."""

    variants: dict[str, Variant] = Field(default_factory=dict)
    ctranslate2: Library | None = None

    def fitting(self, driver: str | None, capabilities: Iterable[str]) -> list[str]:
        """Names of the variants with CUDA that this driver and all these GPUs can run, best first.

        Those that everybody can build come before those of PyTorch's own index, the newest CUDA before older ones.
        """
        known = [(v.wheels == "any", version(v.cuda), name, v) for name, v in self.variants.items() if v.cuda]
        return [
            name
            for *_, name, variant in sorted(known, key=lambda row: row[:2], reverse=True)
            if driver
            and variant.minimum_driver
            and version(driver) >= version(variant.minimum_driver)
            and not any(variant.problem(capability, driver_cuda(driver)) for capability in capabilities)
        ]


def load_variants(path: Path = VARIANTS) -> Variants:
    """The variants of a checkout; none outside one."""
    return Variants.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else Variants()


def version(text: str) -> tuple[int, ...]:
    """Numbers of a version, to compare.

    >>> version("525.60.13") < version("525.105.17") < version("580")
    True
    """
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0]))


def driver_cuda(driver: str) -> str:
    """The highest CUDA that a driver supports, by its branch.

    >>> driver_cuda("470.199.02"), driver_cuda("550.54.14")
    ('11.4', '12.4')
    """
    branch = version(driver)[0]
    return next((cuda for first, cuda in reversed(BRANCHES.items()) if first <= branch), "9.0")


def minimum_driver(cuda: str) -> str:
    """The oldest driver for a toolkit.

    >>> minimum_driver("12.1"), minimum_driver("11.8")
    ('525.60.13', '450.80.02')
    """
    return MINIMUM_DRIVERS.get(version(cuda)[0], MINIMUM_DRIVERS[max(MINIMUM_DRIVERS)])


def build_of(cuda: str | None, archs: Iterable[str]) -> Build:
    """A build by torch's list of architectures (``sm_86``, ``compute_120``).

    >>> build_of("13.0", ["sm_75", "sm_90a", "compute_120"])
    Build(cuda='13.0', capabilities=('7.5', '9.0'), ptx='12.0')
    """
    found = [match.groups() for arch in archs if (match := _ARCH.fullmatch(arch))]
    ptx = [f"{major}.{minor}" for kind, major, minor, _ in found if kind == "compute"]
    return Build(
        cuda=cuda,
        capabilities=tuple(f"{major}.{minor}" for kind, major, minor, _ in found if kind == "sm"),
        ptx=max(ptx, key=version, default=None),
    )


def is_data_centre(gpu: str) -> bool:
    """Whether NVIDIA's forward-compatibility packages are meant for a GPU, by its name.

    >>> is_data_centre("NVIDIA A100-SXM4-80GB"), is_data_centre("NVIDIA GeForce RTX 3090"), is_data_centre("Tesla T4")
    (True, False, True)
    """
    return bool(_DATA_CENTRE.search(gpu)) and not _WORKSTATION.search(gpu)
