"""How long a server may take to stop: as long as the option says, but not longer than whoever kills it waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakescribe.config import load_config
from snakescribe.config.load import DOCKER_GIVES, TO_END
from snakescribe.errors import ConfigError

IMAGE = {"SNAKESCRIBE_VARIANT": "cpu"}


@pytest.mark.parametrize(
    ("environ", "asked", "seconds"),
    [
        ({}, 60.0, 60.0),
        (IMAGE, 60.0, DOCKER_GIVES - TO_END),
        (IMAGE, 1.0, 1.0),
        (IMAGE | {"SNAKESCRIBE_STOP_TIMEOUT": "70"}, 60.0, 60.0),
        (IMAGE | {"SNAKESCRIBE_STOP_TIMEOUT": "30"}, 60.0, 30.0 - TO_END),
        ({"SNAKESCRIBE_STOP_TIMEOUT": "2"}, 60.0, 0.0),
        (IMAGE | {"SNAKESCRIBE_STOP_TIMEOUT": "inf"}, 60.0, 60.0),
    ],
)
def test_patience(environ: dict[str, str], asked: float, seconds: float) -> None:
    config = load_config({"server": {"shutdown_seconds": asked}}, Path("/"), environ)
    assert config.server.shutdown_seconds == seconds


@pytest.mark.parametrize("given", ["70s", "nan", "-1"])
def test_no_number_of_seconds_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=f"SNAKESCRIBE_STOP_TIMEOUT: '{given}' is no number of seconds"):
        load_config({}, Path("/"), {"SNAKESCRIBE_STOP_TIMEOUT": given})
