"""Parse one SELECT statement, and refuse what AMC SQL does not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from amc_facts import grammar
from amc_facts.characters import look_alikes, unsendable
from amc_facts.dialect import DIALECT, STATEMENT_STARTS, faults, token_faults, unknown_calls, unwrap_any_value
from amc_facts.grammar import Unsupported
from amc_facts.limits import MAX_SQL_BYTES
from amc_facts.validation import literal_fault
from local_amc.sql import bounds
from local_amc.sql.errors import Source, SqlSyntaxError, reject_syntax
from local_amc.sql.users import HIDDEN
from local_amc.sql.windows import WINDOWED

# Names the engine gives to its own columns and tables.
_RESERVED = frozenset({*HIDDEN, WINDOWED})
_RESERVED_NAME = Unsupported("reserved-name", "This name is reserved", "Choose another.")
_BEFORE_A_STAR = {TokenType.SELECT, TokenType.DISTINCT, TokenType.ALL, TokenType.COMMA, TokenType.DOT}


def parse(sql: str) -> exp.Query:
    """Return the statement's tree; raises SqlSyntaxError with AMC's wording and the place."""
    source = Source(sql)
    _check_text(source, sql)
    tokens = _tokenize(source)
    _check_tokens(source, tokens)
    trees = _parse(source, tokens)
    # The parser knows where most of what is wrong with parentheses stands, and lets some of it pass.
    *_, depth = _depths(tokens)
    if depth:
        raise _encountered(source, tokens[-1], grammar.NOT_BALANCED)
    tree = trees[0].unnest() if len(trees) == 1 and isinstance(trees[0], exp.Subquery) else trees[0]
    if len(trees) != 1 or not isinstance(tree, exp.Select | exp.SetOperation):
        raise SqlSyntaxError("Exactly one SELECT statement is expected.")
    bounds.check_tree(tree, source)
    unwrap_any_value(tree)
    for token in unknown_calls(tokens, tree):
        message = grammar.no_such_function(token.text.upper()).message
        raise SqlSyntaxError(message, source.span(token.start, token.end))
    reject_syntax(faults(tree), source)
    if any(_has_star(select) for select in _output_selects(tree)):
        raise _star(source, tokens)
    return tree


def _check_text(source: Source, sql: str) -> None:
    problem = unsendable(sql)
    if problem is not None:
        raise SqlSyntaxError(f"Lexical error: the query holds {problem[1]}.")
    if len(sql.encode()) > MAX_SQL_BYTES:
        raise SqlSyntaxError(f"The query is longer than {MAX_SQL_BYTES} bytes.")
    for found in look_alikes(sql):
        if not found.is_blank:
            raise SqlSyntaxError(f"Lexical error: {found.message}", source.span(found.start, found.start))


def _tokenize(source: Source) -> list[Token]:
    try:
        tokens = sqlglot.tokenize(source.text, dialect=DIALECT)
    except TokenError as problem:
        message = "Lexical error: a string or comment is not closed."
        raise SqlSyntaxError(message, source.first_unclosed()) from problem
    # A closing semicolon is unnecessary and harmless.
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if not tokens:
        raise SqlSyntaxError("The query is empty.")
    return tokens


def _check_tokens(source: Source, tokens: list[Token]) -> None:
    if tokens[0].token_type not in STATEMENT_STARTS:
        raise _encountered(source, tokens[0], grammar.NOT_A_QUERY)
    for unsupported, token in token_faults(tokens):
        raise _encountered(source, token, unsupported)
    for token, before in zip(tokens, [None, *tokens], strict=False):
        if token.text.lower() in _RESERVED:
            raise _encountered(source, token, _RESERVED_NAME)
        if before is not None and token.token_type == TokenType.STRING:
            problem = literal_fault(before.text, token.text)
            if problem:
                raise SqlSyntaxError(problem, source.span(before.start, token.end))
    bounds.check_tokens(tokens, max(_depths(tokens)), source)


def _depths(tokens: Sequence[Token]) -> Iterator[int]:
    """Return how many parentheses are open behind each token."""
    depth = 0
    for token in tokens:
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        yield depth


def _parse(source: Source, tokens: list[Token]) -> list[exp.Expr]:
    try:
        trees = Dialect.get_or_raise(DIALECT).parser().parse(tokens, source.text)
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
    return _encountered(source, stars[-1] if stars else tokens[0], grammar.SELECT_STAR)


def _encountered(source: Source, token: Token, unsupported: Unsupported) -> SqlSyntaxError:
    place = source.span(token.start, token.end)
    return SqlSyntaxError(f'Encountered "{token.text}" at line {place.line}, column {place.column}. {unsupported}')
