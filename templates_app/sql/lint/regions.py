"""Makes a template readable for the SQL parser without moving a single character.

Comments become white space, placeholders become identifiers or strings of the same length, and everything but
strings is lower-cased, as AMC's names know no case. So every position the parser reports is one of the source.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from string import ascii_uppercase

from amc_facts.characters import BLANKS_TO_SPACES
from templates_app.sql.placeholders import Malformed, Placeholder, read

_REGION = re.compile(
    r"""
    (?P<line>--[^\r\n]*+)
    | (?P<block>/\*.*?(?:\*/|\Z))
    | (?P<string>'[^']*+(?:''[^']*+)*+'?)
    | (?P<quoted>"[^"]*+(?:""[^"]*+)*+"? | `[^`]*+(?:``[^`]*+)*+`?)
    """,
    re.VERBOSE | re.DOTALL,
)
# After these words the grammar wants a string where a value is meant.
_WANTS_STRING = re.compile(r"\b(?:DATE|TIMESTAMP|TIME|INTERVAL)\s*\Z", re.IGNORECASE)
_LOOK_BACK = 40
_NOT_A_BREAK = re.compile(r"[^\r\n]")
_TRANSLATION = {**{ord(letter): letter.lower() for letter in ascii_uppercase}, **BLANKS_TO_SPACES}


@dataclass(frozen=True, slots=True)
class TextRange:
    """A piece of the source, `source[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReadableSql:
    """The source for the parser: `text` has the source's length and line breaks outside placeholders."""

    text: str
    placeholders: tuple[TextRange, ...]
    line_comments: tuple[TextRange, ...]
    unclosed: TextRange | None
    malformed: TextRange | None

    def touches_placeholder(self, start: int, end: int) -> bool:
        """Return whether `source[start:end]` holds or is a placeholder."""
        after = bisect_left(self.placeholders, end, key=lambda span: span.start)
        return after > 0 and start < self.placeholders[after - 1].end


def make_readable(sql: str) -> ReadableSql:
    """Blank comments and replace placeholders."""
    regions = list(_REGION.finditer(sql))
    found = list(read(sql))
    placeholders = [item for item in found if isinstance(item, Placeholder)]
    malformed = next((item for item in found if isinstance(item, Malformed)), None)
    unclosed = next((match for match in regions if not _is_closed(match)), None)
    return ReadableSql(
        text=_with_stand_ins(_without_regions(sql, regions), placeholders),
        placeholders=tuple(TextRange(item.start, item.end) for item in placeholders),
        line_comments=tuple(TextRange(*match.span()) for match in regions if match.lastgroup == "line"),
        unclosed=TextRange(*unclosed.span()) if unclosed else None,
        malformed=TextRange(malformed.start, malformed.end) if malformed else None,
    )


def _without_regions(sql: str, regions: list[re.Match[str]]) -> str:
    pieces: list[str] = []
    position = 0
    for match in regions:
        pieces += [_lower(sql[position : match.start()]), _region(match)]
        position = match.end()
    return "".join([*pieces, _lower(sql[position:])])


def _region(match: re.Match[str]) -> str:
    text = match[0]
    if match.lastgroup in ("line", "block"):
        return _NOT_A_BREAK.sub(" ", text)
    if match.lastgroup == "string":
        return text
    return _lower(text if text[0] == '"' else text.replace('"', "_").replace("`", '"'))


def _lower(text: str) -> str:
    # str.lower() may change the length of text outside ASCII.
    return text.lower() if text.isascii() else text.translate(_TRANSLATION)


def _with_stand_ins(text: str, placeholders: list[Placeholder]) -> str:
    pieces: list[str] = []
    position = 0
    for item in placeholders:
        if not item.quote:
            pieces += [text[position : item.start], _stand_in(text, item)]
            position = item.end
    return "".join([*pieces, text[position:]])


def _stand_in(text: str, item: Placeholder) -> str:
    """Return something of the placeholder's length that the grammar allows in its place."""
    length = item.end - item.start
    if item.place == "rows":
        return "(" + "p" * (length - 2) + ")"
    if _WANTS_STRING.search(text[max(0, item.start - _LOOK_BACK) : item.start]):
        return "'" + "x" * (length - 2) + "'"
    return "p" + "_" * (length - 1)


def _is_closed(match: re.Match[str]) -> bool:
    text = match[0]
    if match.lastgroup == "block":
        return len(text) >= 4 and text.endswith("*/")
    # An odd number of quotes leaves the last one without its partner.
    return match.lastgroup == "line" or text.count(text[0]) % 2 == 0
