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
    """Whether a form can say it: a list of texts is a field that comes again, or never, and every file is bytes.

    A field that is empty counts as left out, and one that comes once is a list of one.
    """
    return not isinstance(body, dict) or not any(
        value == ""
        or isinstance(value, list) != name.endswith("[]")
        or (isinstance(value, list) and not all(isinstance(one, str) for one in value))
        or (name in ("file", "audio_file") and _no_bytes(value))
        for name, value in body.items()
    )


def _no_bytes(value: object) -> bool:
    return not isinstance(value, (str, bytes))
