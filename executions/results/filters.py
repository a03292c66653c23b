"""Conditions on rows: names are checked against the file, values are always bound."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from executions.results.columns import Kind, ResultColumn, ResultFacts
from executions.results.connection import quote_name
from executions.results.errors import ResultError

MAX_VALUES = 1_000
_MAX_DIGITS = 38
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Operator(StrEnum):
    """How a column is compared with a value."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    GREATER = "greater"
    AT_LEAST = "at_least"
    LESS = "less"
    AT_MOST = "at_most"
    IN = "in"
    IS_NULL = "is_null"
    IS_NOT_NULL = "is_not_null"


_COMPARISONS = {
    Operator.EQUALS: "{column} = ?",
    # A row without a value is not that value either.
    Operator.NOT_EQUALS: "{column} IS DISTINCT FROM ?",
    Operator.GREATER: "{column} > ?",
    Operator.AT_LEAST: "{column} >= ?",
    Operator.LESS: "{column} < ?",
    Operator.AT_MOST: "{column} <= ?",
}
_TEXT_TESTS = {
    Operator.CONTAINS: "contains(lower({column}::VARCHAR), lower(?))",
    Operator.STARTS_WITH: "starts_with(lower({column}::VARCHAR), lower(?))",
}
_NULL_TESTS = {Operator.IS_NULL: "{column} IS NULL", Operator.IS_NOT_NULL: "{column} IS NOT NULL"}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition; `value` is what was typed: several texts for `in`, nothing for `is_null`."""

    column: str
    op: str
    value: str | Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL after WHERE and the values bound in it."""

    sql: str
    values: tuple[Any, ...]


def condition(
    facts: ResultFacts, filters: Sequence[Filter], search: str = "", searched: Sequence[ResultColumn] | None = None
) -> Condition:
    """Return the condition of filters and a search, in all columns or those `searched`.

    Raises ResultError for unknown columns.
    """
    parts = [_filter(facts.column(filter_.column), filter_) for filter_ in filters]
    if search:
        parts.append(_search(facts.columns if searched is None else searched, search))
    sql = " AND ".join(f"({part.sql})" for part in parts) or "true"
    return Condition(sql, tuple(value for part in parts for value in part.values))


def _filter(column: ResultColumn, filter_: Filter) -> Condition:
    name = quote_name(column.name)
    try:
        operator = Operator(filter_.op)
    except ValueError:
        raise ResultError(
            f"“{filter_.op[:40]}” is no way to compare. Use one of: {', '.join(Operator)}."
        ) from None
    if operator in _NULL_TESTS:
        return Condition(_NULL_TESTS[operator].format(column=name), ())
    if operator is Operator.IN:
        values = tuple(_parse(column, value) for value in _several(filter_))
        return Condition(f"{name} IN ({', '.join('?' * len(values))})", values)
    value = _single(filter_)
    if operator in _TEXT_TESTS:
        return Condition(_TEXT_TESTS[operator].format(column=name), (_text(value),))
    return Condition(_COMPARISONS[operator].format(column=name), (_parse(column, value),))


def _search(columns: Sequence[ResultColumn], search: str) -> Condition:
    """Return the condition that a text is in some column, without regard to case."""
    tests = [_TEXT_TESTS[Operator.CONTAINS].format(column=quote_name(column.name)) for column in columns]
    return Condition(" OR ".join(tests), (_text(search),) * len(tests))


def _single(filter_: Filter) -> str:
    """Return the one value of a filter."""
    if not isinstance(filter_.value, str):
        raise ResultError(f"The filter on “{filter_.column[:100]}” needs one value.")
    return filter_.value


def _several(filter_: Filter) -> Sequence[str]:
    """Return the values of a filter that takes several."""
    values = [filter_.value] if isinstance(filter_.value, str) else list(filter_.value or ())
    if not 1 <= len(values) <= MAX_VALUES:
        raise ResultError(f"The filter on “{filter_.column[:100]}” needs between 1 and {MAX_VALUES} values.")
    return values


def _parse(column: ResultColumn, value: str) -> Any:
    """Return a typed value as the column's kind."""
    read, example = _READERS[column.kind]
    try:
        return read(value)
    except (ValueError, ArithmeticError, KeyError):
        raise ResultError(f"“{value[:60]}” does not fit the column “{column.name[:60]}”: {example}.") from None


def _text(value: str) -> str:
    return value.encode(errors="replace").decode()


def _number(value: str) -> int | Decimal:
    """Return a number of at most as many digits as a column can have; raises ValueError or ArithmeticError."""
    number = Decimal(value.strip())
    if not number.is_finite() or max(number.adjusted(), 0) - min(_exponent(number), 0) >= _MAX_DIGITS:
        raise ValueError
    return int(number) if number == number.to_integral_value() else number


def _exponent(number: Decimal) -> int:
    """Return the exponent of a finite number."""
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _timestamp(value: str) -> dt.datetime:
    """Return a time; one with a zone is moved to UTC, in which results are."""
    time = dt.datetime.fromisoformat(value.strip())
    return time.astimezone(dt.UTC).replace(tzinfo=None) if time.tzinfo else time


_READERS: dict[Kind, tuple[Callable[[str], Any], str]] = {
    Kind.TEXT: (_text, ""),
    Kind.INTEGER: (_number, "write a number like 1200"),
    Kind.DECIMAL: (_number, "write a number like 12.5"),
    Kind.DOUBLE: (float, "write a number like 12.5"),
    Kind.DATE: (lambda value: dt.date.fromisoformat(value.strip()), "write a day like 2026-10-01"),
    Kind.TIMESTAMP: (_timestamp, "write a time in UTC like 2026-10-01 13:30"),
    Kind.BOOLEAN: (lambda value: _TRUTH[value.strip().lower()], "write true or false"),
}
