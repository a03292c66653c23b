"""Run compiled queries in DuckDB, and put what it says into AMC's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from local_amc.formatting import header
from local_amc.sql.compiler import Compiled
from local_amc.sql.errors import Source, SqlRejectedError
from local_amc.sql.lineage import Output
from local_amc.sql.privacy import PrivacyOptions, protect

_ROWS_AT_ONCE = 2_000
# What the engine says, and AMC's words for it; the first group names the place.
_TRANSLATIONS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r'column "([^"]+)" must appear in the GROUP BY', "Expression '{0}' is not being grouped"),
        (r'Referenced column "([^"]+)" not found', "Column '{0}' not found in any table"),
        (r'Referenced table "([^"]+)" not found', "Table '{0}' not found"),
        (r"No function matches the given name and argument types '(\w+)\((.*?)\)'", "Cannot apply '{0}' to ({1})"),
        (
            r"No function matches the given name and argument types \'(\W+)\((.*?)\)\'",
            "Cannot apply '{0}' to ({1})",
        ),
        (r'best candidate function for the function call "(\w+)\((.*?)\)"', "Cannot apply '{0}' to ({1})"),
        (
            r"Cannot deduce template type 'T' in function: '(\w+)\(",
            "The arguments of '{0}' are of different types",
        ),
        (r"(UNNEST)\(\) can only be applied to lists, structs and NULL, not (\w+)", "Cannot apply '{0}' to ({1})"),
        (r"QUANTILE can only take parameters", "PERCENTILE expects a fraction between 0 and 1"),
        (r"More than one row returned by a subquery", "A subquery that stands for a value gave more than one row"),
        (r"Could not convert string '(.*?)' to (\w+)", "Cannot convert '{0}' to {1}"),
        (r'invalid (?:date|timestamp) field format: "(.*?)"', "Cannot convert '{0}' to a date or timestamp"),
        (r"Overflow in (\w+) of \w+ \((.*?)\)", "Overflow in {0}: {1}"),
        (r"Macro (\w+)\(\) does not support", "Invalid number of arguments to function '{0}'"),
        (r"Function with name (\w+) does not exist", "No match found for function signature {0}"),
        (r'syntax error at or near "([^"]+)"', 'Encountered "{0}". Was expecting something else here'),
        (r"Set operations can only apply", "Column count mismatch in UNION: both sides need as many columns"),
        (
            r"Invalid Input Error: ((?:missing|invalid|bad|no argument|unexpected|trailing|duplicate).*)",
            "Invalid regular expression: {0}",
        ),
    )
)
# Names of the engine's own functions that queries never wrote.
_AMC_NAMES = {
    "string_split": "STR_TO_MAP", "str_to_map_of": "STR_TO_MAP", "regexp_matches": "SIMILAR TO", "list": "COLLECT",
    "printf": "FORMAT", "array_remove_all": "ARRAY_REMOVE", "cardinality_of": "CARDINALITY", "trunc_to": "TRUNC",
    "quantile_cont": "PERCENTILE", "approx_quantile": "APPROX_PERCENTILE", "list_concat": "ARRAY_CAT",
    "list_contains": "ARRAY_CONTAINS", "string_split_regex": "REGEXP_SPLIT", "date_part": "EXTRACT",
    "unnest": "EXPLODE", "square_root": "SQRT", "array_distinct_of": "ARRAY_DISTINCT", "unhex": "TO_VARBINARY",
    "array_intersect_of": "ARRAY_INTERSECT", "from_base64": "TO_VARBINARY", "strftime": "FORMAT",
    "len": "CARDINALITY", "list_filter": "ARRAY_REMOVE", "timezone": "CONVERT_TIME_ZONE_FROM_UTC",
}  # fmt: skip
_AMC_TYPES = {
    "VARCHAR": "STRING", "BIGINT": "LONG", "UBIGINT": "LONG", "HUGEINT": "LONG", "INTEGER": "INTEGER",
    "SMALLINT": "SHORT", "TINYINT": "BYTE", "BOOLEAN": "BOOLEAN", "DOUBLE": "DOUBLE", "FLOAT": "FLOAT",
    "DATE": "DATE", "TIMESTAMP": "TIMESTAMP", "BLOB": "BINARY", "UUID": "STRING", "JSON": "STRING",
    "INTERVAL": "CALENDAR_INTERVAL",
}  # fmt: skip
# What the engine calls types in its messages.
_TYPE_NAMES = {
    "STRING_LITERAL": "VARCHAR", "INTEGER_LITERAL": "INTEGER", "BOOL": "BOOLEAN", "INT8": "TINYINT",
    "INT16": "SMALLINT", "INT32": "INTEGER", "INT64": "BIGINT", "INT128": "BIGINT", "HUGEINT": "BIGINT",
    "UBIGINT": "BIGINT", "BLOB": "BINARY",
}  # fmt: skip
_TYPE_NAME = re.compile(rf"\b(?:{'|'.join(_TYPE_NAMES)})\b")
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
        table=compiled.table,
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


def rejected(problem: duckdb.Error, source: Source) -> SqlRejectedError:
    """Return the error in AMC's words for what the engine says, without the SQL that was made of the query."""
    text = str(problem)
    for pattern, words in _TRANSLATIONS:
        found = pattern.search(text)
        if found:
            names = [_AMC_NAMES.get(part.lower(), _typed(part)) for part in found.groups()]
            return SqlRejectedError(words.format(*names), source.span_of_word(names[0]) if names else None)
    if isinstance(problem, duckdb.OutOfMemoryException):
        return SqlRejectedError(
            "The query needs more memory than a run may use. Aggregate before joining, or shorten the window."
        )
    first = text.split("\n", 1)[0]
    return SqlRejectedError(_typed(re.sub(r"^[A-Z][A-Za-z -]+ Error: ", "", first)).rstrip("!"))


def _typed(text: str) -> str:
    return _TYPE_NAME.sub(lambda found: _TYPE_NAMES[found[0]], text)


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
