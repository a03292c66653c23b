"""Group by user before grouping, so that it is seen who adds to a total and how much the largest adds.

AMC knows three counts. The standard one are the distinct users of a row. The effective one are those who add something
other than zero to a total. The equivalent one is a total divided by what its largest user adds. Where every row that
is added up belongs to one user, a SELECT becomes two: the inner one groups by its keys and the user, the outer one
puts the users together. Aggregates that have no parts, such as percentiles, keep to the standard count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from local_amc.sql.identities import Identities
from local_amc.sql.users import COUNTS, USERS, UserSource, aggregates, call, joined

# The name under which a wrapped query's rows are read.
ROWS = "rows_of"
# A query of more paths or totals would become too long.
_MAX_PATHS, _MAX_TOTALS = 4, 12
_SPLIT = (exp.Min, exp.Max, exp.AnyValue)


@dataclass(frozen=True, slots=True)
class _Total:
    """A total that is looked at: its part of one user, its sources by alias, whether a user may add nothing."""

    name: str
    sources: frozenset[str]
    may_be_zero: bool


@dataclass(frozen=True, slots=True)
class _Path:
    """A path of a source: its number, and the expression of its user in a row."""

    number: int
    source: str
    user: exp.Expr


@dataclass(slots=True)
class _Parts:
    """What the inner SELECT computes for the outer one, and what of the outer one it replaces."""

    select: exp.Select
    sources: Sequence[UserSource]
    identities: Identities
    columns: list[exp.Expr] = field(default_factory=list)
    replaced: dict[exp.Expr, exp.Expr] = field(default_factory=dict)
    totals: list[_Total] = field(default_factory=list)

    def add(self, part: exp.Expr, filtered: exp.Filter | None) -> exp.Column:
        """Add a column and return what the outer SELECT reads it by."""
        name = f"a{len(self.columns)}"
        if filtered is not None:
            part = exp.Filter(this=part, expression=filtered.expression.copy())
        self.columns.append(exp.alias_(part, name))
        return exp.column(name, ROWS)


def around(query: exp.Query, hidden: Sequence[str]) -> tuple[exp.Select, list[exp.Column]]:
    """Return a SELECT of the visible columns of a query under their titles, and these columns.

    `hidden` names its last columns, which the caller may select from ROWS. WITH and ORDER BY go to the outer SELECT.
    """
    first = query
    while not isinstance(first, exp.Select):
        first = first.this
    visible = first.expressions[: len(first.expressions) - len(hidden)]
    names = [f"c{place}" for place in range(len(visible))]
    with_, order = query.args.get("with_"), _order_of(query, visible)
    query.set("with_", None)
    columns = [exp.column(name, ROWS) for name in names]
    titles = [projection.alias_or_name for projection in visible]
    outer = exp.Select(
        expressions=[exp.alias_(c, title, quoted=True) for c, title in zip(columns, titles, strict=True)]
    ).from_(exp.Subquery(this=query, alias=_alias(ROWS, [*names, *hidden])), copy=False)
    outer.set("with_", with_)
    outer.set("order", order)
    return outer, columns


def keys_of(select: exp.Select) -> list[exp.Expr]:
    """Return what a SELECT groups by, without what is the same for all rows."""
    group = select.args.get("group")
    named = {projection.alias: projection.this for projection in select.expressions if projection.alias}
    keys = [
        named.get(key.name, key) if isinstance(key, exp.Column) and not key.table else key
        for key in (group.expressions if group is not None else [])
    ]
    return [key for key in keys if not isinstance(key, exp.Literal | exp.Boolean | exp.Null)]


def divided(
    select: exp.Select, sources: Sequence[UserSource], identities: Identities, *, wants_users: bool
) -> exp.Select | None:
    """Return a grouping SELECT that groups by user first and has the counts of its rows as last column.

    Returns None where that cannot be done, and leaves the SELECT as it was. With `wants_users` the users stand before
    the counts.
    """
    paths = _paths(sources)
    user = _user(sources, identities)
    parts = _Parts(select, sources, identities)
    if user is None or len(paths) > _MAX_PATHS or not _take_apart(parts):
        return None
    keys = keys_of(select)
    parts.replaced |= {key: exp.column(f"k{place}", ROWS) for place, key in enumerate(keys)}
    outer = _put_together(parts)
    if outer is None:
        return None
    is_key = len(sources) == 1 and not sources[0].carried.is_list
    inner = _inner(parts, keys, user, paths, is_key=is_key, wants_users=wants_users)
    outer.set("from_", exp.From(this=exp.Subquery(this=inner, alias=_alias(ROWS, []))))
    if keys:
        outer.set("group", exp.Group(expressions=[exp.column(f"k{place}", ROWS) for place in range(len(keys))]))
    if wants_users:
        lists = [call("list", exp.Distinct(expressions=[_raw(f"u{place}")])) for place in range(len(paths))]
        outer.append("expressions", exp.alias_(joined(lists), USERS))
    counts = ", ".join(_count(place, path, parts.totals, len(paths)) for place, path in enumerate(paths))
    outer.append("expressions", exp.alias_(_raw(f"[{counts}]"), COUNTS))
    outer.set("with_", select.args.get("with_"))
    return outer


def _paths(sources: Sequence[UserSource]) -> list[_Path]:
    """Return the paths of all sources, each with the user that a row has on it."""
    paths: list[_Path] = []
    for source in sources:
        for number in sorted(source.paths):
            user = source.users
            if source.carried.is_list:
                user = exp.Bracket(
                    this=call("users_on", user, exp.Literal.number(number)), expressions=[_raw("1")]
                )
            elif len(source.paths) > 1:
                user = call("user_on", user, exp.Literal.number(number))
            paths.append(_Path(number, source.alias, user))
    return paths


def _user(sources: Sequence[UserSource], identities: Identities) -> exp.Expr | None:
    """Return the expression of whose a row is, in all its sources; None when there is none."""
    if len(sources) == 1 and not sources[0].carried.is_list:
        return sources[0].users
    aliases = frozenset(source.alias for source in sources)
    columns = [exp.column(name, s.alias, quoted=True) for s in sources for name in sorted(s.carried.columns)]
    whole = exp.Coalesce(this=columns[0].copy(), expressions=[c.copy() for c in columns[1:]]) if columns else None
    for candidate in [*columns, *([whole] if whole is not None else [])]:
        if identities.of(candidate) >= aliases:
            return candidate
    return None


def _take_apart(parts: _Parts) -> bool:
    """Compute parts of every aggregate by user; return whether that was possible."""
    for aggregate in aggregates(parts.select):
        filtered = aggregate.parent if isinstance(aggregate.parent, exp.Filter) else None
        whole = filtered or aggregate
        if whole not in parts.replaced:
            together = _together(parts, aggregate, filtered)
            if together is None:
                return False
            parts.replaced[whole.copy()] = together
    return True


def _together(parts: _Parts, aggregate: exp.Expr, filtered: exp.Filter | None) -> exp.Expr | None:
    """Return what puts an aggregate's parts together again; None for one that has no parts."""
    inside = aggregate.this
    if isinstance(inside, exp.Distinct):
        return _distinct_users(parts, aggregate, inside, filtered)
    if len(list(aggregate.iter_expressions())) != 1:
        return None
    if isinstance(aggregate, exp.Sum | exp.Count):
        part = parts.add(aggregate.copy(), filtered)
        is_sum = isinstance(aggregate, exp.Sum)
        _note_total(parts, part.name, inside, may_be_zero=is_sum or filtered is not None or not _is_star(inside))
        total = exp.Sum(this=part)
        return total if is_sum else exp.cast(total, exp.DataType.Type.BIGINT)
    if isinstance(aggregate, _SPLIT):
        return type(aggregate)(this=parts.add(aggregate.copy(), filtered))
    if isinstance(aggregate, exp.Avg) and inside.is_type(*exp.DataType.NUMERIC_TYPES):
        added = parts.add(exp.Sum(this=inside.copy()), filtered)
        count = parts.add(exp.Count(this=inside.copy()), filtered)
        sums = exp.cast(exp.Sum(this=added), exp.DataType.Type.DOUBLE)
        share = exp.Nullif(this=exp.Sum(this=count), expression=exp.Literal.number(0))
        return exp.paren(exp.Div(this=sums, expression=share), copy=False)
    return None


def _is_star(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star)


def _note_total(parts: _Parts, name: str, inside: exp.Expr, *, may_be_zero: bool) -> None:
    """Note a total: it belongs to the sources it is computed from, a count of rows to all."""
    aliases = frozenset(source.alias for source in parts.sources)
    own = frozenset(column.table for column in inside.find_all(exp.Column)) & aliases
    if len(parts.totals) < _MAX_TOTALS:
        parts.totals.append(_Total(name, own or aliases, may_be_zero))


def _distinct_users(
    parts: _Parts, aggregate: exp.Expr, distinct: exp.Distinct, filtered: exp.Filter | None
) -> exp.Expr | None:
    """Return COUNT(DISTINCT user_id), also of those for whom something holds, from one value per user."""
    if not isinstance(aggregate, exp.Count) or len(distinct.expressions) != 1:
        return None
    [value] = distinct.expressions
    aliases = frozenset(source.alias for source in parts.sources)
    if not all(parts.identities.of(branch) >= aliases for branch in _branches(value)):
        return None
    part = parts.add(exp.Max(this=value.copy()), filtered)
    return exp.Count(this=exp.Distinct(expressions=[part]))


def _branches(value: exp.Expr) -> list[exp.Expr]:
    """Return the values that an expression may have, other than NULL."""
    value = value.unnest()
    if isinstance(value, exp.Case):
        found = [branch.args["true"] for branch in value.args.get("ifs") or []] + [value.args.get("default")]
    elif isinstance(value, exp.If):
        found = [value.args["true"], value.args.get("false")]
    else:
        return [value]
    return [
        branch
        for part in found
        if part is not None and not isinstance(part, exp.Null)
        for branch in _branches(part)
    ]


def _put_together(parts: _Parts) -> exp.Select | None:
    """Return the outer SELECT; None when something in it is neither a key nor an aggregate."""
    outer = exp.Select(expressions=[projection.copy() for projection in parts.select.expressions])
    for name in ("having", "order"):
        if parts.select.args.get(name) is not None:
            outer.set(name, parts.select.args[name].copy())
    pending: list[exp.Expr] = [outer]
    while pending:
        node = pending.pop()
        new = parts.replaced.get(node)
        if new is not None:
            node.replace(new.copy())
        elif isinstance(node, exp.Query) and node is not outer or isinstance(node, exp.Column) and node.table:
            return None
        else:
            pending += node.iter_expressions()
    return outer


def _inner(
    parts: _Parts,
    keys: Sequence[exp.Expr],
    user: exp.Expr,
    paths: Sequence[_Path],
    *,
    is_key: bool,
    wants_users: bool,
) -> exp.Select:
    """Return the SELECT that groups by keys and user; it takes over what the given one reads."""
    columns = [*(exp.alias_(key.copy(), f"k{place}") for place, key in enumerate(keys)), exp.alias_(user, "w")]
    grouping = [exp.Literal.number(place) for place in range(1, len(columns) + 1)]
    for place, path in enumerate(paths):
        one = path.user if is_key else exp.Min(this=path.user)
        columns.append(exp.alias_(call("weight_of", one), f"v{place}"))
        if wants_users:
            columns.append(exp.alias_(one.copy(), f"u{place}"))
    inner = exp.Select(expressions=[*columns, *parts.columns])
    for name in ("from_", "joins", "where"):
        inner.set(name, parts.select.args.get(name))
    inner.set("group", exp.Group(expressions=grouping))
    return inner


def _count(place: int, path: _Path, totals: Sequence[_Total], count: int) -> str:
    """Return the counts of one path as the engine's SQL; a user's weight is 1, nobody's 0, and NULL is no part."""
    weight = f"v{place}"
    looks: dict[str, list[str]] = {"f": [], "e": []}
    for total in totals:
        if path.source in total.sources:
            whole = (
                f"SUM({total.name})"
                if count == 1
                else f"SUM(CASE WHEN {weight} IS NOT NULL THEN {total.name} END)"
            )
            own = f"{total.name} * {weight}"
            if total.may_be_zero:
                looks["f"].append(f"CASE WHEN {whole} <> 0 THEN COUNT(NULLIF({own}, 0)) END")
            looks["e"].append(f"CASE WHEN {whole} > 0 THEN {whole} / NULLIF(MAX({own}), 0) END")
    least = {name: f"LEAST({', '.join(found)})" if found else "NULL" for name, found in looks.items()}
    counts = (
        f"{{'p': {path.number}::UBIGINT, 'n': COUNT(NULLIF({weight}, 0)), "
        f"'f': {least['f']}::BIGINT, 'e': {least['e']}::DOUBLE}}"
    )
    return counts if count == 1 else f"CASE WHEN COUNT({weight}) > 0 THEN {counts} END"


def _order_of(query: exp.Query, visible: Sequence[exp.Expr]) -> exp.Order | None:
    """Take the ORDER BY off a query, and give it by the places of the output columns it names."""
    order = query.args.get("order")
    query.set("order", None)
    if order is None:
        return None
    for ordered in order.expressions:
        for place, projection in enumerate(visible, start=1):
            by_name = isinstance(ordered.this, exp.Column) and ordered.this.name == projection.alias_or_name
            if ordered.this == projection.unalias() or by_name:
                ordered.set("this", exp.Literal.number(place))
    order.set("expressions", [ordered for ordered in order.expressions if isinstance(ordered.this, exp.Literal)])
    return order if order.expressions else None


def _raw(sql: str) -> exp.Expr:
    """Return SQL of the engine as it is: what is made here holds nothing of a query's text."""
    return exp.Var(this=sql)


def _alias(name: str, columns: Sequence[str]) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name), columns=[exp.to_identifier(c) for c in columns])
