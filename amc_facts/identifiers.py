"""What ASINs and campaign IDs look like, and how people separate them in pasted text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from amc_facts.characters import FULL_WIDTH_TO_ASCII, INVISIBLE

ASIN_LENGTH = 10
# Amazon gives ASINs that begin with B; a printed book has its ISBN-10, ten digits or nine and X.
ASIN_FIRST_CHARACTERS = "B0123456789"
_GIVEN_ASIN = re.compile(r"B[A-Z0-9]{9}")
_ISBN_10 = re.compile(r"[0-9]{9}[0-9X]")

MAX_ID_DIGITS = 19
MAX_ID = 2**63 - 1
# IDs are long: shorter numbers between quotes, brackets or pipes are part of a name.
_MIN_DIGITS_OF_AN_ID = 9
# An ID as a spreadsheet shows and saves it: 1.23457E+17, 144,115,188,075,855,872.
ROUNDED_ID = re.compile(r"[0-9]([.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
GROUPED_ID = re.compile(r"[0-9]{1,3}(?:([,.' ])[0-9]{3})(?:\1[0-9]{3}){2,}")

# How the text of a parameter is cut. What is saved depends on it, so it stays as it is.
ASIN_SEPARATORS = re.compile(r"[\s,;'\"()\[\]]+")
# Names of campaigns contain commas, so only a line of nothing but IDs is cut at them.
ID_LINE = re.compile(r"[0-9,;\s]+")
ID_SEPARATORS = re.compile(r"[\s,;]+")

# A list of ASINs may come from anywhere: word processors, chats, web pages, spreadsheets in Chinese or Japanese.
_QUOTES = "'\"\u2018-\u201f\u00ab\u00bb\u2039\u203a"
_BETWEEN_ASINS = rf"\s,;{_QUOTES}()\[\]{{}}<>|\u3001\uff64\u060c\u2022"
_ASIN_TOKEN = re.compile(
    rf"(?:https?://|www\.|amazon\.)[^\s,;|<>\u3001\"\u201c\u201d]+|[^{_BETWEEN_ASINS}]+", re.IGNORECASE
)
_AROUND_IDS = re.compile(rf"[{_QUOTES}()\[\]{{}}|]")
_UNSEEN = re.compile(f"[{INVISIBLE}]")
_AT_AMAZON = re.compile(
    r"(?:https?://)?(?:[a-z0-9-]+\.){0,3}amazon\.(?:com?\.)?[a-z]{2,3}(?::[0-9]+)?(?=[/?#])", re.IGNORECASE
)
_PRODUCT = re.compile(
    r"/(?:dp|gp/product(?:/glance)?|gp/aw/d|gp/offer-listing|product-reviews|exec/obidos/asin|o/asin)"
    r"/(?P<asin>[A-Z0-9]{10})(?![A-Z0-9])",
    re.IGNORECASE,
)


def is_asin(text: str) -> bool:
    """Return whether a text in capitals is an ASIN; an ISBN-10 is one when its check digit is right."""
    return _GIVEN_ASIN.fullmatch(text) is not None or _is_isbn_10(text)


def asin_tokens(text: str) -> Iterator[str]:
    """Return what stands between the separators of a pasted list of ASINs, one after the other; links stay whole."""
    plain = text if text.isascii() else text.translate(FULL_WIDTH_TO_ASCII)
    return (found[0] for found in _ASIN_TOKEN.finditer(plain))


def asins_of(token: str) -> list[str]:
    """Return the ASINs in a token, in capitals: several when what divides them cannot be seen, none in other texts."""
    if is_link(token):
        asin = _asin_of_link(token)
        return [asin] if asin else []
    parts = [part.upper() if part.isascii() else part for part in _UNSEEN.split(token) if part]
    whole = "".join(parts)
    if is_asin(whole):
        return [whole]
    return parts if len(parts) > 1 and all(map(is_asin, parts)) else []


def is_link(token: str) -> bool:
    """Return whether a token of a list is an address of the web."""
    folded = token.casefold()
    return "://" in folded or folded.startswith("www.") or "amazon." in folded


def without_invisible(text: str) -> str:
    """Return a text without the characters that cannot be seen."""
    return _UNSEEN.sub("", text)


def campaign_ids_of(text: str) -> list[str] | None:
    """Return the numbers in a row of nothing but campaign IDs; None for any other text.

    A number that a spreadsheet wrote in groups of three stays whole.
    """
    plain = without_invisible(text).translate(FULL_WIDTH_TO_ASCII).replace("\u3001", ",")
    if GROUPED_ID.fullmatch(plain.strip()):
        return [plain.strip()]
    bare = _AROUND_IDS.sub(" ", plain)
    if not ID_LINE.fullmatch(bare):
        return None
    found = [number for number in ID_SEPARATORS.split(bare) if number]
    is_certain = bare == plain or min(map(len, found), default=0) >= _MIN_DIGITS_OF_AN_ID
    return found if is_certain else None


def _asin_of_link(link: str) -> str | None:
    """Return the ASIN in the address of a product's page at Amazon; None for any other address."""
    # Links of ads carry the page's own address, escaped.
    address = unquote(without_invisible(link))
    start = _AT_AMAZON.match(address)
    product = _PRODUCT.search(address, start.end()) if start else None
    asin = product["asin"].upper() if product else ""
    return asin if is_asin(asin) else None


def _is_isbn_10(text: str) -> bool:
    if _ISBN_10.fullmatch(text) is None:
        return False
    digits = [10 if character == "X" else int(character) for character in text]
    return sum(weight * digit for weight, digit in zip(range(10, 0, -1), digits, strict=True)) % 11 == 0
