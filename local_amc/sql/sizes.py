"""How long texts may become: each step of a query makes a text longer by its factor, and many steps by all of them.

The engine does not count the texts it is computing against its memory, and cannot be interrupted while it makes one.
So what a text may grow to is estimated before, and calls that may make long ones get their arguments checked by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from local_amc.sql.errors import Source, SqlRejectedError
from local_amc.sql.users import QUERIES, call

# Characters that all the grown texts of one row may have together.
MAX_GROWN = 100_000
TOO_LONG = (
    f"A text grows too long: what CONCAT, REPLACE and the like make longer may have {MAX_GROWN:,} characters in one "
    "row, all of it together. Nest them less, or shorten the text with SUBSTRING before"
)
# What the engine raises; `messages.py` says it in words.
GROWN = "a text has grown too long"
# As long as no value of a table, and so short that nobody minds how many there are.
_COLUMN, _NUMBER, _SMALL = 300, 40, 2_000
# A call of so many arguments that less is left for each is refused without looking at the rows.
_LEAST = 100

MACROS = (
    f"text_within(x, most) AS list_transform([x], lambda t: CASE WHEN len(CAST(t AS VARCHAR)) > most "
    f"THEN error('{GROWN}') ELSE t END)[1]",
)

_REPLACING = frozenset({"regexp_replace", "java_replace"})
# Hexadecimal digits, and texts in quotes whose quotes are escaped.
_DOUBLING = frozenset({"hex", "to_base64", "json_serialize"})
_JOINING = frozenset({"printf", "format"})
_GROWING = (exp.Concat, exp.Replace, exp.Anonymous)
_COLLECTING = (exp.ArrayAgg, exp.ArrayToString)


@dataclass(slots=True)
class _Growth:
    """The longest text every expression may give, by its identity, and the calls that are to be checked."""

    sizes: dict[int, int] = field(default_factory=dict)
    # The columns of queries, by their identity: names in order, and sizes.
    columns: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    large: list[exp.Expr] = field(default_factory=list)

    def add(self, scope: Scope) -> None:
        """Estimate all expressions of a SELECT, from the leaves up, and its columns."""
        query = scope.expression
        if isinstance(query, exp.Union):
            arms = [self.columns.get(id(arm.unnest()), []) for arm in (query.left, query.right)]
            pairs = zip(*arms, strict=False)
            self.columns[id(query)] = [(pair[0][0], max(size for _, size in pair)) for pair in pairs]
            return
        for node in reversed(list(scope.walk())):
            if node is not query:
                size = self._size(node, scope)
                if size > _SMALL and size > self._longest(node) and isinstance(node, _GROWING):
                    self.large.append(node)
                self.sizes[id(node)] = min(size, MAX_GROWN)
        if isinstance(query, exp.Select):
            titles = [(item.alias_or_name, self.sizes.get(id(item), 0)) for item in query.expressions]
            self.columns[id(query)] = titles

    def _size(self, node: exp.Expr, scope: Scope) -> int:
        if isinstance(node, exp.Literal):
            return len(node.name)
        if isinstance(node, exp.Column):
            return self._of_column(node, scope.sources)
        if isinstance(node, QUERIES):
            return max((size for _, size in self.columns.get(id(node.unnest()), [])), default=MAX_GROWN)
        if isinstance(node, _COLLECTING):
            return MAX_GROWN
        name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        if isinstance(node, exp.Concat) or name in _JOINING:
            return sum(self.sizes.get(id(part), 0) for part in node.iter_expressions()) + _NUMBER * bool(name)
        if (found := _replacing(node)) is not None:
            return self.sizes.get(id(found.text), 0) * (found.factor or self.sizes.get(id(found.replacement), 1))
        return self._longest(node) * (2 if name in _DOUBLING else 1)

    def _longest(self, node: exp.Expr) -> int:
        return max((self.sizes.get(id(part), 0) for part in node.iter_expressions()), default=_NUMBER)

    def _of_column(self, column: exp.Column, sources: Mapping[str, object]) -> int:
        source = sources.get(column.table)
        if isinstance(source, exp.Table):
            return _COLUMN
        known = self.columns.get(id(source.expression), []) if isinstance(source, Scope) else []
        named = [size for name, size in known if name.lower() == column.name.lower()]
        return max(named or [size for _, size in known], default=MAX_GROWN)


@dataclass(frozen=True, slots=True)
class _Replacing:
    """A call that replaces parts of a text, and by what factor it grows; 0 where the rows bring the replacement."""

    text: exp.Expr
    replacement: exp.Expr
    factor: int


def bound(tree: exp.Expr, source: Source) -> None:
    """Check, in place and row by row, the arguments of calls that may make a text too long; types are annotated.

    Raises SqlRejectedError for a call that could only make too long ones.
    """
    if not any(_may_grow(node) for node in tree.find_all(*_GROWING)):
        return
    growth = _Growth()
    for scope in traverse_scope(tree):
        growth.add(scope)
    if growth.large:
        most = MAX_GROWN // len(growth.large)
        for node in growth.large:
            _check(node, most, source)


def _may_grow(node: exp.Expr) -> bool:
    return not isinstance(node, exp.Anonymous) or _name(node) in _REPLACING | _DOUBLING | _JOINING


def _check(node: exp.Expr, most: int, source: Source) -> None:
    found = _replacing(node)
    if found is not None and found.factor:
        _wrap(found.text, most // found.factor)
    elif found is not None:
        _wrap(found.text, isqrt(most))
        _wrap(found.replacement, isqrt(most))
    elif _name(node) in _DOUBLING:
        _wrap(node, most)
    else:
        parts = [part for part in node.iter_expressions() if not isinstance(part, exp.Literal)]
        if most < _LEAST * len(parts):
            raise SqlRejectedError(TOO_LONG, source.span_of(node))
        for part in parts:
            _wrap(part, most // len(parts))


def _wrap(node: exp.Expr, most: int) -> None:
    checked = call("text_within")
    checked.type = node.type
    node.replace(checked)
    checked.set("expressions", [node, exp.Literal.number(most)])


def _replacing(node: exp.Expr) -> _Replacing | None:
    if isinstance(node, exp.Replace):
        old, new = node.expression, node.args.get("replacement")
        if new is None or (new.is_string and old.is_string):
            times = -(-len(new.name) // max(1, len(old.name))) if new is not None else 1
            return _Replacing(node.this, old, max(1, times))
        return _Replacing(node.this, new, max(1, len(new.name)) if new.is_string else 0)
    if _name(node) in _REPLACING:
        text, _, new = node.expressions[:3]
        # A pattern may match between any two characters, and a reference stands for what matched.
        times = 1 + len(new.name) + new.name.count("\\") + new.name.count("$") if new.is_string and new.name else 1
        return _Replacing(text, new, times if new.is_string else 0)
    return None


def _name(node: exp.Expr) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else ""
