"""Korean numbers in digits, so that a text is not wrong for spelling them out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


def in_digits(text: str) -> str:
    """Numbers before counters as digits, without the blank between them.

    >>> in_digits("이천이십육년 시월 세 시 삼십 분, 삼만 오천 원"), in_digits("2026년 10월 3시 30분, 35,000원")
    ('2026년 10월 3시 30분, 35000원', '2026년 10월 3시 30분, 35000원')
    >>> in_digits("공일공 일이삼사 오육칠팔"), in_digits("이 사람은 구조를 사이에 둔다")
    ('010 1234 5678', '이 사람은 구조를 사이에 둔다')
    """
    rules = _rules()
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = _patterns()["words"].sub(lambda match: rules["words"][match[0]], text)
    text = _patterns()["digits"].sub(lambda match: "".join(str(rules["digits"][one]) for one in match[0]), text)
    text = _patterns()["native"].sub(lambda match: str(_native(match[1])), text)
    levels = (rules["myriads"], rules["tens"])

    def sino(match: re.Match[str]) -> str:
        return match[1] + str(_value(match[2].replace(" ", ""), levels)) if match[2] else match[0]

    return _patterns()["sino"].sub(sino, text)


def _value(text: str, levels: Sequence[Mapping[str, int]]) -> int:
    """A number whose units of the first level have numbers of the next ones in front of them; none means one."""
    if not levels:
        digits: Mapping[str, int] = _rules()["digits"]
        return int("".join(str(digits.get(one, one)) for one in text) or 0)
    total = 0
    for unit, value in levels[0].items():
        before, found, after = text.partition(unit)
        if found:
            total, text = total + (_value(before, levels[1:]) or 1) * value, after
    return total + _value(text, levels[1:])


def _native(text: str) -> int:
    rules = _rules()
    for ten, value in rules["native_tens"].items():
        if text.startswith(ten):
            return int(value + rules["native"].get(text[len(ten) :], 0))
    return int(rules["native"][text])


@cache
def _rules() -> dict[str, Any]:
    text = files("snakescribe.evaluation").joinpath("korean_numbers.yaml").read_text(encoding="utf-8")
    rules: dict[str, Any] = yaml.safe_load(text)
    return rules


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    rules = _rules()
    one = rf"(?:[{''.join(rules['digits'])}]|\d+)"
    small = "".join(rf"(?:{one}?{ten} ?)?" for ten in rules["tens"]) + f"{one}?"
    number = "".join(rf"(?:{small}{unit} ?)?" for unit in rules["myriads"]) + small
    begin = rf"[{''.join([*rules['digits'], *rules['tens'], *rules['myriads']])}\d]"
    after = rf"(?:{_any(rules['after'])}|(?![가-힣]))"
    own = rf"(?:{_any(rules['native_counters'])}){after}"
    tens, ones = _any(rules["native_tens"]), _any(rules["native"])
    return {
        "words": re.compile(_any(rules["words"])),
        # 공일공: a telephone number, digit by digit
        "digits": re.compile(rf"(?<![가-힣])[{''.join(rules['digits'])}]{{3,}}(?![가-힣])"),
        "native": re.compile(rf"(?<![가-힣])((?:{tens})(?:{ones})?|{ones}) ?(?={own})"),
        "sino": re.compile(rf"(?<![가-힣\d])(제?)(?={begin})({number}) ?(?=%|(?:{_any(rules['counters'])}){after})"),
    }


def _any(words: Any) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))
