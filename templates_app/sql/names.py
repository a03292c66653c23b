"""Names of parameters: which characters they have, and the type that a name decides."""

from __future__ import annotations

import re
from typing import Literal

Type = Literal["text", "date", "asin", "campaign"]

_AT_THE_END_OF_A_DATE = frozenset(["from", "to", "start", "end", "begin", "min", "max", "utc"])
_DATE = frozenset(("date", "dates", "startdate", "enddate"))
_LISTED: dict[str, Type] = {"asin": "asin", "asins": "asin", "campaign": "campaign", "campaigns": "campaign"}
# `campaign_type` is about campaigns, but holds none; `max_campaigns` is a number.
_AFTER_WHICH_NOT = frozenset(
    (
        "brand",
        "brands",
        "budget",
        "category",
        "count",
        "end",
        "filter",
        "filters",
        "pattern",
        "prefix",
        "rank",
        "start",
        "status",
        "title",
        "type",
        "types",
    )
)
_BEFORE_WHICH_NOT = frozenset(("max", "min", "num"))

_ASCII_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_name_character(character: str) -> bool:
    """Return whether a character may stand inside a name."""
    return f"_{character}".isidentifier()


def leading_name(text: str) -> str:
    """Return the longest name that `text` begins with, empty when it begins with none."""
    if text.isascii():
        match = _ASCII_NAME.match(text)
        return match[0] if match else ""
    if text.isidentifier():
        return text
    if not text[0].isidentifier():
        return ""
    end = next((index for index, character in enumerate(text) if not is_name_character(character)), len(text))
    return text[:end]


def type_of(name: str) -> Type:
    """Return the type of a parameter. Only the name decides, never the SQL around it."""
    words = _words(name)
    if _is_date(words):
        return "date"
    last = next((index for index in reversed(range(len(words))) if words[index] in _LISTED), None)
    if last is None:
        return "text"
    if last and words[last - 1] in _BEFORE_WHICH_NOT:
        return "text"
    if last + 1 < len(words) and words[last + 1] in _AFTER_WHICH_NOT:
        return "text"
    return _LISTED[words[last]]


def _is_date(words: list[str]) -> bool:
    last = len(words) - 1
    while last >= 0 and (words[last].isdigit() or words[last] in _AT_THE_END_OF_A_DATE):
        last -= 1
    return last >= 0 and words[last] in _DATE


def _words(name: str) -> list[str]:
    words: list[str] = []
    start = 0
    for index in range(1, len(name)):
        if name[index] == "_" or name[index - 1] == "_" or _is_border(name[index - 1], name[index]):
            words.append(name[start:index])
            start = index
    words.append(name[start:])
    return [word.lower() for word in words if word != "_"]


def _is_border(left: str, right: str) -> bool:
    if left.isalpha():
        return right.isdigit() or (left.islower() and right.isupper())
    return left.isdigit() and right.isalpha()
