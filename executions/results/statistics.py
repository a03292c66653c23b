"""What every column of a result holds, in a few figures."""

# ruff: noqa: S608 - names are quoted and come from the file.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from executions.results.aggregates import mean_sql, total_sql
from executions.results.columns import Kind, ResultColumn, ResultFacts, open_result
from executions.results.connection import quote_name
from executions.results.display import display

TOP_VALUES = 5
_TIMEOUT_SECONDS = 60.0
# Above this nearly every value is its own, and counting them all tells nothing.
_MAX_COUNTED = 200_000
_COLUMNS_PER_PASS = 20


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """Figures of a column, ready to be shown; `values` and `nulls` add up to the rows, `distinct` is approximate.

    `mean` and `total` are for numbers that can be added, `top` (value and times) for texts and truths.
    """

    column: ResultColumn
    values: int
    nulls: int
    distinct: int
    minimum: str | None
    maximum: str | None
    mean: float | None
    total: str | None
    top: tuple[tuple[str, int], ...] = ()


def column_statistics(
    path: Path,
    *,
    first: int = 0,
    number: int | None = None,
    facts: ResultFacts | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> tuple[ColumnStatistics, ...]:
    """Return the figures of `number` columns (None: all) from the `first` on, counted from 0.

    NaN and infinity count, but not in minimum, maximum, mean and total. `facts` is what `read_facts` gave, if the
    caller has it.
    """
    with open_result(path, facts=facts, timeout_seconds=timeout_seconds) as (connection, known):
        wanted = known.columns[first : None if number is None else first + number]
        found: list[ColumnStatistics] = []
        for start in range(0, len(wanted), _COLUMNS_PER_PASS):
            found += _figures(connection, path, wanted[start : start + _COLUMNS_PER_PASS], known.rows)
    return tuple(found)


def _figures(
    connection: duckdb.DuckDBPyConnection, path: Path, columns: Sequence[ResultColumn], rows: int
) -> list[ColumnStatistics]:
    """Return the figures of some columns: one pass, then the commonest values of those that have them."""
    selected = ", ".join(part for column in columns for part in _aggregates(column, rows))
    answers = connection.execute(f"SELECT {selected} FROM read_parquet(?)", [str(path)]).fetchone()
    answer = iter(answers or ())
    found = []
    for column in columns:
        values, distinct, minimum, maximum, mean, total = (next(answer) for _ in range(6))
        found.append(
            ColumnStatistics(
                column=column,
                values=values,
                nulls=rows - values,
                # The estimate can miss upwards by some per cent.
                distinct=min(distinct, values),
                minimum=display(minimum),
                maximum=display(maximum),
                mean=mean,
                total=display(total),
                top=_top_values(connection, path, column) if _has_top_values(column, distinct) else (),
            )
        )
    return found


def _aggregates(column: ResultColumn, rows: int) -> list[str]:
    name = quote_name(column.name)
    finite = f" FILTER (isfinite({name}))" if column.kind is Kind.DOUBLE else ""
    is_summed = column.is_numeric and not column.is_identifier
    return [
        f"count({name})",
        f"approx_count_distinct({name})",
        f"min({name}){finite}",
        f"max({name}){finite}",
        f"{mean_sql(column, rows)}{finite}" if is_summed else "NULL",
        f"{total_sql(column, rows)}{finite}" if is_summed else "NULL",
    ]


def _has_top_values(column: ResultColumn, distinct: int) -> bool:
    return column.kind in {Kind.TEXT, Kind.BOOLEAN} and 0 < distinct <= _MAX_COUNTED


def _top_values(
    connection: duckdb.DuckDBPyConnection, path: Path, column: ResultColumn
) -> tuple[tuple[str, int], ...]:
    """Return the commonest values with exact counts; of equally common ones the first by name."""
    name = quote_name(column.name)
    counted: list[tuple[Any, int]] = connection.execute(
        f"SELECT {name}, count(*) AS times FROM read_parquet(?) WHERE {name} IS NOT NULL"
        f" GROUP BY {name} ORDER BY times DESC, {name} LIMIT {TOP_VALUES}",
        [str(path)],
    ).fetchall()
    return tuple((display(value) or "", times) for value, times in counted)
