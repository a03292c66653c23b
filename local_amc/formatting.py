"""Values as AMC writes them into CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

_UNNAMED = "_col_"


@dataclass(frozen=True, slots=True)
class Format:
    """The `outputFormat` of a workflow."""

    separator: str = ","
    quote: str = '"'
    escape: str | None = None


def header(name: str, place: int) -> str:
    """Return a column's header: lower case, and Calcite's `expr$0` for what has no name."""
    return f"expr${place}" if name.startswith(_UNNAMED) or not name else name.lower()


def cell(value: Any) -> str:
    """Return one value as text; NULL is an empty field, like the empty string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        # Not strftime, which gives the year 12 as two digits.
        return f"{value.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return f"[{', '.join(_inner(item) for item in value)}]"
    # A named row is written by position, without its names.
    return f"[{', '.join(_inner(item) for item in value.values())}]" if isinstance(value, dict) else str(value)


def write(file: IO[str], titles: Iterable[str], rows: Iterable[Iterable[Any]], style: Format) -> None:
    """Write a header row and rows."""
    writer = csv.writer(
        file,
        delimiter=style.separator,
        quotechar=style.quote,
        escapechar=style.escape,
        doublequote=style.escape is None or style.escape == style.quote,
        lineterminator="\n",
    )
    writer.writerow(titles)
    writer.writerows([cell(value) for value in row] for row in rows)


def _inner(value: Any) -> str:
    return "null" if value is None else cell(value)


def _number(value: float) -> str:
    """Return a float without an exponent where a short text exists, and without a needless fraction's noise."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text
