"""What a text has to be to be mapped: ASINs, campaign IDs and names, each with the reason when it cannot be."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from types import MappingProxyType

from amc_facts.characters import INVISIBLE, describe
from amc_facts.identifiers import (
    ASIN_LENGTH,
    GROUPED_ID,
    MAX_ID,
    MAX_ID_DIGITS,
    ROUNDED_ID,
    asin_tokens,
    asins_of,
    campaign_ids_of,
    is_asin,
    is_link,
    without_invisible,
)
from amchelper.words import counted
from instances.models.mapping import NAME_LENGTH, MappingKind, fold_campaign

_NEVER_IN_A_NAME = ("Cc", "Zl", "Zp", "Cs")
# Others join letters and emoji, or turn the direction of a name; these only hide in it.
_ONLY_HIDES = frozenset("\u00ad\u200b\u2060\ufeff")
# Shorter numbers were no ISBN-10 either.
_MIN_DIGITS_OF_AN_ISBN = 7
# An ASIN with spaces in it is still this short.
_MAX_SPACED_ASIN = 40
_SHORT_LINKS = ("amzn.to/", "amzn.eu/", "amzn.asia/", "a.co/")
_ASIN_FORM = "An ASIN is B and nine letters or digits, or the ISBN-10 of a book"
_SHORT_LINK = "A short link does not say its ASIN. Open it, and copy the address of the product's page."
_NO_PRODUCT = "This link is none of a product at Amazon: it has no /dp/ or /gp/product/ with an ASIN behind it."
ROUNDED = "A spreadsheet rounded this ID. Format the column as text, enter the ID again and save."
_GROUPED = "A spreadsheet wrote this number in groups. Format the column as text, without separators, and save."


def asins_in(text: str) -> Iterable[str]:
    """Return the tokens of a text that holds ASINs; one ASIN with spaces in it is one token."""
    compact = "".join(text.split()) if len(text) <= _MAX_SPACED_ASIN else ""
    return [compact] if is_asin(compact.upper()) and compact.isascii() else asin_tokens(text)


def clean_asins(token: str) -> list[str]:
    """Return the ASINs of one token; raises ValueError with the reason when it is none."""
    asins = asins_of(token)
    compact = without_invisible(token)
    if asins or not compact:
        return asins
    if compact.casefold().removeprefix("https://").removeprefix("http://").startswith(_SHORT_LINKS):
        raise ValueError(_SHORT_LINK)
    raise ValueError(_NO_PRODUCT if is_link(token) else f"{_ASIN_FORM}; {_why_no_asin(compact)}.")


def is_near_asin(text: str) -> bool:
    """Return whether a text was meant as an ASIN, although it may be none."""
    compact = text.strip().upper()
    return compact.startswith("B0") and compact.isalnum() and abs(len(compact) - ASIN_LENGTH) <= 2


def campaign_ids_in(text: str) -> Iterable[str]:
    """Return the tokens of a text that holds campaign IDs."""
    found = campaign_ids_of(text)
    return [text] if found is None else found


def clean_campaign_id(token: str) -> list[str]:
    """Return the digits of a campaign ID; raises ValueError with the reason when it is none."""
    digits = without_invisible(token).strip()
    if ROUNDED_ID.fullmatch(digits):
        raise ValueError(ROUNDED)
    if GROUPED_ID.fullmatch(digits):
        raise ValueError(_GROUPED)
    if strange := _first(digits, lambda character: not (character.isascii() and character.isdecimal())):
        raise ValueError(f"A campaign ID has digits only; this holds {_shown(strange)}.")
    if digits.startswith("0"):
        raise ValueError("A campaign ID does not begin with 0.")
    if len(digits) > MAX_ID_DIGITS or int(digits) > MAX_ID:
        raise ValueError("This is larger than any campaign ID (64 bits).")
    return [digits]


def clean_campaign_name(raw: str) -> list[str]:
    """Return a name as Amazon has it, without white space around it; raises ValueError with the reason."""
    name = raw.strip().strip(INVISIBLE).strip()
    if strange := _first(name, lambda character: unicodedata.category(character) in _NEVER_IN_A_NAME):
        raise ValueError(
            f"A campaign name has no tabs, line breaks or control characters; this holds {describe(strange)}."
        )
    if len(name) > NAME_LENGTH or len(fold_campaign(name)) > 3 * NAME_LENGTH:
        raise ValueError(f"A campaign name has at most {NAME_LENGTH} characters; this has {len(name)}.")
    return [name] if name else []


def hidden_in(name: str) -> str:
    """Return the first character of a name that only hides in it, described; empty when there is none."""
    return "" if name.isascii() else next((describe(one) for one in name if one in _ONLY_HIDES), "")


TOKENS: MappingProxyType[MappingKind, Callable[[str], Iterable[str]]] = MappingProxyType(
    {
        MappingKind.ASIN: asins_in,
        MappingKind.CAMPAIGN_ID: campaign_ids_in,
        MappingKind.CAMPAIGN_NAME: lambda text: (text,),
    }
)
CLEAN: MappingProxyType[MappingKind, Callable[[str], list[str]]] = MappingProxyType(
    {
        MappingKind.ASIN: clean_asins,
        MappingKind.CAMPAIGN_ID: clean_campaign_id,
        MappingKind.CAMPAIGN_NAME: clean_campaign_name,
    }
)


def _why_no_asin(text: str) -> str:
    if strange := _first(text, lambda character: not (character.isascii() and character.isalnum())):
        return f"this holds {_shown(strange)}"
    asin = text.upper()
    if len(asin) != ASIN_LENGTH:
        return f"this has {counted(len(asin), 'character')}{_lost_zeros(asin)}"
    isbn = ", and its check digit is not that of an ISBN-10" if asin[:-1].isdecimal() else ""
    return f"this begins with {asin[0]}{isbn}"


def _lost_zeros(asin: str) -> str:
    """Return the hint that a spreadsheet took a book's ISBN-10 for a number."""
    if not asin[:-1].isdecimal() or not _MIN_DIGITS_OF_AN_ISBN <= len(asin) < ASIN_LENGTH:
        return ""
    whole = asin.rjust(ASIN_LENGTH, "0")
    if is_asin(whole):
        return f": a spreadsheet dropped a leading 0. Write {whole}, and format the column as text"
    return ": a spreadsheet may have dropped a leading 0" if len(asin) == ASIN_LENGTH - 1 else ""


def _first(text: str, is_strange: Callable[[str], bool]) -> str:
    return next(filter(is_strange, text), "")


def _shown(character: str) -> str:
    return f"“{character}”" if character.isascii() and character.isprintable() else describe(character)
