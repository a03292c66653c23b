"""Run compiled queries in DuckDB."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from local_amc.formatting import header
from local_amc.messages import rejected
from local_amc.sql import patterns
from local_amc.sql.compiler import Compiled
from local_amc.sql.errors import Source, SqlRejectedError
from local_amc.sql.lineage import Output
from local_amc.sql.privacy import PrivacyOptions, protect

_ROWS_AT_ONCE = 2_000
_AMC_TYPES = {
    "VARCHAR": "STRING", "BIGINT": "LONG", "UBIGINT": "LONG", "HUGEINT": "LONG", "INTEGER": "INTEGER",
    "SMALLINT": "SHORT", "TINYINT": "BYTE", "BOOLEAN": "BOOLEAN", "DOUBLE": "DOUBLE", "FLOAT": "FLOAT",
    "DATE": "DATE", "TIMESTAMP": "TIMESTAMP", "BLOB": "BINARY", "UUID": "STRING", "JSON": "STRING",
    "INTERVAL": "CALENDAR_INTERVAL",
}  # fmt: skip
_SUMMABLE = frozenset({"LONG", "INTEGER", "SHORT", "BYTE", "DOUBLE", "FLOAT", "DECIMAL"})


@dataclass(frozen=True, slots=True)
class QueryColumn:
    """A column of the result in AMC's words."""

    name: str
    data_type: str
    column_type: str
    precision: int | None = None
    scale: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the element of `outputColumns`."""
        body: dict[str, Any] = {"name": self.name, "columnType": self.column_type, "dataType": self.data_type}
        if self.precision is not None:
            body |= {"dataTypePrecision": self.precision, "dataTypeScale": self.scale}
        return body


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked query: SQL to run and its columns."""

    sql: str
    columns: Sequence[QueryColumn]


def prepare(
    cursor: duckdb.DuckDBPyConnection, compiled: Compiled, options: PrivacyOptions, source: Source
) -> Prepared:
    """Return a compiled query, checked against the data and wrapped in its thresholds; raises SqlRejectedError."""
    if compiled.needs_java_patterns:
        patterns.register(cursor)
    try:
        described = cursor.execute(f"DESCRIBE {compiled.sql}").fetchall()
    except duckdb.InterruptException:
        raise
    except duckdb.Error as problem:
        rejection = rejected(problem, source)
        raise SqlRejectedError(rejection.message, rejection.span or source.whole()) from problem
    types = [str(row[1]) for row in described][: len(compiled.outputs)]
    columns = [
        _column(header(output.name, place), type_, output)
        for place, (output, type_) in enumerate(zip(compiled.outputs, types, strict=True))
    ]
    sql = protect(
        compiled.sql,
        compiled.outputs,
        options,
        summable=[column.data_type in _SUMMABLE for column in columns],
        paths=compiled.paths,
    )
    return Prepared(_with_maps_as_text(sql, types, options), [*columns, *_added(options)])


def rows(cursor: duckdb.DuckDBPyConnection, prepared: Prepared, source: Source) -> Iterator[tuple[Any, ...]]:
    """Run a query and yield its rows; raises SqlRejectedError, and duckdb.InterruptException when stopped."""
    try:
        cursor.execute(prepared.sql)
        while batch := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from batch
    except duckdb.InterruptException:
        raise
    except duckdb.Error as problem:
        raise rejected(problem, source) from problem


def _with_maps_as_text(sql: str, types: Sequence[str], options: PrivacyOptions) -> str:
    """Write maps as Java does, `{a=1, b=2}`: their Python values cannot be told from named rows."""
    if not any(type_.startswith("MAP(") for type_ in types):
        return sql
    names = [f"c{place}" for place in range(len(types) + len(_added(options)))]
    columns = [
        f"CAST({name} AS VARCHAR)" if place < len(types) and types[place].startswith("MAP(") else name
        for place, name in enumerate(names)
    ]
    return f"SELECT {', '.join(columns)} FROM ({sql}) AS output({', '.join(names)})"


def _added(options: PrivacyOptions) -> list[QueryColumn]:
    added = [
        (options.discriminator_column, "BOOLEAN"),
        (options.user_count_column, "LONG"),
        (options.reason_column, "STRING"),
    ]
    return [QueryColumn(name, kind, "DIMENSION") for name, kind in added if name]


def _column(name: str, type_: str, output: Output) -> QueryColumn:
    kind = "METRIC" if output.is_metric and not output.counts_distinct else "DIMENSION"
    if type_.endswith("[]"):
        return QueryColumn(name, "ARRAY", "DIMENSION")
    decimal = re.fullmatch(r"DECIMAL\((\d+),\s?(\d+)\)", type_)
    if decimal:
        return QueryColumn(name, "DECIMAL", kind, int(decimal[1]), int(decimal[2]))
    return QueryColumn(name, _AMC_TYPES.get(type_, "STRING"), kind)
