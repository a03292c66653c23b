"""One page of a result: sorted, filtered and searched inside the file, whatever its size."""

# ruff: noqa: S608 - names are quoted and checked against the file, values are bound.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from executions.results.blocks import names_sql
from executions.results.columns import ROW_NUMBER, ResultColumn, ResultFacts, open_result
from executions.results.connection import FileQueries, quote_name
from executions.results.display import display
from executions.results.errors import ResultError
from executions.results.filters import Condition, Filter, condition

MAX_SIZE = 1_000
# A table of more columns is read by nobody, and takes its time and memory on both sides of the wire.
SHOWN_COLUMNS = 50
# Beyond either of them a search in all columns takes more memory or time than a page may have.
MAX_SEARCHED_COLUMNS, MAX_SEARCHED_CELLS = 200, 100_000_000
_TIMEOUT_SECONDS = 20.0
_REVERSED = {"asc": "DESC", "desc": "ASC"}


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Rows ready to be shown, None standing for NULL; `total` rows in the result, `filtered` of them match.

    `columns` are those shown, of `column_count` in all; a search looked in `searched_columns` of them.
    """

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    total: int
    filtered: int
    offset: int
    column_count: int
    searched_columns: int


def page(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    offset: int = 0,
    size: int = 50,
    sort: Sequence[tuple[str, str]] = (),
    filters: Sequence[Filter] = (),
    search: str = "",
    filtered: int | None = None,
    facts: ResultFacts | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> ResultPage:
    """Return `size` rows from `offset` on; rows that sort equal stay in AMC's order, NULL is last either way.

    `columns` are the names of those to read and show, None the first SHOWN_COLUMNS; sorting and filters may be by any.
    `filtered` is the number of matching rows when the caller knows it from an earlier page of the same filters,
    `facts` what `read_facts` gave. Raises ResultError for unknown columns and unfit values, ResultTimeoutError when it
    takes too long.
    """
    if offset < 0 or not 1 <= size <= MAX_SIZE:
        raise ValueError(f"A page begins at 0 or later and has 1 to {MAX_SIZE} rows.")
    if columns is not None and not 1 <= len(columns) <= SHOWN_COLUMNS:
        raise ValueError(f"A page has 1 to {SHOWN_COLUMNS} columns.")
    with open_result(path, facts=facts, timeout_seconds=timeout_seconds) as (connection, known):
        shown = known.columns[:SHOWN_COLUMNS] if columns is None else tuple(map(known.column, columns))
        searched = known.columns if is_searched_whole(known) else shown
        query = _Query(connection, path, shown, condition(known, filters, search, searched))
        if filtered is None and not (search or filters):
            filtered = known.rows
        try:
            filtered, numbers = query.find(_order(known, sort), offset, size, filtered)
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            raise ResultError(
                "A number in the filters has more digits than the column can be compared with."
            ) from None
        rows = query.rows(numbers)
    return ResultPage(shown, rows, known.rows, filtered, offset, len(known.columns), len(searched))


def is_searched_whole(facts: ResultFacts) -> bool:
    """Return whether a search looks in every column, also in those that are not shown."""
    count = len(facts.columns)
    return count <= SHOWN_COLUMNS or (count <= MAX_SEARCHED_COLUMNS and facts.cells <= MAX_SEARCHED_CELLS)


class _Query(FileQueries):
    """Questions about the matching rows of one file."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        shown: Sequence[ResultColumn],
        where: Condition,
    ) -> None:
        super().__init__(connection, path)
        self._shown, self._where = shown, where

    def find(
        self, order: Sequence[tuple[str, str]], offset: int, size: int, filtered: int | None
    ) -> tuple[int, list[int]]:
        """Return how many rows match and the numbers of those on the page.

        For the first pages all rows are looked at once; what lies further behind is counted first, to begin at the
        nearer end.
        """
        if filtered is None and offset + size <= MAX_SIZE:
            filtered, numbers = self.first(order, offset + size)
            return filtered, numbers[offset:]
        if filtered is None:
            filtered = self.count()
        size = min(size, max(filtered - offset, 0))
        return filtered, self.numbers(order, offset, size, filtered) if size else []

    def first(self, order: Sequence[tuple[str, str]], size: int) -> tuple[int, list[int]]:
        """Return how many rows match and the numbers of the first ones, in constant memory."""
        first = f"min({ROW_NUMBER}, {int(size)})"
        if order:
            parts = [f"{name}, '{direction.upper()} NULLS LAST'" for name, direction in order]
            key = ", ".join([*parts, f"{ROW_NUMBER}, 'ASC NULLS LAST'"])
            first = f"arg_min({ROW_NUMBER}, create_sort_key({key}), {int(size)})"
        sql = f"SELECT count(*), {first} FROM read_parquet(?, file_row_number = true) WHERE {self._where.sql}"
        count, numbers = self._fetch(sql, self._where.values)[0]
        return int(count), list(numbers or ())

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
        names = names_sql(self._shown)
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
