"""Read ASINs and campaigns from pasted text and CSV files; every fault at once, each with its line."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from django.db.models import TextChoices

from amc_facts.characters import INVISIBLE
from amc_facts.identifiers import ROUNDED_ID, asins_of, campaign_ids_of
from amchelper.spreadsheets import unguard
from amchelper.words import counted, pluralized
from instances.models.mapping import MappingKind
from instances.services.mapping_files import (
    MAX_COLUMNS,
    BoundedLines,
    Layout,
    ReadingError,
    encoding_note,
    encodings_of,
    layout_of_file,
    layout_of_paste,
    no_text,
    opened,
    records,
)
from instances.services.mapping_values import CLEAN, ROUNDED, TOKENS, asins_in, hidden_in, is_near_asin

# Reading stops after that many.
MAX_ROWS = 100_000
MAX_ERRORS = 1_000
_SHOWN_OF_A_VALUE = 60
_SHOWN_OF_IGNORED = 200
_KINDS = {kind.value: kind for kind in MappingKind}
_MANY_COLUMNS = "This line has more columns than are named. A value with a separator in it needs quotes."
_NO_VALUE = "This line holds neither an ASIN nor a campaign."


class PasteKind(TextChoices):
    """What a list without columns holds."""

    ASINS = "asins", "ASINs"
    CAMPAIGNS = "campaigns", "Campaigns"


class Row(NamedTuple):
    """One thing to map; `brand` is the name in its line, empty where the line names none."""

    kind: MappingKind
    value: str
    line: int
    brand: str = ""


class LineError(NamedTuple):
    """Why a line cannot be taken; `value` is the part that is wrong, shortened."""

    line: int
    value: str
    reason: str


class _FullError(Exception):
    """There are so many rows or errors that the rest is not read."""


@dataclass
class Reading:
    """What a text says: each thing once for each brand, as far as MAX_ROWS and MAX_ERRORS go."""

    rows: list[Row] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    # What was understood although it was not said plainly, by subject; a sentence each.
    notes: dict[str, str] = field(default_factory=dict)
    _seen: set[tuple[MappingKind, str, str]] = field(default_factory=set)

    def take(self, kind: MappingKind, token: str, line: int, brand: str = "") -> None:
        """Add what a token says, or the reason why it cannot be."""
        try:
            values = CLEAN[kind](token)
        except ValueError as reason:
            self.refuse(line, token, str(reason))
            return
        for value in values:
            if kind == MappingKind.CAMPAIGN_NAME and (hidden := hidden_in(value)):
                self.note(
                    "hidden", f"Line {line:,} holds {hidden}, which cannot be seen. It was kept in the name."
                )
            if (kind, value, brand) not in self._seen:
                self._add(Row(kind, value, line, brand))

    def refuse(self, line: int, value: str, reason: str) -> None:
        """Add an error."""
        short = value if len(value) <= _SHOWN_OF_A_VALUE else f"{value[:_SHOWN_OF_A_VALUE]}…"
        self.errors.append(LineError(line, short, reason))
        if len(self.errors) >= MAX_ERRORS:
            raise _FullError

    def note(self, subject: str, sentence: str) -> None:
        """Say something about the reading, once for each subject."""
        self.notes.setdefault(subject, sentence)

    def _add(self, row: Row) -> None:
        if len(self.rows) >= MAX_ROWS:
            self.refuse(row.line, "", f"At most {MAX_ROWS:,} rows at a time; this has more. Split it.")
            raise _FullError
        self.rows.append(row)
        self._seen.add((row.kind, row.value, row.brand))


def parse_asins(text: str) -> Reading:
    """Read ASINs separated by white space, commas, semicolons, pipes, quotes or brackets, and links to products."""
    return parse_list(text, PasteKind.ASINS)


def parse_campaigns(text: str) -> Reading:
    """Read one campaign per line, because names hold commas; a line of digits only is a row of IDs."""
    return parse_list(text, PasteKind.CAMPAIGNS)


def parse_list(text: str, kinds: PasteKind) -> Reading:
    """Read pasted text: a list of `kinds`, perhaps under a heading, or cells with the names of their columns."""
    # Not splitlines(): a name may hold one of the exotic separators that cuts at.
    lines = BoundedLines(io.StringIO(text, newline=""), max_characters=len(text))
    return _reading(lambda reading: _read_paste(reading, lines, kinds))


def parse_file(file: IO[bytes], kinds: PasteKind) -> Reading:
    """Read a file with the columns COLUMNS, by its header or in that order.

    One column without a known header is a list of `kinds`. Raises NoTextError for a file that is none of text.
    """
    for encoding in encodings_of(file):
        with opened(file, encoding) as text:
            lines = BoundedLines(text, may_be_binary=True)
            try:
                reading = _read_lines(lines, kinds)
            except UnicodeError:
                continue
        if note := encoding_note(encoding, lines.sample):
            reading.note("encoding", note)
        return reading
    raise no_text()


def parse_csv(text: str, kinds: PasteKind) -> Reading:
    """Read the text of a file as `parse_file` does."""
    return _read_lines(BoundedLines(io.StringIO(text, newline="")), kinds)


def _read_lines(lines: BoundedLines, kinds: PasteKind) -> Reading:
    return _reading(lambda reading: _read_file(reading, lines, kinds))


def _reading(fill: Callable[[Reading], None]) -> Reading:
    reading = Reading()
    try:
        fill(reading)
    except ReadingError as error:
        reading.refuse(error.line, error.value, str(error))
    except _FullError:
        pass
    return reading


def _read_paste(reading: Reading, lines: BoundedLines, kinds: PasteKind) -> None:
    layout = layout_of_paste(lines)
    if layout and len(layout.names) > 1:
        _read_table(reading, lines, layout)
        return
    if layout:
        lines.skip(layout.begin)
        is_asins = layout.names[0] == MappingKind.ASIN
        kinds = PasteKind.ASINS if is_asins else PasteKind.CAMPAIGNS
        reading.note(
            "heading", f"Line {lines.number:,} is the heading of a list of {kinds.label}; it was left out."
        )
    for content in lines:
        _take_listed(reading, kinds, content, lines.number)


def _read_file(reading: Reading, lines: BoundedLines, kinds: PasteKind) -> None:
    layout = layout_of_file(lines, is_asins=kinds == PasteKind.ASINS)
    if layout.above:
        reading.note(
            "above", f"{_lines(layout.above)} above the names of the columns {_were(layout.above)} left out."
        )
    if layout.names:
        _read_table(reading, lines, layout)
        return
    if not layout.delimiter:
        for content in lines:
            _take_listed(reading, kinds, unguard(content.strip()), lines.number)
        return
    for line, cells in records(lines, layout.delimiter):
        if any(cell.strip() for cell in cells[1:]):
            reading.refuse(line, cells[1], _MANY_COLUMNS)
        else:
            _take_listed(reading, kinds, unguard(cells[0].strip(" ")), line)


def _read_table(reading: Reading, lines: BoundedLines, layout: Layout) -> None:
    lines.skip(layout.begin)
    if layout.ignored:
        names = ", ".join(layout.ignored)[:_SHOWN_OF_IGNORED]
        reading.note("ignored", f"Columns that mean nothing here: {names}.")
    width, without = len(layout.names), 0
    for line, cells in records(lines, layout.delimiter):
        if any(cell.strip() for cell in cells[width:]):
            reading.refuse(line, cells[width], _MANY_COLUMNS)
        elif _take_record(reading, line, layout.names, cells):
            continue
        elif layout.ignored:
            # A report has lines about other things.
            without += 1
        else:
            reading.refuse(line, "".join(cells).strip(), _NO_VALUE)
    if without:
        reading.note("without", f"{_lines(without)} without an ASIN or a campaign {_were(without)} left out.")


def _take_record(reading: Reading, line: int, names: Sequence[str], cells: Sequence[str]) -> bool:
    """Take the values of a row; return whether there were any."""
    filled = [(name, unguard(cell.strip(" "))) for name, cell in zip(names, cells, strict=False) if name and cell]
    brand = next((cell.strip() for name, cell in filled if name == "brand"), "")
    has_values = False
    for name, cell in filled:
        if kind := _KINDS.get(name):
            for token in TOKENS[kind](cell) if cell.strip() else ():
                has_values = True
                reading.take(kind, token, line, brand)
    return has_values


def _take_listed(reading: Reading, kinds: PasteKind, content: str, line: int) -> None:
    content = content.strip().strip(INVISIBLE).strip()
    if kinds == PasteKind.ASINS:
        is_row = 0 < content.count("\t") < MAX_COLUMNS
        for token in _asins_beside_text(reading, content, line) if is_row else asins_in(content):
            reading.take(MappingKind.ASIN, token, line)
    elif (ids := campaign_ids_of(content)) is not None:
        for token in ids:
            reading.take(MappingKind.CAMPAIGN_ID, token, line)
    elif ROUNDED_ID.fullmatch(content):
        reading.refuse(line, content, ROUNDED)
    elif content:
        reading.take(MappingKind.CAMPAIGN_NAME, content, line)


def _asins_beside_text(reading: Reading, content: str, line: int) -> Iterator[str]:
    """Return the tokens of the cells with ASINs; in a line of a spreadsheet titles and numbers stand beside them."""
    cells = [cell.strip() for cell in content.split("\t") if cell.strip()]
    is_wanted = [any(asins_of(token) or is_near_asin(token) for token in asins_in(cell)) for cell in cells]
    if not any(is_wanted):
        is_wanted[:1] = [True]
    for cell, wanted in zip(cells, is_wanted, strict=True):
        if wanted:
            yield from asins_in(cell)
        else:
            short = cell[:_SHOWN_OF_A_VALUE]
            reading.note("beside", f"Text beside the ASINs was left out, such as “{short}” in line {line:,}.")


def _lines(count: int) -> str:
    return counted(count, "line")


def _were(count: int) -> str:
    return pluralized(count, "was", "were")
