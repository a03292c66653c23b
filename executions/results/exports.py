"""A result as CSV: exactly as AMC sent it, or so that a spreadsheet neither runs nor spoils it."""

# ruff: noqa: S608 - names are quoted and come from the file.
from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from amchelper.spreadsheets import guard_sql
from executions.results.columns import Kind, open_result, unique_names
from executions.results.connection import open_files, quote_name
from executions.results.errors import ResultError
from executions.results.source import CsvTable, check_csv

BATCH_ROWS = 2_048
_CHUNK_BYTES = 256 * 1024
_PARQUET_MAGIC = b"PAR1"
# Spreadsheets take UTF-8 for something else without it.
_BOM = b"\xef\xbb\xbf"
# As spreadsheets and RFC 4180 have it.
_LINE_END = b"\r\n"
_MEMORY_LIMIT = "64MB"
_HARMLESS = frozenset({Kind.DOUBLE, Kind.DATE, Kind.TIMESTAMP, Kind.BOOLEAN})


def export_csv(path: Path, *, spreadsheet_safe: bool = True) -> Generator[bytes]:
    """Return a result, from its CSV or its Parquet file, as CSV in chunks.

    Made safe for spreadsheets, texts that begin like a formula, and numbers a spreadsheet would spoil (longer than
    15 digits, or with leading zeros), get an apostrophe before them. Otherwise a CSV stays as it is.
    """
    if not path.is_file():
        raise ResultError("The stored result is gone. Run the query again.")
    if _is_parquet(path):
        return _from_parquet(path, is_safe=spreadsheet_safe)
    return _from_csv(path) if spreadsheet_safe else _chunks(path)


def _is_parquet(path: Path) -> bool:
    """Return whether a file begins like a Parquet file; the other kind is CSV."""
    with path.open("rb") as file:
        return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _chunks(path: Path) -> Generator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _from_csv(path: Path) -> Generator[bytes]:
    """Return a CSV, all of its fields made safe."""
    shape = check_csv(path)
    names = unique_names(shape.header)
    fields = [guarded_sql(quote_name(name)) for name in names]
    table = CsvTable(path, names, shape.has_line_breaks)
    with open_files(path, memory_limit=_MEMORY_LIMIT) as connection:
        yield _BOM
        yield from _records(connection, shape.header, fields, table.sql, [table.texts()], is_safe=True)


def _from_parquet(path: Path, *, is_safe: bool) -> Generator[bytes]:
    """Return a Parquet file; numbers with a fraction, days and times need no guard."""
    with open_result(path) as (connection, facts):
        write = guarded_sql if is_safe else text_sql
        fields = [
            (text_sql if column.kind in _HARMLESS else write)(quote_name(column.name)) for column in facts.columns
        ]
        header = [column.header for column in facts.columns]
        yield _BOM if is_safe else b""
        yield from _records(connection, header, fields, "read_parquet(?)", [str(path)], is_safe=is_safe)


def text_sql(expression: str) -> str:
    """Return an SQL expression as text."""
    return f"({expression}::VARCHAR)"


def guarded_sql(expression: str) -> str:
    """Return an SQL expression that makes a value safe as text."""
    return guard_sql(text_sql(expression))


def _records(
    connection: duckdb.DuckDBPyConnection,
    header: Sequence[str],
    fields: Sequence[str],
    source: str,
    values: Sequence[Any],
    *,
    is_safe: bool,
) -> Iterator[bytes]:
    """Return header and rows; the database writes whole lines, which is several times as fast as doing it here."""
    titles = f"SELECT {_field(guarded_sql('text') if is_safe else 'text')} FROM unnest(?) AS titles(text)"
    yield ",".join(row[0] for row in connection.execute(titles, [list(header)]).fetchall()).encode() + _LINE_END
    lines = connection.execute(
        f"SELECT concat_ws(',', {', '.join(_field(field) for field in fields)}) FROM {source}", values
    )
    while batch := lines.fetchmany(BATCH_ROWS):
        yield b"".join(line.encode() + _LINE_END for (line,) in batch)


def _field(text: str) -> str:
    """Return a field as CSV has it; NULL is nothing, an empty text is two quotes."""
    quoted = f"""'"' || replace({text}, '"', '""') || '"'"""
    return f"CASE WHEN regexp_matches({text}, '^$|[\",\r\n]') THEN {quoted} ELSE coalesce({text}, '') END"
