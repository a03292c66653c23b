"""Rules of AMC's aggregation thresholds."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from amc_facts.tables import AUDIENCE_SUFFIX, NEVER_IN_OUTPUT, NO_LITERALS
from templates_app.sql.lint.findings import Finding
from templates_app.sql.lint.lineage import Sensitivity, is_list_of_users
from templates_app.sql.lint.query import BaseColumn, Item, Query, selects
from templates_app.sql.lint.shape_rules import output_scopes

_COMPARISONS = (
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.Like,
    exp.ILike,
    exp.SimilarTo,
    exp.RegexpLike,
    exp.ArrayContains,
)


def user_level_output(query: Query) -> Iterator[Finding]:
    """Refuse columns that single out users in the output; of a plain list of users only warn, for audiences."""
    if is_list_of_users(query):
        message = (
            "A list of user_id makes an audience. A report never returns user_id and refuses this: count it, as in "
            f"COUNT(DISTINCT user_id). To create an audience, read the tables that end in {AUDIENCE_SUFFIX}."
        )
        yield query.source.finding(
            "audience-query", "warning", message, *query.source.span(selects(query.root)[0])
        )
        return
    sensitivity = Sensitivity(query)
    for scope in output_scopes(query.root):
        for output in query.outputs(scope) or []:
            for item in output.items:
                cause = sensitivity.of_item(item)
                if cause is None or cause.column.threshold not in NEVER_IN_OUTPUT or _is_raw_star(item):
                    continue
                yield _forbidden_output(query, item, output.name, cause)


def _is_raw_star(item: Item) -> bool:
    return item.expression is None and isinstance(item.origin, BaseColumn)


def _forbidden_output(query: Query, item: Item, name: str, cause: BaseColumn) -> Finding:
    node = item.expression or next(p for p in selects(item.scope) if p.is_star)
    what = f"{cause.table.name}.{cause.column.name}"
    through = f" (output column {name})" if name and name != cause.column.name else ""
    message = (
        f"{what}{through} may never be in the output (threshold {cause.column.threshold}). Count it, as in "
        f"COUNT(DISTINCT {cause.column.name}), or use it in joins and subqueries only."
    )
    return query.source.finding("user-level-output", "error", message, *query.source.span(node))


def literal_comparisons(query: Query) -> Iterator[Finding]:
    """Refuse comparing a protected column with a literal."""
    sensitivity = Sensitivity(query)
    for scope in query.scopes:
        for node in query.own_nodes(scope):
            for side in _sides_against_literals(query, node):
                cause = sensitivity.of(scope, side)
                if cause is not None and cause.column.threshold in NO_LITERALS:
                    message = (
                        f"{cause.table.name}.{cause.column.name} may not be compared with a literal "
                        f"(threshold {cause.column.threshold})."
                    )
                    yield query.source.finding("literal-comparison", "error", message, *query.source.span(node))


def _sides_against_literals(query: Query, node: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(node, _COMPARISONS):
        left, right = node.this, node.expression
        if _is_literal(query, right):
            yield left
        elif _is_literal(query, left):
            yield right
        return
    subject, candidates = _membership(node)
    if subject is not None and any(_is_literal(query, candidate) for candidate in candidates):
        yield subject


def _membership(node: exp.Expr) -> tuple[exp.Expr | None, list[exp.Expr]]:
    """Return what is looked up and what it is compared with, for tests other than comparisons."""
    if isinstance(node, exp.In):
        field = node.args.get("field")
        return node.this, [*node.expressions, *([field] if field is not None else [])]
    if isinstance(node, exp.Between):
        return node.this, [node.args["low"], node.args["high"]]
    if isinstance(node, exp.Case):
        return node.this, [branch.this for branch in node.args.get("ifs") or []]
    if isinstance(node, exp.Anonymous) and node.name.lower() == "contained_in" and node.expressions:
        return node.expressions[0], node.expressions[1:]
    return None, []


def _is_literal(query: Query, node: exp.Expr) -> bool:
    """Return whether a value is made of nothing but what the query spells out, as `UPPER('x')` is."""
    if node.find(exp.Query) or not all(
        query.source.is_placeholder(column) for column in node.find_all(exp.Column)
    ):
        return False
    return node.find(exp.Literal, exp.Boolean, exp.Column) is not None


PRIVACY_RULES = (user_level_output, literal_comparisons)
