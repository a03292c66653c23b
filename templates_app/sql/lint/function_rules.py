"""Rules about functions: the ones AMC refuses, and the ones it does not document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sqlglot import Token, TokenType, exp

from amc_facts import grammar
from amc_facts.dialect import unknown_calls
from amc_facts.functions import FUNCTIONS
from templates_app.sql.lint.catalogue import closest
from templates_app.sql.lint.findings import Finding, Fix
from templates_app.sql.lint.query import Query

_TODAY = "CAST('today' AS DATE)"
_BEFORE_A_TABLE = {TokenType.FROM, TokenType.JOIN}
_RULES = {"GETDATE": "getdate", "NTILE": "ntile"}


def unknown_functions(query: Query) -> Iterator[Finding]:
    """Refuse functions AMC lacks, with what it has instead or the name that may be meant."""
    # The parser does not keep the place of all calls, so the words are looked at.
    source = query.source
    before = {token.start: previous.token_type for previous, token in pairwise(source.tokens)}
    for token in unknown_calls(source.tokens, query.tree):
        start, end = token.start, token.end + 1
        # What stands for a table is the business of the rule about tables.
        if before.get(start) in _BEFORE_A_TABLE or source.readable.touches_placeholder(start, end):
            continue
        name = token.text.upper()
        rule = _RULES.get(name, "unknown-function")
        yield source.finding(rule, "error", *_advice(query, name, start, end))


def _advice(query: Query, name: str, start: int, end: int) -> tuple[str, int, int, Fix | None]:
    """Return the message, the place and the fix for a call of a function that AMC does not have."""
    instead = grammar.FUNCTION_ALTERNATIVES.get(name)
    if instead is not None:
        fix = _getdate_fix(query, end, start) if name == "GETDATE" else None
        return f"AMC has no function {name}: use {instead}.", start, end, fix
    similar = closest(name, (function.lower() for function in FUNCTIONS))
    if similar is None:
        return f"AMC has no function {name}.", start, end, None
    fix = Fix(f"Replace with {similar.upper()}", start, end, similar.upper())
    return f"AMC has no function {name}. Did you mean {similar.upper()}?", start, end, fix


def _getdate_fix(query: Query, end: int, start: int) -> Fix | None:
    closing = query.source.readable.text.find(")", end)
    return Fix(f"Use {_TODAY}", start, closing + 1, _TODAY) if closing > 0 else None


def undocumented_functions(query: Query) -> Iterator[Finding]:
    """Warn of functions that AMC's reference does not list, though queries with them have run."""
    for token, following in pairwise(query.source.tokens):
        if following.token_type == TokenType.L_PAREN and token.token_type != TokenType.STRING:
            name = token.text.upper()
            if name in grammar.UNDOCUMENTED_FUNCTIONS:
                yield _undocumented(query, token, name)


def _undocumented(query: Query, token: Token, name: str) -> Finding:
    instead = grammar.FUNCTION_ALTERNATIVES.get(name)
    advice = f": use {instead}." if instead else "; a run may be refused."
    message = f"AMC's reference does not list {name}{advice}"
    return query.source.finding("unknown-function", "warning", message, token.start, token.end + 1)


def collect_expressions(query: Query) -> Iterator[Finding]:
    """Warn of expressions inside COLLECT."""
    for call in query.tree.find_all(exp.Anonymous):
        if call.name.lower() != "collect":
            continue
        for argument in call.expressions:
            inner = argument.expressions if isinstance(argument, exp.Distinct) else [argument]
            if not all(isinstance(part.unnest(), exp.Column) for part in inner):
                message = "AMC has refused expressions inside COLLECT: compute the value in a subquery first."
                yield query.source.finding("collect-expression", "warning", message, *query.source.span(argument))


FUNCTION_RULES = (unknown_functions, undocumented_functions, collect_expressions)
