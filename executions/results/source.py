"""The CSV as AMC sent it: every record is counted before anything believes it.

DuckDB's reader forgives too much for files that decide about money: it skips empty lines, and a file that
ends inside a quoted field loses its last rows without a word. So a large file is counted on its own, byte by byte,
and must have as many records as DuckDB finds. Where the two disagree, and in small files at once, `check_csv` judges:
it reads every field, which takes longer than all the rest, and names the line of a fault.
"""

# ruff: noqa: S608 - names are quoted, values are bound.
from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from executions.results.connection import quote_name, quote_text
from executions.results.errors import ResultError

# DuckDB's limit for one record too: a result's row is far shorter.
MAX_RECORD_BYTES = 2 * 1024 * 1024
_BUFFER_BYTES = 2 * MAX_RECORD_BYTES
_MAX_PARALLEL_COLUMNS = 200
_BOM = "\ufeff"
# Up to here a judgement costs less than doubt.
_SMALL_BYTES = 500_000
# The usual result has fewer fields than these.
KEPT_CELLS = 20_000
_CHUNK_BYTES = 256 * 1024
_CHECK_EVERY_RECORDS = 1_000
_QUOTED_NOTHING = re.compile(rb'(?:\A|,)""(?=,|\r?\n|\r?\Z)')
_NO_MARKS = bytes(set(range(256)) - set(b'"\n'))

# The module's limit for a field is 128 KB for the whole process; it is only ever raised.
csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))


@dataclass(frozen=True, slots=True)
class CsvShape:
    """A file's header, the number of records below, whether fields contain line breaks.

    `is_judged`: every field was read, so that no fault is left; otherwise the records were only counted. Of a file
    that is very small and has no quoted nothing `records` has all of them: what is empty there is NULL.
    """

    header: tuple[str, ...]
    rows: int
    has_line_breaks: bool
    is_judged: bool
    records: tuple[list[str], ...] | None = None


class _Lines:
    """The decoded lines of a file; `number` is the one given last."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        # One that does not end its line is inside a quoted field, and could be taken for the end of a record.
        self.has_inner_returns = False
        # Or what looks like one inside of a field over several lines.
        self.has_quoted_nothing = False

    def __iter__(self) -> Iterator[str]:
        while raw := self._file.readline(MAX_RECORD_BYTES + 1):
            self.number += 1
            if len(raw) > MAX_RECORD_BYTES:
                raise _malformed(self.number, "is longer than 2 MB")
            if b"\r" in raw and raw.find(b"\r") < len(raw) - 2:
                self.has_inner_returns = True
            if b'""' in raw and _QUOTED_NOTHING.search(raw):
                self.has_quoted_nothing = True
            try:
                line = raw.decode()
            except UnicodeDecodeError:
                raise _malformed(self.number, "is not UTF-8") from None
            yield line.removeprefix(_BOM) if self.number == 1 else line


def glance(path: Path, check: Callable[[], None]) -> CsvShape:
    """Return the shape of a file: judged when it is small, else counted. `check` is called now and then.

    Raises ResultError for a small file that is malformed, and for a header that nobody can read.
    """
    if _is_small(path):
        return check_csv(path, check)
    with path.open("rb") as file:
        _, header, header_lines = _read_header(file)
    lines, has_line_breaks, is_cut = _count_lines(path, check)
    if is_cut:
        return check_csv(path, check)
    return CsvShape(header, lines - header_lines, has_line_breaks, is_judged=False)


def check_csv(path: Path, check: Callable[[], None] = lambda: None) -> CsvShape:
    """Read every field once in constant memory; raises ResultError with the line of the first fault."""
    is_small = _is_small(path)
    with path.open("rb") as file:
        records, header, header_lines = _read_header(file)
        rows = records.count(len(header), check, kept_cells=KEPT_CELLS if is_small else 0)
        has_line_breaks = records.has_inner_returns or records.lines - header_lines > rows
    is_kept = is_small and rows * len(header) <= KEPT_CELLS and not records.has_quoted_nothing
    kept = tuple(records.kept) if is_kept else None
    return CsvShape(header, rows, has_line_breaks, is_judged=True, records=kept)


def _is_small(path: Path) -> bool:
    return path.stat().st_size <= _SMALL_BYTES


def _read_header(file: BinaryIO) -> tuple[_Records, tuple[str, ...], int]:
    """Return the records that follow the header, the header, and the lines it takes."""
    records = _Records(file)
    header = records.header()
    if not header:
        raise ResultError("The result has no header row: the file is empty. Run the query again.", line=1)
    return records, tuple(header), records.lines


def _count_lines(path: Path, check: Callable[[], None]) -> tuple[int, bool, bool]:
    """Return the lines that end outside of quotes, whether fields may contain line breaks, whether a quote is open.

    Nothing but a quote begins or ends a quoted field, and a doubled one does both: what counts is whether their
    number before a line break is even.
    """
    lines, is_quoted, has_line_breaks, last = 0, False, False, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            check()
            if chunk.endswith(b"\r"):
                chunk += file.read(1)
            last = chunk[-1:]
            if not has_line_breaks and b"\r" in chunk:
                has_line_breaks = chunk.count(b"\r") != chunk.count(b"\r\n")
            if not is_quoted and b'"' not in chunk:
                lines += chunk.count(b"\n")
                continue
            marks = (b'"' if is_quoted else b"") + chunk.translate(None, _NO_MARKS)
            # Without the pairs that have no line break between them hardly anything is left to be split.
            pieces = marks.replace(b'""', b"").split(b'"')
            lines += sum(piece.count(b"\n") for piece in pieces[::2])
            has_line_breaks = has_line_breaks or any(pieces[1::2])
            is_quoted = len(pieces) % 2 == 0
    return lines + (last != b"\n"), has_line_breaks, is_quoted


class _Records:
    """The records of a file, one after the other."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = _Lines(file)
        self._reader = csv.reader(self._lines, strict=True)
        # The first ones, as many as were asked for.
        self.kept: list[list[str]] = []

    @property
    def lines(self) -> int:
        """Return how many lines were read."""
        return self._lines.number

    @property
    def has_inner_returns(self) -> bool:
        """Return whether a carriage return was read that ends no line."""
        return self._lines.has_inner_returns

    @property
    def has_quoted_nothing(self) -> bool:
        """Return whether a field was read that is an empty text, and not NULL."""
        return self._lines.has_quoted_nothing

    def header(self) -> list[str]:
        """Return the first record, nothing when there is none."""
        try:
            return next(self._reader, [])
        except csv.Error as problem:
            raise _unreadable(problem, 1, self.lines) from None

    def count(self, width: int, check: Callable[[], None], *, kept_cells: int) -> int:
        """Return how many records follow; each has `width` fields, and empty lines are at the end only."""
        rows = empty_line = 0
        rows_kept = kept_cells // width
        began = self.lines + 1
        try:
            for record in self._reader:
                if record:
                    if empty_line:
                        raise _malformed(empty_line, "is empty")
                    if len(record) != width:
                        raise _malformed(began, f"has {len(record)} fields instead of {width}")
                    rows += 1
                elif width == 1:
                    # The only field of a single column, left empty.
                    record, rows = [""], rows + 1
                else:
                    empty_line = empty_line or began
                if record and rows <= rows_kept:
                    self.kept.append(record)
                began = self.lines + 1
                if rows % _CHECK_EVERY_RECORDS == 0:
                    check()
        except csv.Error as problem:
            raise _unreadable(problem, began, self.lines) from None
        return rows


def _malformed(line: int, what: str) -> ResultError:
    return ResultError(f"The result is not a valid CSV file: line {line} {what}. Run the query again.", line=line)


def _unreadable(problem: csv.Error, began: int, line: int) -> ResultError:
    """Return what the reader could not make sense of; it has no codes, only sentences."""
    text = str(problem)
    if "unexpected end" in text:
        return _malformed(began, "begins a quoted field that never ends, so the download may be incomplete")
    if "field larger" in text:
        return _malformed(began, "has a field of more than 2 MB")
    return _malformed(line, "has a quote or a line break where none may be")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A file as a table of DuckDB: its columns, and how each of them is read in a type. NULL is an unquoted nothing.

    `records` are all of them, where the file is so small that they are known: nothing is read any more then.
    """

    path: Path
    names: Sequence[str]
    has_line_breaks: bool
    records: Sequence[list[str]] | None = None

    def read(self, types: Mapping[str, str]) -> tuple[str, list[Any]]:
        """Return what stands after FROM to read columns in these types, a text where there is none; and its values."""
        if self.records is None:
            # Of a bare dictionary with the names "key" and "value" DuckDB makes a map.
            kinds = {name: types.get(name, "VARCHAR") for name in self.names}
            return self._file_sql, [duckdb.StructValue(kinds, dict.fromkeys(kinds, duckdb.sqltypes.VARCHAR))]
        quoted = [(quote_name(name), types.get(name, "VARCHAR")) for name in self.names]
        texts = ", ".join(f"unnest(?::VARCHAR[]) AS {name}" for name, _ in quoted)
        typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in quoted)
        return f"(SELECT {typed} FROM (SELECT {texts}))", [self._values(place) for place in range(len(self.names))]

    def first_cells(self, names: Sequence[str], rows: int) -> tuple[str, list[Any]]:
        """Return a query for the first values of some columns, `text` and the column's `place`, and what it binds."""
        places = f"unnest(range({len(names)})::UTINYINT[]) AS place"
        if self.records is not None:
            columns = [self._values(self.names.index(name))[:rows] for name in names]
            cells = f"SELECT unnest(?::VARCHAR[][]) AS texts, {places}"
            return f"SELECT unnest(texts) AS text, place FROM ({cells})", [columns]
        table, values = self.read({})
        listed = ", ".join(quote_name(name) for name in names)
        first_rows = f"SELECT [{listed}] AS cells FROM {table} LIMIT {rows}"
        return f"SELECT unnest(cells) AS text, {places} FROM ({first_rows})", values

    @property
    def _file_sql(self) -> str:
        # Several readers must guess where a record begins, which is certain only without line breaks in fields; and
        # each reserves memory for all columns.
        parallel = "false" if self.has_line_breaks or len(self.names) > _MAX_PARALLEL_COLUMNS else "true"
        return (
            f"read_csv({quote_text(str(self.path))}, columns = ?, auto_detect = false, header = true, delim = ',',"
            " quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, strict_mode = true,"
            f" max_line_size = {MAX_RECORD_BYTES}, buffer_size = {_BUFFER_BYTES}, parallel = {parallel})"
        )

    def _values(self, place: int) -> list[str | None]:
        return [record[place] or None for record in self.records or ()]
