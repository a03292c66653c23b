"""From the CSV AMC sent to a Parquet file that can be paged."""

# ruff: noqa: S608 - names are quoted and checked against the file, values are bound.
from __future__ import annotations

import logging
import os
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from executions.results.columns import METADATA_KEY, ResultColumn, ResultFacts, pack_columns, unique_names
from executions.results.connection import open_files, open_kept, quote_name, quote_text
from executions.results.errors import ResultError, ResultMemoryError, RowsTooLongError
from executions.results.inference import TextColumn, sample, settle
from executions.results.source import CsvShape, CsvTable, check_csv, glance
from executions.results.watching import Stop

if TYPE_CHECKING:
    from instances.amc.executions import OutputColumn

logger = logging.getLogger(__name__)

# Columns after these are kept as texts: the types of so many are of no use to anybody who looks at them.
MAX_TYPED_COLUMNS = 1_000
# DuckDB keeps what it read until the limit makes it let go, so this, and not need, is what a conversion takes.
MEMORY_LIMIT_MB = 80
_LARGE_MEMORY_LIMIT_MB = 512
# It reserves room for 2,048 values of every column, of which it touches what it fills.
_COLUMNS_PER_MB = 5
# Small enough that the rows of a sorted page, which lie anywhere, are gathered quickly, and that a group,
# which is in memory as a whole while it is written, stays small with wide rows too.
_ROW_GROUP_ROWS = 16_384
_ROW_GROUP_BYTES = 16_000_000
_LEAST_ROWS = 2_048
# Up to so many columns are checked by the reading that makes the file; more would take their memory at once.
_MAX_CHECKED_COLUMNS = 100


class _UnlikeError(Exception):
    """DuckDB found something else in the file than was counted, or cannot read it at all."""


def convert(
    csv_path: Path,
    parquet_path: Path,
    *,
    columns: Sequence[OutputColumn] | None,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
    stop: Stop | None = None,
) -> ResultFacts:
    """Convert a CSV in constant memory, rows in their order, every value exact; replaces the target at once.

    `columns` is what AMC declared, None or empty when it declared nothing. Raises ResultError for a malformed file,
    StoppedError or duckdb.InterruptException once `stop` is requested.
    """
    stop = stop or Stop()
    unfinished = parquet_path.with_name(f".{parquet_path.name}.{uuid.uuid4().hex}.tmp")
    shape = glance(csv_path, stop.check)
    try:
        while True:
            try:
                described = _Conversion(csv_path, unfinished, shape, columns or (), stop).run(memory_limit_mb)
                break
            except _UnlikeError as problem:
                # Whoever counted or DuckDB is wrong: a reading of every field decides, once.
                if shape.is_judged:
                    raise ResultError(
                        f"The result cannot be read as CSV. {problem}. Run the query again."
                    ) from problem
                shape = check_csv(csv_path, stop.check)
        _flush(unfinished)
        sizes = csv_path.stat().st_size, unfinished.stat().st_size
        facts = ResultFacts(shape.rows, *sizes, described, MAX_TYPED_COLUMNS)
        unfinished.replace(parquet_path)
    finally:
        unfinished.unlink(missing_ok=True)
    return facts


class _Conversion:
    """One try to make the file from a CSV of a known shape."""

    def __init__(
        self, csv_path: Path, target: Path, shape: CsvShape, declared: Sequence[OutputColumn], stop: Stop
    ) -> None:
        self._csv_path, self._target, self._shape, self._stop = csv_path, target, shape, stop
        names = unique_names(shape.header)
        # The usual result: known already, and written in the time in which a DuckDB of its own would be opened.
        self._is_small = shape.records is not None and len(names) <= _MAX_CHECKED_COLUMNS
        records = shape.records if self._is_small else None
        self._table = CsvTable(csv_path, names, shape.has_line_breaks, records)
        self._declared = _declared(shape.header, declared)
        self._memory_mb = len(names) // _COLUMNS_PER_MB

    def run(self, memory_limit_mb: int) -> tuple[ResultColumn, ...]:
        """Choose the types and write the file; returns its columns."""
        try:
            return self._write(memory_limit_mb + self._memory_mb)
        except ResultMemoryError:
            # Rows so long that two thousand of them, the least DuckDB handles, are too many.
            logger.warning("result needs more memory columns=%s rows=%s", len(self._table.names), self._shape.rows)
            self._is_small = False
        try:
            return self._write(_LARGE_MEMORY_LIMIT_MB + self._memory_mb)
        except ResultMemoryError:
            raise RowsTooLongError from None

    def _write(self, memory_limit_mb: int) -> tuple[ResultColumn, ...]:
        columns = self._columns()
        try:
            if len(columns) <= _MAX_CHECKED_COLUMNS:
                with self._open(memory_limit_mb) as connection:
                    rows = self._fill(connection, columns)
            else:
                # Each gives back the memory that so many columns took.
                with self._open(memory_limit_mb) as connection:
                    self._settle(connection, columns)
                with self._open(memory_limit_mb) as connection:
                    rows = self._copy(connection, columns, is_settled=True)
        except (duckdb.InvalidInputException, duckdb.ConversionException) as problem:
            # What two readers disagree about, such as a row of more than 2 MB; DuckDB's first line names the place.
            raise _UnlikeError(str(problem).partition("\n")[0][:200]) from problem
        if rows != self._shape.rows:
            raise _UnlikeError(f"{rows} rows were found instead of {self._shape.rows}")
        return self._describe(columns)

    def _open(self, memory_limit_mb: int) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        if self._is_small:
            return open_kept(self._target.parent, stop=self._stop)
        files = (self._csv_path, self._target)
        return open_files(*files, memory_limit=f"{memory_limit_mb}MB", stop=self._stop)

    def _columns(self) -> list[TextColumn]:
        """Return the columns before anything of them was looked at."""
        columns = []
        for place, (name, declared) in enumerate(zip(self._table.names, self._declared, strict=True)):
            is_typed = place < MAX_TYPED_COLUMNS
            columns.append(
                TextColumn.of(name, (declared.data_type if declared else None) if is_typed else "STRING")
            )
        return columns

    def _fill(self, connection: duckdb.DuckDBPyConnection, columns: Sequence[TextColumn]) -> int:
        """Write the file with the types that fit every value; returns the number of its rows.

        Most often the first rows tell the types, so that one more reading is enough.
        """
        if sample(connection, self._table, columns, self._stop.check) >= self._shape.rows:
            return self._copy(connection, columns, is_settled=True)
        try:
            return self._copy(connection, columns, is_settled=False)
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            # A value does not fit, or the file is malformed, which the next reading finds out.
            logger.info("result has values unlike its first ones rows=%s", self._shape.rows)
        settle(connection, self._table, columns, self._stop.check)
        return self._copy(connection, columns, is_settled=True)

    def _settle(self, connection: duckdb.DuckDBPyConnection, columns: Sequence[TextColumn]) -> None:
        if sample(connection, self._table, columns, self._stop.check) < self._shape.rows:
            settle(connection, self._table, columns, self._stop.check)

    def _copy(
        self, connection: duckdb.DuckDBPyConnection, columns: Sequence[TextColumn], *, is_settled: bool
    ) -> int:
        types, replaced = {}, []
        for column in columns:
            types[column.name], expression = column.reading(is_settled=is_settled)
            if expression:
                replaced.append(f"{expression} AS {quote_name(column.name)}")
        selected = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
        source, values = self._table.read(types)
        size = self._csv_path.stat().st_size
        said = quote_text(pack_columns(self._describe(columns), csv_bytes=size, typed_columns=MAX_TYPED_COLUMNS))
        written = connection.execute(
            f"COPY (SELECT {selected} FROM {source}) TO {quote_text(str(self._target))} (FORMAT parquet,"
            f" ROW_GROUP_SIZE {self._group_rows()}, USE_TMP_FILE false, KV_METADATA {{{METADATA_KEY}: {said}}})",
            values,
        ).fetchone()
        return written[0] if written else 0

    def _group_rows(self) -> int:
        """Return the rows of a group, fewer the longer an average row is."""
        average = self._csv_path.stat().st_size // max(self._shape.rows, 1) + 1
        return max(min(_ROW_GROUP_BYTES // average, _ROW_GROUP_ROWS), _LEAST_ROWS)

    def _describe(self, columns: Sequence[TextColumn]) -> tuple[ResultColumn, ...]:
        return tuple(
            ResultColumn(
                name=column.name,
                header=title,
                kind=column.kind,
                sql_type=column.sql_type,
                data_type=known.data_type if known else "",
                column_type=known.column_type if known else "",
            )
            for title, column, known in zip(self._shape.header, columns, self._declared, strict=True)
        )


def _declared(header: Sequence[str], columns: Sequence[OutputColumn]) -> list[OutputColumn | None]:
    """Return the declaration of every column: by place when all names agree, else by a name that is there once."""
    if [column.name.casefold() for column in columns] == [title.casefold() for title in header]:
        return list(columns)
    times = Counter(column.name.casefold() for column in columns)
    by_name = {column.name.casefold(): column for column in columns if times[column.name.casefold()] == 1}
    return [by_name.get(title.casefold()) for title in header]


def _flush(path: Path) -> None:
    """Bring the file to the disk before its name appears."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
