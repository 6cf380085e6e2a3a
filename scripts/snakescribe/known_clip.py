"""A sentence whose text is known: what proves that an engine, a device or an image really hears.

A machine's voice (espeak-ng 1.52, voice en-us, 140 words a minute), so there is no speaker and no licence to ask;
chosen because ``base`` and ``tiny.en`` hear it right on every engine, greedy and by beam search, also under noise.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import numpy.typing as npt

TEXT = "She opened the window and looked at the old tree in the garden."
"""What is said."""
LANGUAGE = "en"
"""Whisper's code for it."""
PATH = Path(__file__).with_name("known_clip.flac")
"""16 kHz mono FLAC of 4.9 seconds."""
SAMPLES = 78_140
"""Its length."""


def samples() -> npt.NDArray[np.int16]:
    """The clip at 16 kHz, mono."""
    import av

    with av.open(str(PATH)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


def matches(text: str) -> bool:
    """Whether a transcript says the same words in the same order; case and punctuation do not count.

    >>> matches("she opened the window, and looked at the old tree in the garden")
    True
    >>> matches("")
    False
    """
    return words(text) == words(TEXT)


def words(text: str) -> list[str]:
    """Lower case, without punctuation; what :func:`matches` compares."""
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in text.lower())
    return "".join(kept).split()
