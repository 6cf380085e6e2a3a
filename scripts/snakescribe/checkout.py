"""The checkout that this package lies in: Snakefile, workflow/, config/, profiles/, containers/, requirements/.

Outside a checkout (an installed package) none of these paths is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from snakescribe.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
"""Its folder."""
MODELS = ROOT / ".models"
"""The model store that `make setup` fills."""
CALLER = "SNAKESCRIBE_CALLER"
"""Environment variable by which a run tells its steps the version of the checkout whose Snakefile runs: a step may run
in an image with another one."""
VARIANTS = ROOT / "containers/variants.yaml"
"""The image variants."""


def default_profile() -> Mapping[str, Any]:
    """Settings that every profile shares (`profiles/gpu` and others call this)."""
    settings: Mapping[str, Any] = yaml.safe_load((ROOT / "profiles/default/profile.yaml").read_bytes())
    return settings


def sources() -> Path:
    """The checkout whose generated files are meant: the current folder, else the one that this package lies in.

    Raises:
        ConfigError: there is none (an installed package, started elsewhere).
    """
    for folder in (Path.cwd(), ROOT):
        if (folder / "scripts/snakescribe/config/options.py").is_file():
            return folder
    raise ConfigError("no checkout of snakescribe here; go to its folder and try again")
