"""Named windows: `SUM(x) OVER w … WINDOW w AS (…)` becomes a window that says itself what it is."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from local_amc.sql.errors import Source, SqlRejectedError

_PARTS = ("partition_by", "order", "spec")


def expand_windows(tree: exp.Expr, source: Source) -> None:
    """Write named windows out, in place; raises SqlRejectedError for a name that is not declared before."""
    for select in tree.find_all(exp.Select):
        named: dict[str, exp.Expr] = {}
        for window in select.args.get("windows") or []:
            _expand(window, named, source)
            named[window.this.name.lower()] = window
        select.set("windows", None)
        for window in [window for window in select.find_all(exp.Window) if window.parent_select is select]:
            _expand(window, named, source)


def _expand(window: exp.Expr, named: Mapping[str, exp.Expr], source: Source) -> None:
    alias = window.args.get("alias")
    if alias is None:
        return
    base = named.get(alias.name.lower())
    if base is None:
        raise SqlRejectedError(f"Window '{alias.name}' not found", source.span_of(alias))
    for part in _PARTS:
        value = base.args.get(part)
        if value and not window.args.get(part):
            window.set(part, [item.copy() for item in value] if isinstance(value, list) else value.copy())
    window.set("alias", None)
