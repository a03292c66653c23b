"""Values as people read them: exact, short, the same everywhere."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

# A price keeps its two places; more zeros than that say nothing.
_KEPT_PLACES = 2
# As AMC writes them.
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def display(value: Any) -> str | None:
    """Return a value of a result as a text; None, for NULL, stays None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, dt.datetime):
        text = value.isoformat(" ")
        return text.rstrip("0") if value.microsecond else text
    return str(value)


def _decimal(value: Decimal) -> str:
    """Return a decimal without an exponent and without a tail of zeros."""
    whole, point, places = format(value, "f").partition(".")
    if len(places) > _KEPT_PLACES:
        places = places.rstrip("0")
    return whole + point + places if places else whole


def _double(value: float) -> str:
    return _NOT_FINITE.get(str(value)) or repr(value).removesuffix(".0")
