"""Rules about GROUP BY: what is selected beside an aggregate has to be grouped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from templates_app.sql.lint.findings import Finding
from templates_app.sql.lint.query import Query, selects
from templates_app.sql.lint.shape_rules import groups_rows

# Groupings AMC does not have; what they group by is not compared.
_NOT_COMPARED = ("all", "cube", "rollup", "grouping_sets", "totals")
_SETS = exp.Rollup | exp.Cube | exp.GroupingSets


@dataclass(slots=True)
class Keys:
    """What a SELECT groups by: names of columns, and other expressions in normal form."""

    columns: set[str] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)
    kinds: set[type[exp.Expr]] = field(default_factory=set)

    def add(self, node: exp.Expr) -> None:
        """Add a grouped expression."""
        node = node.unnest()
        if isinstance(node, exp.Tuple):
            for part in node.expressions:
                self.add(part)
        elif isinstance(node, exp.Column):
            self.columns.add(node.name)
        else:
            self.kinds.add(type(node))
            self.forms.add(_normal(node))

    def __contains__(self, node: exp.Expr) -> bool:
        if isinstance(node, exp.Column):
            return node.name in self.columns
        # Writing the normal form is slow, so only what could be grouped is written.
        return type(node) in self.kinds and _normal(node) in self.forms


def ungrouped(query: Query) -> Iterator[Finding]:
    """Refuse output columns that are neither grouped nor aggregated."""
    for scope in query.scopes:
        if isinstance(scope.expression, exp.Select):
            keys = _keys(query, scope.expression)
            if keys is not None:
                for projection in selects(scope):
                    yield from _check(query, scope, projection, keys)


def _keys(query: Query, select: exp.Select) -> Keys | None:
    """Return what a SELECT groups by; None when it groups nothing or in a way that is not compared."""
    group = select.args.get("group")
    if group is None:
        return Keys() if any(_has_aggregate(projection) for projection in select.selects) else None
    if any(group.args.get(kind) for kind in _NOT_COMPARED) or query.source.is_placeholder(group):
        return None
    if any(isinstance(expression, _SETS) for expression in group.expressions):
        return None
    keys = Keys()
    for expression in group.expressions:
        keys.add(expression)
        meant = _projection_meant(select, expression)
        if meant is not None:
            keys.add(meant)
    return keys


def _projection_meant(select: exp.Select, grouped: exp.Expr) -> exp.Expr | None:
    """Return the output expression that a position or an alias in GROUP BY stands for."""
    if isinstance(grouped, exp.Literal) and grouped.is_int:
        position = int(grouped.this) - 1
        return select.selects[position].unalias() if 0 <= position < len(select.selects) else None
    if isinstance(grouped, exp.Column) and not grouped.table:
        return next((p.this for p in select.selects if isinstance(p, exp.Alias) and p.alias == grouped.name), None)
    return None


def _has_aggregate(node: exp.Expr) -> bool:
    return any(groups_rows(inner) for inner in node.walk(prune=lambda inner: isinstance(inner, exp.Query)))


def _check(query: Query, scope: Scope, node: exp.Expr, keys: Keys) -> Iterator[Finding]:
    if groups_rows(node) or isinstance(node, exp.Query | exp.Lambda | exp.Literal) or node in keys:
        return
    if not isinstance(node, exp.Column):
        for part in node.iter_expressions():
            yield from _check(query, scope, part, keys)
    elif _is_own(query, scope, node):
        message = f"'{query.source.text(node)}' is neither in GROUP BY nor inside an aggregate."
        yield query.source.finding("not-grouped", "error", message, *query.source.span(node))


def _is_own(query: Query, scope: Scope, node: exp.Column) -> bool:
    """Return whether a column is one of this SELECT's tables, not a placeholder, an alias or of an outer query."""
    if isinstance(node.this, exp.Star) or query.source.is_placeholder(node):
        return False
    items = query.from_items(scope)
    if node.table:
        return node.table in items
    return any(node.name in item.known for item in items.values())


def grouped_aggregates(query: Query) -> Iterator[Finding]:
    """Refuse aggregates in GROUP BY, also by their position or alias."""
    for scope in query.scopes:
        select = scope.expression
        if not isinstance(select, exp.Select) or select.args.get("group") is None:
            continue
        for expression in select.args["group"].expressions:
            meant = _projection_meant(select, expression) if isinstance(expression, exp.Literal) else expression
            if meant is not None and not meant.find(exp.Window) and _has_aggregate(meant):
                message = f"'{query.source.text(expression)}' is an aggregate: it cannot be in GROUP BY."
                yield query.source.finding("grouped-aggregate", "error", message, *query.source.span(expression))


def aliased_aggregates(query: Query) -> Iterator[Finding]:
    """Refuse aggregates in WHERE that stand behind the alias of an output column; tables' columns come first."""
    for scope in query.scopes:
        where = scope.expression.args.get("where")
        for column in where.find_all(exp.Column) if where is not None else []:
            is_alias = not column.table and column.parent_select is scope.expression
            if is_alias and query.origin(scope, column) is None and not _is_open(query, scope):
                meant = next(iter(query.aliased(scope, column.name)), None)
                if meant is not None and _has_aggregate(meant):
                    message = f"'{query.source.text(column)}' is an aggregate: filter it with HAVING."
                    yield query.source.finding("aggregate-placement", "error", message, *query.source.span(column))


def _is_open(query: Query, scope: Scope) -> bool:
    """Return whether a table is read whose columns are not all known."""
    return any(item.columns is None for item in query.from_items(scope).values())


def _normal(node: exp.Expr) -> str:
    """Write an expression without qualifiers, so that `t.a` and `a` are the same."""
    plain = node.copy()
    for column in plain.find_all(exp.Column):
        column.set("table", None)
    return plain.sql(comments=False)


GROUP_RULES = (ungrouped, grouped_aggregates, aliased_aggregates)
