"""How a file of mappings is built: encoding, lines, separator, header. Never more of it is read than is asked for."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from amc_facts.characters import FULL_WIDTH_TO_ASCII
from amc_facts.identifiers import is_asin, without_invisible
from instances.models.mapping import MappingKind

MAX_FILE_BYTES = 10 * 1024 * 1024
# With the empty ones.
MAX_LINES = 250_000
# Of one line of a file, and of one row whose quoted cells go over several. Below the limit of Python's csv module,
# which is one for the whole process and raised by what reads results.
MAX_ROW_CHARACTERS = 100_000
MAX_COLUMNS = 200
# How far down the names of the columns are looked for.
HEADER_LINES = 20
COLUMNS = ("asin", "campaign_id", "campaign_name", "brand")

# As Amazon's reports, bulk sheets and AMC itself call them; what they say in parentheses is left out, so that
# "(Child) ASIN" and "ASIN (Informational only)" are here too. Columns of other people's ASINs are not.
_TITLES = {
    "asin": "asin", "asins": "asin", "asin1": "asin", "isbn10": "asin", "asinparent": "asin",
    "parentasin": "asin", "childasin": "asin", "advertisedasin": "asin", "advertisedasins": "asin",
    "promotedasin": "asin", "trackedasin": "asin", "creativeasin": "asin", "creativeasins": "asin",
    "campaign": "campaign_name", "campaigns": "campaign_name", "campaignname": "campaign_name",
    "campaignnames": "campaign_name", "campaignid": "campaign_id", "campaignids": "campaign_id",
    "campaignidstring": "campaign_id", "brand": "brand", "brandname": "brand",
}  # fmt: skip
_DELIMITERS = ",;\t|"
# A character no cell holds: the line is one cell.
_NO_DELIMITER = "\x1f"
# Excel's own way to say which separator a file has.
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?[,;\t|]*', re.IGNORECASE)
_IN_PARENTHESES = re.compile(r"\([^()]*\)")
_ENCODINGS = ("utf-8-sig", "cp1252")
_MAX_SAMPLE = 40

_SAVE_AS = "In the spreadsheet, save it as “CSV UTF-8”."
_WORKBOOK = f"This is a workbook, not a CSV file. {_SAVE_AS}"
_NO_TEXT = f"This file is not a CSV file in UTF-8. {_SAVE_AS}"
_LONG_LINE = (
    f"This line has more than {MAX_ROW_CHARACTERS:,} characters. Write one ASIN or campaign in each line, or paste"
    " the list. The lines after it were not read."
)
_MANY_LINES = f"At most {MAX_LINES:,} lines are read, empty ones too. Split them, or take the empty ones away."
_BROKEN_QUOTE = 'A quote (") is not closed, or text follows the closing one. The lines after it were not read.'
_NO_COLUMN = "No column is called asin, campaign_id or campaign_name. Name the column that holds them so."
_NO_HEADER = (
    f"Begin the file with the names of its columns: {', '.join(COLUMNS)}. For a list of campaigns whose names hold"
    " commas, campaign_name is enough."
)


class ReadingError(Exception):
    """Why a text is not read further than `line`; `value` is what stands there."""

    def __init__(self, reason: str, line: int, value: str = "") -> None:
        super().__init__(reason)
        self.line = line
        self.value = value


class NoTextError(ValueError):
    """A file that holds no text we can read; the message says what to do."""


@dataclass
class BoundedLines:
    """The lines of a text, one after the other, each with the line break it ends in.

    Raises ReadingError for a line that is too long and after MAX_LINES, NoTextError for what is no text.
    """

    text: IO[str]
    max_characters: int = MAX_ROW_CHARACTERS
    # Text that was bytes: a NUL says that they were something else.
    may_be_binary: bool = False
    # How many were handed out.
    number: int = 0
    # The first words beyond ASCII.
    sample: str = ""
    _ahead: deque[str] = field(default_factory=deque)
    _read: int = 0
    # What was found while looking ahead, for when the lines before it are handed out.
    _error: ReadingError | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._error and not self._ahead:
            raise self._error
        line = self._ahead.popleft() if self._ahead else self._next_line()
        if not line:
            raise StopIteration
        self.number += 1
        return line

    def peek(self, count: int) -> Sequence[str]:
        """Return the next lines, at most `count`, without handing them out."""
        try:
            while not self._error and len(self._ahead) < count and (line := self._next_line()):
                self._ahead.append(line)
        except ReadingError as error:
            self._error = error
        if self._error and not self._ahead:
            raise self._error
        return list(self._ahead)[:count]

    def skip(self, count: int) -> None:
        """Hand out lines that nobody wants."""
        for _ in range(count):
            next(self)

    def skip_empty(self) -> None:
        """Hand out the empty lines that come next."""
        while (ahead := self.peek(1)) and not ahead[0].strip():
            next(self)

    def _next_line(self) -> str:
        line = self.text.readline(self.max_characters + 1)
        if not line:
            return ""
        self._read += 1
        if self.may_be_binary and "\0" in line:
            raise NoTextError(_NO_TEXT)
        if len(line) > self.max_characters:
            raise ReadingError(_LONG_LINE, self._read, line)
        if self._read > MAX_LINES:
            raise ReadingError(_MANY_LINES, self._read)
        if not self.sample and not line.isascii():
            self.sample = _around_foreign(line)
        return line


class Layout(NamedTuple):
    """How lines become cells."""

    # What each column holds, empty where it means nothing here; without columns it is a list.
    names: Sequence[str]
    # Empty where quotes do not hold a cell together either: every line is as it stands.
    delimiter: str
    # How many of the next lines come before the first row.
    begin: int = 0
    # The names of the columns that mean nothing here.
    ignored: Sequence[str] = ()
    # Lines with text above the names of the columns.
    above: int = 0


class _Header(NamedTuple):
    begin: int
    end: int
    delimiter: str
    titles: Sequence[str]

    @property
    def names(self) -> list[str]:
        return [column_of(title) for title in self.titles]


@contextmanager
def opened(file: IO[bytes], encoding: str) -> Iterator[IO[str]]:
    """Read a file of bytes from its beginning as text; it stays open."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, newline="")
    try:
        yield text
    finally:
        text.detach()


def encodings_of(file: IO[bytes]) -> Sequence[str]:
    """Return the encodings to try, the likeliest first; raises NoTextError for a workbook."""
    file.seek(0)
    head = file.read(4)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise NoTextError(_WORKBOOK)
    # Excel's "Unicode text".
    return ("utf-16",) if head[:2] in (b"\xff\xfe", b"\xfe\xff") else _ENCODINGS


def no_text() -> NoTextError:
    """Return the error for a file in no encoding we know."""
    return NoTextError(_NO_TEXT)


def encoding_note(encoding: str, sample: str) -> str:
    """Return what to say about a file that was not in UTF-8; nothing when no letter depends on it."""
    if encoding != "cp1252" or not sample:
        return ""
    return (
        f"The file is not in UTF-8 and was read as Windows-1252: “{sample}”. If that is not what it says, save it as"
        " “CSV UTF-8” and upload it again."
    )


def column_of(title: str) -> str:
    """Return which of COLUMNS a title names; empty for any other."""
    plain = without_invisible(title).translate(FULL_WIDTH_TO_ASCII).strip().casefold()
    return _TITLES.get(re.sub(r"[\s_-]+", "", _IN_PARENTHESES.sub("", plain)), "")


def layout_of_file(lines: BoundedLines, *, is_asins: bool) -> Layout:
    """Find the separator and the names of the columns of a file, which may stand below other lines.

    `is_asins` is what a file without them holds. Raises ReadingError when the columns cannot be known.
    """
    lines.skip_empty()
    separator = _SEPARATOR_LINE.fullmatch("".join(lines.peek(1)).strip(" \r\n"))
    if separator:
        lines.skip(1)
        lines.skip_empty()
    delimiters = separator[1] if separator else _DELIMITERS
    head = lines.peek(HEADER_LINES)
    header = _find_header(head, delimiters)
    if header is None:
        return _without_header(head, delimiters, lines.number + 1, is_asins=is_asins)
    above = _count_above(head, header, lines.number + 1)
    return _with_header(header, lines.number + 1)._replace(above=above)


def layout_of_paste(lines: BoundedLines) -> Layout | None:
    """Find the names of columns in the first line of pasted text; None when there are none.

    A heading over a list is a layout with one name.
    """
    lines.skip_empty()
    head = lines.peek(1)
    if not head or len(head[0]) > MAX_ROW_CHARACTERS:
        return None
    header = _find_header(head, _DELIMITERS)
    # Names of campaigns hold commas; only a tab comes from a table for certain.
    is_certain = header is not None and (header.delimiter == "\t" or all(header.names))
    return _with_header(header, lines.number + 1) if header and is_certain else None


def records(lines: BoundedLines, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Return the line each row begins in and its cells, without empty rows.

    Raises ReadingError for a quote that is never closed.
    """
    begin = lines.number + 1
    characters = 0

    def counted_lines() -> Iterator[str]:
        nonlocal characters
        for line in lines:
            characters += len(line)
            if characters > MAX_ROW_CHARACTERS:
                raise ReadingError(_BROKEN_QUOTE, begin)
            yield line

    reader = csv.reader(counted_lines(), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise ReadingError(_BROKEN_QUOTE, begin) from None
        if any(cell.strip() for cell in cells):
            yield begin, cells
        begin, characters = lines.number + 1, 0


def _find_header(head: Sequence[str], delimiters: str) -> _Header | None:
    """Return the first line that names a column with ASINs or campaigns, cut where it names most."""
    found = []
    for delimiter in delimiters:
        for begin, end, cells in _head_records(head, delimiter):
            titles = _without_empty_end(cells)
            known = [name for name in map(column_of, titles) if name]
            if set(known) & set(MappingKind.values):
                header = _Header(begin, end, delimiter if len(cells) > 1 else _NO_DELIMITER, titles)
                found.append(((-begin, len(known), len(cells)), header))
                break
    return max(found, key=lambda ranked: ranked[0])[1] if found else None


def _head_records(head: Sequence[str], delimiter: str) -> Iterator[tuple[int, int, Sequence[str]]]:
    """Return where rows begin and end in the first lines, and their cells, as far as they can be cut."""
    reader = csv.reader(head, delimiter=delimiter)
    begin = 0
    while True:
        try:
            cells = next(reader)
        except (StopIteration, csv.Error):
            return
        yield begin, reader.line_num, cells
        begin = reader.line_num


def _with_header(header: _Header, first_line: int) -> Layout:
    count = len(header.titles)
    if count > MAX_COLUMNS:
        raise ReadingError(
            f"This line names {count:,} columns; a file has at most {MAX_COLUMNS}. Take away those without ASINs,"
            " campaigns and brands.",
            first_line + header.begin,
        )
    ignored = [title.strip() for title in header.titles if title.strip() and not column_of(title)]
    return Layout(header.names, header.delimiter, header.end, ignored)


def _count_above(head: Sequence[str], header: _Header, first_line: int) -> int:
    """Count the lines with text above the header; raises ReadingError when they might be rows."""
    above = [line for line in head[: header.begin] if line.strip()]
    is_doubtful = len(header.titles) == 1 or any(_holds_value(line, header.delimiter) for line in above)
    if above and is_doubtful:
        raise ReadingError(
            "The names of the columns seem to be in this line. Take away the lines above it.",
            first_line + header.begin,
            head[header.begin].strip(),
        )
    return len(above)


def _holds_value(line: str, delimiter: str) -> bool:
    return any(is_asin(cell.upper()) or cell.isdecimal() for cell in map(str.strip, line.split(delimiter)))


def _without_header(head: Sequence[str], delimiters: str, first_line: int, *, is_asins: bool) -> Layout:
    if not head:
        return Layout([], "")
    # Names of campaigns hold pipes more often than files are cut at them.
    delimiter = max(delimiters.replace("|", "") or "|", key=head[0].count)
    _, _, cells = next(_head_records(head, delimiter), (0, 0, [head[0]]))
    filled = _without_empty_end(cells)
    if any(map(column_of, filled)):
        raise ReadingError(_NO_COLUMN, first_line, head[0].strip())
    if is_asins and (len(filled) <= 1 or all(is_asin(cell.strip().upper()) for cell in filled)):
        return Layout([], "")
    if len(filled) <= 1:
        return Layout([], delimiter if len(cells) > 1 else _NO_DELIMITER)
    if len(filled) == len(COLUMNS):
        return Layout(COLUMNS, delimiter)
    raise ReadingError(_NO_HEADER, first_line, head[0].strip())


def _without_empty_end(cells: Sequence[str]) -> Sequence[str]:
    filled = [index for index, cell in enumerate(cells) if cell.strip()]
    return cells[: filled[-1] + 1] if filled else []


def _around_foreign(line: str) -> str:
    """Return the words around the first character beyond ASCII."""
    place = next(index for index, character in enumerate(line) if not character.isascii())
    return line[max(0, place - _MAX_SAMPLE // 2) :][:_MAX_SAMPLE].strip()
