"""What is known of the types of expressions, without running anything."""

from __future__ import annotations

from functools import cache

from sqlglot import exp

from amc_facts.dialect import DIALECT
from amc_facts.validation import ARRAY, CONDITION, MOMENT, NUMBER, TEXT, family_of_type
from templates_app.sql.lint.query import BaseColumn, InnerColumn, Query

_CONDITIONS = exp.Boolean | exp.Predicate | exp.Connector | exp.Not


class Types:
    """Tells the family of an expression's type in one query; empty where a table, a value or a function decides."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._scopes = {id(scope.expression): scope for scope in query.scopes}
        self._open: set[int] = set()

    def family(self, node: exp.Expr) -> str:
        """Return one of the families of `amc_facts.validation`, or an empty text."""
        inner = node.unalias().unnest()
        if isinstance(inner, exp.Column):
            return self._family_of_column(inner)
        if isinstance(inner, exp.Literal | exp.Cast) and self._query.source.is_placeholder(inner):
            return ""
        if isinstance(inner, exp.Literal):
            return TEXT if inner.is_string else NUMBER
        if isinstance(inner, exp.Cast):
            return family_of_type(inner.to)
        if isinstance(inner, exp.Array):
            return ARRAY
        if isinstance(inner, exp.Count):
            return NUMBER
        if isinstance(inner, exp.CurrentDate | exp.CurrentTimestamp):
            return MOMENT
        return CONDITION if isinstance(inner, _CONDITIONS) else ""

    def _family_of_column(self, column: exp.Column) -> str:
        scope = self._scopes.get(id(column.parent_select))
        if scope is None or self._query.source.is_placeholder(column):
            return ""
        origin = self._query.origin(scope, column)
        if isinstance(origin, BaseColumn):
            return _family_of_name(origin.column.type)
        if not isinstance(origin, InnerColumn):
            return ""
        outputs = self._query.outputs(origin.scope) or []
        items = outputs[origin.index].items if origin.index < len(outputs) else ()
        expression = items[0].expression if len(items) == 1 else None
        if expression is None or id(expression) in self._open:
            return ""
        self._open.add(id(expression))
        family = self.family(expression)
        self._open.discard(id(expression))
        return family


@cache
def _family_of_name(type_name: str) -> str:
    return family_of_type(exp.DataType.build(type_name, dialect=DIALECT))
