"""Finds chains of `||` and how to write them with CONCAT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import Token, TokenType
from sqlglot.parser import Parser

from templates_app.sql.lint.findings import Fix
from templates_app.sql.lint.reading import LintSource

_SIMPLE = {TokenType.STRING, TokenType.NUMBER, TokenType.VAR, TokenType.IDENTIFIER}
# A chain beside one of these may belong to a larger operand than the words tell.
_BINDS_CLOSER = {
    TokenType.PLUS, TokenType.DASH, TokenType.STAR, TokenType.SLASH, TokenType.MOD, TokenType.DCOLON,
    TokenType.DOT, TokenType.L_BRACKET, TokenType.R_BRACKET, TokenType.OVER, TokenType.COLLATE,
    TokenType.INTERVAL, TokenType.IN, TokenType.FILTER,
    # A type in front of a string makes its literal: DATE '2025-01-31'.
    *Parser.TYPE_TOKENS,
}  # fmt: skip
# AT TIME ZONE and WITHIN GROUP, of words that are no keywords to the tokenizer.
_GOES_ON = {"AT", "WITHIN"}

# Nobody wants the fix of a longer chain.
_MAX_OPERANDS = 20


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of `||`: its first operator, and the fix when the operands are clear."""

    operator: Token
    fix: Fix | None


def find_chains(source: LintSource) -> Iterator[Chain]:
    """Return every chain of `||`, as `a || b || c` is one."""
    behind = -1
    for index, token in enumerate(source.tokens):
        if token.token_type != TokenType.DPIPE or index < behind:
            continue
        operands = _operands(source, index)
        if operands is None:
            yield Chain(token, None)
            continue
        behind = operands[-1][1] + 1
        yield Chain(token, _fix(source, operands))


def _operands(source: LintSource, index: int) -> list[tuple[int, int]] | None:
    """Return first and last token of each operand of the chain whose first operator is at `index`."""
    first = _operand_before(source, index - 1)
    if first is None or _kind(source, first[0] - 1) in _BINDS_CLOSER | _SIMPLE:
        return None
    operands = [first]
    while _kind(source, index) == TokenType.DPIPE:
        operand = _operand_after(source, index + 1)
        if operand is None:
            return None
        operands.append(operand)
        if len(operands) > _MAX_OPERANDS:
            return None
        index = operand[1] + 1
    return None if _goes_on(source, index) else operands


def _goes_on(source: LintSource, index: int) -> bool:
    kind = _kind(source, index)
    return kind in _BINDS_CLOSER or (kind == TokenType.VAR and source.tokens[index].text.upper() in _GOES_ON)


def _kind(source: LintSource, index: int) -> TokenType | None:
    return source.tokens[index].token_type if 0 <= index < len(source.tokens) else None


def _is_name(source: LintSource, index: int) -> bool:
    """Return whether a token is a name, or a word such as LEFT that a parenthesis makes a function."""
    kind = _kind(source, index)
    if kind in (TokenType.VAR, TokenType.IDENTIFIER):
        return True
    return kind in Parser.FUNC_TOKENS and _kind(source, index + 1) == TokenType.L_PAREN


def _operand_before(source: LintSource, last: int) -> tuple[int, int] | None:
    first = last
    if _kind(source, last) == TokenType.R_PAREN:
        depth = source.depths[last]
        first = next((i for i in range(last - 1, -1, -1) if source.depths[i] == depth), -1)
        if first < 0 or _kind(source, first) != TokenType.L_PAREN:
            return None
        if _is_name(source, first - 1):
            first -= 1
    elif _kind(source, last) not in _SIMPLE:
        return None
    while _kind(source, first - 1) == TokenType.DOT and _is_name(source, first - 2):
        first -= 2
    return first, last


def _operand_after(source: LintSource, first: int) -> tuple[int, int] | None:
    last = first
    while _is_name(source, last) and _kind(source, last + 1) == TokenType.DOT:
        last += 2
    if _is_name(source, last) and _kind(source, last + 1) == TokenType.L_PAREN:
        last += 1
    if _kind(source, last) == TokenType.L_PAREN:
        depth = source.depths[last]
        last = next((i for i in range(last + 1, len(source.tokens)) if source.depths[i] == depth), -1)
        return (first, last) if last > 0 else None
    return (first, last) if _kind(source, last) in _SIMPLE else None


def _fix(source: LintSource, operands: list[tuple[int, int]]) -> Fix:
    texts = [source.sql[source.tokens[first].start : source.tokens[last].end + 1] for first, last in operands]
    replacement = texts[0]
    for text in texts[1:]:
        replacement = f"CONCAT({replacement}, {text})"
    start, end = source.tokens[operands[0][0]].start, source.tokens[operands[-1][1]].end + 1
    return Fix("Use CONCAT", start, end, replacement)
