"""Rules that look at the words of a template, so that they also work while it cannot be parsed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile, pairwise

from sqlglot import Token, TokenType

from templates_app.sql.lint.concatenation import find_chains
from templates_app.sql.lint.findings import Finding, Fix, Level
from templates_app.sql.lint.reading import Source

_ROW_LIMITS = {TokenType.LIMIT, TokenType.FETCH, TokenType.OFFSET}
# Where a clause at the end of a SELECT ends itself.
_AFTER_LIMIT = {TokenType.SEMICOLON, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT}
_AFTER_ORDER_BY = _ROW_LIMITS | _AFTER_LIMIT
# Otherwise the word is a name.
_COUNTS_ROWS = {
    TokenType.NUMBER, TokenType.STRING, TokenType.VAR, TokenType.PLACEHOLDER, TokenType.L_PAREN, TokenType.ALL,
    TokenType.FIRST, TokenType.NEXT,
}  # fmt: skip
_LEADING_TO_LIMIT = {TokenType.L_PAREN, TokenType.COMMA, TokenType.DOT, TokenType.SELECT, TokenType.ALIAS}


def line_comments(source: Source) -> Iterator[Finding]:
    """Point out `--` comments once, with a fix for all of them."""
    comments = source.readable.line_comments
    if not comments:
        return
    pieces, position = [], comments[0].start
    for comment in comments:
        inner = source.sql[comment.start + 2 : comment.end].strip("- ").replace("*/", "* /")
        pieces += [source.sql[position : comment.start], f"/* {inner} */" if inner else ""]
        position = comment.end
    fix = Fix("Write comments as /* … */", comments[0].start, position, "".join(pieces))
    message = "When the SQL is flattened onto one line, a -- comment hides all that follows; /* … */ is safe."
    yield source.finding("line-comment", "info", message, comments[0].start, comments[0].end, fix)


def semicolons(source: Source) -> Iterator[Finding]:
    """Refuse several statements; point out a semicolon at the end."""
    ends = [token for token in source.tokens if token.token_type == TokenType.SEMICOLON]
    if not ends:
        return
    # Semicolons in front of the first word end nothing.
    words = dropwhile(_is_semicolon, source.tokens)
    following = next(dropwhile(_is_semicolon, dropwhile(lambda token: not _is_semicolon(token), words)), None)
    if following is not None:
        message = "AMC runs one statement at a time: save each as a template of its own."
        yield _at(source, following, "several-statements", "error", message)
        return
    between = [source.sql[left.end + 1 : right.start] for left, right in pairwise(ends)]
    label = "Remove the semicolons" if between else "Remove the semicolon"
    fix = Fix(label, ends[0].start, ends[-1].end + 1, "".join(between))
    yield _at(source, ends[0], "trailing-semicolon", "info", "AMC needs no semicolon at the end.", fix)


def _is_semicolon(token: Token) -> bool:
    return token.token_type == TokenType.SEMICOLON


def row_limits(source: Source) -> Iterator[Finding]:
    """Warn of LIMIT, FETCH and OFFSET."""
    for index, token in enumerate(source.tokens):
        if token.token_type not in _ROW_LIMITS or index == 0:
            continue
        if source.tokens[index - 1].token_type in _LEADING_TO_LIMIT:
            continue
        if index + 1 == len(source.tokens) or source.tokens[index + 1].token_type not in _COUNTS_ROWS:
            continue
        word = source.word(token).upper()
        message = f"AMC's documentation says {word} is refused. Rank rows with ROW_NUMBER() in a subquery instead."
        yield _at(source, token, "row-limit", "warning", message, _removal(source, index, _AFTER_LIMIT))


def outermost_order(source: Source) -> Iterator[Finding]:
    """Warn of ORDER BY on the whole result."""
    for index, token in enumerate(source.tokens):
        if token.token_type == TokenType.ORDER_BY and source.depths[index] == 0:
            message = (
                "AMC's documentation does not support ORDER BY on the result, although such queries have run. "
                "Sort the result after the download; inside OVER (…) it is fine."
            )
            yield _at(source, token, "order-by", "warning", message, _removal(source, index, _AFTER_ORDER_BY))


def _removal(source: Source, index: int, until: set[TokenType]) -> Fix | None:
    """Return the fix that removes a clause at the end of the statement."""
    if source.depths[index] != 0:
        return None
    stop = next(
        (
            i
            for i in range(index + 1, len(source.tokens))
            if source.depths[i] == 0 and source.tokens[i].token_type in until
        ),
        len(source.tokens),
    )
    start, end = source.tokens[index].start, source.tokens[stop - 1].end + 1
    following = source.tokens[stop].start if stop < len(source.tokens) else end
    if not source.sql[end:following].strip():
        end = following
    word = source.word(source.tokens[index]).split()[0].upper()
    return Fix(f"Remove {'ORDER BY' if word == 'ORDER' else word}", start, end, "")


def right_joins(source: Source) -> Iterator[Finding]:
    """Refuse RIGHT JOIN."""
    for index, token in enumerate(source.tokens):
        if token.token_type != TokenType.RIGHT:
            continue
        following = [t.token_type for t in source.tokens[index + 1 : index + 3]]
        if following[:1] == [TokenType.JOIN] or following == [TokenType.OUTER, TokenType.JOIN]:
            message = "AMC SQL has no RIGHT JOIN: swap the two sides and use LEFT JOIN."
            yield _at(source, token, "right-join", "error", message)


def intervals(source: Source) -> Iterator[Finding]:
    """Warn of INTERVAL arithmetic."""
    for index, token in enumerate(source.tokens[:-1]):
        if token.token_type != TokenType.INTERVAL:
            continue
        following = source.tokens[index + 1].token_type
        if following in (TokenType.STRING, TokenType.NUMBER, TokenType.L_PAREN):
            message = (
                "AMC's SQL reference does not list INTERVAL. Compare with SECONDS_BETWEEN(), or let the time "
                "window of the run choose the dates."
            )
            yield _at(source, token, "interval", "warning", message)


def concatenations(source: Source) -> Iterator[Finding]:
    """Refuse `||`."""
    for chain in find_chains(source):
        message = "AMC SQL has no || operator: use CONCAT(a, b)."
        start, end = chain.operator.start, chain.operator.end + 1
        yield source.finding("concat-operator", "error", message, start, end, chain.fix)


def _at(source: Source, token: Token, rule: str, level: Level, message: str, fix: Fix | None = None) -> Finding:
    return source.finding(rule, level, message, token.start, token.end + 1, fix)


TEXT_RULES = (
    line_comments,
    semicolons,
    row_limits,
    outermost_order,
    right_joins,
    intervals,
    concatenations,
)
