"""How long a text takes to say. ``speaking_rates.json`` has letters a second by language, with their source.

A letter of an alphabet, a syllable in Hangul, a character in Japanese and Chinese (where one is about a syllable).
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


def seconds_to_say(text: str, language: str) -> float:
    """Seconds that people take to read a text aloud, on average.

    >>> seconds_to_say("It was the best of times.", "en"), seconds_to_say("마음에 드는 건 다 입어보셔도 됩니다.", "ko")
    (1.2, 2.1)
    """
    return round(sum(map(str.isalnum, text)) / _letters_per_second(language), 1)


@cache
def _letters_per_second(language: str) -> float:
    listed = json.loads(files(__package__).joinpath("speaking_rates.json").read_bytes())
    found: float = listed["languages"].get(language, listed["other"])["per_second"]
    return found
