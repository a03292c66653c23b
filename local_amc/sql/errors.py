"""Why a query is refused, worded like AMC (Apache Calcite) with line and column, both counted from 1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from amc_facts.characters import look_alikes
from amc_facts.dialect import DIALECT, SqlFault

# AMC's parser allows comments between any two words and does not nest them. Texts and quoted names come first, so that
# what looks like a comment in them is none.
_PIECES = re.compile(
    r"""
    '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?P<comment> --[^\r\n]* | /\*.*?\*/ )
    | (?P<open> ' | " | /\* )
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT_A_LINE_END = re.compile(r"[^\r\n]")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the SQL; the end belongs to it."""

    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column} to line {self.end_line}, column {self.end_column}"


class SqlError(Exception):
    """A query that will not run; `str()` is the text for the user."""

    def __init__(self, message: str, span: Span | None = None) -> None:
        super().__init__(f"From {span}: {message}" if span else message)
        self.message, self.span = message, span


class SqlSyntaxError(SqlError):
    """The text is not one SELECT statement of AMC SQL; AMC refuses it when it is sent."""


class SqlRejectedError(SqlError):
    """The statement is well formed, but AMC will not run it: unknown names, types, privacy."""


class Source:
    """The text of a query with spaces for comments, every other character in its place, and where things are."""

    def __init__(self, text: str) -> None:
        self.text = _with_spaces(text)

    def first_unclosed(self) -> Span | None:
        """Return where a text, a quoted name or a comment begins that never ends; None when all of them do."""
        start = next((found.start() for found in _PIECES.finditer(self.text) if found["open"]), None)
        return self.span(start, start) if start is not None else None

    def span(self, start: int, end: int) -> Span:
        """Return lines and columns of the characters from `start` to `end`, both included."""
        return Span(*self._position(start), *self._position(max(start, end)))

    def span_of(self, node: exp.Expr | None) -> Span | None:
        """Return where a node stands, from its first to its last name or literal; None when it has no known place."""
        if node is None:
            return None
        places = [
            (n.meta["start"], n.meta["end"])
            for n in node.walk()
            if "start" in n.meta and n.meta["end"] < len(self.text)
        ]
        if not places:
            return None
        return self.span(min(start for start, _ in places), max(end for _, end in places))

    def whole(self) -> Span | None:
        """Return where the statement stands."""
        text = self.text.strip()
        start = self.text.find(text)
        return self.span(start, start + len(text) - 1) if text else None

    def span_of_word(self, word: str) -> Span | None:
        """Return where a name, or else a text, is first written, in any case."""
        words = [token for token in sqlglot.tokenize(self.text, dialect=DIALECT) if token.text]
        found = next((token for token in words if self._is(token, word)), None) or next(
            (token for token in words if token.token_type == TokenType.STRING and token.text == word), None
        )
        return self.span(found.start, found.end) if found else None

    def _is(self, token: Token, word: str) -> bool:
        return token.text.lower() == word.lower() and token.token_type != TokenType.STRING

    def _position(self, offset: int) -> tuple[int, int]:
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def reject_syntax(faults: Iterable[SqlFault], source: Source) -> None:
    """Raise SqlSyntaxError for the first fault, if there is one."""
    for fault in faults:
        raise SqlSyntaxError(fault.message, _place(fault, source))


def reject(faults: Iterable[SqlFault | None], source: Source) -> None:
    """Raise SqlRejectedError for the first fault, if there is one."""
    for fault in filter(None, faults):
        raise SqlRejectedError(fault.message, _place(fault, source))


def _place(fault: SqlFault, source: Source) -> Span | None:
    around = fault.node.parent if fault.node is not None else None
    return source.span_of(fault.node) or source.span_of(around)


def _with_spaces(text: str) -> str:
    """Return the text with spaces instead of comments, and of characters that AMC reads as blanks."""
    pieces: list[str] = []
    position = 0
    for found in look_alikes(text):
        if found.is_blank:
            pieces += [text[position : found.start], " "]
            position = found.end
    return _PIECES.sub(_blanked, "".join([*pieces, text[position:]]))


def _blanked(found: re.Match[str]) -> str:
    return _NOT_A_LINE_END.sub(" ", found[0]) if found["comment"] else found[0]
