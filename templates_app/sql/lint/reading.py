"""Reads a template into tokens and a syntax tree, or says where it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from sqlglot import Token, Tokenizer, TokenType, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError, TokenError

from amc_facts import grammar
from amc_facts.dialect import AFTER_A_LIST, DIALECT, unwrap_any_value
from templates_app.sql.lint.findings import Finding, FindingLines, Fix, Level
from templates_app.sql.lint.regions import ReadableSql, make_readable

# Deeper nesting than this makes the parser slow or ends its recursion; no real query comes near.
MAX_DEPTH = 60
# Operators, calls and UNIONs inside one another: the rules look at each part once for every one around it. A chain
# of AND or of OR is one, however long it is.
MAX_NESTING = 200

_EXPECTED = re.compile(r"Expected (?P<what>[^<]*?)(?: but got.*)?$", re.DOTALL)
# Published queries mark what the reader should fill in like this.
_BLANK_TO_FILL = re.compile(r"\[[^\W\d][\w ]*\]|\[\d\w*[^\W\d]\w*\]")
_WORDS_OF_SQL = {word for keyword in Tokenizer.KEYWORDS for word in keyword.split()}
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {
    TokenType.R_PAREN: TokenType.L_PAREN,
    TokenType.R_BRACKET: TokenType.L_BRACKET,
    TokenType.R_BRACE: TokenType.L_BRACE,
}


@dataclass(frozen=True, slots=True)
class LintSource:
    """A template as typed, what the parser sees of it, and its tokens with their depth in parentheses."""

    sql: str
    readable: ReadableSql
    lines: FindingLines
    tokens: tuple[Token, ...]
    depths: tuple[int, ...]

    def finding(
        self, rule: str, level: Level, message: str, start: int, end: int, fix: Fix | None = None
    ) -> Finding:
        """Make a finding for `sql[start:end]`."""
        return self.lines.finding(rule, level, message, start, end, fix)

    def word(self, token: Token) -> str:
        """Return a token as it was typed."""
        return self.sql[token.start : token.end + 1]

    def span(self, node: exp.Expr) -> tuple[int, int]:
        """Return where a node begins and ends; the parser knows it for names, literals and function names."""
        parts = [n.meta for n in node.walk() if "start" in n.meta]
        if not parts:
            return 0, len(self.sql)
        return min(meta["start"] for meta in parts), max(meta["end"] for meta in parts) + 1

    def text(self, node: exp.Expr) -> str:
        """Return a node as it was typed."""
        start, end = self.span(node)
        return self.sql[start:end]

    def is_placeholder(self, node: exp.Expr) -> bool:
        """Return whether a node is, or holds, a placeholder."""
        if not self.readable.placeholders:
            return False
        return self.readable.touches_placeholder(*self.span(node))


class UnreadableError(Exception):
    """The template cannot be read as one statement; `finding` says where and why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def read_tokens(sql: str) -> LintSource:
    """Cut a template into tokens.

    Raises UnreadableError when a quote or comment is never closed or braces are no placeholder.
    """
    readable = make_readable(sql)
    lines = FindingLines(sql)
    if readable.unclosed is not None:
        span = readable.unclosed
        what = "comment" if sql.startswith("/*", span.start) else "quote"
        message = f"This {what} is never closed."
        raise UnreadableError(lines.finding("syntax-error", "error", message, span.start, span.start + 2))
    if readable.malformed is not None:
        span = readable.malformed
        message = "Only {{name}}, :name and $name are placeholders; this is neither one nor SQL."
        raise UnreadableError(lines.finding("malformed-placeholder", "error", message, span.start, span.end))
    try:
        tokens = tuple(Dialect.get_or_raise(DIALECT).tokenize(readable.text))
    except TokenError:
        message = "The SQL cannot be cut into words: look for an odd quote or dollar sign."
        raise UnreadableError(lines.finding("syntax-error", "error", message, 0, len(sql))) from None
    return LintSource(sql, readable, lines, tokens, tuple(_depths(tokens)))


def _depths(tokens: tuple[Token, ...]) -> Iterator[int]:
    depth = 0
    for token in tokens:
        if token.token_type in _CLOSING:
            depth -= 1
        yield depth
        if token.token_type in _OPENING:
            depth += 1


def parse(source: LintSource) -> list[exp.Expr]:
    """Parse the statements of a template; empty ones are left out.

    Raises UnreadableError at the first syntax error.
    """
    _check_punctuation(source)
    if max(source.depths, default=0) > MAX_DEPTH:
        deep = next(token for token, depth in zip(source.tokens, source.depths, strict=True) if depth > MAX_DEPTH)
        message = f"Parentheses are nested more than {MAX_DEPTH} deep from here; the rest was not checked."
        raise UnreadableError(source.finding("not-analysed", "info", message, deep.start, deep.end + 1))
    try:
        trees = Dialect.get_or_raise(DIALECT).parser().parse(list(source.tokens), source.readable.text)
    except ParseError as error:
        raise UnreadableError(_syntax_error(source, error)) from None
    except (SqlglotError, RecursionError):
        raise UnreadableError(too_deep(source)) from None
    if any(tree is not None and _is_too_deep(tree) for tree in trees):
        raise UnreadableError(too_deep(source))
    statements = [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]
    for statement in statements:
        unwrap_any_value(statement)
    return statements


def too_deep(source: LintSource) -> Finding:
    """Return the remark on SQL whose parts depend on one another too deeply to be followed."""
    message = (
        "This SQL is nested too deeply, or built up in too many steps, to be checked completely. AMC may run it all "
        "the same."
    )
    return source.finding("not-analysed", "info", message, 0, 0)


def _is_too_deep(tree: exp.Expr) -> bool:
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_NESTING:
            return True
        is_connector = isinstance(node, exp.Connector)
        stack += (
            (part, depth if is_connector and type(part) is type(node) else depth + 1)
            for part in node.iter_expressions()
        )
    return False


def _check_punctuation(source: LintSource) -> None:
    """Refuse what the parser lets pass: parentheses without partner, commas in front of a clause."""
    opened: list[Token] = []
    for token, following in zip_longest(source.tokens, source.tokens[1:]):
        kind = token.token_type
        if kind in _OPENING:
            opened.append(token)
        elif kind in _CLOSING:
            if not opened or _CLOSING[kind] != opened[-1].token_type:
                raise UnreadableError(
                    _syntax_finding(source, token, f"This “{source.word(token)}” closes nothing.")
                )
            opened.pop()
        elif kind == TokenType.COMMA and (following is None or following.token_type in AFTER_A_LIST):
            fix = Fix("Remove the comma", token.start, token.end + 1, "")
            raise UnreadableError(_syntax_finding(source, token, str(grammar.STRAY_COMMA), fix))
    if opened:
        raise UnreadableError(
            _syntax_finding(source, opened[-1], f"This “{source.word(opened[-1])}” is never closed.")
        )


def _syntax_finding(source: LintSource, token: Token, message: str, fix: Fix | None = None) -> Finding:
    return source.finding("syntax-error", "error", message, token.start, token.end + 1, fix)


def _syntax_error(source: LintSource, error: ParseError) -> Finding:
    details = error.errors[0] if error.errors else {}
    place = (details.get("line"), details.get("col"))
    index = next((i for i, token in enumerate(source.tokens) if (token.line, token.col) == place), None)
    if index is None:
        end = len(source.sql)
        return source.finding("syntax-error", "error", "The SQL cannot be read.", 0, end)
    token = source.tokens[index]
    message = _explain(source, index, str(details.get("description", "")))
    return source.finding("syntax-error", "error", message, token.start, token.end + 1)


def _explain(source: LintSource, index: int, description: str) -> str:
    token = source.tokens[index]
    word = source.word(token)
    before = source.tokens[index - 1].text.upper() if index else ""
    if before == "TOP" or word.upper() == "TOP":
        return str(grammar.TOP)
    if source.readable.touches_placeholder(token.start, token.end + 1):
        return f"A placeholder stands for a value, a list or a name; AMC SQL does not expect one here: {word}"
    blank = _BLANK_TO_FILL.match(source.sql, token.start)
    if blank:
        return f"{blank[0]} is a blank to fill in: write the name itself, or a placeholder such as {{{{name}}}}."
    expected = _EXPECTED.match(description)
    if expected and expected["what"]:
        return f"Syntax error near “{word}”: expected {expected['what'].strip()}."
    return f"Syntax error: “{word}” is not expected here."


def quote_identifier(name: str) -> str:
    """Return a name as SQL wants it: in quotes unless it is a plain word that means nothing else."""
    is_plain = name.isidentifier() and name.upper() not in _WORDS_OF_SQL
    return name if is_plain else '"' + name.replace('"', '""') + '"'
