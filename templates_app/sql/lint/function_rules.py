"""Rules about functions: the ones AMC refuses, and the ones it does not document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sqlglot import TokenType, exp

from amc_facts.functions import FUNCTIONS
from templates_app.sql.lint.catalogue import closest
from templates_app.sql.lint.findings import Finding, Fix
from templates_app.sql.lint.query import Query

# Words in front of a parenthesis that are syntax, not functions, or other names of documented ones.
_SYNTAX = {"TABLE", "CASE", "ARRAY", "ROW", "STRUCT", "MAP", "EXISTS", "ANY", "ALL", "SOME", "VALUES", "TRY_CAST"}
# What people write out of habit, and what AMC has instead.
_INSTEAD = {
    "ARRAY_AGG": "COLLECT(x)",
    "STRING_AGG": "ARRAY_TO_STRING(COLLECT(x), ',')",
    "LISTAGG": "ARRAY_TO_STRING(COLLECT(x), ',')",
    "GROUP_CONCAT": "ARRAY_TO_STRING(COLLECT(x), ',')",
    "APPROX_COUNT_DISTINCT": "COUNT(DISTINCT x)",
    "APPROX_DISTINCT": "COUNT(DISTINCT x)",
    "COUNT_IF": "SUM(IF(condition, 1, 0))",
    "COUNTIF": "SUM(IF(condition, 1, 0))",
    "DATEDIFF": "SECONDS_BETWEEN(a, b) / 86400",
    "DATE_DIFF": "SECONDS_BETWEEN(a, b) / 86400",
    "TIMESTAMPDIFF": "SECONDS_BETWEEN(a, b)",
    "DATE_PART": "EXTRACT(part FROM x)",
    "IIF": "IF(condition, a, b)",
    "ISNULL": "IFNULL(x, y)",
    "LEN": "LENGTH(x)",
    "NOW": "CAST('now' AS TIMESTAMP)",
    "TODAY": "CAST('today' AS DATE)",
    "SYSDATE": "CAST('today' AS DATE)",
    "PERCENTILE_CONT": "PERCENTILE(x, 0.5)",
    "PERCENTILE_DISC": "PERCENTILE(x, 0.5)",
    "QUANTILE": "PERCENTILE(x, 0.5)",
    "QUANTILE_CONT": "PERCENTILE(x, 0.5)",
    "REGEXP_EXTRACT": "REGEXP_SUBSTR(x, pattern)",
    "REGEXP_LIKE": "x SIMILAR TO pattern",
    "REGEXP_MATCHES": "x SIMILAR TO pattern",
    "STRING_SPLIT": "REGEXP_SPLIT(x, pattern)",
    "SPLIT": "REGEXP_SPLIT(x, pattern)",
    "SUBSTR": "SUBSTRING(x, start, length)",
    "TO_DATE": "CAST(x AS DATE)",
    "TO_TIMESTAMP": "CAST(x AS TIMESTAMP)",
    "UNNEST": "EXPLODE(x)",
}
_TODAY = "CAST('today' AS DATE)"


def habits(query: Query) -> Iterator[Finding]:
    """Name AMC's function for what other databases call differently."""
    # The parser does not keep the place of all of these, so the words are looked at.
    for token, following in pairwise(query.source.tokens):
        name = token.text.upper()
        if name in _INSTEAD and following.token_type == TokenType.L_PAREN and token.token_type != TokenType.STRING:
            message = f"AMC's reference does not list {name}: use {_INSTEAD[name]}."
            yield query.source.finding("unknown-function", "warning", message, token.start, token.end + 1)


def functions(query: Query) -> Iterator[Finding]:
    """Refuse functions AMC lacks; warn of those its reference does not list."""
    for node in query.tree.find_all(exp.Func):
        if "start" not in node.meta:
            continue
        start, end = node.meta["start"], node.meta["end"] + 1
        name = query.source.sql[start:end].upper()
        if name == "GETDATE":
            yield _getdate(query, start, end)
        elif name == "NTILE":
            message = "AMC has refused NTILE. Compare ROW_NUMBER() with COUNT(*) of a joined subquery instead."
            yield query.source.finding("ntile", "warning", message, start, end)
        elif name.isidentifier() and name not in FUNCTIONS | _SYNTAX and name not in _INSTEAD:
            yield _unknown_function(query, node, name, start, end)


def _getdate(query: Query, start: int, end: int) -> Finding:
    closing = query.source.readable.text.find(")", end)
    fix = Fix(f"Use {_TODAY}", start, closing + 1, _TODAY) if closing > 0 else None
    message = f"AMC SQL has no GETDATE(): use {_TODAY}, or CAST('now' AS TIMESTAMP)."
    return query.source.finding("getdate", "error", message, start, end, fix)


def _unknown_function(query: Query, node: exp.Func, name: str, start: int, end: int) -> Finding:
    if not isinstance(node, exp.Anonymous):
        message = f"AMC's reference does not list {name}; a run may be refused."
        return query.source.finding("unknown-function", "warning", message, start, end)
    similar = closest(name, (function.lower() for function in FUNCTIONS))
    if similar is None:
        return query.source.finding("unknown-function", "error", f"AMC has no function {name}.", start, end)
    fix = Fix(f"Replace with {similar.upper()}", start, end, similar.upper())
    message = f"AMC has no function {name}. Did you mean {similar.upper()}?"
    return query.source.finding("unknown-function", "error", message, start, end, fix)


def window_counts(query: Query) -> Iterator[Finding]:
    """Warn of COUNT(*) over everything."""
    for window in query.tree.find_all(exp.Window):
        is_count_star = isinstance(window.this, exp.Count) and isinstance(window.this.this, exp.Star)
        if is_count_star and not window.args.get("partition_by") and not window.args.get("order"):
            message = "AMC has refused COUNT(*) OVER (): count in a subquery and CROSS JOIN it."
            yield query.source.finding("count-over", "warning", message, *query.source.span(window))


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


FUNCTION_RULES = (habits, functions, window_counts, collect_expressions)
