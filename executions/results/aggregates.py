"""Sums that are exact wherever that is possible."""

from __future__ import annotations

import re

from executions.results.columns import Kind, ResultColumn
from executions.results.connection import quote_name

_MAX_DIGITS = 38
_DECIMAL = re.compile(r"DECIMAL\((\d+), (\d+)\)")


def total_sql(column: ResultColumn, rows: int) -> str:
    """Return the SQL of a column's sum; of doubles only where the exact sum of so many rows needs too many digits."""
    return f"sum({_summand(column, rows)})"


def mean_sql(column: ResultColumn, rows: int) -> str:
    """Return the SQL of a column's mean."""
    return f"avg({_summand(column, rows)})"


def _summand(column: ResultColumn, rows: int) -> str:
    name = quote_name(column.name)
    declared = _DECIMAL.fullmatch(column.sql_type)
    if column.kind is Kind.DECIMAL and declared and int(declared[1]) + len(str(rows)) > _MAX_DIGITS:
        return f"{name}::DOUBLE"
    return name
