"""A result as XLSX, written row by row: texts are texts, so nothing in them is ever a formula."""

# ruff: noqa: S608 - names are quoted and come from the file.
from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]
from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from executions.results.blocks import column_groups, names_sql, read_blocks
from executions.results.columns import Kind, ResultColumn, ResultFacts, open_result
from executions.results.connection import quote_name
from executions.results.display import display
from executions.results.errors import ResultError
from executions.results.spill import spill_folder

# A sheet has 2^20 rows, one of them for the header, and 2^14 columns.
MAX_ROWS = 1_048_575
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767
# Programs that open more need more memory than desks have; writing them would take an hour and many gigabytes.
MAX_CELLS = 50_000_000
# A spreadsheet's numbers are doubles of which it keeps 15 digits.
_MAX_NUMBER = 10**15
# Days before are none, or other ones, in a spreadsheet.
_FIRST_YEAR = 1901
_SHORTENED = "…"

# Of wide results fewer rows are held at once, and heard of as often; each time costs a statement per group of columns.
_BATCH_CELLS = 100_000
# What a cell takes in a sheet besides its value.
_CELL_BYTES = 60
# The rows as they come, the sheet made of them, and the packed file.
_COPIES = 3

Writer = Callable[[int, int, Any], None]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class SpreadsheetFacts:
    """Rows written, and how many texts were shortened to what a cell can hold."""

    rows: int
    shortened: int


class SpreadsheetLimitError(ResultError):
    """The result does not fit a sheet."""

    code = "spreadsheet_limit"


def export_xlsx(
    path: Path, file: BinaryIO, *, limit: int = MAX_ROWS, progress: Progress = lambda rows: None
) -> SpreadsheetFacts:
    """Write a stored result into `file` as XLSX in constant memory.

    Identifiers and whole columns with numbers of more than 15 digits are written as texts. `progress` hears the rows
    written so far, often, while they are packed too; what it raises ends the work. Raises SpreadsheetLimitError,
    before anything is written, for more than `limit` rows or what a sheet can hold, and OSError for a disk that takes
    no more.
    """
    with spill_folder() as folder, open_result(path) as (connection, facts):
        ensure_fits(facts, limit)
        long_columns = _long_columns(connection, path, facts)
        with _workbook(_Outlet(file, lambda: progress(sheet.rows)), folder) as workbook:
            sheet = _Sheet(workbook, facts.columns, long_columns)
            for batch in read_blocks(connection, path, facts, names_sql, cells_at_once=_BATCH_CELLS):
                sheet.append(batch)
                progress(sheet.rows)
            sheet.finish()
    return SpreadsheetFacts(facts.rows, sheet.shortened)


def ensure_fits(facts: ResultFacts, limit: int = MAX_ROWS) -> None:
    """Raise SpreadsheetLimitError for a result that no sheet can hold, or of more than `limit` rows."""
    limit, columns = min(limit, MAX_ROWS), len(facts.columns)
    if facts.rows > limit:
        problem = f"A spreadsheet holds {limit:,} rows here and this result has {facts.rows:,}."
    elif columns > MAX_COLUMNS:
        problem = f"A spreadsheet holds {MAX_COLUMNS:,} columns and this result has {columns:,}."
    elif facts.cells > MAX_CELLS:
        problem = f"A spreadsheet holds {MAX_CELLS:,} cells here and this result has {facts.cells:,}."
    else:
        return
    raise SpreadsheetLimitError(f"{problem} Download it as CSV or Parquet.")


def working_bytes(facts: ResultFacts) -> int:
    """Return about how many bytes of disk it takes to write a result as XLSX."""
    return _COPIES * (facts.bytes + _CELL_BYTES * facts.cells)


class _Outlet:
    """The file as the packer sees it: each piece is heard of, and once the work has ended nothing is kept any more.

    A packer that was given up writes its last words when it is collected, into a file that may be closed by then.
    """

    def __init__(self, file: BinaryIO, hear: Callable[[], None]) -> None:
        self._file, self._hear = file, hear
        self._place, self._is_shut = file.tell(), False

    def write(self, data: bytes) -> int:
        """Write a piece."""
        if not self._is_shut:
            self._hear()
            self._file.write(data)
        self._place += len(data)
        return len(data)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._place

    def seek(self, offset: int) -> int:
        """Go to a place in the file."""
        if not self._is_shut:
            self._file.seek(offset)
        self._place = offset
        return offset

    def flush(self) -> None:
        """Hand on what is held back."""
        if not self._is_shut:
            self._file.flush()

    def shut(self) -> None:
        """Take everything and keep nothing from now on."""
        self._is_shut = True


@contextmanager
def _workbook(outlet: _Outlet, folder: Path) -> Iterator[xlsxwriter.Workbook]:
    """Open a workbook that works in `folder`; after an error it is not finished, which would take as long again."""
    options = {
        "constant_memory": True,
        "strings_to_urls": False,
        "default_date_format": "yyyy-mm-dd",
        "tmpdir": str(folder),
    }
    workbook = xlsxwriter.Workbook(outlet, options)
    try:
        yield workbook
        workbook.close()
    except FileCreateError as error:
        # It hides what the disk said.
        raise error.args[0] from None
    finally:
        outlet.shut()
        for sheet in workbook.worksheets():
            sheet.row_data_fh.close()


def _long_columns(connection: duckdb.DuckDBPyConnection, path: Path, facts: ResultFacts) -> set[str]:
    """Return columns of whole numbers too long for a spreadsheet; one of them makes a text of the whole column."""
    whole = [column for column in facts.columns if column.kind is Kind.INTEGER or column.sql_type.endswith(", 0)")]
    found: set[str] = set()
    for group in column_groups(whole):
        tests = ", ".join(
            f"coalesce(max({name}) >= {_MAX_NUMBER} OR min({name}) <= -{_MAX_NUMBER}, false)"
            for name in (quote_name(column.name) for column in group)
        )
        answers = connection.execute(f"SELECT {tests} FROM read_parquet(?)", [str(path)]).fetchone() or ()
        found |= {column.name for column, is_long in zip(group, answers, strict=True) if is_long}
    return found


class _Sheet:
    """The sheet being written; rows go in from top to bottom and cannot be touched again."""

    def __init__(self, workbook: xlsxwriter.Workbook, columns: Sequence[ResultColumn], long: set[str]) -> None:
        self.shortened = self.rows = 0
        self._columns = columns
        self._sheet: Worksheet = workbook.add_worksheet("Result")
        self._time: Format = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._day: Format = workbook.add_format({"num_format": "yyyy-mm-dd"})
        self._writers = [self._writer(column, is_text=column.name in long) for column in columns]
        self._begin(workbook.add_format({"bold": True, "bottom": 1}))

    def append(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows; NULL leaves the cell empty."""
        for values in rows:
            self.rows += 1
            for index, value in enumerate(values):
                if value is not None:
                    self._writers[index](self.rows, index, value)

    def finish(self) -> None:
        """Let the header filter the rows."""
        if self.rows:
            self._sheet.autofilter(0, 0, self.rows, len(self._columns) - 1)

    def _begin(self, bold: Format) -> None:
        """Write the header, which stays in sight."""
        self._sheet.freeze_panes(1, 0)
        for index, column in enumerate(self._columns):
            width = 20 if column.kind in {Kind.TEXT, Kind.TIMESTAMP} else 14
            self._sheet.set_column(index, index, max(width, min(len(column.header) + 2, 40)))
            self._sheet.write_string(0, index, column.header[:MAX_TEXT], bold)

    def _writer(self, column: ResultColumn, *, is_text: bool) -> Writer:
        """Return what writes the cells of a column."""
        if column.is_temporal:
            return self._write_time
        if column.kind is Kind.BOOLEAN:
            return self._write_truth
        if column.is_numeric and not is_text and not column.is_identifier:
            return self._write_number
        return self._write_text

    def _write_text(self, row: int, index: int, value: Any) -> None:
        text = display(value) or ""
        if len(text) > MAX_TEXT:
            self.shortened += 1
            text = text[: MAX_TEXT - len(_SHORTENED)] + _SHORTENED
        self._sheet.write_string(row, index, text)

    def _write_number(self, row: int, index: int, value: int | float | Decimal) -> None:
        if math.isfinite(value):
            self._sheet.write_number(row, index, value)
        else:
            self._write_text(row, index, value)

    def _write_truth(self, row: int, index: int, value: bool) -> None:
        self._sheet.write_boolean(row, index, value)

    def _write_time(self, row: int, index: int, value: dt.date) -> None:
        if value.year < _FIRST_YEAR:
            self._write_text(row, index, value)
        else:
            style = self._time if isinstance(value, dt.datetime) else self._day
            self._sheet.write_datetime(row, index, value, style)
