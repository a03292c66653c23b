"""Read ASINs and campaigns from pasted text and CSV files; every fault at once, each with its line."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import TextChoices

from amc_facts.identifiers import (
    ASIN_LENGTH,
    ASIN_SEPARATORS,
    ID_LINE,
    ID_SEPARATORS,
    MAX_ID,
    MAX_ID_DIGITS,
    ROUNDED_ID,
    is_asin,
)
from amchelper.spreadsheets import unguard
from amchelper.words import counted
from instances.models.mapping import NAME_LENGTH, MappingKind, fold_campaign

MAX_ROWS = 100_000
MAX_FILE_BYTES = 10 * 1024 * 1024
COLUMNS = ("asin", "campaign_id", "campaign_name", "brand")
_ALIASES = {"asins": "asin", "campaign": "campaign_name", "campaign_names": "campaign_name",
            "campaign_ids": "campaign_id", "campaignid": "campaign_id", "brand_name": "brand"}  # fmt: skip
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_NEVER_IN_A_NAME = ("Cc", "Zl", "Zp", "Cs")
_SHOWN_OF_A_VALUE = 60
_MAX_HEADER_CHARACTERS = 10_000
# Below the limit of Python's csv module, which is one for the whole process and raised by what reads results.
_MAX_CELL_CHARACTERS = 100_000
_ASIN_FORM = "An ASIN is B and nine letters or digits, or the ISBN-10 of a book"
_BROKEN_QUOTE = 'A quote (") is not closed, or text follows the closing one. The lines after it were not read.'
_TOO_LONG_A_CELL = f'A cell has at most {_MAX_CELL_CHARACTERS:,} characters. Is a quote (") missing?'
_TOO_MANY_COLUMNS = "This line has more columns than the first. A value with a separator in it needs quotes."
_ROUNDED = "A spreadsheet rounded this ID. Format the column as text, enter the ID again and save."


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


@dataclass
class Reading:
    """What a text says."""

    rows: list[Row] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    # Columns of a file that mean nothing here.
    ignored: list[str] = field(default_factory=list)

    def take(self, kind: MappingKind, raw: str, line: int, brand: str = "") -> None:
        """Add one value, or the reason why it cannot be."""
        try:
            self.rows.append(Row(kind, _CLEAN[kind](raw), line, brand))
        except ValueError as reason:
            self.refuse(line, raw, str(reason))

    def refuse(self, line: int, value: str, reason: str) -> None:
        """Add an error."""
        short = value if len(value) <= _SHOWN_OF_A_VALUE else f"{value[:_SHOWN_OF_A_VALUE]}…"
        self.errors.append(LineError(line, short, reason))


def parse_asins(text: str) -> Reading:
    """Read ASINs separated by white space, commas, semicolons, quotes or brackets."""
    return _parse_list(text, PasteKind.ASINS)


def parse_campaigns(text: str) -> Reading:
    """Read one campaign per line, because names hold commas; a line of digits only is a row of IDs."""
    return _parse_list(text, PasteKind.CAMPAIGNS)


def parse_list(text: str, kinds: PasteKind) -> Reading:
    """Read pasted text."""
    return parse_asins(text) if kinds == PasteKind.ASINS else parse_campaigns(text)


def decode(data: bytes) -> str:
    """Return the text of a file; raises ValueError for one that is not text in UTF-8 or UTF-16."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError("This file is not a CSV file in UTF-8. In the spreadsheet, save it as “CSV UTF-8”.")
    return text


def parse_csv(text: str, kinds: PasteKind) -> Reading:
    """Read a file with the columns COLUMNS, by its header or in that order.

    One column without a known header is a list of `kinds`.
    """
    first = _first_line(text)
    delimiter = max(",;\t", key=first.count)
    names = [_column(name) for name in next(csv.reader([first.rstrip(f" {delimiter}")], delimiter=delimiter), [])]
    has_header = any(name in COLUMNS for name in names)
    reading = Reading()
    if has_header and not set(names) & set(MappingKind.values):
        reading.refuse(1, first, "No column is called asin, campaign_id or campaign_name.")
    elif not has_header and len(names) not in (0, 1, len(COLUMNS)):
        reading.refuse(1, first, f"Begin the file with the names of its columns: {', '.join(COLUMNS)}.")
    if reading.errors:
        return reading
    records = _records(text, delimiter, reading)
    if has_header:
        next(records, None)
        reading.ignored = [name for name in names if name and name not in COLUMNS]
    elif len(names) > 1:
        names = list(COLUMNS)
    for line, cells in records:
        if any(cell.strip() for cell in cells[len(names) :]):
            reading.refuse(line, cells[len(names)], _TOO_MANY_COLUMNS)
        elif len(names) == 1 and not has_header:
            _take_listed(reading, kinds, unguard(cells[0].strip(" ")), line)
        else:
            _take_record(reading, line, names, cells)
    return _limited(reading)


def clean_asin(raw: str) -> str:
    """Return an ASIN in capitals without spaces; raises ValueError with the reason."""
    compact = "".join(raw.split()).strip(_INVISIBLE)
    asin = compact.upper()
    if not (compact.isascii() and asin.isalnum()):
        raise ValueError(f"{_ASIN_FORM}; this holds other characters.")
    if len(asin) != ASIN_LENGTH:
        lost = ": a spreadsheet may have dropped a leading 0" if asin.isdecimal() and len(asin) == 9 else ""
        raise ValueError(f"{_ASIN_FORM}; this has {counted(len(asin), 'character')}{lost}.")
    if not is_asin(asin):
        isbn = ", and its check digit is not that of an ISBN-10" if asin[:-1].isdecimal() else ""
        raise ValueError(f"{_ASIN_FORM}; this begins with {asin[0]}{isbn}.")
    return asin


def clean_campaign_id(raw: str) -> str:
    """Return the digits of a campaign ID; raises ValueError with the reason."""
    digits = raw.strip().strip(_INVISIBLE)
    if ROUNDED_ID.fullmatch(digits):
        raise ValueError(_ROUNDED)
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError("A campaign ID has digits only.")
    if digits.startswith("0"):
        raise ValueError("A campaign ID does not begin with 0.")
    if len(digits) > MAX_ID_DIGITS or int(digits) > MAX_ID:
        raise ValueError("This is larger than any campaign ID (64 bits).")
    return digits


def clean_campaign_name(raw: str) -> str:
    """Return a name as Amazon has it, without white space around it; raises ValueError with the reason."""
    name = raw.strip().strip(_INVISIBLE)
    if any(unicodedata.category(character) in _NEVER_IN_A_NAME for character in name):
        raise ValueError("A campaign name has no tabs, line breaks or control characters.")
    if len(name) > NAME_LENGTH or len(fold_campaign(name)) > 3 * NAME_LENGTH:
        raise ValueError(f"A campaign name has at most {NAME_LENGTH} characters; this has {len(name)}.")
    return name


_CLEAN: dict[MappingKind, Callable[[str], str]] = {
    MappingKind.ASIN: clean_asin,
    MappingKind.CAMPAIGN_ID: clean_campaign_id,
    MappingKind.CAMPAIGN_NAME: clean_campaign_name,
}


def _first_line(text: str) -> str:
    found = re.search(r"[^\r\n\s][^\r\n]*", text)
    return found[0][:_MAX_HEADER_CHARACTERS] if found else ""


def _parse_list(text: str, kinds: PasteKind) -> Reading:
    reading = Reading()
    # Not splitlines(): a name may hold one of the exotic separators that cuts at.
    for line, content in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        _take_listed(reading, kinds, content, line)
    return _limited(reading)


def _take_listed(reading: Reading, kinds: PasteKind, content: str, line: int) -> None:
    if kinds == PasteKind.ASINS:
        for token in ASIN_SEPARATORS.split(content):
            if token.strip(_INVISIBLE):
                reading.take(MappingKind.ASIN, token, line)
        return
    content = content.strip().strip(_INVISIBLE)
    if ID_LINE.fullmatch(content):
        for token in filter(None, ID_SEPARATORS.split(content)):
            reading.take(MappingKind.CAMPAIGN_ID, token, line)
    elif ROUNDED_ID.fullmatch(content):
        reading.refuse(line, content, _ROUNDED)
    elif content:
        reading.take(MappingKind.CAMPAIGN_NAME, content, line)


def _column(name: str) -> str:
    plain = re.sub(r"[\s-]+", "_", name.strip().strip(_INVISIBLE).casefold())
    return _ALIASES.get(plain, plain)


def _records(text: str, delimiter: str, reading: Reading) -> Iterator[tuple[int, Sequence[str]]]:
    """Return the line each record begins in and its cells; a broken quote ends the file with an error."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reading.refuse(begin, "", _TOO_LONG_A_CELL if "field limit" in str(error) else _BROKEN_QUOTE)
            return
        if long := next((cell for cell in cells if len(cell) > _MAX_CELL_CHARACTERS), None):
            reading.refuse(begin, long, _TOO_LONG_A_CELL)
        elif any(cell.strip() for cell in cells):
            yield begin, cells
        begin = reader.line_num + 1


def _take_record(reading: Reading, line: int, names: Sequence[str], cells: Sequence[str]) -> None:
    filled = [(name, unguard(cell.strip(" "))) for name, cell in zip(names, cells, strict=False)]
    brand = next((cell.strip() for name, cell in filled if name == "brand"), "")
    values = [(name, cell) for name, cell in filled if name in MappingKind.values and cell.strip()]
    for name, cell in values:
        reading.take(MappingKind(name), cell, line, brand)
    if not values:
        reading.refuse(line, brand, "This line holds neither an ASIN nor a campaign.")


def _limited(reading: Reading) -> Reading:
    if len(reading.rows) > MAX_ROWS:
        reading.refuse(
            reading.rows[MAX_ROWS].line,
            "",
            f"At most {MAX_ROWS:,} rows at a time; this has {len(reading.rows):,}.",
        )
    return reading
