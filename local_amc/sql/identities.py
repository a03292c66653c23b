"""Which expressions of a SELECT say whose a row is: user_id of a table, through CTEs, renames and joins on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from local_amc.sql.users import UserSource

_Name = tuple[str, str]


class Identities:
    """What is known in one SELECT of the columns with a source's user; columns are qualified."""

    def __init__(self, select: exp.Select, sources: Sequence[UserSource]) -> None:
        self._owners = {
            (source.alias, name): source.alias for source in sources for name in source.carried.columns
        }
        self._says: dict[_Name, set[_Name]] = {}
        self._equal: set[tuple[_Name, _Name]] = set()
        for join in select.args.get("joins") or []:
            for one, other in _equal_columns(join.args.get("on")):
                left, right = (other, one) if one[0] == join.this.alias_or_name else (one, other)
                self._note(left, right, is_sure=join.side != "FULL", is_mutual=not join.side)
        where = select.args.get("where")
        for one, other in _equal_columns(where.this if where is not None else None):
            self._note(one, other, is_sure=True, is_mutual=True)

    def _note(self, left: _Name, right: _Name, *, is_sure: bool, is_mutual: bool) -> None:
        """Note an equality: what stands on the left of an outer join says what is right, but not the other way."""
        self._equal |= {(left, right), (right, left)}
        if is_sure:
            self._says.setdefault(left, set()).add(right)
        if is_mutual:
            self._says.setdefault(right, set()).add(left)

    def of(self, expression: exp.Expr) -> frozenset[str]:
        """Return the aliases of the sources whose user is the same in all rows with one value of an expression."""
        names = [(column.table, column.name) for column in _columns(expression)]
        # COALESCE(a, b) says b where the two are equal, or a is missing.
        pending = names[:1] + [name for name in names[1:] if any((name, other) in self._equal for other in names)]
        seen: set[_Name] = set()
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += self._says.get(name, ())
        return frozenset(self._owners[name] for name in seen if name in self._owners)


def _columns(expression: exp.Expr) -> list[exp.Column]:
    parts = [expression.this, *expression.expressions] if isinstance(expression, exp.Coalesce) else [expression]
    columns = [part for part in parts if isinstance(part, exp.Column)]
    return columns if len(columns) == len(parts) else []


def _equal_columns(condition: exp.Expr | None) -> Iterator[tuple[_Name, _Name]]:
    """Return the columns that a condition wants to be equal, whatever else it wants."""
    pending = [condition] if condition is not None else []
    while pending:
        part = pending.pop()
        if isinstance(part, exp.And):
            pending += [part.this, part.expression]
        elif isinstance(part, exp.Paren):
            pending.append(part.this)
        elif (
            isinstance(part, exp.EQ)
            and isinstance(part.this, exp.Column)
            and isinstance(part.expression, exp.Column)
        ):
            yield (part.this.table, part.this.name), (part.expression.table, part.expression.name)
