"""One page of a result: sorted, filtered and searched inside the file, whatever its size."""

# ruff: noqa: S608 - names are quoted and checked against the file, values are bound.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from executions.results.columns import ROW_NUMBER, ResultColumn, ResultFacts, open_result
from executions.results.connection import FileQueries, quote_name
from executions.results.display import display
from executions.results.errors import ResultError
from executions.results.filters import Condition, Filter, condition

MAX_SIZE = 1_000
_TIMEOUT_SECONDS = 20.0
_REVERSED = {"asc": "DESC", "desc": "ASC"}


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Rows ready to be shown, None standing for NULL; `total` rows in the result, `filtered` of them match."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    total: int
    filtered: int
    offset: int


def page(
    path: Path,
    *,
    offset: int = 0,
    size: int = 50,
    sort: Sequence[tuple[str, str]] = (),
    filters: Sequence[Filter] = (),
    search: str = "",
    filtered: int | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> ResultPage:
    """Return `size` rows from `offset` on; rows that sort equal stay in AMC's order, NULL is last either way.

    `filtered` is the number of matching rows when the caller knows it from an earlier page of the same filters.
    Raises ResultError for unknown columns and unfit values, ResultTimeoutError when it takes too long.
    """
    if offset < 0 or not 1 <= size <= MAX_SIZE:
        raise ValueError(f"A page begins at 0 or later and has 1 to {MAX_SIZE} rows.")
    with open_result(path, timeout_seconds=timeout_seconds) as (connection, facts):
        where = condition(facts, filters, search)
        order = _order(facts, sort)
        query = _Query(connection, path, facts, where)
        try:
            if filtered is None:
                filtered = query.count() if where.values or filters else facts.rows
            size = min(size, max(filtered - offset, 0))
            numbers = query.numbers(order, offset, size, filtered) if size else []
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise ResultError(
                "A number in the filters has more digits than the column can be compared with."
            ) from None
        rows = query.rows(numbers)
    return ResultPage(facts.columns, rows, facts.rows, filtered, offset)


class _Query(FileQueries):
    """Questions about the matching rows of one file."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, path: Path, facts: ResultFacts, where: Condition
    ) -> None:
        super().__init__(connection, path)
        self._facts, self._where = facts, where

    def count(self) -> int:
        """Return how many rows match."""
        return int(
            self._fetch(f"SELECT count(*) FROM read_parquet(?) WHERE {self._where.sql}", self._where.values)[0][0]
        )

    def numbers(self, order: Sequence[tuple[str, str]], offset: int, size: int, filtered: int) -> list[int]:
        """Return the numbers of the rows on the page; only the columns asked about are read."""
        if not order and self._where.sql == "true":
            return list(range(offset, offset + size))
        # The last page is as near as the first one, seen from the other end.
        is_reversed = offset > filtered // 2
        if is_reversed:
            offset = filtered - offset - size
        sql = (
            f"SELECT {ROW_NUMBER} FROM read_parquet(?, file_row_number = true) WHERE {self._where.sql}"
            f" ORDER BY {_order_sql(order, is_reversed)} LIMIT ? OFFSET ?"
        )
        found = [row[0] for row in self._fetch(sql, (*self._where.values, size, offset))]
        return found[::-1] if is_reversed else found

    def rows(self, numbers: Sequence[int]) -> tuple[tuple[str | None, ...], ...]:
        """Return the rows with these numbers, in this order."""
        if not numbers:
            return ()
        names = ", ".join(quote_name(column.name) for column in self._facts.columns)
        chosen = ", ".join(str(int(number)) for number in numbers)
        sql = (
            f"SELECT {ROW_NUMBER}, {names} FROM read_parquet(?, file_row_number = true)"
            f" WHERE {ROW_NUMBER} IN ({chosen})"
        )
        found = {row[0]: row[1:] for row in self._fetch(sql)}
        return tuple(tuple(display(value) for value in found[number]) for number in numbers)


def _order(facts: ResultFacts, sort: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    order = []
    for name, direction in sort:
        if direction not in _REVERSED:
            raise ResultError(f"“{direction[:20]}” is no direction to sort in. Use asc or desc.")
        order.append((quote_name(facts.column(name).name), direction))
    return order


def _order_sql(order: Sequence[tuple[str, str]], is_reversed: bool) -> str:
    """Return what stands after ORDER BY; the place in the file decides between equal rows."""
    if is_reversed:
        parts = [f"{name} {_REVERSED[direction]} NULLS FIRST" for name, direction in order]
        return ", ".join([*parts, f"{ROW_NUMBER} DESC"])
    parts = [f"{name} {direction.upper()} NULLS LAST" for name, direction in order]
    return ", ".join([*parts, ROW_NUMBER])
