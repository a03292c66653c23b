"""The CSV as AMC sent it: every record is looked at once before anything believes it.

DuckDB's reader forgives too much for files that decide about money: it skips empty lines, and a file that
ends inside a quoted field loses its last rows without a word.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from executions.results.connection import quote_text
from executions.results.errors import ResultError

if TYPE_CHECKING:
    import _csv

# DuckDB's limit for one record too: a result's row is far shorter.
MAX_RECORD_BYTES = 2 * 1024 * 1024
_BUFFER_BYTES = 2 * MAX_RECORD_BYTES
_BOM = "\ufeff"

# The module's limit for a field is 128 KB for the whole process; it is only ever raised.
csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))


@dataclass(frozen=True, slots=True)
class CsvShape:
    """A well-formed file: its header, the number of records below, whether fields contain line breaks."""

    header: tuple[str, ...]
    rows: int
    has_line_breaks: bool


class _Lines:
    """The decoded lines of a file; `number` is the one given last."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        # One that does not end its line is inside a quoted field, and could be taken for the end of a record.
        self.has_inner_returns = False

    def __iter__(self) -> Iterator[str]:
        while raw := self._file.readline(MAX_RECORD_BYTES + 1):
            self.number += 1
            if len(raw) > MAX_RECORD_BYTES:
                raise _malformed(self.number, "is longer than 2 MB")
            if b"\r" in raw and raw.find(b"\r") < len(raw) - 2:
                self.has_inner_returns = True
            try:
                line = raw.decode()
            except UnicodeDecodeError:
                raise _malformed(self.number, "is not UTF-8") from None
            yield line.removeprefix(_BOM) if self.number == 1 else line


def check_csv(path: Path) -> CsvShape:
    """Read the whole file once in constant memory; raises ResultError with the line of the first fault."""
    with path.open("rb") as file:
        lines = _Lines(file)
        records = csv.reader(lines, strict=True)
        try:
            header = next(records, None)
        except csv.Error as problem:
            raise _unreadable(problem, 1, lines.number) from None
        if not header:
            raise ResultError("The result has no header row: the file is empty. Run the query again.", line=1)
        header_lines = lines.number
        rows = _count_records(records, lines, len(header))
        has_line_breaks = lines.has_inner_returns or lines.number - header_lines > rows
    return CsvShape(tuple(header), rows, has_line_breaks)


def _count_records(records: _csv.Reader, lines: _Lines, width: int) -> int:
    """Return how many records there are; each has `width` fields, and empty lines are at the end only."""
    rows = empty_line = 0
    began = lines.number + 1
    try:
        for record in records:
            if record:
                if empty_line:
                    raise _malformed(empty_line, "is empty")
                if len(record) != width:
                    raise _malformed(began, f"has {len(record)} fields instead of {width}")
                rows += 1
            elif width == 1:
                # The only field of a single column, left empty.
                rows += 1
            else:
                empty_line = empty_line or began
            began = lines.number + 1
    except csv.Error as problem:
        raise _unreadable(problem, began, lines.number) from None
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


def read_csv_sql(path: Path, width: int, *, has_line_breaks: bool) -> str:
    """Return the table function that reads a checked file as texts named c0, c1, …; NULL is an unquoted nothing."""
    names = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(width))
    # Several readers must guess where a record begins, which is certain only without line breaks in fields.
    parallel = "false" if has_line_breaks else "true"
    return (
        f"read_csv({quote_text(str(path))}, columns = {{{names}}}, auto_detect = false, header = true,"
        " delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, strict_mode = true,"
        f" max_line_size = {MAX_RECORD_BYTES}, buffer_size = {_BUFFER_BYTES}, parallel = {parallel})"
    )
