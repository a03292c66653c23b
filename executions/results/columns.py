"""Columns of a stored result and what is known about it; both travel inside the Parquet file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

from executions.results.connection import open_files
from executions.results.errors import ResultError

METADATA_KEY = "amc_helper"
# DuckDB's name for the place of a row in the file: the order AMC gave, and what decides between ties.
ROW_NUMBER = "file_row_number"
_IDENTIFIER_NAME = re.compile(r"(?:^|[_\s-])(?:id|ids|asin|upc|ean|gtin|isbn|zip|postal_code)$|[a-z]Ids?$")


class Kind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column: its unique name, the header as AMC wrote it, its type here and what AMC declared, if it did."""

    name: str
    header: str
    kind: Kind
    sql_type: str
    data_type: str = ""
    column_type: str = ""

    @property
    def is_numeric(self) -> bool:
        """Return whether the values are numbers."""
        return self.kind in {Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE}

    @property
    def is_temporal(self) -> bool:
        """Return whether the values are days or times."""
        return self.kind in {Kind.DATE, Kind.TIMESTAMP}

    @property
    def is_identifier(self) -> bool:
        """Return whether the name says that the values name things, so that adding them up means nothing.

        AMC's column type does not tell: it calls a count of distinct users a dimension.
        """
        return any(_IDENTIFIER_NAME.search(name) for name in (self.header, self.header.lower()))


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """Rows, bytes of the CSV AMC sent, bytes of the Parquet file, columns.

    Columns after the first `typed_columns` are text whatever they hold; None: every column has the type that fits it.
    """

    rows: int
    bytes: int
    parquet_bytes: int
    columns: tuple[ResultColumn, ...]
    typed_columns: int | None = None

    @property
    def cells(self) -> int:
        """Return the number of values, the header not counted."""
        return self.rows * len(self.columns)

    @property
    def is_partly_typed(self) -> bool:
        """Return whether there are columns that are text whatever they hold."""
        return self.typed_columns is not None and self.typed_columns < len(self.columns)

    def column(self, name: str) -> ResultColumn:
        """Return the column of that name; raises ResultError for any other text."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ResultError(f"This result has no column “{name[:100]}”.")


def read_facts(path: Path) -> ResultFacts:
    """Return what a Parquet file made by `convert` says about itself; raises ResultError for other files."""
    with open_result(path) as (_, facts):
        return facts


@contextmanager
def open_result(
    path: Path, *, facts: ResultFacts | None = None, timeout_seconds: float | None = None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, ResultFacts]]:
    """Return a connection that can read a stored result alone, and the facts; raises ResultError.

    Who has the facts already gives them: of thousands of columns they take longer to read than a page of rows.
    """
    if not path.is_file():
        raise ResultError("The stored result is gone. Run the query again.")
    with open_files(path, timeout_seconds=timeout_seconds) as connection:
        yield connection, facts or _facts(connection, path)


def pack_columns(columns: Iterable[ResultColumn], *, csv_bytes: int, typed_columns: int | None = None) -> str:
    """Return what the file is to say about itself, as one text; see `ResultFacts` for `typed_columns`."""
    said: dict[str, Any] = {"bytes": csv_bytes, "columns": [asdict(column) for column in columns]}
    # Files say nothing about it where every column is typed, as they did before some were not.
    return json.dumps(said if typed_columns is None else {**said, "typed_columns": typed_columns})


def unique_names(headers: Sequence[str]) -> list[str]:
    """Return every column a name of its own, as identifiers are compared: without regard to case."""
    taken = {ROW_NUMBER}
    # A header that is already unique keeps its name, wherever a made-up name stands before it.
    reserved = {header.casefold() for header in headers if header}
    names = []
    for index, header in enumerate(headers, start=1):
        # No SQL can carry the character NUL.
        name = base = header.replace("\0", "") or f"column {index}"
        copy = 1
        while name.casefold() in taken or (name != header and name.casefold() in reserved):
            copy += 1
            name = f"{base} ({copy})"
        taken.add(name.casefold())
        names.append(name)
    return names


def _facts(connection: duckdb.DuckDBPyConnection, path: Path) -> ResultFacts:
    try:
        packed = connection.execute(
            "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE key = encode(?)", [str(path), METADATA_KEY]
        ).fetchone()
        rows = connection.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchone()
    except (duckdb.InvalidInputException, duckdb.IOException):
        packed = rows = None
    if packed is None or rows is None:
        raise ResultError("The stored result cannot be read. Run the query again.")
    body = json.loads(packed[0])
    columns = tuple(ResultColumn(**{**column, "kind": Kind(column["kind"])}) for column in body["columns"])
    return ResultFacts(rows[0], body["bytes"], path.stat().st_size, columns, body.get("typed_columns"))
