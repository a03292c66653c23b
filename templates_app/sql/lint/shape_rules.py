"""Rules about what the query as a whole produces: stars, aggregates, groups."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from amc_facts import grammar
from amc_facts.validation import is_aggregate, is_windowed
from templates_app.sql.lint.findings import Finding, Fix
from templates_app.sql.lint.lineage import is_list_of_users
from templates_app.sql.lint.query import Query, selects
from templates_app.sql.lint.reading import quote_identifier


def stars(query: Query) -> Iterator[Finding]:
    """Refuse a star over a table in the output; warn of one over a subquery."""
    for scope in output_scopes(query.root):
        for projection in selects(scope):
            if not projection.is_star or isinstance(projection, exp.Alias):
                continue
            start, end = query.source.span(projection)
            if _is_over_table(query, scope, projection):
                message = f"{grammar.SELECT_STAR} AMC exports no raw rows: aggregate."
                yield query.source.finding("select-star", "error", message, start, end)
            else:
                message = f"{grammar.SELECT_STAR} AMC's documentation says so, although such queries have run."
                fix = _star_fix(query, scope, projection, start, end)
                yield query.source.finding("select-star", "warning", message, start, end, fix)


def output_scopes(scope: Scope) -> Iterator[Scope]:
    """Return the SELECTs whose rows are the output: one, or the branches of a UNION."""
    if scope.set_operation_scopes:
        for branch in scope.set_operation_scopes:
            yield from output_scopes(branch)
    elif isinstance(scope.expression, exp.Subquery) and scope.derived_table_scopes:
        yield from output_scopes(scope.derived_table_scopes[0])
    elif isinstance(scope.expression, exp.Select):
        yield scope


def _is_over_table(query: Query, scope: Scope, projection: exp.Expr) -> bool:
    qualifier = projection.table if isinstance(projection, exp.Column) else ""
    items = query.from_items(scope).values()
    return any(item.scope is None for item in items if qualifier in ("", item.name))


def _star_fix(query: Query, scope: Scope, projection: exp.Expr, start: int, end: int) -> Fix | None:
    outputs = query.outputs(scope)
    is_plain = isinstance(projection, exp.Star) and not projection.args.get("except_")
    if outputs is None or not is_plain or len(selects(scope)) > 1:
        return None
    names = [output.name for output in outputs]
    if len(set(names)) < len(names) or not all(names):
        return None
    return Fix("Name the columns", start, end, ", ".join(map(quote_identifier, names)))


def no_aggregate(query: Query) -> Iterator[Finding]:
    """Warn when users' rows are read but nothing is aggregated."""
    if is_list_of_users(query) or not query.reads_users:
        return
    if query.tree.find(exp.Group, exp.Distinct) or any(map(groups_rows, query.tree.walk())):
        return
    if any(union.args.get("distinct") for union in query.tree.find_all(exp.SetOperation)):
        return
    message = (
        "AMC wants at least one aggregate, such as SUM or COUNT(DISTINCT user_id); plain rows come back only with "
        "aggregation controls off."
    )
    yield query.source.finding(
        "no-aggregate", "warning", message, *query.source.span((selects(query.root) or [query.tree])[0])
    )


def groups_rows(node: exp.Expr) -> bool:
    """Return whether a node is an aggregate, with or without FILTER, that makes one row of many."""
    call = node.this if isinstance(node, exp.Filter) else node
    return is_aggregate(call) and not is_windowed(call)


SHAPE_RULES = (stars, no_aggregate)
