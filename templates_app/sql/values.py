"""Turns the value of a parameter into items, and items into SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from amc_facts.identifiers import ASIN_SEPARATORS, ID_LINE, ID_SEPARATORS
from templates_app.sql.names import Type

Code = Literal["missing", "empty", "type", "date", "null", "list", "glued", "malformed", "too_long"]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_DATE = re.compile(
    r"""
    (?P<when> (?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})
        (?P<time> [T\ ] (?:[01][0-9]|2[0-3]) :[0-5][0-9] (?: :[0-5][0-9] (?: \.[0-9]{1,6} )? )? )?
    )
    (?(time) (?: Z | [+-]00:?00 )? )
    """,
    re.VERBOSE,
)
# 1E+999999999 is a short text of a decimal, but would become a gigabyte of SQL.
_MAX_ZEROS = 10_000


class ValueProblem(Exception):  # noqa: N818  an outcome that the caller turns into its error
    """A value that cannot be used; `message` goes on from the parameter's name."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Items(NamedTuple):
    """A value ready for any place: texts, all of them numbers when `kind` says so, or one word such as TRUE."""

    kind: Literal["text", "number", "boolean", "null"]
    texts: Sequence[str]


def quote(text: str) -> str:
    """Return a text as an SQL string. Only the quote has a meaning there, so only it is doubled."""
    return "'" + text.replace("'", "''") + "'"


def read_items(value: object, type_: Type) -> Items:
    """Read a value as items of a type. Raises ValueProblem."""
    if value is None or isinstance(value, bool):
        return _read_word(value, type_)
    if not isinstance(value, list | tuple):
        text = _read_item(value)
        if not text.strip():
            raise ValueProblem("missing", "needs a value.")
        texts = _split(text, type_) if isinstance(value, str) else [text]
        return _check_items([value], texts, type_)
    if not value:
        raise ValueProblem("empty", "is an empty list: give at least one item.")
    return _check_items(value, [_read_item(item) for item in value], type_)


def _check_items(values: Sequence[object], texts: list[str], type_: Type) -> Items:
    if type_ == "date":
        return Items("text", [_read_date(value) for value in values])
    if type_ != "text":
        texts = _distinct(texts)
    is_number = type_ != "asin" and all(map(_NUMBER.fullmatch, texts))
    return Items("number" if is_number else "text", texts)


def _read_word(value: bool | None, type_: Type) -> Items:
    if value is None:
        if type_ in ("asin", "campaign"):
            raise ValueProblem("missing", "needs a value.")
        return Items("null", ["NULL"])
    if type_ == "date":
        raise _no_date()
    if type_ != "text":
        raise ValueProblem("type", "cannot be true or false: give text or numbers.")
    return Items("boolean", ["TRUE" if value else "FALSE"])


def _read_item(value: object) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueProblem("type", "holds the character U+0000: remove it.")
        return value
    if value is None:
        raise ValueProblem("null", "has a null in its list: remove it, as NOT IN with a NULL never matches.")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueProblem("type", "must be text, a number, or a list of texts and numbers.")
    return _digits(value)


def _digits(number: int | float | Decimal) -> str:
    # repr() has the digits a float was typed with. A decimal has every digit of an integer, of any length.
    decimal = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if not decimal.is_finite() or (not isinstance(number, int) and abs(decimal.adjusted()) > _MAX_ZEROS):
        raise ValueProblem("type", "must be a finite number that can be written out.")
    return format(decimal, "f")


def _read_date(value: object) -> str:
    match = _DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise _no_date()
    try:
        date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        raise _no_date() from None
    return match["when"]


def _no_date() -> ValueProblem:
    form = "a date such as 2025-01-31, or with a time 2025-01-31T06:30:00, in UTC"
    return ValueProblem("date", f"must be {form}: AMC takes no time zone.")


def _split(text: str, type_: Type) -> list[str]:
    """Cut the text of a textarea into items; other texts are one item."""
    if type_ == "asin":
        return ASIN_SEPARATORS.split(text)
    if type_ != "campaign":
        return [text]
    items: list[str] = []
    for line in _LINE_BREAK.split(text):
        items += ID_SEPARATORS.split(line) if ID_LINE.fullmatch(line) else [line]
    return items


def _distinct(texts: list[str]) -> list[str]:
    """Trim items and drop blank ones and later duplicates, in order."""
    distinct = list(dict.fromkeys(filter(None, map(str.strip, texts))))
    if not distinct:
        raise ValueProblem("empty", "has no item: give at least one.")
    return distinct


def as_text(value: Any) -> str:
    """Return a saved value as the text of an input: lists one item per line."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(as_text(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
