"""Rules about the names of tables and columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from amc_facts.tables import AUDIENCE_SUFFIX
from templates_app.sql.lint.catalogue import KnownTable, closest, is_slip
from templates_app.sql.lint.findings import Finding, Fix
from templates_app.sql.lint.query import (
    BaseColumn,
    FromItem,
    Query,
    extended_table,
    is_array_call,
    outer_scope,
    selects,
)
from templates_app.sql.lint.reading import quote_identifier

# These old tables' rows are a part of the successor's, so that a rename would change results.
_PART_OF_SUCCESSOR = {"conversions_non_ad_exposed"}
_MAX_TABLES_NAMED = 3


def tables(query: Query) -> Iterator[Finding]:
    """Refuse unknown tables; warn of retired ones and of those only audience queries may read."""
    for node, name in query.tables:
        start, end = _table_span(query, node)
        if query.source.readable.touches_placeholder(start, end) or is_array_call(node):
            continue
        table = query.catalogue.find(name) if not node.db else None
        if table is None:
            yield _unknown_table(query, node, name, start, end)
        elif table.is_audience:
            yield _audience_table(query, node, table, start, end)
        elif table.successor:
            yield _retired_table(query, node, table, start, end)


def _table_span(query: Query, node: exp.Table) -> tuple[int, int]:
    literal = extended_table(node)
    if literal is not None:
        start, end = query.source.span(literal)
        return start + 1, end - 1
    if isinstance(node.this, exp.Identifier):
        return query.source.span(node.args.get("db") or node.this)[0], query.source.span(node.this)[1]
    return query.source.span(node.this)


def _unknown_table(query: Query, node: exp.Table, name: str, start: int, end: int) -> Finding:
    typed = query.source.sql[start:end]
    if not name:
        message = "AMC reads tables only; the one table function is TABLE(EXTEND_TIME_WINDOW('table', …))."
        return query.source.finding("unknown-table", "error", message, start, end)
    # The subquery in which the table is read is not the one that is meant.
    around = {cte.alias for cte in _enclosing_ctes(node)}
    ctes = [cte.alias for cte in query.tree.find_all(exp.CTE) if cte.alias not in (*around, name)]
    similar = closest(name, ctes) or query.catalogue.similar_table(name)
    is_upload = (
        not query.catalogue.knows_uploads
        and not node.db
        and name.isidentifier()
        and not (similar and is_slip(name, similar))
    )
    fix = Fix(f"Replace with {similar}", start, end, quote_identifier(similar)) if similar else None
    if is_upload:
        message = f"'{typed}' is none of Amazon's tables: AMC refuses it unless it was uploaded to this instance."
        return query.source.finding("unknown-table", "warning", message + _did_you_mean(similar), start, end, fix)
    message = f"Object '{typed}' not found"
    message += (
        f".{_did_you_mean(similar)}"
        if similar
        else (": it is neither an AMC table nor an uploaded one of this instance.")
    )
    return query.source.finding("unknown-table", "error", message, start, end, fix)


def _enclosing_ctes(node: exp.Expr) -> Iterator[exp.CTE]:
    while (parent := node.find_ancestor(exp.CTE)) is not None:
        yield parent
        node = parent


def _audience_table(query: Query, node: exp.Table, table: KnownTable, start: int, end: int) -> Finding:
    base = table.name.removesuffix(AUDIENCE_SUFFIX)
    fix = Fix(f"Use {base}", start, end, _renamed(query, node, table, base))
    message = f"{table.name} is for creating audiences; a report reads {base}."
    return query.source.finding("audience-table", "warning", message, start, end, fix)


def _retired_table(query: Query, node: exp.Table, table: KnownTable, start: int, end: int) -> Finding:
    message = f"{table.name} is no longer documented; its successor is {table.successor}."
    if table.name in _PART_OF_SUCCESSOR:
        message += " The successor holds more rows: filter on exposure_type."
        return query.source.finding("retired-table", "warning", message, start, end)
    fix = Fix(f"Use {table.successor}", start, end, _renamed(query, node, table, table.successor or ""))
    return query.source.finding("retired-table", "warning", message, start, end, fix)


def _renamed(query: Query, node: exp.Table, table: KnownTable, name: str) -> str:
    """Return another table's name, under the old one where columns are qualified by it."""
    is_qualifier = any(column.table == table.name for column in query.tree.find_all(exp.Column))
    return f"{name} AS {table.name}" if is_qualifier and not node.alias and extended_table(node) is None else name


def advertiser_types(query: Query, available: Collection[str] | None) -> Iterator[Finding]:
    """Warn of tables in which the instance's advertisers have no data."""
    if available is None:
        return
    for node, name in query.tables:
        table = query.catalogue.find(name)
        needed = table.advertiser_type if table else None
        if needed and needed not in available:
            message = f"This instance has no {needed} advertisers, so {name} is empty or missing there."
            yield query.source.finding("advertiser-type", "warning", message, *_table_span(query, node))


def columns(query: Query) -> Iterator[Finding]:
    """Refuse columns that no table in FROM has, or that several have; warn of retired ones."""
    if any(with_.args.get("recursive") for with_ in query.tree.find_all(exp.With)):
        # AMC refuses recursion as such; the columns of what reads itself cannot be told.
        return
    for scope in query.scopes:
        joined = _joined_names(query, scope)
        for node in query.own_nodes(scope):
            if (
                isinstance(node, exp.Column)
                and isinstance(node.this, exp.Identifier)
                and not _is_exempt(query, node)
            ):
                yield from _check_column(query, scope, node, joined)


def _joined_names(query: Query, scope: Scope) -> set[str] | None:
    """Name the columns that USING merges; None when a natural join merges any."""
    joins = [node for node in query.own_nodes(scope) if isinstance(node, exp.Join)]
    if any(join.method for join in joins):
        return None
    return {column.name for join in joins for column in join.args.get("using") or []}


def _is_exempt(query: Query, node: exp.Column) -> bool:
    if not isinstance(node.this, exp.Identifier) or node.args.get("db") or query.source.is_placeholder(node):
        return True
    return isinstance(node.find_ancestor(exp.Lambda, exp.Query), exp.Lambda)


def _check_column(
    query: Query, scope: Scope, node: exp.Column, joined: Collection[str] | None
) -> Iterator[Finding]:
    origin = query.origin(scope, node)
    if isinstance(origin, BaseColumn):
        yield from _retired_column(query, node, origin)
    if node.table:
        yield from _check_qualified(query, scope, node)
        return
    own = [item for item in query.from_items(scope).values() if node.name in item.known]
    if _is_output_name(query, scope, node):
        return
    if len(own) > 1 and joined is not None and node.name not in joined:
        yield _ambiguous(query, node, own)
    elif origin is None:
        visible = _visible(query, scope)
        if all(item.columns is not None for item in visible):
            yield _unknown_column(query, node, visible)


def _is_output_name(query: Query, scope: Scope, node: exp.Column) -> bool:
    """Return whether a column may mean an output column of its own SELECT."""
    if isinstance(scope.expression, exp.SetOperation):
        rows = query.outputs(scope)
        return rows is None or any(output.name == node.name for output in rows)
    if isinstance(node.parent, exp.Ordered):
        return any(projection.alias_or_name == node.name for projection in selects(scope))
    named = query.aliased(scope, node.name)
    # An output column does not vouch for the column it is made of.
    return any(projection is not node.find_ancestor(exp.Alias, exp.Query) for projection in named)


def _visible(query: Query, scope: Scope) -> list[FromItem]:
    items: list[FromItem] = []
    current: Scope | None = scope
    while current is not None:
        items += query.from_items(current).values()
        current = outer_scope(current)
    return items


def _check_qualified(query: Query, scope: Scope, node: exp.Column) -> Iterator[Finding]:
    visible = _visible(query, scope)
    item = next((item for item in visible if item.name == node.table), None)
    if item is not None:
        if item.columns is not None and node.name not in item.columns:
            yield _unknown_column(query, node, [item])
        return
    # The part in front of the dot may be a column that holds named values.
    is_value = any(item.columns is None or node.table in item.columns for item in visible)
    if is_value or query.aliased(scope, node.table):
        return
    start, end = query.source.span(node.args["table"])
    similar = closest(node.table, [item.name for item in visible])
    message = f"Nothing in FROM is called '{query.source.sql[start:end]}'."
    fix = Fix(f"Replace with {similar}", start, end, quote_identifier(similar)) if similar else None
    yield query.source.finding("unknown-alias", "error", message + _did_you_mean(similar), start, end, fix)


def _ambiguous(query: Query, node: exp.Column, items: Iterable[FromItem]) -> Finding:
    names = [item.name for item in items]
    start, end = query.source.span(node.this)
    typed = query.source.sql[start:end]
    message = f"Column '{typed}' is in {' and in '.join(names)}: say which, as in {names[0]}.{typed}."
    return query.source.finding("ambiguous-column", "error", message, start, end)


def _unknown_column(query: Query, node: exp.Column, items: list[FromItem]) -> Finding:
    start, end = query.source.span(node.this)
    where = ", ".join(item.name for item in items[:_MAX_TABLES_NAMED]) or "the output"
    message = f"Column '{query.source.sql[start:end]}' not found in {where}."
    reads_tables = any(item.table for item in items)
    elsewhere = query.catalogue.tables_with(node.name)[:_MAX_TABLES_NAMED] if reads_tables else []
    if elsewhere:
        # The name of a real column is no typing error.
        message += f" Tables that have it: {', '.join(elsewhere)}."
        return query.source.finding("unknown-column", "error", message, start, end)
    similar = closest(node.name, sorted({name for item in items for name in item.columns or {}}))
    fix = Fix(f"Replace with {similar}", start, end, quote_identifier(similar)) if similar else None
    return query.source.finding("unknown-column", "error", message + _did_you_mean(similar), start, end, fix)


def _did_you_mean(similar: str | None) -> str:
    return f" Did you mean {similar}?" if similar else ""


def _retired_column(query: Query, node: exp.Column, base: BaseColumn) -> Iterator[Finding]:
    if query.catalogue.is_retired_column(base.table, base.column.name):
        message = f"{base.column.name} is no longer documented for {base.table.name}; AMC may stop accepting it."
        yield query.source.finding("retired-column", "warning", message, *query.source.span(node.this))


NAME_RULES = (tables, columns)
