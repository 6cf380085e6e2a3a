"""Formats and flags stand in one place each; what cannot import it is held to it here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from snakescribe.config import options
from snakescribe.flags import MEANING, Flag
from snakescribe.formats.registry import FORMATS, SERVED, ResponseFormat, ServedFormat
from snakescribe.server.responses import TYPES

SENTENCES = (Path(options.__file__).parents[1] / "pages/sentences.js").read_text(encoding="utf-8")


def test_the_option_outputs_knows_every_format() -> None:
    assert set(get_args(options.OutputFormat)) == FORMATS.keys()
    assert set(options.Config.model_fields["outputs"].default) < set(get_args(ServedFormat)) == SERVED.keys()
    assert len({one.suffix for one in FORMATS.values()}) == len(FORMATS)


def test_every_response_format_has_a_media_type() -> None:
    assert TYPES.keys() == set(get_args(ResponseFormat))
    assert len({one.response for one in SERVED.values()}) == len(SERVED)


def test_every_flag_has_a_meaning() -> None:
    assert set(get_args(Flag)) == MEANING.keys()


@pytest.mark.parametrize("flag", MEANING)
def test_the_page_says_every_flag_in_both_languages(flag: Flag) -> None:
    found = re.search(rf'^  {flag}: \{{\s*en: "(.+)",\s*ko: "(.+)",?\s*\}},$', SENTENCES, re.MULTILINE)
    assert found
    english, korean = found.groups()
    assert len(english) > 20
    assert re.search("[가-힣]", korean)
