"""Carry the users behind every row through a query in hidden columns.

Relations carry their users, one per row or a list, as long as rows will be put together; from the last time on they
carry how many there are on each path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from amc_facts.validation import relations_of
from local_amc.sql import totals
from local_amc.sql.identities import Identities
from local_amc.sql.needs import Needs, note_needs, outermost_queries, spine
from local_amc.sql.users import (
    COUNT_TYPE,
    COUNTS,
    HAS_USERS,
    SCAN_OF,
    USERS,
    Carried,
    UserSource,
    aggregates,
    call,
    groups,
    joined,
    path_number,
    users_of_row,
)

# A query that reads its CTEs again and again has its later paths counted with earlier ones.
_MAX_PATHS = 1_000


@dataclass(slots=True)
class _Cte:
    carried: Carried
    readers: int = 0


Ctes = dict[str, _Cte]


@dataclass(frozen=True, slots=True)
class _Value:
    """A subquery that stands for a value, with its users; `is_inside`: an aggregate is around it."""

    query: exp.Query
    carried: Carried
    is_inside: bool

    @property
    def users(self) -> exp.Expr:
        return self._of("some_users")

    @property
    def counts(self) -> exp.Expr:
        return self._of("counts_of")

    def _of(self, function: str) -> exp.Expr:
        column: exp.Expr = exp.column(USERS, "one_value")
        select = exp.Select(
            expressions=[call(function, column if self.carried.is_list else call("list_value", column))]
        )
        alias = exp.TableAlias(this=exp.to_identifier("one_value"))
        return exp.Subquery(this=select.from_(exp.Subquery(this=self.query.copy(), alias=alias), copy=False))


def carry(query: exp.Query, needed: int) -> tuple[exp.Query, tuple[str, ...]]:
    """Return the query with the counts of each row as its last column, and the table of each path.

    Without users the query comes back as it was, and no tables. The tree given is used up. `needed` is the number of
    users a row needs.
    """
    carrier = _Carrier(needed)
    note_needs(query, Needs.COUNTS, {}, carrier.needs)
    carried_query, carried = carrier.query(query, Needs.COUNTS, {})
    return carried_query, tuple(carrier.tables) if carried.paths else ()


@dataclass(slots=True)
class _Carrier:
    """One walk over one statement, from the tables up."""

    needed: int
    # The table of each path; path 0 is none, so that no user is 0.
    tables: list[str] = field(default_factory=lambda: [""])
    needs: dict[int, Needs] = field(default_factory=dict)

    def query(self, query: exp.Query, needs: Needs, ctes: Ctes) -> tuple[exp.Query, Carried]:
        known = dict(ctes)
        with_ = query.args.get("with_")
        for cte in with_.expressions if with_ is not None else []:
            known[cte.alias.lower()] = _Cte(self._named(cte, self.needs.get(id(cte), Needs.NOTHING), known))
        if not needs:
            return query, Carried()
        if isinstance(query, exp.Subquery):
            inner, carried = self.query(query.this, needs, known)
            query.set("this", inner)
            return query, carried
        if isinstance(query, exp.Union):
            return self._union(query, needs, known)
        return self._select(query, needs, known) if isinstance(query, exp.Select) else (query, Carried())

    def _named(self, relation: exp.Expr, needs: Needs, ctes: Ctes) -> Carried:
        """Carry through a CTE or a derived table, whose list of column names grows too."""
        before = _names(relation.this)
        inner, carried = self.query(relation.this, needs, ctes)
        relation.set("this", inner)
        alias = relation.args.get("alias")
        columns = alias.args.get("columns") or [] if isinstance(alias, exp.TableAlias) else []
        if alias is None or not carried.paths or not columns:
            return carried
        after = [column.name for column in columns] + before[len(columns) :]
        for name in _hidden(needs):
            alias.append("columns", exp.to_identifier(name))
        known = frozenset(new for old, new in zip(before, after, strict=True) if old in carried.columns)
        return replace(carried, columns=known)

    def _union(self, union: exp.Union, needs: Needs, ctes: Ctes) -> tuple[exp.Query, Carried]:
        arms = list(spine(union, needs))
        names = _names(union)
        query, carried = self.query(arms[-1][0].this, arms[-1][2], ctes)
        for node, wanted, of_arms in reversed(arms):
            places = dict(zip(_names(node.expression), names, strict=False))
            right, of_right = self.query(node.expression, of_arms, ctes)
            both = _either(
                carried, replace(of_right, columns=frozenset(places[name] for name in of_right.columns))
            )
            node.set("this", query)
            node.set("expression", right)
            query = node
            if both.paths:
                node.set("this", _as(node.this, carried, both, of_arms))
                node.set("expression", _as(right, of_right, both, of_arms))
                if node.args.get("distinct"):
                    node.set("distinct", False)
                    query, both = _grouped(node, both, wanted)
            carried = both
        return query, carried

    def _select(self, select: exp.Select, needs: Needs, ctes: Ctes) -> tuple[exp.Query, Carried]:
        distinct = select.args.get("distinct")
        if distinct is not None:
            select.set("distinct", None)
            inner, carried = self._select(select, Needs.USERS, ctes)
            if carried.paths:
                return _grouped(inner, carried, needs)
            select.set("distinct", distinct)
            return inner, carried
        is_grouping = groups(select)
        wanted = Needs.USERS if is_grouping else needs
        sources = [source for source in self._sources(select, wanted, ctes) if source.carried.paths]
        values = list(self._values(select, ctes))
        paths = frozenset[int]().union(*(s.paths for s in sources), *(value.carried.paths for value in values))
        if not paths:
            return select, Carried()
        identities = Identities(select, sources)
        carried = _of_rows(select, sources, identities, is_grouping=is_grouping, has_values=bool(values))
        carried = replace(carried, paths=paths)
        if is_grouping:
            return self._grouping(select, needs, sources, values, identities, carried), carried
        if Needs.USERS in needs:
            users = users_of_row(sources, [value.users for value in values])
            select.append("expressions", exp.alias_(users, USERS))
        if Needs.COUNTS in needs:
            counts = [source.counts for source in sources] + [value.counts for value in values]
            select.append("expressions", exp.alias_(joined(counts), COUNTS))
        return select, carried

    def _grouping(
        self,
        select: exp.Select,
        needs: Needs,
        sources: Sequence[UserSource],
        values: Sequence[_Value],
        identities: Identities,
        carried: Carried,
    ) -> exp.Query:
        """Put the users of grouped rows together, each path's by themselves."""
        is_by_user = not values and all(source.carried.is_single for source in sources)
        if Needs.COUNTS in needs and self.needed > 1 and is_by_user and not carried.is_single:
            wants_users = Needs.USERS in needs
            if (found := totals.divided(select, sources, identities, wants_users=wants_users)) is not None:
                return found
        are_plain = all(len(source.paths) == 1 and not source.carried.is_list for source in sources)
        if needs == Needs.COUNTS and self.needed == 1 and not values and are_plain:
            # Whether there is anybody is all that is asked.
            counts = [call("count_of_one", exp.Max(this=source.users)) for source in sources]
            select.append("expressions", exp.alias_(joined(counts), COUNTS))
            return select
        lists = [_collected(v.users, is_list=True) if v.is_inside else v.users for v in values]
        users = _users_of_group(sources, lists, is_single=carried.is_single)
        select.append("expressions", exp.alias_(users, USERS))
        return _with_counts(select, carried, needs)

    def _sources(self, select: exp.Select, needs: Needs, ctes: Ctes) -> Iterator[UserSource]:
        for relation in relations_of(select):
            if SCAN_OF in relation.meta:
                yield self._scan(relation)
            elif isinstance(relation, exp.Table) and relation.name.lower() in ctes:
                yield self._again(relation.alias_or_name, ctes[relation.name.lower()])
            elif isinstance(relation, exp.Subquery):
                yield UserSource(relation.alias, self._named(relation, needs, ctes))

    def _scan(self, scan: exp.Expr) -> UserSource:
        """Add the user to a scan of a table that has users."""
        if not scan.meta[HAS_USERS]:
            return UserSource(scan.alias, Carried())
        self.tables.append(scan.meta[SCAN_OF])
        path = len(self.tables) - 1
        user = call("user_of", exp.column("user_id"), path_number(path))
        scan.this.append("expressions", exp.alias_(user, USERS))
        carried = Carried(frozenset([path]), is_single=True, columns=frozenset(["user_id"]))
        return UserSource(scan.alias, carried, is_scan=True)

    def _again(self, alias: str, cte: _Cte) -> UserSource:
        """Read a CTE: from the second time on by paths of its own."""
        cte.readers += 1
        paths = cte.carried.paths
        if cte.readers == 1 or not paths or len(self.tables) + max(paths) >= _MAX_PATHS:
            return UserSource(alias, cte.carried)
        moved = len(self.tables) - min(paths)
        self.tables += [self.tables[path] if path in paths else "" for path in range(min(paths), max(paths) + 1)]
        return UserSource(alias, cte.carried, moved=moved)

    def _values(self, select: exp.Select, ctes: Ctes) -> Iterator[_Value]:
        """Return what the subqueries that stand for a value carry."""
        for subquery in [found for item in select.expressions for found in outermost_queries(item)]:
            copied = subquery.copy()
            query = copied.this if isinstance(copied, exp.Subquery) else copied
            if not isinstance(query, exp.Query):
                continue
            note_needs(query, Needs.USERS, {}, self.needs)
            inner, carried = self.query(query, Needs.USERS, ctes)
            if carried.paths:
                yield _Value(inner, carried, _is_aggregated(subquery, select))


def _hidden(needs: Needs) -> list[str]:
    return [name for name, need in ((USERS, Needs.USERS), (COUNTS, Needs.COUNTS)) if need in needs]


def _as(query: exp.Query, carried: Carried, wanted: Carried, needs: Needs) -> exp.Query:
    """Return an arm of a UNION with the hidden columns that both have."""
    if carried.paths and carried.is_list == wanted.is_list:
        return query
    pending: list[exp.Expr] = [query]
    while pending:
        arm = pending.pop()
        if isinstance(arm, exp.Subquery):
            pending.append(arm.this)
        elif isinstance(arm, exp.Union):
            pending += [arm.this, arm.expression]
        elif not carried.paths:
            for name in _hidden(needs):
                arm.append("expressions", exp.alias_(_no_value(name, wanted), name))
        elif Needs.USERS in needs:
            [column] = [item for item in arm.expressions if item.alias_or_name == USERS]
            column.replace(exp.alias_(call("list_value", column.unalias()), USERS))
    return query


def _no_value(name: str, wanted: Carried) -> exp.Expr:
    kind = COUNT_TYPE if name == COUNTS else "UBIGINT[]" if wanted.is_list else "UBIGINT"
    return exp.Cast(this=exp.null(), to=exp.DataType.build(kind, dialect="duckdb"))


def _either(one: Carried, other: Carried) -> Carried:
    """Return what the rows of a UNION carry: those of the one or of the other arm."""
    if not one.paths or not other.paths:
        return one if one.paths else other
    return Carried(
        one.paths | other.paths,
        one.is_list or other.is_list,
        one.is_single and other.is_single,
        one.columns & other.columns,
    )


def _of_rows(
    select: exp.Select,
    sources: Sequence[UserSource],
    identities: Identities,
    *,
    is_grouping: bool,
    has_values: bool,
) -> Carried:
    """Return what the rows of a SELECT carry, but for the paths."""
    aliases = frozenset(source.alias for source in sources)
    is_single = bool(sources) and not has_values and all(source.carried.is_single for source in sources)
    if is_grouping and is_single:
        known = frozenset[str]().union(*(identities.of(key) for key in totals.keys_of(select)))
        is_single = aliases <= known
    columns = frozenset(
        projection.alias_or_name
        for projection in select.expressions
        if is_single and identities.of(projection.unalias()) >= aliases
    )
    is_one = len(sources) == 1 and not has_values and not sources[0].carried.is_list
    return Carried(is_list=not is_one or (is_grouping and not is_single), is_single=is_single, columns=columns)


def _users_of_group(sources: Sequence[UserSource], lists: Sequence[exp.Expr], *, is_single: bool) -> exp.Expr:
    """Return the users of a group of rows: where they are the same in all of them, any does."""
    if not is_single:
        return joined([*(_collected(s.users, s.carried.is_list) for s in sources), *lists])
    ones = [exp.Min(this=source.users) for source in sources if not source.carried.is_list]
    several = [_collected(source.users, is_list=True) for source in sources if source.carried.is_list]
    if len(ones) == 1 and not several and not lists:
        return ones[0]
    return joined([*([call("list_value", *ones)] if ones else []), *several, *lists])


def _collected(users: exp.Expr, is_list: bool) -> exp.Expr:
    if not is_list:
        return exp.Anonymous(this="list", expressions=[exp.Distinct(expressions=[users])])
    return call("list_distinct", call("flatten", call("list", users)))


def _names(query: exp.Expr) -> list[str]:
    """Return the names of a query's columns."""
    while isinstance(query, exp.Union | exp.Subquery):
        query = query.this
    return [projection.alias_or_name for projection in query.expressions] if isinstance(query, exp.Select) else []


def _is_aggregated(node: exp.Expr, select: exp.Select) -> bool:
    return any(below is node for aggregate in aggregates(select) for below in aggregate.walk())


def _grouped(query: exp.Query, carried: Carried, needs: Needs) -> tuple[exp.Query, Carried]:
    """Return a query that groups the equal rows of another and collects their users."""
    outer, columns = totals.around(query, [USERS])
    users: exp.Expr = exp.column(USERS, totals.ROWS)
    is_one = bool(carried.columns) and not carried.is_list
    users = exp.Min(this=users) if is_one else _collected(users, carried.is_list)
    outer.append("expressions", exp.alias_(users, USERS))
    grouped = outer.group_by(*(column.copy() for column in columns), copy=False) if columns else outer
    after = replace(carried, is_list=not is_one, is_single=carried.is_single and bool(carried.columns))
    return _with_counts(grouped, after, needs), after


def _with_counts(query: exp.Query, carried: Carried, needs: Needs) -> exp.Query:
    """Count the collected users of a query's rows, where that is wanted; not beside, as counting needs them twice."""
    if Needs.COUNTS not in needs:
        return query
    outer, _ = totals.around(query, [USERS])
    users = exp.column(USERS, totals.ROWS)
    if Needs.USERS in needs:
        outer.append("expressions", exp.alias_(users.copy(), USERS))
    outer.append(
        "expressions", exp.alias_(call("counts_of" if carried.is_list else "count_of_one", users), COUNTS)
    )
    return outer
