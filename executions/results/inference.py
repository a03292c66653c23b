"""Types of a result's columns, decided by all of its values: a type is taken only if no value changes in it.

What AMC declares narrows the choice. A declared number that does not fit, such as one with leading zeros, stays text.
"""

# ruff: noqa: S608 - names are quoted and checked against the file, values are bound.
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb

from executions.results.columns import Kind

_SAMPLE_VALUES = 200_000
# Every step of every check holds the vectors it works on, so their number decides about the memory.
_CHECKS_PER_PASS = 48
_MAX_DIGITS = 38
_WHOLE = (Kind.INTEGER, Kind.DECIMAL)
_BY_DECLARATION = {
    "BOOLEAN": (Kind.BOOLEAN,),
    "BYTE": _WHOLE,
    "SHORT": _WHOLE,
    "INTEGER": _WHOLE,
    "LONG": _WHOLE,
    "DECIMAL": (Kind.DECIMAL, Kind.DOUBLE),
    "FLOAT": (Kind.DOUBLE,),
    "DOUBLE": (Kind.DOUBLE,),
    "DATE": (Kind.DATE, Kind.TIMESTAMP),
    "TIMESTAMP": (Kind.TIMESTAMP, Kind.DATE),
}
_DOUBLES = frozenset({"DOUBLE", "FLOAT"})
_UNDECLARED = (Kind.BOOLEAN, Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE, Kind.DATE, Kind.TIMESTAMP)
_SQL_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "BIGINT",
    Kind.DOUBLE: "DOUBLE",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
}
# AMC writes an empty field for NULL; types other than text know nothing else that is empty.
_VALUE = "nullif({raw}, '')"
_FITS = {
    Kind.BOOLEAN: "lower({value}) IN ('true', 'false')",
    # Written back and compared: no sign, blank, zero or exponent is lost.
    Kind.INTEGER: "try_cast({value} AS BIGINT)::VARCHAR IS NOT DISTINCT FROM {value}",
    Kind.DECIMAL: "regexp_full_match({value}, '-?(0|[1-9][0-9]*)(\\.[0-9]+)?')",
    Kind.DATE: "try_cast({value} AS DATE)::VARCHAR IS NOT DISTINCT FROM {value}",
    Kind.TIMESTAMP: (
        "try_cast({value} AS TIMESTAMP) >= '0001-01-01' AND regexp_full_match({value},"
        " '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\\.[0-9]{{1,6}}0*)?Z?')"
    ),
}
# AMC computed these as doubles, so a double loses nothing.
_DECLARED_DOUBLE = (
    "regexp_full_match({value}, '-?(0|[1-9][0-9]*)?(\\.[0-9]*)?([eE][+-]?[0-9]+)?|NaN|-?Infinity')"
    " AND try_cast({value} AS DOUBLE) IS NOT NULL"
)
# Not known to be doubles: an exponent needs a point ("12E5" may be an article), digits beyond a double's stay.
_LIKELY_DOUBLE = (
    "regexp_full_match({value}, '-?(0|[1-9][0-9]*)(\\.[0-9]+([eE][+-]?[0-9]+)?)?')"
    " AND length(ltrim(regexp_replace({value}, '[eE].*|[^0-9]', '', 'g'), '0')) <= 17"
    " AND isfinite(try_cast({value} AS DOUBLE))"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The kind of a column, its SQL type, and the expression that makes it from the text."""

    kind: Kind
    sql_type: str
    expression: str


@dataclass(slots=True)
class _Candidates:
    """Kinds a column may still have, best first, and the digits its numbers need."""

    raw: str
    declared: str
    kinds: tuple[Kind, ...]
    has_values: bool = False
    whole_digits: int = 1
    places: int = 0

    def checks(self, kinds: tuple[Kind, ...]) -> list[str]:
        """Return the aggregates that count values, the misfits of every kind, and the digits a decimal needs."""
        value = _VALUE.format(raw=self.raw)
        aggregates = [f"count({value})"]
        aggregates += [f"count_if({value} IS NOT NULL AND ({self._fits(kind)}) IS NOT TRUE)" for kind in kinds]
        if Kind.DECIMAL in kinds:
            point = f"strpos({value}, '.')"
            whole = f"CASE {point} WHEN 0 THEN length({value}) ELSE {point} - 1 END"
            aggregates.append(f"coalesce(max({whole} - starts_with({value}, '-')::INTEGER), 1)")
            aggregates.append(f"coalesce(max(CASE {point} WHEN 0 THEN 0 ELSE length({value}) - {point} END), 0)")
        return aggregates

    def note(self, kinds: tuple[Kind, ...], answers: Iterator[int]) -> None:
        """Take what `checks` found and drop the kinds that do not fit."""
        self.has_values = next(answers) > 0
        misfits = {kind for kind in kinds if next(answers)}
        if Kind.DECIMAL in kinds:
            self.whole_digits, self.places = next(answers), next(answers)
            if self.whole_digits + self.places > _MAX_DIGITS:
                misfits.add(Kind.DECIMAL)
        self.kinds = tuple(kind for kind in self.kinds if kind not in misfits)

    def choice(self) -> Choice:
        """Return the best kind that is left; without a single value only the declaration counts."""
        if not self.kinds or not (self.has_values or self.declared):
            return Choice(Kind.TEXT, "VARCHAR", self.raw)
        kind = self.kinds[0]
        sql_type = _SQL_TYPES.get(kind) or f"DECIMAL({self.whole_digits + self.places}, {self.places})"
        return Choice(kind, sql_type, f"CAST({_VALUE.format(raw=self.raw)} AS {sql_type})")

    def _fits(self, kind: Kind) -> str:
        """Return the condition under which a value keeps its meaning in a kind."""
        condition = _FITS.get(kind) or (_DECLARED_DOUBLE if self.declared in _DOUBLES else _LIKELY_DOUBLE)
        return condition.format(value=_VALUE.format(raw=self.raw))


def choose_types(
    connection: duckdb.DuckDBPyConnection, source: str, declared: Sequence[str | None]
) -> tuple[Choice, ...]:
    """Return the types of the columns c0, c1, … of a table of texts; None stands for a column without declaration."""
    columns = []
    for index, data_type in enumerate(declared):
        kinds = _UNDECLARED if data_type is None else _BY_DECLARATION.get(data_type.upper(), ())
        columns.append(_Candidates(f"c{index}", (data_type or "").upper(), kinds))
    # Most kinds are out after a look at the first rows; whatever is left has to fit every value.
    unsettled = [column for column in columns if column.kinds]
    if unsettled:
        rows = _SAMPLE_VALUES // len(columns) + 1
        sample = f"(SELECT * FROM {source} LIMIT {rows})"
        _check(connection, sample, [(column, column.kinds) for column in unsettled])
    while unsettled := [column for column in unsettled if column.kinds]:
        tried = [(column, column.kinds[:1]) for column in unsettled]
        _check(connection, source, tried)
        unsettled = [column for column, kinds in tried if column.kinds[:1] != kinds]
    return tuple(column.choice() for column in columns)


def _check(
    connection: duckdb.DuckDBPyConnection, table: str, tried: Sequence[tuple[_Candidates, tuple[Kind, ...]]]
) -> None:
    """Try kinds of columns on all rows of a table, one pass for every few dozen checks."""
    pending = list(tried)
    while pending:
        batch, checks = [], 0
        while pending and checks < _CHECKS_PER_PASS:
            batch.append(pending.pop())
            checks += len(batch[-1][1])
        aggregates = [aggregate for column, kinds in batch for aggregate in column.checks(kinds)]
        answers = connection.execute(f"SELECT {', '.join(aggregates)} FROM {table}").fetchone()
        answer = iter(answers or ())
        for column, kinds in batch:
            column.note(kinds, answer)
