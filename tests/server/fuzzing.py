"""Loaded by schemathesis: half of the files it makes up become real speech, so that it sees answers too."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import schemathesis

SPEECH = Path(os.environ["SNAKESCRIBE_FUZZ_SPEECH"])
_turn = itertools.count()


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Called with every request's body before it is sent."""
    for name in ("file", "audio_file"):
        if isinstance(body, dict) and isinstance(body.get(name), (str, bytes)) and next(_turn) % 2:
            return body | {name: SPEECH.read_bytes()}
    return body


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: Any) -> bool:
    """Whether a form can say it: it has no lists (a field comes again, or never), and every file is bytes.

    A field that is empty counts as left out.
    """
    return not isinstance(body, dict) or not any(
        value == ""
        or (isinstance(value, list) and not name.endswith("[]"))
        or (name in ("file", "audio_file") and _no_bytes(value))
        for name, value in body.items()
    )


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Whether key words are a list of texts: in a form whatever is sent is a text, and any text a word."""
    words = case.body.get("keywords[]", []) if isinstance(case.body, dict) else []
    return isinstance(words, list) and all(isinstance(word, str) for word in words)


def _no_bytes(value: object) -> bool:
    return not isinstance(value, (str, bytes))
