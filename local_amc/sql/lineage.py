"""Follow every output column to its sources: its threshold, whether it is a metric, and what may not be compared.

Works on a tree whose columns are all qualified. Rules are AMC's aggregation thresholds: COUNT, predicates and ranks
are NONE, CASE and IF take their branches, everything else the strictest of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from amc_facts.tables import NO_LITERALS, THRESHOLDS
from amc_facts.validation import relations_of
from local_amc.sql.catalogue import Catalogue
from local_amc.sql.errors import Source, SqlRejectedError
from local_amc.sql.parameters import IS_PARAMETER

_RANK = {level: place for place, level in enumerate(THRESHOLDS)}
_COUNTS = (exp.Count, exp.RowNumber, exp.CountIf)
_RANKS = frozenset({"RANK", "DENSE_RANK", "ROW_NUMBER", "PERCENT_RANK", "CUME_DIST"})
_PREDICATES = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.SimilarTo, exp.And,
    exp.Or, exp.Not, exp.Exists, exp.NullSafeEQ, exp.NullSafeNEQ, exp.ArrayContains,
)  # fmt: skip
_COMPARISONS = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Like, exp.SimilarTo, exp.NullSafeEQ,
    exp.NullSafeNEQ, exp.ArrayContains, exp.Nullif, exp.StrPosition,
)  # fmt: skip
# As the rewrite calls them: they look for one value in another, or tell which of two is larger.
_SEARCHES = frozenset(
    {
        "REGEXP_MATCHES", "REGEXP_SUBSTR", "GREATEST", "LEAST", "ARRAY_INTERSECT_OF", "ARRAY_REMOVE_ALL",
        "ARRAY_COMPLEMENT",
    }
)  # fmt: skip
_MATCHES = frozenset({"REGEXP_MATCHES"})
_QUERIES = exp.Subquery | exp.Select | exp.Union | exp.Values


@dataclass(frozen=True, slots=True)
class Output:
    """What is known of one column: name, threshold, whether its values may be summed, whether it holds literals."""

    name: str
    threshold: str
    is_metric: bool
    is_literal: bool = False
    # AMC calls the number of distinct values a dimension, although it can be summed.
    counts_distinct: bool = False


Columns = Mapping[str, Output]
# What the names before the dots mean: alias -> column -> what is known.
Sources = Mapping[str, Columns]
Ctes = Mapping[str, list[Output]]


class Lineage:
    """One walk over one statement."""

    def __init__(self, catalogue: Catalogue, source: Source, *, checks_literals: bool = True) -> None:
        self._catalogue, self._source, self.checks_literals = catalogue, source, checks_literals
        # A subquery is asked for its level, its kind and its comparisons; nested ones would be walked ever more often.
        self._known: dict[int, list[Output]] = {}

    def of(self, query: exp.Expr, ctes: Ctes | None = None, outer: Sources | None = None) -> list[Output]:
        """Return what is known of a query's columns, in order; raises SqlRejectedError for a forbidden comparison."""
        if id(query) not in self._known:
            self._known[id(query)] = self._of(query, dict(ctes or {}), outer or {})
        return self._known[id(query)]

    def _of(self, query: exp.Expr, known: dict[str, list[Output]], outer: Sources) -> list[Output]:
        with_ = query.args.get("with_")
        for cte in with_.expressions if with_ is not None else []:
            known[cte.alias.lower()] = _renamed(self.of(cte.this, known, outer), cte.args.get("alias"))
        if isinstance(query, exp.Union):
            return _merged(self.of(query.left, known, outer), self.of(query.right, known, outer))
        if isinstance(query, exp.Subquery):
            return self.of(query.this, known, outer)
        if isinstance(query, exp.Select):
            return _Select(self, query, known, outer).outputs()
        if isinstance(query, exp.Values):
            rows = [_Expressions(self, outer, known).outputs(row.expressions) for row in query.expressions]
            return [_strictest(column) for column in zip(*rows, strict=False)]
        return []

    def relation(self, relation: exp.Expr, ctes: Ctes, sources: Sources) -> Columns:
        """Return the columns of what a SELECT reads; `sources` are those before it."""
        alias = relation.args.get("alias")
        if isinstance(relation, exp.Table):
            outputs = ctes.get(relation.name.lower()) or self._table(relation.name)
        elif isinstance(relation, exp.Unnest):
            outputs = _Expressions(self, sources, ctes).outputs(relation.expressions)
        else:
            outputs = self.of(relation, ctes, sources)
        return {output.name.lower(): output for output in _renamed(outputs, alias)}

    def _table(self, name: str) -> list[Output]:
        table = self._catalogue.find(name)
        columns = table.columns.values() if table is not None else []
        return [Output(column.name, column.threshold, column.kind == "METRIC") for column in columns]

    def unknown(self, column: exp.Column) -> SqlRejectedError:
        """Return the refusal of a column that no source has."""
        return SqlRejectedError(f"Column '{column.name}' not found in any table", self._source.span_of(column))

    def comparison(self, column: str, level: str, node: exp.Expr) -> SqlRejectedError:
        """Return the refusal of a comparison with a literal."""
        return SqlRejectedError(
            f"Column '{column}' has the aggregation threshold {level} and cannot be compared with a literal: join or "
            "group by it instead",
            self._source.span_of(node),
        )


class _Expressions:
    """What is known of expressions, among the sources they can name."""

    def __init__(self, lineage: Lineage, sources: Sources, ctes: Ctes) -> None:
        self._lineage, self._sources, self._ctes = lineage, sources, ctes

    def outputs(self, projections: list[exp.Expr]) -> list[Output]:
        return [
            Output(p.alias_or_name, self.level(p), self.is_metric(p), self.is_literal(p), self.counts_distinct(p))
            for p in projections
        ]

    def level(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Column):
            return self._find(node).threshold
        if isinstance(node, _QUERIES):
            outputs = self._of(node)
            return outputs[0].threshold if outputs else "NONE"
        if isinstance(node, _COUNTS + _PREDICATES) or _function_name(node) in _RANKS | _MATCHES:
            return "NONE"
        return max((self.level(part) for part in _values_of(node)), key=_RANK.__getitem__, default="NONE")

    def is_metric(self, node: exp.Expr) -> bool:
        if isinstance(node, exp.Column):
            return self._find(node).is_metric
        if isinstance(node, exp.Count | exp.Sum | exp.Avg):
            return True
        if isinstance(node, _PREDICATES) or _function_name(node) in _RANKS:
            return False
        if isinstance(node, _QUERIES):
            outputs = self._of(node)
            return bool(outputs) and outputs[0].is_metric
        return any(self.is_metric(part) for part in _values_of(node))

    def counts_distinct(self, node: exp.Expr) -> bool:
        inner = node.unalias()
        if isinstance(inner, exp.Column):
            return self._find(inner).counts_distinct
        return isinstance(inner, exp.Count) and isinstance(inner.this, exp.Distinct)

    def is_literal(self, node: exp.Expr) -> bool:
        """Return whether a value is written in the query or given as a parameter, wherever it has passed since."""
        return self._kind(node) == "literal"

    def _kind(self, node: exp.Expr) -> str:
        """Return `literal`, `value` when a table's column is in it, or nothing, as for NULL."""
        if isinstance(node, exp.Literal | exp.Boolean) or node.meta.get(IS_PARAMETER):
            return "literal"
        if isinstance(node, exp.Column):
            return "literal" if self._find(node).is_literal else "value"
        if isinstance(node, _QUERIES):
            return "literal" if any(output.is_literal for output in self._of(node)) else "value"
        kinds = {self._kind(part) for part in _values_of(node)}
        if isinstance(node, exp.Case | exp.If | exp.Array | exp.Tuple | exp.Struct) and "literal" in kinds:
            return "literal"
        return next((kind for kind in ("value", "literal") if kind in kinds), "")

    def check_comparisons(self, part: exp.Expr) -> None:
        """Refuse a literal beside a column of a level that allows none, and look into subqueries."""
        for node in _within(part):
            if isinstance(node, _QUERIES):
                self._of(node)
            elif isinstance(node, _COMPARISONS) or _function_name(node) in _SEARCHES:
                self._check_comparison(node, list(node.iter_expressions()))
            elif isinstance(node, exp.Case) and node.this is not None:
                self._check_comparison(node, [node.this, *(branch.this for branch in node.args["ifs"])])

    def _check_comparison(self, node: exp.Expr, sides: list[exp.Expr]) -> None:
        if not self._lineage.checks_literals or not any(self.is_literal(side) for side in sides):
            return
        for side in sides:
            level = self.level(side)
            if level in NO_LITERALS:
                raise self._lineage.comparison(_name_in(side), level, node)

    def _of(self, query: exp.Expr) -> list[Output]:
        return self._lineage.of(query, self._ctes, self._sources)

    def _find(self, column: exp.Column) -> Output:
        found = self._sources.get(column.table.lower(), {}).get(column.name.lower())
        if found is None:
            # Whatever cannot be followed to its source must not get out.
            raise self._lineage.unknown(column)
        return found


class _Select(_Expressions):
    """One SELECT with what it reads."""

    def __init__(self, lineage: Lineage, select: exp.Select, ctes: Ctes, outer: Sources) -> None:
        sources = dict(outer)
        for relation in relations_of(select):
            # In order, as UNNEST names columns of what stands before it.
            sources[relation.alias_or_name.lower()] = lineage.relation(relation, ctes, sources)
        super().__init__(lineage, sources, ctes)
        self._select = select

    def outputs(self, projections: list[exp.Expr] | None = None) -> list[Output]:
        found = super().outputs(self._select.expressions if projections is None else projections)
        for part in _parts(self._select):
            self.check_comparisons(part)
        group = self._select.args.get("group")
        for key in group.expressions if group is not None else []:
            # Grouping compares too: a column that holds literals beside protected values would single one out.
            self._check_comparison(key, [key])
        return found


def _parts(select: exp.Select) -> Iterator[exp.Expr]:
    yield from select.expressions
    for name in ("where", "having", "group", "order"):
        if select.args.get(name) is not None:
            yield select.args[name]
    for join in select.args.get("joins") or []:
        if join.args.get("on") is not None:
            yield join.args["on"]


def _within(node: exp.Expr) -> Iterator[exp.Expr]:
    """Return a node and what is below it, down to and including subqueries but not into them."""
    yield node
    if not isinstance(node, _QUERIES):
        for child in node.iter_expressions():
            yield from _within(child)


def _values_of(node: exp.Expr) -> list[exp.Expr]:
    """Return the parts whose values can appear in a node's value."""
    if isinstance(node, exp.Case):
        branches = [branch.args["true"] for branch in node.args.get("ifs") or []]
        return branches + [node.args["default"]] * bool(node.args.get("default"))
    if isinstance(node, exp.If):
        return [node.args["true"]] + [node.args["false"]] * bool(node.args.get("false"))
    if isinstance(node, exp.Window | exp.Filter | exp.WithinGroup | exp.Nullif | exp.Cast):
        return [node.this]
    return list(node.iter_expressions())


def _strictest(outputs: tuple[Output, ...]) -> Output:
    """Return what is known of values that stand in one column."""
    return replace(
        outputs[0],
        threshold=max((output.threshold for output in outputs), key=_RANK.__getitem__),
        is_metric=any(output.is_metric for output in outputs),
        is_literal=any(output.is_literal for output in outputs),
        counts_distinct=all(output.counts_distinct for output in outputs),
    )


def _merged(left: list[Output], right: list[Output]) -> list[Output]:
    return [_strictest(pair) for pair in zip(left, right, strict=False)]


def _renamed(outputs: list[Output], alias: exp.Expr | None) -> list[Output]:
    columns = alias.args.get("columns") or [] if isinstance(alias, exp.TableAlias) else []
    names = [column.name for column in columns]
    return [
        replace(output, name=names[place] if place < len(names) else output.name)
        for place, output in enumerate(outputs)
    ]


def _function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.upper()
    return node.sql_name() if isinstance(node, exp.Func) else ""


def _name_in(node: exp.Expr) -> str:
    column = node.find(exp.Column)
    return column.name if column is not None else node.sql("duckdb")
