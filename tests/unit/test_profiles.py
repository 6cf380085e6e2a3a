"""What the profiles say, as Snakemake reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from snakemake.profiles import ProfileConfigFileParser

from snakescribe.checkout import ROOT, default_profile

PROFILES = sorted(ROOT.glob("profiles/*/profile.yaml"))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_every_profile_has_the_settings_of_the_default_one(path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        settings = ProfileConfigFileParser().parse(file)
    shared = {"rerun-triggers": ["mtime", "params", "input"], "nolock": "True", "rerun-incomplete": "True"}
    assert shared.items() <= settings.items() >= {"keep-going": "True", "scheduler": "greedy"}.items()
    assert default_profile().keys() <= settings.keys()
    assert (path.parent.name == "default") == (default_profile().keys() == settings.keys())
