"""A result as CSV: exactly as AMC sent it, or so that a spreadsheet neither runs nor spoils it."""

# ruff: noqa: S608 - names are quoted and come from the file.
from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import duckdb

from amchelper.spreadsheets import guard_sql
from executions.results.blocks import COLUMNS_AT_ONCE, read_blocks
from executions.results.columns import Kind, ResultColumn, open_result, unique_names
from executions.results.connection import open_files, quote_name
from executions.results.errors import ResultError
from executions.results.source import CsvTable, check_csv

_BATCH_ROWS = 2_048
# Of wide results fewer rows are held at once.
_BATCH_CELLS = 1_000_000
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
    source, values = CsvTable(path, names, shape.has_line_breaks).read({})
    with open_files(path, memory_limit=_MEMORY_LIMIT) as connection:
        yield _BOM
        yield _titles(connection, shape.header, is_safe=True)
        lines = connection.execute(f"SELECT {_line(fields)} FROM {source}", values)
        while batch := lines.fetchmany(_BATCH_ROWS):
            yield b"".join(line.encode() + _LINE_END for (line,) in batch)


def _from_parquet(path: Path, *, is_safe: bool) -> Generator[bytes]:
    """Return a Parquet file; numbers with a fraction, days and times need no guard."""
    with open_result(path) as (connection, facts):
        write = _lists_sql if len(facts.columns) > COLUMNS_AT_ONCE else _fields_sql
        blocks = read_blocks(
            connection, path, facts, lambda columns: write(columns, is_safe=is_safe), cells_at_once=_BATCH_CELLS
        )
        yield _BOM if is_safe else b""
        yield _titles(connection, [column.header for column in facts.columns], is_safe=is_safe)
        for block in blocks:
            yield b"".join(",".join(parts).encode() + _LINE_END for parts in block)


def _fields_sql(columns: Sequence[ResultColumn], *, is_safe: bool) -> str:
    """Return SQL of one text: the fields of columns as they stand in a line."""
    write = guarded_sql if is_safe else text_sql
    fields = [(text_sql if column.kind in _HARMLESS else write)(quote_name(column.name)) for column in columns]
    return _line(fields)


def _lists_sql(columns: Sequence[ResultColumn], *, is_safe: bool) -> str:
    """Return SQL of the same text for many columns, of which each takes long to be planned when it is spelled out."""
    values = ", ".join(text_sql(quote_name(column.name)) for column in columns)
    harmless = ", ".join(str(column.kind in _HARMLESS).lower() for column in columns)
    field = _field("value")
    if is_safe:
        field = f"CASE WHEN [{harmless}][place] THEN {field} ELSE {_field(guarded_sql('value'))} END"
    return f"array_to_string(list_transform([{values}], lambda value, place: {field}), ',')"


def text_sql(expression: str) -> str:
    """Return an SQL expression as text."""
    return f"({expression}::VARCHAR)"


def guarded_sql(expression: str) -> str:
    """Return an SQL expression that makes a value safe as text."""
    return guard_sql(text_sql(expression))


def _titles(connection: duckdb.DuckDBPyConnection, header: Sequence[str], *, is_safe: bool) -> bytes:
    """Return the line of titles."""
    titles = f"SELECT {_field(guarded_sql('text') if is_safe else 'text')} FROM unnest(?) AS titles(text)"
    return ",".join(row[0] for row in connection.execute(titles, [list(header)]).fetchall()).encode() + _LINE_END


def _line(fields: Sequence[str]) -> str:
    """Return SQL of a line; the database writes whole ones, which is several times as fast as doing it here."""
    return f"concat_ws(',', {', '.join(_field(field) for field in fields)})"


def _field(text: str) -> str:
    """Return a field as CSV has it; NULL is nothing, an empty text is two quotes."""
    quoted = f"""'"' || replace({text}, '"', '""') || '"'"""
    return f"CASE WHEN regexp_matches({text}, '^$|[\",\r\n]') THEN {quoted} ELSE coalesce({text}, '') END"
