"""Queries that group by a window expression: AMC computes the window first, DuckDB wants that spelled out."""

from __future__ import annotations

from sqlglot import exp

from local_amc.sql.carried import WINDOWED


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
