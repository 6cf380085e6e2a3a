"""Errors of a run per language, and words invented where nobody speaks (counted by snakescribe.evaluation)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.folder import Recording
from snakescribe.evaluation.counts import Errors, edits

LEFT_OUT = "digits"
"""A kind of recording: single words of half a second, where one error is an error rate of 1."""


def score(recordings: Iterable[Recording], texts: Mapping[str, str]) -> dict[str, Errors]:
    """Errors per language; a recording without a text counts as one heard as nothing."""
    found: dict[str, Errors] = {}
    for recording in recordings:
        text = texts.get(recording.path, "")
        if not recording.references:  # of a damaged one with speech in it, nobody can say what is invented
            errors = Errors(invented=len(text.split()) if recording.seconds else 0)
        elif recording.kind == LEFT_OUT:
            errors = Errors()
        else:
            attempts = (edits(reference, text, recording.language) for reference in recording.references)
            errors = min(attempts, key=lambda attempt: attempt.rate or 0.0)
        found[recording.language] = found.get(recording.language, Errors()) + errors
    return found


def groups(errors: Mapping[str, Errors], apart: Iterable[str] = ("en", "fr", "ko")) -> dict[str, Errors]:
    """The languages ``apart``, all others pooled, and the total."""
    shown = {language: errors.get(language, Errors()) for language in apart}
    others = (counts for language, counts in errors.items() if language not in shown)
    return shown | {"others": sum(others, Errors()), "all": sum(errors.values(), Errors())}
