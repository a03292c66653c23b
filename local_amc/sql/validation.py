"""What AMC's validator refuses before a query runs, worded like it, with the place: names, shapes, then types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlglot import exp

from local_amc.sql.errors import Source, SqlRejectedError
from local_amc.sql.resolution import relations_of
from local_amc.sql.users import is_aggregate

_QUERIES = exp.Subquery | exp.Select | exp.Union
_EXTRACT_UNITS = (
    "SECOND", "MINUTE", "HOUR", "DAY", "DOW", "WEEK", "MONTH", "YEAR", "QUARTER", "DOY", "DAYOFWEEK", "DAYOFMONTH",
    "DAYOFYEAR", "MILLISECOND", "EPOCH",
)  # fmt: skip
_TRUNC_UNITS = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_ORDERINGS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_FAMILIES = {
    "a number": exp.DataType.NUMERIC_TYPES,
    "text": exp.DataType.TEXT_TYPES,
    "a date or timestamp": exp.DataType.TEMPORAL_TYPES,
    "a condition": {exp.DataType.Type.BOOLEAN},
    "an array": {exp.DataType.Type.ARRAY, exp.DataType.Type.LIST},
}


def check_names(tree: exp.Query, source: Source) -> None:
    """Check what is named twice and which columns GROUP BY counts; raises SqlRejectedError."""
    for with_ in tree.find_all(exp.With):
        _once([cte.args["alias"].this for cte in with_.expressions], "WITH clause", source)
    for select in tree.find_all(exp.Select):
        _once([_name_of(relation) for relation in relations_of(select)], "FROM clause", source)
        _check_ordinals(select, source)


def _once(names: Iterable[exp.Expr | None], where: str, source: Source) -> None:
    seen: set[str] = set()
    for name in names:
        if name is not None and name.name.lower() in seen:
            raise SqlRejectedError(f"Duplicate relation name '{name.name}' in {where}", source.span_of(name))
        seen.add(name.name.lower() if name is not None else "")


def _name_of(relation: exp.Expr) -> exp.Expr | None:
    alias = relation.args.get("alias")
    name = alias.this if isinstance(alias, exp.TableAlias) and alias.this is not None else relation.this
    return name if isinstance(name, exp.Identifier) else None


def _check_ordinals(select: exp.Select, source: Source) -> None:
    group = select.args.get("group")
    if group is None or any(isinstance(item.unalias(), exp.Star) for item in select.expressions):
        return
    for key in group.expressions:
        if isinstance(key, exp.Literal) and not key.is_string and not _is_place(key.name, len(select.expressions)):
            raise SqlRejectedError(
                f"GROUP BY {key.name}: Ordinal out of range, there are {len(select.expressions)} columns",
                source.span_of(key) or source.span_of(select),
            )


def _is_place(text: str, count: int) -> bool:
    return text.isdigit() and 1 <= int(text) <= count


def check_shapes(tree: exp.Query, source: Source) -> None:
    """Check aggregates, windows and the width of subqueries, with all names resolved; raises SqlRejectedError."""
    for select in tree.find_all(exp.Select):
        for clause, part in _clauses(select):
            _check_clause(clause, part, source)
        for projection in select.expressions:
            _check_nesting(projection, source)
    for query in tree.find_all(exp.Subquery, exp.In):
        _check_width(query, source)


def _clauses(select: exp.Select) -> Iterator[tuple[str, exp.Expr]]:
    for clause, name in (("WHERE", "where"), ("GROUP BY", "group"), ("HAVING", "having")):
        if select.args.get(name) is not None:
            yield clause, select.args[name]
    for join in select.args.get("joins") or []:
        if join.args.get("on") is not None:
            yield "ON", join.args["on"]


def _check_clause(clause: str, part: exp.Expr, source: Source) -> None:
    for node in _own(part):
        # AMC computes a window before it groups by it.
        if isinstance(node, exp.Window) and clause != "GROUP BY":
            raise SqlRejectedError(
                f"Windowed aggregate expression is illegal in {clause} clause: compute it in a subquery",
                source.span_of(node),
            )
        if is_aggregate(node) and clause != "HAVING" and not _is_windowed(node):
            advice = ": use HAVING" if clause == "WHERE" else ""
            raise SqlRejectedError(
                f"Aggregate expression is illegal in {clause} clause{advice}", source.span_of(node)
            )


def _check_nesting(part: exp.Expr, source: Source) -> None:
    for node in _own(part):
        if isinstance(node, exp.Window) and _counts_rows(node):
            raise SqlRejectedError(
                "COUNT window expression had 0 value expressions: count a column, as in COUNT(campaign) OVER (…)",
                source.span_of(node),
            )
        if is_aggregate(node) and not _is_windowed(node):
            inner = next((below for below in _own(node) if below is not node and is_aggregate(below)), None)
            if inner is not None:
                raise SqlRejectedError("Aggregate expressions cannot be nested", source.span_of(inner))


def _counts_rows(window: exp.Expr) -> bool:
    return isinstance(window.this, exp.Count) and isinstance(window.this.this, exp.Star)


def _is_windowed(node: exp.Expr) -> bool:
    parent = node.parent.parent if isinstance(node.parent, exp.Filter) else node.parent
    return isinstance(parent, exp.Window) and parent.this in (node, node.parent)


def _check_width(node: exp.Expr, source: Source) -> None:
    """Refuse a subquery of several columns where one value is wanted."""
    query, expected = node, 1
    if isinstance(node, exp.In):
        if node.args.get("query") is None:
            return
        query, expected = node.args["query"], len(node.this.expressions) if isinstance(node.this, exp.Tuple) else 1
    elif isinstance(node.parent, exp.From | exp.Join | exp.In | exp.Exists | exp.Union | exp.CTE | exp.Subquery):
        return
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(inner, exp.Select | exp.Union) and len(inner.selects) != expected:
        raise SqlRejectedError(
            f"A subquery that stands for a value must have {expected} column{'s' * (expected > 1)}, "
            f"not {len(inner.selects)}",
            source.span_of(inner),
        )


def check_types(tree: exp.Query, source: Source) -> None:
    """Check conditions, comparisons, UNIONs, units and fractions on an annotated tree; raises SqlRejectedError."""
    for node in tree.walk():
        if isinstance(node, exp.Where | exp.Having):
            _check_condition(node.this, type(node).__name__.upper() + " clause", source)
        elif isinstance(node, exp.If):
            _check_condition(node.this, "WHEN" if isinstance(node.parent, exp.Case) else "IF", source)
        elif isinstance(node, exp.And | exp.Or):
            for side in (node.this, node.expression):
                _check_condition(side, type(node).__name__.upper(), source)
        elif isinstance(node, exp.Not):
            _check_condition(node.this, "NOT", source)
        elif isinstance(node, _ORDERINGS):
            _check_comparable(node, source)
        elif isinstance(node, exp.Union):
            _check_union(node, source)
        else:
            _check_unit(node, source)


def _family(node: exp.Expr) -> str:
    kind = node.type.this if node.type is not None else None
    return next((name for name, kinds in _FAMILIES.items() if kind in kinds), "")


def _check_condition(node: exp.Expr, where: str, source: Source) -> None:
    inner = node.unnest() if isinstance(node, exp.Paren) else node
    case = node.parent.parent if isinstance(node.parent, exp.If) else None
    if isinstance(case, exp.Case) and case.this is not None:
        # CASE x WHEN 1 compares.
        return
    family = _family(inner)
    if family not in ("", "a condition"):
        raise SqlRejectedError(f"{where} must be a condition, not {family}", source.span_of(inner))


def _are_alike(one: str, other: str) -> bool:
    """Return whether AMC casts one to the other by itself; it does so with flags, numbers and texts."""
    if one == other or not one or not other:
        return True
    if "an array" in (one, other):
        return False
    return "a date or timestamp" not in (one, other) or "text" in (one, other)


def _check_comparable(node: exp.Expr, source: Source) -> None:
    one, other = _family(node.this), _family(node.expression)
    if not _are_alike(one, other):
        raise SqlRejectedError(f"Cannot compare {one} with {other}: CAST one of them", source.span_of(node))


def _check_union(union: exp.Union, source: Source) -> None:
    """Compare all arms of a UNION with its first; one that continues another was seen with it."""
    if isinstance(union.parent, exp.Union) and union.arg_key == "this":
        return
    arms: list[exp.Expr] = []
    first: exp.Expr = union
    while isinstance(first, exp.Union):
        arms.append(first.expression)
        first = first.this
    for arm in reversed(arms):
        _check_arms(_width_of(first), _width_of(arm), arm, source)


def _check_arms(
    first: Sequence[exp.Expr] | None, other: Sequence[exp.Expr] | None, arm: exp.Expr, source: Source
) -> None:
    if first is None or other is None:
        return
    if len(first) != len(other):
        raise SqlRejectedError(
            f"Column count mismatch in UNION: {len(first)} columns above, {len(other)} below", source.span_of(arm)
        )
    for place, (above, below) in enumerate(zip(first, other, strict=True), start=1):
        if not _are_alike(_family(above), _family(below)):
            raise SqlRejectedError(
                f"Type mismatch in column {place} of UNION: {_family(above)} above, {_family(below)} below",
                source.span_of(below) or source.span_of(arm),
            )


def _width_of(query: exp.Expr) -> Sequence[exp.Expr] | None:
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    return inner.selects if isinstance(inner, exp.Select | exp.Union) else None


def _check_unit(node: exp.Expr, source: Source) -> None:
    if isinstance(node, exp.Extract) and node.name.upper() not in _EXTRACT_UNITS:
        raise SqlRejectedError(
            f"EXTRACT knows no unit {node.name}: use one of {', '.join(_EXTRACT_UNITS)}", source.span_of(node)
        )
    if isinstance(node, exp.DateTrunc | exp.TimestampTrunc):
        unit = node.args.get("unit")
        if unit is not None and unit.name.upper() not in _TRUNC_UNITS:
            raise SqlRejectedError(
                f"DATE_TRUNC knows no unit {unit.name}: use one of {', '.join(_TRUNC_UNITS)}", source.span_of(node)
            )
    if isinstance(node, exp.Anonymous) and node.name.lower() in ("percentile", "approx_percentile"):
        fraction = node.expressions[1] if len(node.expressions) == 2 else None
        if isinstance(fraction, exp.Literal) and not _is_fraction(fraction.name):
            raise SqlRejectedError(
                f"{node.name.upper()} expects a fraction between 0 and 1, not {fraction.name}",
                source.span_of(node),
            )


def _is_fraction(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _own(node: exp.Expr) -> Iterator[exp.Expr]:
    """Return a node and what is below it, but nothing of subqueries."""
    for below in node.walk(prune=_is_query):
        if not _is_query(below):
            yield below


def _is_query(node: exp.Expr) -> bool:
    return isinstance(node, _QUERIES)
