"""Rules that look at the words of a template, so that they also work while it cannot be parsed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import dropwhile, pairwise

from sqlglot import Token, TokenType

from amc_facts import grammar
from amc_facts.dialect import ROW_LIMITS, is_row_limit, token_faults
from amc_facts.grammar import Unsupported
from amc_facts.validation import literal_fault
from templates_app.sql.lint.concatenation import find_chains
from templates_app.sql.lint.findings import Finding, Fix, Level
from templates_app.sql.lint.reading import LintSource, quote_identifier

# Where a clause at the end of a SELECT ends itself.
_AFTER_LIMIT = {TokenType.SEMICOLON, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT}
_AFTER_ORDER_BY = ROW_LIMITS | _AFTER_LIMIT
# Rules of their own, and the reading of punctuation, find these with more to say.
_HAVE_RULES = frozenset({"concat-operator", "row-limit", "several-statements", "stray-comma"})


def line_comments(source: LintSource) -> Iterator[Finding]:
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


def semicolons(source: LintSource) -> Iterator[Finding]:
    """Refuse several statements; point out a semicolon at the end."""
    ends = [token for token in source.tokens if token.token_type == TokenType.SEMICOLON]
    if not ends:
        return
    # Semicolons in front of the first word end nothing.
    words = dropwhile(_is_semicolon, source.tokens)
    following = next(dropwhile(_is_semicolon, dropwhile(lambda token: not _is_semicolon(token), words)), None)
    if following is not None:
        yield _at(source, following, "several-statements", "error", str(grammar.ONE_STATEMENT))
        return
    between = [source.sql[left.end + 1 : right.start] for left, right in pairwise(ends)]
    label = "Remove the semicolons" if between else "Remove the semicolon"
    fix = Fix(label, ends[0].start, ends[-1].end + 1, "".join(between))
    if _is_semicolon(source.tokens[0]) and len(ends) < len(source.tokens):
        yield _at(source, ends[0], "trailing-semicolon", "error", "Nothing ends at this semicolon.", fix)
    else:
        yield _at(source, ends[0], "trailing-semicolon", "info", "AMC needs no semicolon at the end.", fix)


def _is_semicolon(token: Token) -> bool:
    return token.token_type == TokenType.SEMICOLON


def row_limits(source: LintSource) -> Iterator[Finding]:
    """Warn of LIMIT, FETCH and OFFSET."""
    for index, token in enumerate(source.tokens):
        if not is_row_limit(source.tokens, index):
            continue
        unsupported = grammar.ROW_LIMITS[source.word(token).split()[0].upper()]
        message = f"{unsupported} AMC's documentation says so, although such queries have been published."
        yield _at(source, token, "row-limit", "warning", message, _removal(source, index, _AFTER_LIMIT))


def outermost_order(source: LintSource) -> Iterator[Finding]:
    """Warn of ORDER BY on the whole result."""
    for index, token in enumerate(source.tokens):
        if token.token_type == TokenType.ORDER_BY and source.depths[index] == 0:
            message = f"{grammar.ORDER_BY} AMC's documentation says so, although such queries have run."
            yield _at(source, token, "order-by", "warning", message, _removal(source, index, _AFTER_ORDER_BY))


def _removal(source: LintSource, index: int, until: Collection[TokenType]) -> Fix | None:
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


def right_joins(source: LintSource) -> Iterator[Finding]:
    """Refuse RIGHT JOIN."""
    for index, token in enumerate(source.tokens):
        if token.token_type != TokenType.RIGHT:
            continue
        following = [t.token_type for t in source.tokens[index + 1 : index + 3]]
        if following[:1] == [TokenType.JOIN] or following == [TokenType.OUTER, TokenType.JOIN]:
            yield _at(source, token, "right-join", "error", str(grammar.construct("RIGHT JOIN")))


def intervals(source: LintSource) -> Iterator[Finding]:
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


def concatenations(source: LintSource) -> Iterator[Finding]:
    """Refuse `||`."""
    for chain in find_chains(source):
        yield _at(source, chain.operator, "concat-operator", "error", str(grammar.SIGNS["||"]), chain.fix)


def unsupported_words(source: LintSource) -> Iterator[Finding]:
    """Refuse words and signs AMC SQL does not have."""
    for unsupported, token in token_faults(source.tokens):
        if unsupported.code not in _HAVE_RULES and not _is_explained(source, unsupported, token):
            yield _at(source, token, unsupported.code, "error", str(unsupported))
    for token in source.tokens:
        if token.token_type == TokenType.IDENTIFIER and source.sql[token.start] == "`":
            fix = Fix("Use double quotes", token.start, token.end + 1, quote_identifier(token.text))
            yield _at(source, token, "back-tick", "error", str(grammar.SIGNS["`"]), fix)


def _is_explained(source: LintSource, unsupported: Unsupported, token: Token) -> bool:
    """Return whether a placeholder stands there, or the reading of the whole explains it better."""
    before, behind = source.readable.text[: token.start].rstrip(), source.readable.text[token.end + 1 :].lstrip()
    return (
        source.readable.touches_placeholder(token.start, token.end + 1)
        or (unsupported is grammar.NO_COLUMN and before.endswith(","))
        or (unsupported is grammar.TOP and behind[:1].isdigit())
    )


def literals(source: LintSource) -> Iterator[Finding]:
    """Refuse DATE '…' and TIMESTAMP '…' that are none."""
    for before, token in pairwise(source.tokens):
        start, end = before.start, token.end + 1
        if token.token_type == TokenType.STRING and not source.readable.touches_placeholder(start, end):
            problem = literal_fault(before.text, token.text)
            if problem:
                yield source.finding("date-literal", "error", f"{problem}.", start, end)


def _at(
    source: LintSource, token: Token, rule: str, level: Level, message: str, fix: Fix | None = None
) -> Finding:
    return source.finding(rule, level, message, token.start, token.end + 1, fix)


TEXT_RULES = (
    line_comments,
    semicolons,
    row_limits,
    outermost_order,
    right_joins,
    intervals,
    concatenations,
    unsupported_words,
    literals,
)
