"""Follows expressions back to the columns of tables, through aliases, CTEs, subqueries and UNION."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from amc_facts.tables import THRESHOLDS
from templates_app.sql.lint.query import BaseColumn, InnerColumn, Item, Origin, Query, ScopeColumn

T = TypeVar("T")

# What these give says nothing about the values they look at.
_OPAQUE = (
    exp.Predicate,
    exp.Connector,
    exp.Not,
    exp.Count,
    exp.CountIf,
    exp.ApproxDistinct,
    exp.RowNumber,
    exp.Rank,
    exp.DenseRank,
    exp.PercentRank,
    exp.CumeDist,
    exp.Ntile,
    exp.ArrayContains,
)
_OPAQUE_CALLS = {"contained_in", "array_contains"}


class LineageFold(Generic[T]):
    """Folds an expression over the table columns it is made of; subclasses say what is folded."""

    nothing: T

    def __init__(self, query: Query) -> None:
        self.query = query
        self._inner: dict[tuple[int, int], T] = {}
        self._open_aliases: set[int] = set()

    def combine(self, values: Iterable[T]) -> T:
        """Fold the values of several parts into one."""
        raise NotImplementedError

    def of_base(self, base: BaseColumn, node: exp.Column | None) -> T:
        """Return the value of a table's column; `node` is the reference, None for a star."""
        raise NotImplementedError

    def of_output(self, output: ScopeColumn) -> T:
        """Return the value of one output column."""
        return self.combine(self.of_item(item) for item in output.items)

    def of_item(self, item: Item) -> T:
        """Return the value of one branch's part of an output column."""
        if item.expression is None:
            return self._of_origin(item.origin, None)
        return self.of(item.scope, item.expression)

    def of(self, scope: Scope, node: exp.Expr) -> T:
        """Return the value of an expression in a scope."""
        if isinstance(node, exp.Column):
            return self._of_column(scope, node)
        if isinstance(node, exp.Query):
            return self._of_subquery(scope, node)
        return self.combine(self.of(scope, part) for part in parts(node))

    def _of_column(self, scope: Scope, node: exp.Column) -> T:
        origin = self.query.origin(scope, node)
        if origin is not None or node.table:
            return self._of_origin(origin, node)
        alias = next(iter(self.query.aliased(scope, node.name)), None)
        if alias is None or id(alias) in self._open_aliases:
            return self.nothing
        self._open_aliases.add(id(alias))
        value = self.of(scope, alias.this)
        self._open_aliases.discard(id(alias))
        return value

    def _of_origin(self, origin: Origin | None, node: exp.Column | None) -> T:
        if isinstance(origin, BaseColumn):
            return self.of_base(origin, node)
        if not isinstance(origin, InnerColumn):
            return self.nothing
        key = (id(origin.scope), origin.index)
        if key not in self._inner:
            self._inner[key] = self.nothing  # Stops a recursive CTE.
            outputs = self.query.outputs(origin.scope) or []
            self._inner[key] = self.of_output(outputs[origin.index])
        return self._inner[key]

    def _of_subquery(self, scope: Scope, node: exp.Query) -> T:
        inner = node.unnest()
        found = next((child for child in scope.subquery_scopes if child.expression is inner), None)
        outputs = self.query.outputs(found) if found else None
        return self.of_output(outputs[0]) if outputs else self.nothing


def parts(node: exp.Expr) -> list[exp.Expr]:
    """Return the parts of an expression whose values show in its value."""
    if isinstance(node, _OPAQUE) or (isinstance(node, exp.Anonymous) and node.name.lower() in _OPAQUE_CALLS):
        return []
    if isinstance(node, exp.Case):
        branches = [branch.args.get("true") for branch in node.args.get("ifs") or []]
        return [part for part in [*branches, node.args.get("default")] if part is not None]
    if isinstance(node, exp.If):
        return [part for part in (node.args.get("true"), node.args.get("false")) if part is not None]
    if isinstance(node, exp.Window | exp.Alias | exp.Filter | exp.WithinGroup):
        return [node.this]
    return list(node.iter_expressions())


class Sensitivity(LineageFold[BaseColumn | None]):
    """Finds the table column with the strictest threshold behind an expression."""

    nothing = None

    def combine(self, values: Iterable[BaseColumn | None]) -> BaseColumn | None:
        return max(
            (value for value in values if value is not None),
            key=lambda base: THRESHOLDS.index(base.column.threshold),
            default=None,
        )

    def of_base(self, base: BaseColumn, node: exp.Column | None) -> BaseColumn | None:
        return base


def is_list_of_users(query: Query) -> bool:
    """Return whether the output is user_id as it stands in a table and nothing else, as where an audience is made."""
    outputs = query.outputs(query.root)
    if outputs is None or [output.name for output in outputs] != ["user_id"]:
        return False
    sensitivity = Sensitivity(query)
    causes = [sensitivity.of_item(item) for item in outputs[0].items if _is_plain(item)]
    is_user_id = [cause is not None and cause.column.name == "user_id" for cause in causes]
    return len(causes) == len(outputs[0].items) and all(is_user_id)


def _is_plain(item: Item) -> bool:
    return item.expression is None or isinstance(item.expression.unalias(), exp.Column)
