"""Characters that look like SQL's own and are none: what word processors, spreadsheets and web pages leave in SQL."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

_BLANKS = "\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# For `str.translate`: what AMC reads as a blank becomes a space.
BLANKS_TO_SPACES: Mapping[int, str] = MappingProxyType({ord(character): " " for character in _BLANKS})
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
# Characters that cannot be seen and take no room.
INVISIBLE = "\u00ad\ufeff" + "".join(
    chr(code)
    for first, last in ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x2069))
    for code in range(first, last + 1)
)
_SINGLE_QUOTES = "\u00b4\u2018-\u201b\u2032\u2035"
_DOUBLE_QUOTES = "\u201c-\u201f\u2033\u2036"
_SIGNS = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    "\u00d7": "*", "\u00f7": "/", "\u2260": "<>", "\u2264": "<=", "\u2265": ">=", "\u3001": ",",
}  # fmt: skip
# The full-width forms of ASCII's signs; letters, digits and the underscore may be part of a name.
_FULL_WIDTH = "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3e\uff40\uff5b-\uff5e"
_WIDTH = 0xFEE0
# For `str.translate`: ASCII in the width of Chinese and Japanese characters becomes ASCII.
FULL_WIDTH_TO_ASCII: Mapping[int, str] = MappingProxyType(
    {code: chr(code - _WIDTH) for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
)

_CODE = re.compile(
    rf"""
    (?P<skipped> --[^\r\n]* | /\*.*?(?:\*/|\Z) | '(?:[^']|'')*'? | "(?:[^"]|"")*"? | `[^`]*`? )
    | (?P<string> (?P<mark>[\u2018\u201a\u201b]) (?P<text>[^\u2018\u2019'\r\n]*) \u2019 )
    | (?P<name> [\u201c\u201e\u201f] (?P<title>[^\u201c\u201d"\r\n]*) \u201d )
    | (?P<character> [{_BLANKS}{INVISIBLE}{_SINGLE_QUOTES}{_DOUBLE_QUOTES}{"".join(_SIGNS)}{_FULL_WIDTH}] )
    """,
    re.VERBOSE | re.DOTALL,
)
_NAMES = {
    "\t": "tab",
    "\n": "line break",
    "\r": "line break",
    "\ufeff": "byte order mark",
    "\u00a0": "no-break space",
    "\u200b": "zero-width space",
    "\u2018": "curly quote",
    "\u2019": "curly quote",
    "\u201c": "curly double quote",
    "\u201d": "curly double quote",
}


class LookAlike(NamedTuple):
    """A character of SQL's code, outside strings, quoted names and comments, and what `text[start:end]` should be.

    AMC reads a blank as a blank; every other look-alike is an error.
    """

    character: str
    start: int
    end: int
    replacement: str
    is_blank: bool

    @property
    def description(self) -> str:
        """Return its code point and name."""
        return describe(self.character)

    @property
    def message(self) -> str:
        """Return what is wrong and what to write."""
        if self.is_blank:
            return f"{self.description} looks like a space: use an ordinary one."
        if not self.replacement:
            return f"{self.description} cannot be seen and is not part of AMC SQL: remove it."
        # Of a pair of quotes, one says it all.
        sign = self.replacement[0] if self.end - self.start > 1 else self.replacement
        return f"{self.description} is not part of AMC SQL: write {sign} instead."


def describe(character: str) -> str:
    """Return the code point and name of a character: `U+FEFF (byte order mark)`."""
    name = _NAMES.get(character) or unicodedata.name(character, "control character").lower()
    return f"U+{ord(character):04X} ({name})"


def look_alikes(sql: str) -> Iterator[LookAlike]:
    """Return the look-alikes of a text in order; curly quotes in pairs come as one, with what they enclose."""
    if sql.isascii():
        return
    for found in _CODE.finditer(sql):
        start, end = found.span()
        if found["string"]:
            yield LookAlike(sql[start], start, end, f"'{found['text']}'", is_blank=False)
        elif found["name"]:
            yield LookAlike(sql[start], start, end, f'"{found["title"]}"', is_blank=False)
        elif found["character"]:
            yield LookAlike(sql[start], start, end, *_meant(sql[start]))


def unsendable(sql: str) -> tuple[int, str] | None:
    """Return the place of a character that no request can carry, and what it is; None when there is none."""
    found = _UNSENDABLE.search(sql)
    if found is None:
        return None
    return found.start(), "a NUL character" if found[0] == "\0" else "half a character (a lone surrogate)"


def _meant(character: str) -> tuple[str, bool]:
    """Return what a character stands for, and whether it is a blank."""
    if character in _BLANKS:
        return " ", True
    if character in INVISIBLE:
        return "", False
    if re.match(f"[{_SINGLE_QUOTES}]", character):
        return "'", False
    if re.match(f"[{_DOUBLE_QUOTES}]", character):
        return '"', False
    return _SIGNS.get(character) or chr(ord(character) - _WIDTH), False
