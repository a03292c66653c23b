"""Why a query is refused, worded like AMC (Apache Calcite) with line and column, both counted from 1."""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from local_amc.sql.comments import blank


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
    """The text of a query, without its comments, and where things are in it."""

    def __init__(self, text: str) -> None:
        self.text = blank(text)

    def span(self, start: int, end: int) -> Span:
        """Return lines and columns of the characters from `start` to `end`, both included."""
        return Span(*self._position(start), *self._position(max(start, end)))

    def span_of(self, node: exp.Expr | None) -> Span | None:
        """Return where a node stands, from its first to its last name or literal; None when nobody knows."""
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
        words = [token for token in sqlglot.tokenize(self.text, dialect="duckdb") if token.text]
        found = next((token for token in words if self._is(token, word)), None) or next(
            (token for token in words if token.token_type == TokenType.STRING and token.text == word), None
        )
        return self.span(found.start, found.end) if found else None

    def _is(self, token: Token, word: str) -> bool:
        return token.text.lower() == word.lower() and token.token_type != TokenType.STRING

    def _position(self, offset: int) -> tuple[int, int]:
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
