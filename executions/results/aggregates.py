"""Sums that are exact wherever that is possible."""

from __future__ import annotations

import re

from executions.results.columns import Kind, ResultColumn
from executions.results.connection import quote_name

_MAX_DIGITS = 38
_DECIMAL = re.compile(r"DECIMAL\((\d+), (\d+)\)")


def total_sql(column: ResultColumn, rows: int) -> str:
    """Write the sum of a column; as doubles only where the exact sum of so many rows could need too many digits."""
    return f"sum({_summand(column, rows)})"


def mean_sql(column: ResultColumn, rows: int) -> str:
    """Write the mean of a column."""
    return f"avg({_summand(column, rows)})"


def _summand(column: ResultColumn, rows: int) -> str:
    """Write what is added up."""
    name = quote_name(column.name)
    declared = _DECIMAL.fullmatch(column.sql_type)
    if column.kind is Kind.DECIMAL and declared and int(declared[1]) + len(str(rows)) > _MAX_DIGITS:
        return f"{name}::DOUBLE"
    return name
