"""What ASINs and campaign IDs look like, and how people separate them in pasted text."""

from __future__ import annotations

import re

ASIN_LENGTH = 10
# Amazon gives ASINs that begin with B; a printed book has its ISBN-10, ten digits or nine and X.
ASIN_FIRST_CHARACTERS = "B0123456789"
_GIVEN_ASIN = re.compile(r"B[A-Z0-9]{9}")
_ISBN_10 = re.compile(r"[0-9]{9}[0-9X]")

MAX_ID_DIGITS = 19
MAX_ID = 2**63 - 1
# An ID as a spreadsheet shows and saves it: 1.23457E+17.
ROUNDED_ID = re.compile(r"[0-9]([.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)

ASIN_SEPARATORS = re.compile(r"[\s,;'\"()\[\]]+")
# Names of campaigns contain commas, so only a line of nothing but IDs is cut at them.
ID_LINE = re.compile(r"[0-9,;\s]+")
ID_SEPARATORS = re.compile(r"[\s,;]+")


def is_asin(text: str) -> bool:
    """Return whether a text in capitals is an ASIN; an ISBN-10 is one when its check digit is right."""
    return _GIVEN_ASIN.fullmatch(text) is not None or _is_isbn_10(text)


def _is_isbn_10(text: str) -> bool:
    if _ISBN_10.fullmatch(text) is None:
        return False
    digits = [10 if character == "X" else int(character) for character in text]
    return sum(weight * digit for weight, digit in zip(range(10, 0, -1), digits, strict=True)) % 11 == 0
