"""Parse one SELECT statement, and refuse what AMC SQL does not have."""

from __future__ import annotations

import re
from datetime import date, datetime

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from local_amc.sql import dialect
from local_amc.sql.carried import USERS, WINDOWED
from local_amc.sql.comments import first_unclosed
from local_amc.sql.errors import Source, SqlSyntaxError

DIALECT = "duckdb"
# As long as the product sends; AMC documents no limit.
MAX_BYTES = 64 * 1024
MAX_DEPTH = 300

_STATEMENTS = {TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN}
# Names the engine gives to its own columns and tables.
_RESERVED = frozenset({USERS, WINDOWED})
_SIGN = re.compile(r"[^\w\s]+")
_SIGNS = frozenset(
    ["(", ")", "[", "]", ",", ".", ";", "+", "-", "*", "/", "%", "=", "<>", "!=", "<", "<=", ">", ">="]
)
_NO_SIGNS = {"||": "Concatenate with CONCAT(a, b).", "::": "Convert with CAST(x AS type)."}
_QUOTED = {TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER}
_BEFORE_A_STAR = {TokenType.SELECT, TokenType.DISTINCT, TokenType.ALL, TokenType.COMMA, TokenType.DOT}


def parse(sql: str) -> exp.Query:
    """Return the statement's tree; raises SqlSyntaxError with AMC's wording and the place."""
    source = Source(sql)
    _check_text(sql)
    tokens = _tokenize(source)
    _check_tokens(source, tokens)
    trees = _parse(source)
    tree = trees[0].unnest() if len(trees) == 1 and isinstance(trees[0], exp.Subquery) else trees[0]
    if len(trees) != 1 or not isinstance(tree, exp.Select | exp.SetOperation):
        raise SqlSyntaxError("Exactly one SELECT statement is expected.")
    _check_calls(source, tokens, tree)
    dialect.check(tree, source)
    if any(_has_star(select) for select in _output_selects(tree)):
        raise _star(source, tokens)
    return tree


def _check_text(sql: str) -> None:
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as problem:
        raise SqlSyntaxError("Lexical error: the query holds half a character (a lone surrogate).") from problem
    if size > MAX_BYTES:
        raise SqlSyntaxError(f"The query is longer than {MAX_BYTES} bytes.")
    if "\0" in sql:
        raise SqlSyntaxError("Lexical error: the query holds a NUL character.")


def _not_closed(source: Source) -> SqlSyntaxError:
    start = first_unclosed(source.text)
    place = source.span(start, start) if start is not None else None
    return SqlSyntaxError("Lexical error: a string or comment is not closed.", place)


def _tokenize(source: Source) -> list[Token]:
    try:
        tokens = sqlglot.tokenize(source.text, dialect=DIALECT)
    except TokenError as problem:
        raise _not_closed(source) from problem
    # A closing semicolon is unnecessary and harmless.
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if not tokens:
        raise SqlSyntaxError("The query is empty.")
    return tokens


def _check_tokens(source: Source, tokens: list[Token]) -> None:
    if tokens[0].token_type not in _STATEMENTS:
        raise _encountered(source, tokens[0], "Only a SELECT statement can be run.")
    depth = deepest = 0
    for token, before in zip(tokens, [None, *tokens], strict=False):
        advice = _advice(token, before)
        if advice:
            raise _encountered(source, token, advice)
        if before is not None and token.token_type == TokenType.STRING:
            _check_literal(source, token, before)
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise SqlSyntaxError(f"Parentheses are nested deeper than {MAX_DEPTH}.")


def _check_literal(source: Source, token: Token, before: Token) -> None:
    """Check DATE '…' and TIMESTAMP '…'; CAST gives NULL for the same text."""
    kind, text = before.text.upper(), token.text.strip()
    try:
        if kind == "DATE":
            date.fromisoformat(text)
        if kind == "TIMESTAMP":
            datetime.fromisoformat(text)
    except ValueError as problem:
        form = "yyyy-MM-dd" + (" HH:mm:ss" if kind == "TIMESTAMP" else "")
        raise SqlSyntaxError(
            f"Illegal {kind} literal '{token.text}': not in format '{form}'", source.span(before.start, token.end)
        ) from problem


def _advice(token: Token, before: Token | None) -> str:
    """Return what to write instead of a word or sign AMC SQL does not have; empty when it has it."""
    if token.token_type in (TokenType.LIMIT, TokenType.FETCH, TokenType.OFFSET):
        return f"{token.text.upper()} is not supported: rank the rows with ROW_NUMBER() or RANK() in a subquery."
    kind_before = before.token_type if before is not None else None
    if token.token_type == TokenType.VAR and token.text.upper() == "TOP" and kind_before == TokenType.SELECT:
        return "TOP is not supported: use RANK() in a subquery."
    if token.token_type == TokenType.FROM and kind_before in (TokenType.SELECT, TokenType.COMMA):
        return "Was expecting a column before FROM."
    if token.token_type == TokenType.FROM and kind_before in (None, TokenType.L_PAREN):
        return "Was expecting SELECT before FROM."
    if token.text.lower() in _RESERVED:
        return "This name is reserved: choose another."
    if _SIGN.fullmatch(token.text) and token.token_type not in _QUOTED and token.text not in _SIGNS:
        return _NO_SIGNS.get(token.text, "This sign is not part of AMC SQL.")
    return {
        TokenType.SEMICOLON: "Only one statement can be run at a time.",
    }.get(token.token_type, "")


def _parse(source: Source) -> list[exp.Expr]:
    try:
        trees = sqlglot.parse(source.text, dialect=DIALECT)
    except ParseError as problem:
        error = problem.errors[0] if problem.errors else {}
        # sqlglot names the last column of the offending word.
        text, line, end = error.get("highlight") or "<EOF>", error.get("line") or 1, error.get("col") or 1
        column = max(1, end - len(text) + 1)
        raise SqlSyntaxError(
            f'Encountered "{text}" at line {line}, column {column}. Was expecting something else here: check the '
            "words around it, commas and parentheses."
        ) from problem
    except RecursionError as problem:
        raise SqlSyntaxError("The query is nested too deeply.") from problem
    return [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]


def _check_calls(source: Source, tokens: list[Token], tree: exp.Expr) -> None:
    """Refuse calls of functions AMC does not have; the tree has lost the name that was written."""
    names = {alias.name.upper() for alias in tree.find_all(exp.TableAlias)}
    for token, following in zip(tokens, tokens[1:], strict=False):
        name = token.text.upper()
        if (
            following.token_type != TokenType.L_PAREN
            or token.token_type == TokenType.STRING
            or not name.isidentifier()
        ):
            continue
        if name not in names and not dialect.is_known_call(name):
            raise SqlSyntaxError(dialect.no_such_function(name), source.span(token.start, token.end))


def _output_selects(query: exp.Expr) -> list[exp.Select]:
    """Return the SELECTs whose rows are the output: the outermost one, or all arms of an outermost UNION."""
    if isinstance(query, exp.SetOperation):
        return _output_selects(query.left) + _output_selects(query.right)
    if isinstance(query, exp.Subquery):
        return _output_selects(query.this)
    return [query] if isinstance(query, exp.Select) else []


def _has_star(select: exp.Select) -> bool:
    return any(
        isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))
        for item in select.expressions
    )


def _star(source: Source, tokens: list[Token]) -> SqlSyntaxError:
    stars = [
        token
        for before, token in zip(tokens, tokens[1:], strict=False)
        if token.token_type == TokenType.STAR and before.token_type in _BEFORE_A_STAR
    ]
    return _encountered(source, stars[-1] if stars else tokens[0], "SELECT * is not supported: name the columns.")


def _encountered(source: Source, token: Token, advice: str) -> SqlSyntaxError:
    place = source.span(token.start, token.end)
    return SqlSyntaxError(f'Encountered "{token.text}" at line {place.line}, column {place.column}. {advice}')
