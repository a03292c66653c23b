"""One parsed query: its scopes, where its columns come from, and what reaches its output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope, walk_in_scope

from amc_facts.tables import Column
from templates_app.sql.lint.catalogue import KnownTable, KnownTables
from templates_app.sql.lint.reading import LintSource

# Columns that the stars of one statement stand for: each may stand for all that the stars below it do.
MAX_EXPANDED = 50_000


@dataclass(frozen=True, slots=True)
class BaseColumn:
    """A column of a table."""

    table: KnownTable
    column: Column


@dataclass(frozen=True, slots=True)
class InnerColumn:
    """A column of a CTE or subquery, by its position in the inner output."""

    scope: Scope
    index: int


Origin = BaseColumn | InnerColumn


@dataclass(frozen=True, slots=True)
class Item:
    """One expression of an output, or with a star the column it stands for."""

    scope: Scope
    expression: exp.Expr | None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """One column of a scope's output: its name and an item per branch of a UNION."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class FromItem:
    """A table or subquery in FROM; `columns` is None when its columns are not all known."""

    name: str
    node: exp.Expr
    table: KnownTable | None
    scope: Scope | None
    columns: Mapping[str, Origin] | None
    # Columns that are known even when others may exist.
    known: Mapping[str, Origin]


class Query:
    """Answers what the rules ask about one statement."""

    def __init__(self, source: LintSource, tree: exp.Query, catalogue: KnownTables) -> None:
        self.source = source
        self.tree = tree
        self.catalogue = catalogue
        self._from_items: dict[int, dict[str, FromItem]] = {}
        self._outputs: dict[int, list[ScopeColumn] | None] = {}
        self._aliases: dict[int, dict[str, list[exp.Expr]]] = {}
        self._expanded = 0

    @cached_property
    def scopes(self) -> list[Scope]:
        """All scopes, inner ones first; the last one is the whole query."""
        return traverse_scope(self.tree)

    @property
    def root(self) -> Scope:
        """The scope of the whole query."""
        return self.scopes[-1]

    @cached_property
    def tables(self) -> list[tuple[exp.Table, str]]:
        """Every reference to a real table with the table's name, in no particular order."""
        found = []
        for scope in self.scopes:
            for table in scope.tables:
                is_cte = (
                    not table.db and table.name in scope.cte_sources and isinstance(table.this, exp.Identifier)
                )
                if not is_cte:
                    found.append((table, table_name(table)))
        return found

    @cached_property
    def reads_users(self) -> bool:
        """Whether the query reads a table whose rows belong to users."""
        known = (self.catalogue.find(name) for _, name in self.tables)
        return any("user_id" in table.columns for table in known if table)

    def own_nodes(self, scope: Scope) -> Iterator[exp.Expr]:
        """Walk a scope without the scopes inside it."""
        return walk_in_scope(scope.expression)

    def from_items(self, scope: Scope) -> dict[str, FromItem]:
        """Return what a scope selects from, by alias."""
        key = id(scope)
        if key not in self._from_items:
            selected = scope.selected_sources.items()
            items = [self._from_item(name, node, origin) for name, (node, origin) in selected]
            self._from_items[key] = {item.name: item for item in items}
        return self._from_items[key]

    def _from_item(self, name: str, node: exp.Expr, origin: exp.Table | Scope) -> FromItem:
        if node.args.get("pivots"):
            return FromItem(name, node, None, None, None, {})
        if isinstance(origin, Scope):
            columns = self._inner_columns(origin, node)
            return FromItem(name, node, None, origin, columns, columns or {})
        if isinstance(node, exp.Table) and not node.alias:
            name = table_name(origin) or name  # AMC names a widened table after the table.
        table = self.catalogue.find(table_name(origin))
        if table is None:
            return FromItem(name, node, None, None, None, {})
        known: dict[str, Origin] = {key: BaseColumn(table, column) for key, column in table.columns.items()}
        return FromItem(name, node, table, None, known if table.is_complete else None, known)

    def _inner_columns(self, scope: Scope, node: exp.Expr) -> dict[str, Origin] | None:
        outputs = self.outputs(scope)
        names = _column_aliases(node) or list(scope.outer_columns)
        if outputs is None:
            return None
        names += [output.name for output in outputs[len(names) :]]
        return {name: InnerColumn(scope, index) for index, name in enumerate(names[: len(outputs)])}

    def outputs(self, scope: Scope) -> list[ScopeColumn] | None:
        """Return the columns a scope produces; None when they cannot all be told."""
        key = id(scope)
        if key not in self._outputs:
            self._outputs[key] = None  # Stops a recursive CTE.
            self._outputs[key] = self._build_outputs(scope)
        return self._outputs[key]

    def _build_outputs(self, scope: Scope) -> list[ScopeColumn] | None:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            branches = [self.outputs(branch) for branch in scope.set_operation_scopes]
            if not branches or any(branch is None for branch in branches):
                return None
            rows = zip(*(branch for branch in branches if branch), strict=False)
            return [ScopeColumn(row[0].name, tuple(item for out in row for item in out.items)) for row in rows]
        if isinstance(expression, exp.Values):
            return self._values_outputs(scope, expression)
        if isinstance(expression, exp.Subquery) and scope.derived_table_scopes:
            return self.outputs(scope.derived_table_scopes[0])
        if not isinstance(expression, exp.Select):
            return None
        outputs: list[ScopeColumn] = []
        for projection in expression.expressions:
            expanded = self._expand(scope, projection)
            if expanded is None:
                return None
            outputs += expanded
        return outputs

    def _values_outputs(self, scope: Scope, values: exp.Values) -> list[ScopeColumn] | None:
        rows = [row.expressions for row in values.expressions if isinstance(row, exp.Tuple)]
        if not rows or not rows[0]:
            return None
        names = _column_aliases(values)
        width = len(rows[0])
        names += [f"col{index}" for index in range(len(names), width)]
        return [ScopeColumn(names[index], (Item(scope, rows[0][index]),)) for index in range(width)]

    def _expand(self, scope: Scope, projection: exp.Expr) -> list[ScopeColumn] | None:
        if not projection.is_star:
            return [ScopeColumn(projection.alias_or_name, (Item(scope, projection),))]
        qualifier = projection.table if isinstance(projection, exp.Column) else ""
        outputs: list[ScopeColumn] = []
        for name, item in self.from_items(scope).items():
            if qualifier and name != qualifier:
                continue
            if item.columns is None or self._expanded > MAX_EXPANDED:
                return None
            self._expanded += len(item.columns)
            outputs += [ScopeColumn(key, (Item(scope, None, origin),)) for key, origin in item.columns.items()]
        return outputs

    def aliased(self, scope: Scope, name: str) -> list[exp.Expr]:
        """Return the projections that a scope calls by an alias of their own."""
        key = id(scope)
        if key not in self._aliases:
            aliases = self._aliases[key] = {}
            for projection in selects(scope):
                if isinstance(projection, exp.Alias):
                    aliases.setdefault(projection.alias, []).append(projection)
        return self._aliases[key].get(name, [])

    def origin(self, scope: Scope, column: exp.Column) -> Origin | None:
        """Return where a column comes from; None when that is unknown or not a column of a table."""
        current: Scope | None = scope
        while current is not None:
            items = self.from_items(current)
            if column.table in items:
                return items[column.table].known.get(column.name)
            if not column.table:
                for item in items.values():
                    if column.name in item.known:
                        return item.known[column.name]
            current = outer_scope(current)
        return None


def selects(scope: Scope) -> list[exp.Expr]:
    """Return what a scope selects, for a UNION what its first branch does."""
    expression = scope.expression
    return list(expression.selects) if isinstance(expression, exp.Query) else []


def outer_scope(scope: Scope) -> Scope | None:
    """Return the scope whose columns a correlated subquery may use."""
    return scope.parent if scope.can_be_correlated else None


def table_name(table: exp.Table) -> str:
    """Return the name of the table meant, also behind EXTEND_TIME_WINDOW; empty when it is something else."""
    if isinstance(table.this, exp.Identifier):
        return table.name.lower()
    literal = extended_table(table)
    return str(literal.this).lower() if literal is not None else ""


def extended_table(table: exp.Table) -> exp.Literal | None:
    """Return the literal naming the table in TABLE(EXTEND_TIME_WINDOW('table', ...))."""
    call = table.this
    if not isinstance(call, exp.Anonymous) or call.name.lower() != "table" or len(call.expressions) != 1:
        return None
    inner = call.expressions[0]
    if not isinstance(inner, exp.Anonymous) or inner.name.lower() != "extend_time_window" or not inner.expressions:
        return None
    first = inner.expressions[0]
    return first if isinstance(first, exp.Literal) and first.is_string else None


def is_array_call(table: exp.Table) -> bool:
    """Return whether FROM holds a function that makes rows of an array."""
    return isinstance(table.this, exp.Explode | exp.Flatten | exp.Unnest)


def _column_aliases(node: exp.Expr) -> list[str]:
    holder = node if node.args.get("alias") else node.parent
    if holder is None or not isinstance(holder.args.get("alias"), exp.TableAlias):
        return []
    return [column.name for column in holder.args["alias"].columns]
