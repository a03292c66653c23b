"""The users behind every row as numbers, apart for each table a query reads: AMC counts them per table.

Of a user's 64 bits, 16 say on which path it came, 48 are its hash. A path is one reading of a table; a CTE that is
read twice is two. No value of a path means that it has no part in a row; a row without a known user has the path's
number alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from amc_facts.validation import is_aggregate

# The hidden columns; no query may use their names.
USERS, COUNTS = "__users", "__counts"
HIDDEN = (USERS, COUNTS)
# Marks of a scan: its table's name, and whether that has users.
SCAN_OF, HAS_USERS = "scan_of", "has_users"
PATH_BITS = 48
_NOBODY = (1 << PATH_BITS) - 1
# As many as any threshold asks for: of a value that stands beside every row, more would only take room.
_ENOUGH = 100
# Of each path: its number, standard, effective and equivalent count; the last two are NULL where they are not known.
COUNT_TYPE = "STRUCT(p UBIGINT, n BIGINT, f BIGINT, e DOUBLE)[]"
_COUNT = "{{'p': {}, 'n': {}, 'f': NULL::BIGINT, 'e': NULL::DOUBLE}}"

# Created once per connection.
MACROS = (
    f"user_of(u, path) AS CASE WHEN u IS NULL THEN path ELSE path + (hash(u) >> {64 - PATH_BITS}) END",
    f"is_user(u) AS (u & {_NOBODY}::UBIGINT) <> 0",
    f"count_of_one(u) AS CASE WHEN u IS NOT NULL THEN "
    f"[{_COUNT.format(f'u >> {PATH_BITS}', 'CAST(is_user(u) AS BIGINT)')}] END",
    f"counts_of(l) AS list_transform(map_entries(list_aggregate(list_transform(list_distinct(l), "
    f"lambda u: u >> {PATH_BITS}), 'histogram')), lambda path: "
    + _COUNT.format("path.key", f"path.value::BIGINT - list_contains(l, path.key << {PATH_BITS})::BIGINT")
    + ")",
    "weight_of(u) AS CASE WHEN is_user(u) THEN 1.0::DOUBLE WHEN u IS NOT NULL THEN 0.0::DOUBLE END",
    f"user_on(u, path) AS CASE WHEN u >> {PATH_BITS} = path THEN u END",
    f"users_on(l, path) AS list_filter(l, lambda u: u >> {PATH_BITS} = path)",
    "users_elsewhere(l, path) AS list_transform(l, lambda u: u + path)",
    f"counts_elsewhere(l, path) AS list_transform(l, lambda c: "
    f"{{'p': c.p + (path >> {PATH_BITS}), 'n': c.n, 'f': c.f, 'e': c.e}})",
    f"some_users(l) AS flatten(list_transform(list_distinct(list_transform(l, lambda u: u >> {PATH_BITS})), "
    f"lambda path: list_filter(l, lambda u: u >> {PATH_BITS} = path)[1:{_ENOUGH}]))",
)

QUERIES = exp.Subquery | exp.Select | exp.Union


@dataclass(frozen=True, slots=True)
class Carried:
    """What a relation carries: the paths whose users it has; without any it has no hidden columns.

    `is_list`: the users of a row are a list. `is_single`: of each path it has one at most, and `columns` of the
    relation say which.
    """

    paths: frozenset[int] = frozenset()
    is_list: bool = False
    is_single: bool = False
    columns: frozenset[str] = frozenset()


@dataclass(slots=True)
class UserSource:
    """One relation of a FROM clause: what it carries, and by how much its paths are moved for this reader."""

    alias: str
    carried: Carried
    is_scan: bool = False
    moved: int = 0

    @property
    def paths(self) -> frozenset[int]:
        """Return its paths as this reader counts them."""
        return frozenset(path + self.moved for path in self.carried.paths)

    @property
    def users(self) -> exp.Expr:
        """Return the expression of its users."""
        column = exp.column(USERS, self.alias, quoted=True)
        if not self.moved:
            return column
        return (
            call("users_elsewhere", column, path_number(self.moved))
            if self.carried.is_list
            else exp.Add(this=column, expression=path_number(self.moved))
        )

    @property
    def counts(self) -> exp.Expr:
        """Return the expression of its counts."""
        if self.is_scan:
            return call("count_of_one", self.users)
        column = exp.column(COUNTS, self.alias, quoted=True)
        return call("counts_elsewhere", column, path_number(self.moved)) if self.moved else column


def users_of_row(sources: Sequence[UserSource], lists: Sequence[exp.Expr] = ()) -> exp.Expr:
    """Return the users of a row of several sources, and what lists hold beside: one user, or a list."""
    ones = [source.users for source in sources if not source.carried.is_list]
    several = [*(source.users for source in sources if source.carried.is_list), *lists]
    if len(ones) == 1 and not several:
        return ones[0]
    return joined([*([call("list_value", *ones)] if ones else []), *several])


def path_number(path: int) -> exp.Expr:
    """Return a path's number as it stands in the bits of a user."""
    return exp.cast(exp.Literal.number(path << PATH_BITS), exp.DataType.Type.UBIGINT)


def joined(lists: list[exp.Expr]) -> exp.Expr:
    """Join lists; the engine reads NULL, which outer joins leave, as an empty one."""
    return lists[0] if len(lists) == 1 else call("list_concat", *lists)


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """Return a call of one of the engine's functions."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def groups(select: exp.Select) -> bool:
    """Return whether a SELECT makes one row of many by GROUP BY or aggregates."""
    return select.args.get("group") is not None or any(True for _ in aggregates(select))


def aggregates(select: exp.Select) -> Iterator[exp.Expr]:
    """Return the aggregate calls of a SELECT's own level; window functions are none, what they aggregate is."""
    for part in [*select.expressions, select.args.get("having")]:
        if part is not None:
            yield from _aggregates(part)


def _aggregates(node: exp.Expr, *, is_windowed: bool = False) -> Iterator[exp.Expr]:
    if isinstance(node, QUERIES):
        return
    if isinstance(node, exp.Window):
        for part in node.iter_expressions():
            yield from _aggregates(part, is_windowed=part is node.this)
        return
    if is_windowed and isinstance(node, exp.Filter):
        yield from _aggregates(node.this, is_windowed=True)
        return
    if is_aggregate(node) and not is_windowed:
        yield node
        return
    for child in node.iter_expressions():
        yield from _aggregates(child)
