"""All rows of a result, read so that memory does not grow with its columns."""

# ruff: noqa: S608 - names are quoted and come from the file, numbers are our own.
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb

from executions.results.columns import ROW_NUMBER, ResultColumn, ResultFacts
from executions.results.connection import quote_name

# A column that is read takes room for 2,048 values at every step of a statement, however few rows there are.
COLUMNS_AT_ONCE = 100
_MAX_ROWS = 2_048

Select = Callable[[Sequence[ResultColumn]], str]


def names_sql(columns: Sequence[ResultColumn]) -> str:
    """Return the names of columns as SQL lists them."""
    return ", ".join(quote_name(column.name) for column in columns)


def column_groups(columns: Sequence[ResultColumn]) -> list[Sequence[ResultColumn]]:
    """Return columns in groups of which each can be read in one statement."""
    return [columns[start : start + COLUMNS_AT_ONCE] for start in range(0, len(columns), COLUMNS_AT_ONCE)]


def read_blocks(
    connection: duckdb.DuckDBPyConnection, path: Path, facts: ResultFacts, select: Select, *, cells_at_once: int
) -> Iterator[list[tuple[Any, ...]]]:
    """Return all rows in their order, about so many cells at a time.

    `select` says in SQL what is wanted of some columns; of a wide result it is asked for one group after the other,
    and a row has what the groups gave side by side.
    """
    rows_at_once = max(1, min(_MAX_ROWS, cells_at_once // max(len(facts.columns), 1)))
    groups = column_groups(facts.columns)
    if len(groups) == 1:
        rows = connection.execute(f"SELECT {select(facts.columns)} FROM read_parquet(?)", [str(path)])
        while batch := rows.fetchmany(rows_at_once):
            yield batch
        return
    statements = [
        f"SELECT {select(group)} FROM read_parquet(?, file_row_number = true) WHERE {ROW_NUMBER} BETWEEN ? AND ?"
        for group in groups
    ]
    for first in range(0, facts.rows, rows_at_once):
        bound = [str(path), first, first + rows_at_once - 1]
        parts = [connection.execute(statement, bound).fetchall() for statement in statements]
        yield [tuple(chain.from_iterable(row)) for row in zip(*parts, strict=True)]
