"""From the CSV AMC sent to a Parquet file that can be paged."""

# ruff: noqa: S608 - names are quoted and checked against the file, values are bound.
from __future__ import annotations

import logging
import os
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from executions.results.columns import METADATA_KEY, ResultColumn, ResultFacts, pack_columns, unique_names
from executions.results.connection import open_files, quote_name, quote_text
from executions.results.errors import ResultError, ResultMemoryError
from executions.results.inference import Choice, choose_types
from executions.results.source import CsvShape, check_csv, read_csv_sql

if TYPE_CHECKING:
    from instances.amc.executions import OutputColumn

logger = logging.getLogger(__name__)

# DuckDB keeps what it read until the limit makes it let go, so this, and not need, is what a conversion takes.
MEMORY_LIMIT = "80MB"
_LARGE_MEMORY_LIMIT = "512MB"
# Small enough that the rows of a sorted page, which lie anywhere, are gathered quickly, and that a group,
# which is in memory as a whole while it is written, stays small with wide rows too.
_ROW_GROUP_ROWS = 16_384
_ROW_GROUP_BYTES = 16_000_000
_LEAST_ROWS = 2_048


def convert(
    csv_path: Path,
    parquet_path: Path,
    *,
    columns: Sequence[OutputColumn] | None,
    memory_limit: str = MEMORY_LIMIT,
) -> ResultFacts:
    """Convert a CSV in constant memory, rows in their order, every value exact; replaces the target at once.

    `columns` is what AMC declared, None or empty when it declared nothing. Raises ResultError for a malformed file.
    """
    shape = check_csv(csv_path)
    declared = _declared(shape.header, columns or ())
    unfinished = parquet_path.with_name(f".{parquet_path.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            described = _write(csv_path, unfinished, shape, declared, memory_limit)
        except ResultMemoryError:
            described = _write_with_patience(csv_path, unfinished, shape, declared)
        _flush(unfinished)
        facts = ResultFacts(shape.rows, csv_path.stat().st_size, unfinished.stat().st_size, described)
        unfinished.replace(parquet_path)
    finally:
        unfinished.unlink(missing_ok=True)
    return facts


def _write_with_patience(
    csv_path: Path, target: Path, shape: CsvShape, declared: Sequence[OutputColumn | None]
) -> tuple[ResultColumn, ...]:
    """Write a result whose rows are so long that two thousand of them, the least DuckDB handles, are too many."""
    logger.warning("result needs more memory columns=%s rows=%s", len(shape.header), shape.rows)
    try:
        return _write(csv_path, target, shape, declared, _LARGE_MEMORY_LIMIT)
    except ResultMemoryError:
        raise ResultError(
            "The rows of this result are too long for a table. Select fewer or shorter columns and run it again."
        ) from None


def _write(
    csv_path: Path, target: Path, shape: CsvShape, declared: Sequence[OutputColumn | None], memory_limit: str
) -> tuple[ResultColumn, ...]:
    """Choose the types and write the file; returns its columns."""
    source = read_csv_sql(csv_path, len(shape.header), has_line_breaks=shape.has_line_breaks)
    try:
        with open_files(csv_path, target, memory_limit=memory_limit) as connection:
            data_types = [column.data_type if column else None for column in declared]
            choices = choose_types(connection, source, data_types)
            columns = _describe(shape.header, choices, declared)
            written = connection.execute(_copy_sql(csv_path, source, target, shape, choices, columns)).fetchone()
    except (duckdb.InvalidInputException, duckdb.ConversionException) as problem:
        # What two readers disagree about, such as a row of more than 2 MB; DuckDB's first line names the place.
        first_line = str(problem).partition("\n")[0]
        raise ResultError(
            f"The result cannot be read as CSV. {first_line[:200]}. Run the query again."
        ) from problem
    if written is None or written[0] != shape.rows:
        raise ResultError("The result was not read completely. Download it again.")
    return columns


def _copy_sql(
    csv_path: Path,
    source: str,
    target: Path,
    shape: CsvShape,
    choices: Sequence[Choice],
    columns: Sequence[ResultColumn],
) -> str:
    """Return the statement that makes the file; it takes no bound values."""
    said = quote_text(pack_columns(columns, csv_bytes=csv_path.stat().st_size))
    selected = ", ".join(
        f"{choice.expression} AS {quote_name(column.name)}"
        for choice, column in zip(choices, columns, strict=True)
    )
    return (
        f"COPY (SELECT {selected} FROM {source}) TO {quote_text(str(target))} (FORMAT parquet,"
        f" ROW_GROUP_SIZE {_group_rows(csv_path, shape)}, USE_TMP_FILE false, KV_METADATA {{{METADATA_KEY}: {said}}})"
    )


def _group_rows(csv_path: Path, shape: CsvShape) -> int:
    """Return the rows of a group, fewer the longer an average row is."""
    average = csv_path.stat().st_size // max(shape.rows, 1) + 1
    return max(min(_ROW_GROUP_BYTES // average, _ROW_GROUP_ROWS), _LEAST_ROWS)


def _describe(
    header: Sequence[str], choices: Sequence[Choice], declared: Sequence[OutputColumn | None]
) -> tuple[ResultColumn, ...]:
    return tuple(
        ResultColumn(
            name=name,
            header=title,
            kind=choice.kind,
            sql_type=choice.sql_type,
            data_type=known.data_type if known else "",
            column_type=known.column_type if known else "",
        )
        for name, title, choice, known in zip(unique_names(header), header, choices, declared, strict=True)
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
