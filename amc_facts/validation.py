"""What AMC's validator refuses in a statement of its grammar, worded like it: names, shapes, then types.

Trees may be as parsed or with their columns qualified; what the types of expressions are the caller says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime

from sqlglot import exp

from amc_facts.dialect import SqlFault

# Tells the family of an expression's type, one of FAMILIES; empty when it is not known.
Family = Callable[[exp.Expr], str]

NUMBER, TEXT, MOMENT, CONDITION, ARRAY = "a number", "text", "a date or timestamp", "a condition", "an array"
FAMILIES = {
    NUMBER: exp.DataType.NUMERIC_TYPES,
    TEXT: exp.DataType.TEXT_TYPES,
    MOMENT: exp.DataType.TEMPORAL_TYPES,
    CONDITION: {exp.DataType.Type.BOOLEAN},
    ARRAY: {exp.DataType.Type.ARRAY, exp.DataType.Type.LIST},
}
# Aggregates of AMC that the parser does not know as such.
_AGGREGATES = frozenset({"COLLECT", "PERCENTILE", "APPROX_PERCENTILE"})
_QUERIES = exp.Subquery | exp.Select | exp.Union
_EXTRACT_UNITS = (
    "SECOND", "MINUTE", "HOUR", "DAY", "DOW", "WEEK", "MONTH", "YEAR", "QUARTER", "DOY", "DAYOFWEEK", "DAYOFMONTH",
    "DAYOFYEAR", "MILLISECOND", "EPOCH",
)  # fmt: skip
_TRUNC_UNITS = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_ORDERINGS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_MOMENTS_IN_WORDS = frozenset({"epoch", "infinity", "-infinity", "now", "today"})
_LITERAL_FORMS = {"DATE": "yyyy-MM-dd", "TIMESTAMP": "yyyy-MM-dd HH:mm:ss"}


def is_aggregate(node: exp.Expr) -> bool:
    """Return whether a node is a call that makes one value of many rows."""
    if isinstance(node, exp.Anonymous):
        return node.name.upper() in _AGGREGATES
    return isinstance(node, exp.AggFunc)


def is_windowed(node: exp.Expr) -> bool:
    """Return whether an aggregate, with or without FILTER, is what a window function computes: it groups no rows."""
    parent = node.parent.parent if isinstance(node.parent, exp.Filter) else node.parent
    return isinstance(parent, exp.Window) and parent.this in (node, node.parent)


def relations_of(select: exp.Select) -> list[exp.Expr]:
    """Return what a SELECT reads directly: tables and derived tables of FROM and JOIN."""
    from_ = select.args.get("from_")
    joined = [join.this for join in select.args.get("joins") or []]
    return [from_.this, *joined] if from_ is not None else joined


def family_of_type(kind: exp.DataType | None) -> str:
    """Return the family of a type; empty for one of none, and for None."""
    return next((name for name, kinds in FAMILIES.items() if kind is not None and kind.this in kinds), "")


def literal_fault(kind: str, text: str) -> str:
    """Return what is wrong with `DATE '…'` or `TIMESTAMP '…'`; CAST gives NULL for the same text."""
    form = _LITERAL_FORMS.get(kind.upper())
    if form is None:
        return ""
    try:
        if kind.upper() == "DATE":
            date.fromisoformat(text.strip())
        else:
            datetime.fromisoformat(text.strip())
    except ValueError:
        return f"Illegal {kind.upper()} literal '{text}': not in format '{form}'"
    return ""


def name_faults(tree: exp.Expr) -> Iterator[SqlFault]:
    """Return what is named twice or not at all, and numbers of columns that GROUP BY does not have."""
    for with_ in tree.find_all(exp.With):
        yield from _twice([cte.args["alias"].this for cte in with_.expressions], "WITH clause")
    for select in tree.find_all(exp.Select):
        yield from _twice([_name_of(relation) for relation in relations_of(select)], "FROM clause")
        yield from _ordinal_faults(select)


def window_faults(tree: exp.Expr) -> Iterator[SqlFault]:
    """Return windows that are used under a name no WINDOW clause has declared before."""
    for select in tree.find_all(exp.Select):
        declared: set[str] = set()
        declarations = select.args.get("windows") or []
        for window in declarations:
            yield from _undeclared(window, declared)
            declared.add(window.this.name.lower())
        for window in select.find_all(exp.Window):
            if window.parent_select is select and not any(window is other for other in declarations):
                yield from _undeclared(window, declared)


def _undeclared(window: exp.Expr, declared: set[str]) -> Iterator[SqlFault]:
    alias = window.args.get("alias")
    if alias is not None and alias.name.lower() not in declared:
        yield SqlFault("unknown-window", f"Window '{alias.name}' not found", alias)


def _twice(names: Iterable[exp.Expr | None], where: str) -> Iterator[SqlFault]:
    seen: set[str] = set()
    for name in names:
        if name is None:
            continue
        if name.name.lower() in seen:
            yield SqlFault("duplicate-alias", f"Duplicate relation name '{name.name}' in {where}", name)
        seen.add(name.name.lower())


def _name_of(relation: exp.Expr) -> exp.Expr | None:
    alias = relation.args.get("alias")
    name = alias.this if isinstance(alias, exp.TableAlias) and alias.this is not None else relation.this
    return name if isinstance(name, exp.Identifier) else None


def _ordinal_faults(select: exp.Select) -> Iterator[SqlFault]:
    group = select.args.get("group")
    if group is None or any(isinstance(item.unalias(), exp.Star) for item in select.expressions):
        return
    count = len(select.expressions)
    for key in group.expressions:
        is_number = isinstance(key, exp.Literal) and not key.is_string
        if is_number and not (key.name.isdigit() and 1 <= int(key.name) <= count):
            message = f"GROUP BY {key.name}: Ordinal out of range, there are {count} columns"
            yield SqlFault("group-by-ordinal", message, key)


def shape_faults(tree: exp.Expr) -> Iterator[SqlFault]:
    """Return aggregates and windows where they cannot be, and subqueries of several columns for one value."""
    for select in tree.find_all(exp.Select):
        for clause, part in _clauses(select):
            yield from _clause_faults(clause, part)
        for projection in select.expressions:
            yield from _nesting_faults(projection)
    for query in tree.find_all(exp.Subquery, exp.In):
        yield from _width_faults(query)


def _clauses(select: exp.Select) -> Iterator[tuple[str, exp.Expr]]:
    for clause, name in (("WHERE", "where"), ("GROUP BY", "group"), ("HAVING", "having")):
        if select.args.get(name) is not None:
            yield clause, select.args[name]
    for join in select.args.get("joins") or []:
        if join.args.get("on") is not None:
            yield "ON", join.args["on"]


def _clause_faults(clause: str, part: exp.Expr) -> Iterator[SqlFault]:
    nodes = list(_own(part))
    if clause == "HAVING":
        nodes += _aliased_windows(part, nodes)
    for node in nodes:
        # AMC computes a window before it groups by it.
        if isinstance(node, exp.Window) and clause != "GROUP BY":
            message = f"Windowed aggregate expression is illegal in {clause} clause: compute it in a subquery"
            yield SqlFault("window-placement", message, node)
        if is_aggregate(node) and clause != "HAVING" and not is_windowed(node):
            code = "grouped-aggregate" if clause == "GROUP BY" else "aggregate-placement"
            advice = ": use HAVING" if clause == "WHERE" else ""
            yield SqlFault(code, f"Aggregate expression is illegal in {clause} clause{advice}", node)


def _aliased_windows(having: exp.Expr, nodes: Sequence[exp.Expr]) -> list[exp.Expr]:
    """Return the windows of output columns that HAVING names."""
    select = having.parent
    names = {node.name.lower() for node in nodes if isinstance(node, exp.Column) and not node.table}
    projections = select.expressions if isinstance(select, exp.Select) else []
    return [
        window
        for projection in projections
        if isinstance(projection, exp.Alias) and projection.alias.lower() in names
        for window in [projection.find(exp.Window)]
        if window is not None
    ]


def _nesting_faults(part: exp.Expr) -> Iterator[SqlFault]:
    for node in _own(part):
        if isinstance(node, exp.Window) and counts_all_rows(node):
            message = (
                "COUNT window expression had 0 value expressions: count a column, as in COUNT(campaign) OVER (…)"
            )
            yield SqlFault("count-over", message, node)
        if is_aggregate(node) and not is_windowed(node):
            inner = next((below for below in _own(node) if below is not node and is_aggregate(below)), None)
            if inner is not None:
                yield SqlFault("nested-aggregate", "Aggregate expressions cannot be nested", inner)


def counts_all_rows(window: exp.Window) -> bool:
    """Return whether a window is COUNT(*) OVER everything."""
    return (
        isinstance(window.this, exp.Count)
        and isinstance(window.this.this, exp.Star)
        and not window.args.get("partition_by")
        and not window.args.get("order")
    )


def _width_faults(node: exp.Expr) -> Iterator[SqlFault]:
    query, expected = node, 1
    if isinstance(node, exp.In):
        if node.args.get("query") is None:
            return
        query, expected = node.args["query"], len(node.this.expressions) if isinstance(node.this, exp.Tuple) else 1
    elif not isinstance(node.this, exp.Query) or isinstance(
        node.parent, exp.From | exp.Join | exp.In | exp.Exists | exp.Union | exp.CTE | exp.Subquery | None
    ):
        return
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(inner, exp.Select | exp.Union) and not inner.is_star and len(inner.selects) != expected:
        message = (
            f"A subquery that stands for a value must have {expected} column{'s' * (expected > 1)}, "
            f"not {len(inner.selects)}"
        )
        yield SqlFault("subquery-width", message, inner)


def type_faults(tree: exp.Expr, family: Family) -> Iterator[SqlFault]:
    """Return conditions that are none, comparisons and UNIONs of unlike types, unknown units, odd fractions."""
    for node in tree.walk():
        if isinstance(node, exp.Where | exp.Having):
            yield from _condition_faults(node.this, type(node).__name__.upper() + " clause", family)
        elif isinstance(node, exp.If):
            yield from _condition_faults(node.this, "WHEN" if isinstance(node.parent, exp.Case) else "IF", family)
        elif isinstance(node, exp.And | exp.Or):
            for side in (node.this, node.expression):
                yield from _condition_faults(side, type(node).__name__.upper(), family)
        elif isinstance(node, exp.Not):
            yield from _condition_faults(node.this, "NOT", family)
        elif isinstance(node, _ORDERINGS):
            yield from _comparison_faults(node, family)
        elif isinstance(node, exp.Union):
            yield from _union_faults(node, family)
        elif isinstance(node, exp.Explode) and family(node.this) not in ("", ARRAY):
            yield SqlFault(
                "unlike-types", f"Cannot apply 'EXPLODE' to {family(node.this)}: it takes an array", node
            )
        else:
            yield from _unit_faults(node)


def _condition_faults(node: exp.Expr, where: str, family: Family) -> Iterator[SqlFault]:
    inner = node.unnest() if isinstance(node, exp.Paren) else node
    case = node.parent.parent if isinstance(node.parent, exp.If) else None
    if isinstance(case, exp.Case) and case.this is not None:
        # CASE x WHEN 1 compares.
        return
    kind = family(inner)
    if kind not in ("", CONDITION):
        yield SqlFault("not-a-condition", f"{where} must be a condition, not {kind}", inner)


def _are_alike(one: str, other: str) -> bool:
    """Return whether AMC casts one to the other by itself; it does so with flags, numbers and texts."""
    if one == other or not one or not other:
        return True
    if ARRAY in (one, other):
        return False
    return MOMENT not in (one, other) or TEXT in (one, other)


def _comparison_faults(node: exp.Expr, family: Family) -> Iterator[SqlFault]:
    one, other = family(node.this), family(node.expression)
    if not _are_alike(one, other):
        yield SqlFault("unlike-types", f"Cannot compare {one} with {other}: CAST one of them", node)
    for side, opposite in ((node.this, other), (node.expression, one)):
        if opposite == MOMENT and side.is_string and not _may_be_a_moment(side.name):
            yield SqlFault("unlike-types", f"Cannot convert '{side.name}' to {MOMENT}", side)


def _may_be_a_moment(text: str) -> bool:
    return any(map(str.isdigit, text)) or text.strip().lower() in _MOMENTS_IN_WORDS


def _union_faults(union: exp.Union, family: Family) -> Iterator[SqlFault]:
    """Compare all arms of a UNION with its first; one that continues another was seen with it."""
    if isinstance(union.parent, exp.Union) and union.arg_key == "this":
        return
    arms: list[exp.Expr] = []
    first: exp.Expr = union
    while isinstance(first, exp.Union):
        arms.append(first.expression)
        first = first.this
    for arm in reversed(arms):
        yield from _arm_faults(_columns_of(first), _columns_of(arm), arm, family)


def _arm_faults(
    first: Sequence[exp.Expr] | None, other: Sequence[exp.Expr] | None, arm: exp.Expr, family: Family
) -> Iterator[SqlFault]:
    if first is None or other is None:
        return
    if len(first) != len(other):
        message = f"Column count mismatch in UNION: {len(first)} columns above, {len(other)} below"
        yield SqlFault("union-width", message, arm)
        return
    for place, (above, below) in enumerate(zip(first, other, strict=True), start=1):
        one, another = family(above), family(below)
        if not _are_alike(one, another):
            message = f"Type mismatch in column {place} of UNION: {one} above, {another} below"
            yield SqlFault("union-types", message, below)


def _columns_of(query: exp.Expr) -> Sequence[exp.Expr] | None:
    """Return the output columns of a query; None when a star hides how many there are."""
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    return inner.selects if isinstance(inner, exp.Select | exp.Union) and not inner.is_star else None


def _unit_faults(node: exp.Expr) -> Iterator[SqlFault]:
    if isinstance(node, exp.Extract) and node.name.upper() not in _EXTRACT_UNITS:
        message = f"EXTRACT knows no unit {node.name.upper()}: use one of {', '.join(_EXTRACT_UNITS)}"
        yield SqlFault("unknown-unit", message, node)
    if isinstance(node, exp.DateTrunc | exp.TimestampTrunc):
        unit = node.args.get("unit")
        if unit is not None and unit.name.upper() not in _TRUNC_UNITS:
            message = f"DATE_TRUNC knows no unit {unit.name.upper()}: use one of {', '.join(_TRUNC_UNITS)}"
            yield SqlFault("unknown-unit", message, node)
    if isinstance(node, exp.Anonymous) and node.name.lower() in ("percentile", "approx_percentile"):
        fraction = node.expressions[1] if len(node.expressions) == 2 else None
        if isinstance(fraction, exp.Literal) and not _is_fraction(fraction.name):
            message = f"{node.name.upper()} expects a fraction between 0 and 1, not {fraction.name}"
            yield SqlFault("fraction", message, node)


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
