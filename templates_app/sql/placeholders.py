"""Finds the placeholders of a template and the place of each, in one pass over the text.

The text is strings, quoted identifiers, comments and code. A regular expression jumps from one thing that matters to
the next; what lies between is code and is looked at only where a placeholder or a parenthesis follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from templates_app.sql.names import is_name_character, leading_name

# in: behind IN. rows: where VALUES wants a row. cell: alone in the parentheses of such a row. list: an element between
# brackets. one: room for one value only. text: beside other text in a string or a quoted identifier.
Place = Literal["in", "rows", "cell", "list", "one", "text"]

# Every alternative of _EVENT begins with a character of its own, so the search skips everything else in C, and no
# alternative can give back what it took, so the time is proportional to the length. Names may take too many
# characters outside ASCII here; leading_name() and isidentifier() have the last word.
_NAME = r"[0-9A-Za-z_\x80-\U0010ffff]"
_BRACES = rf"\{{\{{(?!\{{)\s*+({_NAME}++)\s*+\}}\}}|\{{\{{++"
_BLOCK_COMMENT = r"/\*[\s\S]*?(?:\*/|\Z)"
_EVENT = re.compile(
    rf"""
    --[^\r\n]*+ | {_BLOCK_COMMENT}
    | '[^']*+(?:''[^']*+)*+'? | "[^"]*+(?:""[^"]*+)*+"? | `[^`]*+(?:``[^`]*+)*+`?
    | {_BRACES} | \{{[%\#]
    | :{_NAME}++ | \${_NAME}++
    | \( | \[ | \) | \]
    """,
    re.VERBOSE,
)
_QUOTED_BRACES = re.compile(_BRACES)
_BLANK = re.compile(rf"(?:\s++|--[^\r\n]*+|{_BLOCK_COMMENT})*+")

_QUOTES = "'\"`"
_RULES_OUT_A_MARK = ":$)]}" + _QUOTES
_MAX_ADJACENT_WORD = len("VALUES")


class Placeholder(NamedTuple):
    """A placeholder, `sql[start:end]`; an operand's quotes are not part of it."""

    name: str
    start: int
    end: int
    quote: str
    place: Place
    is_adjacent: bool = False
    follows_like: bool = False
    follows_minus: bool = False

    @property
    def replaced(self) -> tuple[int, int]:
        """What a value replaces: the quotes of an operand belong to it."""
        if self.quote and self.place != "text":
            return self.start - 1, self.end + 1
        return self.start, self.end


class Malformed(NamedTuple):
    """Braces that look like a placeholder and are none, `sql[start:end]`."""

    start: int
    end: int


def read(sql: str) -> Iterator[Placeholder | Malformed]:
    """Return placeholders and malformed braces in the order of the text."""
    code = _Code(sql)
    for match in _EVENT.finditer(sql):
        start, end = match.span()
        first = sql[start]
        if first in "([":
            code.open_bracket(start)
        elif first in ")]":
            code.close_bracket(start)
        elif first in "-/":
            code.skip_comment(start, end)
        elif first in _QUOTES:
            yield from _read_quoted(code, start, end)
        elif first == "{":
            name = _name_in_braces(match)
            yield code.placeholder(name, start, end) if name else _malformed(match)
        elif name := _name_behind_mark(sql, start, match[0]):
            yield code.placeholder(name, start, start + 1 + len(name))


def _name_in_braces(match: re.Match[str]) -> str:
    # White space outside ASCII may have been taken for a part of the name.
    name = (match[1] or "").rstrip()
    return name if name.isidentifier() else ""


def _malformed(match: re.Match[str]) -> Malformed:
    # Behind the run of braces were at most name characters, so nothing was missed there.
    text = match[0]
    if text[1] != "{":
        return Malformed(match.start(), match.end())
    return Malformed(match.start(), match.start() + len(text) - len(text.lstrip("{")))


def _name_behind_mark(sql: str, start: int, text: str) -> str:
    before = sql[start - 1 : start]
    if before and (before in _RULES_OUT_A_MARK or is_name_character(before)):
        return ""
    name = leading_name(text[1:])
    if text[0] == "$" and sql.startswith("$", start + 1 + len(name)):
        return ""
    return name


def _read_quoted(code: _Code, start: int, end: int) -> Iterator[Placeholder | Malformed]:
    sql = code.sql
    if sql.find("{{", start, end) < 0:
        code.end_item(end)
        return
    quote = sql[start]
    for match in _QUOTED_BRACES.finditer(sql, start, end):
        name = _name_in_braces(match)
        if not name:
            yield _malformed(match)
        elif quote == "'" and match.start() == start + 1 and match.end() == end - 1 and sql[end - 1] == quote:
            yield code.quoted_operand(name, *match.span())
            return
        else:
            yield Placeholder(name, *match.span(), quote, "text")
    code.end_item(end)


class _Code:
    """What is known of the code so far: open brackets, the last item, and the text since it.

    An item is a bracket, a string, a quoted identifier or a placeholder.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._pieces: list[str] = []
        self._position = 0
        self._end_of_placeholder = 0
        self._last: Literal["", "open", "row"] = ""
        self._brackets: list[str] = []

    def skip_comment(self, start: int, end: int) -> None:
        self._pieces.append(self.sql[self._position : start])
        self._position = end

    def end_item(self, end: int, last: Literal["", "open", "row"] = "") -> None:
        self._pieces.clear()
        self._position = end
        self._last = last

    def open_bracket(self, start: int) -> None:
        is_row = self.sql[start] == "(" and self._is_at_row(self._text_until(start))
        self._brackets.append("row" if is_row else self.sql[start])
        self.end_item(start + 1, "open")

    def close_bracket(self, start: int) -> None:
        opener = self._brackets[-1] if self._brackets else ""
        is_closed = opener == "[" if self.sql[start] == "]" else opener in ("(", "row")
        if is_closed:
            self._brackets.pop()
        self.end_item(start + 1, "row" if is_closed and opener == "row" else "")

    def placeholder(self, name: str, start: int, end: int) -> Placeholder:
        """Read a placeholder in code."""
        before = self._text_until(start)
        place = self._place(before, end)
        is_adjacent = (0 < start == self._end_of_placeholder) or _is_adjacent(self.sql, start, end)
        self._end_of_placeholder = end
        self.end_item(end, "row" if place == "rows" else "")
        return Placeholder(
            name,
            start,
            end,
            "",
            place,
            is_adjacent=is_adjacent,
            follows_like=_follows_like(before),
            follows_minus=self.sql.startswith("-", start - 1) if start else False,
        )

    def quoted_operand(self, name: str, start: int, end: int) -> Placeholder:
        """Read a string that is one placeholder and nothing else, between its quotes."""
        place = self._place(self._text_until(start - 1), end + 1)
        self.end_item(end + 1, "row" if place == "rows" else "")
        return Placeholder(name, start, end, "'", place)

    def _text_until(self, position: int) -> str:
        """Return the code since the last item, comments as white space, without white space at its end."""
        text = self.sql[self._position : position]
        if self._pieces:
            text = " ".join([*self._pieces, text])
        return text.rstrip()

    def _is_at_row(self, before: str) -> bool:
        if before.endswith(","):
            return self._last == "row" and before.strip() == ","
        return _ends_with_word(before, "VALUES")

    def _place(self, before: str, end: int) -> Place:
        if _ends_with_word(before, "IN"):
            return "in"
        if self._is_at_row(before):
            return "rows"
        opens = not before and self._last == "open"
        if not self._brackets or not (opens or before.endswith(",")):
            return "one"
        behind = _next_character(self.sql, end)
        if self._brackets[-1] == "row":
            return "cell" if opens and behind == ")" else "one"
        return "list" if behind and behind in ")]," else "one"


def _next_character(sql: str, position: int) -> str:
    """Return the next character that is neither white space nor comment, empty at the end of the text."""
    match = _BLANK.match(sql, position)
    position = match.end() if match else position
    return sql[position : position + 1]


def _ends_with_word(text: str, word: str) -> bool:
    tail = text[-len(word) :]
    if not tail.isascii() or tail.upper() != word:
        return False
    return len(text) == len(word) or not is_name_character(text[-len(word) - 1])


def _follows_like(before: str) -> bool:
    if _ends_with_word(before, "TO"):
        return _ends_with_word(before[:-2].rstrip(), "SIMILAR")
    return _ends_with_word(before, "LIKE")


def _is_adjacent(sql: str, start: int, end: int) -> bool:
    """Return whether the placeholder in code touches what would become one word or one string with its value."""
    if start:
        left = sql[start - 1]
        if left in _QUOTES or left == ".":
            return True
        if is_name_character(left):
            word = sql[max(0, start - _MAX_ADJACENT_WORD - 1) : start]
            if not (_ends_with_word(word, "IN") or _ends_with_word(word, "VALUES")):
                return True
    right = sql[end : end + 1]
    if not right:
        return False
    if right in _QUOTES or right == "." or is_name_character(right):
        return True
    match = _QUOTED_BRACES.match(sql, end)
    return match is not None and bool(_name_in_braces(match))
