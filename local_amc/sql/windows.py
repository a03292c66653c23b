"""Windows: named ones are spelled out, and those that are grouped by are computed in a derived table before.

`SUM(x) OVER w … WINDOW w AS (…)` becomes a window that says itself what it is. AMC computes a window before it groups
by it, which DuckDB wants spelled out.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

# The derived table in which windows are computed before grouping.
WINDOWED = "__windowed"
_PARTS = ("partition_by", "order", "spec")


def expand_windows(tree: exp.Expr) -> None:
    """Write named windows out, in place; all names are declared."""
    for select in tree.find_all(exp.Select):
        named: dict[str, exp.Expr] = {}
        for window in select.args.get("windows") or []:
            _expand(window, named)
            named[window.this.name.lower()] = window
        select.set("windows", None)
        for window in [window for window in select.find_all(exp.Window) if window.parent_select is select]:
            _expand(window, named)


def _expand(window: exp.Expr, named: Mapping[str, exp.Expr]) -> None:
    alias = window.args.get("alias")
    if alias is None:
        return
    base = named[alias.name.lower()]
    for part in _PARTS:
        value = base.args.get(part)
        if value and not window.args.get(part):
            window.set(part, [item.copy() for item in value] if isinstance(value, list) else value.copy())
    window.set("alias", None)


def hoist_windows(tree: exp.Query) -> None:
    """Move windows that are grouped by into a derived table, in place; columns are qualified."""
    for select in reversed(list(tree.find_all(exp.Select))):
        group = select.args.get("group")
        if group is not None and any(expression.find(exp.Window) for expression in group.expressions):
            _hoist(select)


def _hoist(select: exp.Select) -> None:
    group = select.args["group"]
    windows = list(dict.fromkeys(node for key in group.expressions for node in key.find_all(exp.Window)))
    inner = exp.Select(
        **{part: select.args[part] for part in ("from_", "joins", "where") if select.args.get(part) is not None}
    )
    for part in ("from_", "joins", "where"):
        select.set(part, None)
    moved = [(window, f"w{place}") for place, window in enumerate(windows)]
    for window, name in moved:
        inner.append("expressions", exp.alias_(window.copy(), name, quoted=True))
    for node in list(select.find_all(exp.Window)):
        for window, name in moved:
            if node == window:
                node.replace(exp.column(name, WINDOWED, quoted=True))
    _move_columns(select, inner)
    derived = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(WINDOWED, quoted=True)))
    select.set("from_", exp.From(this=derived))


def _move_columns(select: exp.Select, inner: exp.Select) -> None:
    names: dict[exp.Expr, str] = {}
    for column in [column for column in select.find_all(exp.Column) if column.table != WINDOWED]:
        if column not in names:
            names[column.copy()] = f"k{len(names)}"
        column.replace(exp.column(names[column], WINDOWED, quoted=True))
    for moved, name in names.items():
        inner.append("expressions", exp.alias_(moved, name, quoted=True))
