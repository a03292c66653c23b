"""Carry the users behind every row through a query in a hidden list column.

Scans give `[user]`, joins concatenate, aggregation and DISTINCT collect. The union over all sources of a row is
taken, so this filters a little less than AMC, which takes the smallest count per source.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from amc_facts.validation import is_aggregate, relations_of

# The hidden column with the users behind a row; no query may use the name.
USERS = "__users"

_QUERIES = exp.Subquery | exp.Select | exp.Union


def carry(query: exp.Query) -> tuple[exp.Query, bool]:
    """Return the query with the hidden column as its last one, and whether anything in it has users at all.

    Without users the query comes back as it was. The tree given is used up.
    """
    return _query(query, {})


def scan_column() -> exp.Expr:
    """Return the hidden column of a scan: a list with the row's user, or an empty one."""
    user = exp.column("user_id")
    return exp.alias_(
        exp.Case(
            ifs=[exp.If(this=exp.Is(this=user, expression=exp.null()), true=_no_users())],
            default=exp.Anonymous(
                this="list_value", expressions=[exp.Anonymous(this="hash", expressions=[user.copy()])]
            ),
        ),
        USERS,
    )


def _query(query: exp.Query, ctes: dict[str, bool]) -> tuple[exp.Query, bool]:
    known = dict(ctes)
    with_ = query.args.get("with_")
    for cte in with_.expressions if with_ is not None else []:
        known[cte.alias.lower()] = _named(cte, known)
    if isinstance(query, exp.Subquery):
        inner, has_users = _query(query.this, known)
        query.set("this", inner)
        return query, has_users
    if isinstance(query, exp.Union):
        return _union(query, known)
    return _select(query, known) if isinstance(query, exp.Select) else (query, False)


def _named(relation: exp.Expr, ctes: dict[str, bool]) -> bool:
    """Carry through a CTE or a derived table, whose list of column names grows too."""
    inner, has_users = _query(relation.this, ctes)
    relation.set("this", inner)
    alias = relation.args.get("alias")
    if has_users and isinstance(alias, exp.TableAlias) and alias.args.get("columns"):
        alias.append("columns", exp.to_identifier(USERS))
    return has_users


def _union(union: exp.Union, ctes: dict[str, bool]) -> tuple[exp.Query, bool]:
    (left, left_has), (right, right_has) = _query(union.left, ctes), _query(union.right, ctes)
    if not (left_has or right_has):
        return union, False
    union.set("this", left if left_has else _with_no_users(left))
    union.set("expression", right if right_has else _with_no_users(right))
    if not union.args.get("distinct"):
        return union, True
    union.set("distinct", False)
    return _grouped(union), True


def _with_no_users(query: exp.Query) -> exp.Query:
    """Add an empty hidden column to a query that reads no table with users."""
    if isinstance(query, exp.Union | exp.Subquery):
        query.set("this", _with_no_users(query.this))
        if isinstance(query, exp.Union):
            query.set("expression", _with_no_users(query.expression))
    else:
        query.append("expressions", exp.alias_(_no_users(), USERS))
    return query


def _select(select: exp.Select, ctes: dict[str, bool]) -> tuple[exp.Query, bool]:
    aliases = [alias for alias, has_users in _sources(select, ctes) if has_users]
    lists: list[exp.Expr] = [exp.column(USERS, alias, quoted=True) for alias in aliases]
    # The users of scalar subqueries count only where there are no others: a total over all would hide a small group.
    lists = lists or _of_scalars(select, ctes)
    if not lists:
        return select, False
    users = _joined(lists)
    if aliases and select.args.get("group") or any(True for _ in aggregates(select)):
        users = _collected(users)
    select.append("expressions", exp.alias_(users, USERS))
    if select.args.get("distinct") is None:
        return select, True
    select.set("distinct", None)
    return _grouped(select), True


def _of_scalars(select: exp.Select, ctes: dict[str, bool]) -> list[exp.Expr]:
    """Return the lists of users of the subqueries that stand for one value in the SELECT list."""
    lists: list[exp.Expr] = []
    for subquery in [found for item in select.expressions for found in _outermost_queries(item)]:
        copied = subquery.copy()
        query = copied.this if isinstance(copied, exp.Subquery) else copied
        inner, has_users = _query(query, ctes) if isinstance(query, exp.Query) else (query, False)
        if has_users:
            alias = exp.TableAlias(this=exp.to_identifier("one_value"))
            users = exp.Select(expressions=[exp.column(USERS, "one_value")])
            users = users.from_(exp.Subquery(this=inner, alias=alias), copy=False)
            lists.append(exp.Coalesce(this=exp.Subquery(this=users), expressions=[_no_users()]))
    return lists


def _outermost_queries(node: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(node, _QUERIES):
        yield node
        return
    for child in node.iter_expressions():
        yield from _outermost_queries(child)


def _sources(select: exp.Select, ctes: dict[str, bool]) -> Iterator[tuple[str, bool]]:
    for relation in relations_of(select):
        if relation.meta.get("is_scan"):
            yield relation.alias, bool(relation.meta.get("has_users"))
        elif isinstance(relation, exp.Table):
            yield relation.alias_or_name, ctes.get(relation.name.lower(), False)
        elif isinstance(relation, exp.Subquery):
            yield relation.alias, _named(relation, ctes)


def aggregates(select: exp.Select) -> Iterator[exp.Expr]:
    """Return the aggregate calls of a SELECT's own level; window functions are none, what they aggregate is."""
    for part in [*select.expressions, select.args.get("having")]:
        if part is not None:
            yield from _aggregates(part)


def _aggregates(node: exp.Expr, *, is_windowed: bool = False) -> Iterator[exp.Expr]:
    if isinstance(node, _QUERIES):
        return
    if isinstance(node, exp.Window):
        for part in node.iter_expressions():
            yield from _aggregates(part, is_windowed=part is node.this)
        return
    if is_windowed and isinstance(node, exp.Filter):
        yield from _aggregates(node.this, is_windowed=True)
        return
    if is_aggregate(node) and not is_windowed:
        yield node
        return
    for child in node.iter_expressions():
        yield from _aggregates(child)


def _grouped(query: exp.Query) -> exp.Query:
    """Return a query that groups the equal rows of another and collects their users."""
    first = query
    while not isinstance(first, exp.Select):
        first = first.this
    titles = [projection.alias_or_name for projection in first.expressions[:-1]]
    names = [f"c{place}" for place in range(len(titles))]
    with_, order = query.args.get("with_"), _order_of(query, first)
    query.set("with_", None)
    alias = exp.TableAlias(
        this=exp.to_identifier("rows_of"), columns=[exp.to_identifier(n) for n in [*names, USERS]]
    )
    columns = [exp.column(name, "rows_of") for name in names]
    grouped = exp.Select(
        expressions=[
            *(exp.alias_(column, title, quoted=True) for column, title in zip(columns, titles, strict=True)),
            exp.alias_(_collected(exp.column(USERS, "rows_of")), USERS),
        ]
    ).from_(exp.Subquery(this=query, alias=alias), copy=False)
    grouped = grouped.group_by(*(column.copy() for column in columns), copy=False) if columns else grouped
    grouped.set("with_", with_)
    grouped.set("order", order)
    return grouped


def _order_of(query: exp.Query, first: exp.Select) -> exp.Order | None:
    """Take the ORDER BY off a query, and give it by the places of the output columns it names."""
    order = query.args.get("order")
    query.set("order", None)
    if order is None:
        return None
    for ordered in order.expressions:
        for place, projection in enumerate(first.expressions[:-1], start=1):
            by_name = isinstance(ordered.this, exp.Column) and ordered.this.name == projection.alias_or_name
            if ordered.this == projection.unalias() or by_name:
                ordered.set("this", exp.Literal.number(place))
    order.set("expressions", [ordered for ordered in order.expressions if isinstance(ordered.this, exp.Literal)])
    return order if order.expressions else None


def _no_users() -> exp.Expr:
    return exp.cast(exp.Array(expressions=[]), "UBIGINT[]", dialect="duckdb")


def _joined(lists: list[exp.Expr]) -> exp.Expr:
    if len(lists) == 1:
        return lists[0]
    # DuckDB's concatenation reads NULL, which outer joins leave, as an empty list.
    return exp.Anonymous(this="list_concat", expressions=lists)


def _collected(users: exp.Expr) -> exp.Expr:
    lists = exp.Anonymous(this="list", expressions=[users])
    return exp.Anonymous(this="list_distinct", expressions=[exp.Anonymous(this="flatten", expressions=[lists])])
