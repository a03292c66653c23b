"""Types of a result's columns: a type is taken only if no value changes in it.

The first rows say which types a column may have. If there are more rows, the reading that makes the file looks at
them, and only where it meets a value that does not fit are all rows looked at on their own (`settle`).

What AMC declares narrows the choice. A declared number that does not fit, such as one with leading zeros, stays text.
"""

# ruff: noqa: S608 - names are quoted.
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from executions.results.columns import Kind
from executions.results.connection import quote_name
from executions.results.source import CsvTable

# Of the first rows so many values are looked at, and never fewer rows: in a wide result most columns begin empty.
_SAMPLE_VALUES = 50_000
_SAMPLE_ROWS = 2_000
# Their values lie in memory at once, below each other; a number of 8 bits, by which DuckDB groups at once.
_COLUMNS_PER_SAMPLE = 200
# Every check of all rows holds the vectors it works on, so their number decides about the memory.
_COLUMNS_PER_PASS = 16
_MAX_DIGITS = 38
# What `_seen_sql` tells.
_FIGURES = 4
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
# Whether a value keeps its meaning. A cast that fails is dear, so what is no candidate by its look is not cast.
_FITS = {
    Kind.BOOLEAN: "lower({value}) IN ('true', 'false')",
    # Written back and compared: no sign, blank, zero or exponent is lost.
    Kind.INTEGER: "{typed}::VARCHAR = {value}",
    Kind.DECIMAL: "regexp_full_match({value}, '-?(0|[1-9][0-9]*)(\\.[0-9]+)?')",
    Kind.DATE: "CASE WHEN {value} LIKE '____-__-__' THEN {typed}::VARCHAR = {value} ELSE false END",
    Kind.TIMESTAMP: (
        "CASE WHEN regexp_full_match({value}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]"
        "[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\\.[0-9]{{1,6}}0*)?Z?') THEN {typed} >= '0001-01-01' ELSE false END"
    ),
}
# AMC computed these as doubles, so a double loses nothing.
_DECLARED_DOUBLE = (
    "CASE WHEN regexp_full_match({value}, '-?(0|[1-9][0-9]*)?(\\.[0-9]*)?([eE][+-]?[0-9]+)?|NaN|-?Infinity')"
    " THEN {typed} IS NOT NULL ELSE false END"
)
# Not known to be doubles: an exponent needs a point ("12E5" may be an article), digits beyond a double's stay.
_LIKELY_DOUBLE = (
    "CASE WHEN NOT regexp_full_match({value}, '-?(0|[1-9][0-9]*)(\\.[0-9]+([eE][+-]?[0-9]+)?)?') THEN false"
    " WHEN {typed}::VARCHAR = {value} THEN true"
    " ELSE length(ltrim(regexp_replace({value}, '[eE].*|[^0-9]', '', 'g'), '0')) <= 17 AND isfinite({typed}) END"
)


# Of a number that is written plainly; the places of a whole number are -1.
_WHOLE_DIGITS = "strpos(ltrim({value}, '-') || '.', '.') - 1"
_PLACES = "length({value}) - strpos({value} || '.', '.')"


@dataclass(slots=True)
class TextColumn:
    """A column of texts: the kinds it may still have, best first, and what was seen of its values."""

    name: str
    declared: str
    kinds: tuple[Kind, ...]
    has_values: bool = False
    # Quoted nothings, which only a text can keep.
    has_empty_texts: bool = False
    whole_digits: int = 1
    places: int = 0

    @classmethod
    def of(cls, name: str, data_type: str | None) -> TextColumn:
        """Return a column of which nothing is known but what AMC declares, None when it declares nothing."""
        kinds = _UNDECLARED if data_type is None else _BY_DECLARATION.get(data_type.upper(), ())
        return cls(name, (data_type or "").upper(), kinds)

    @property
    def kind(self) -> Kind:
        """Return the best kind that is left; without a single value only the declaration counts."""
        return self.kinds[0] if self.kinds and (self.has_values or self.declared) else Kind.TEXT

    @property
    def sql_type(self) -> str:
        """Return the type of that kind."""
        if self.kind is Kind.DECIMAL:
            return f"DECIMAL({self.whole_digits + self.places}, {self.places})"
        return _SQL_TYPES.get(self.kind, "VARCHAR")

    @property
    def is_trusted(self) -> bool:
        """Return whether AMC computed the values as doubles: reading a text as one gives what AMC had.

        No other declaration is believed without a look: a cast rounds 12.5, reads 007, and drops a zone in silence.
        """
        return self.is_double and self.kind is Kind.DOUBLE

    def reading(self, *, is_settled: bool) -> tuple[str, str | None]:
        """Return the type in which DuckDB reads the column, and the expression of the value where it is not that.

        The expression raises InvalidInputException for a text that does not fit, unless all of them are known to.
        """
        if not (is_settled or self.is_trusted or not self.kinds):
            return "VARCHAR", self._checked_sql()
        if self.kind is not Kind.TEXT and self.has_empty_texts:
            return "VARCHAR", f"CAST(nullif({quote_name(self.name)}, '') AS {self.sql_type})"
        return self.sql_type, None

    def note(self, seen: Sequence[Any], misfits: set[Kind]) -> None:
        """Take what `_seen_sql` saw of the values, and drop the kinds that do not fit all of them."""
        values, has_empty_texts, whole_digits, places = seen
        self.has_values = self.has_values or values > 0
        self.has_empty_texts = self.has_empty_texts or bool(has_empty_texts)
        self.whole_digits, self.places = max(whole_digits or 0, 1), max(places or 0, 0)
        if self.whole_digits + self.places > _MAX_DIGITS:
            misfits = misfits | {Kind.DECIMAL}
        self.kinds = tuple(kind for kind in self.kinds if kind not in misfits)

    @property
    def is_double(self) -> bool:
        """Return whether AMC says that it computed doubles."""
        return self.declared in _DOUBLES

    def is_asked(self, kind: Kind, is_double: bool) -> bool:
        """Return whether an answer about doubles that AMC computed, or about numbers found, concerns this column."""
        return kind is not Kind.DOUBLE or is_double is self.is_double

    def _checked_sql(self) -> str:
        raw = quote_name(self.name)
        is_empty = f"{raw} IS NULL OR {raw} = ''"
        if self.kind is Kind.TEXT:
            # No values so far: the first one decides about the kind.
            return f"CASE WHEN {is_empty} THEN {raw} ELSE error('misfit') END"
        # Twice the same expression, which DuckDB computes once.
        typed = f"try_cast({raw} AS {self.sql_type})"
        return (
            f"CASE WHEN {self._fits_exactly(raw)} THEN {typed} WHEN {is_empty} THEN NULL ELSE error('misfit') END"
        )

    def _fits_exactly(self, value: str) -> str:
        if self.kind is not Kind.DECIMAL:
            return _fits_sql(self.kind, value, is_double=self.is_double)
        whole = f"0|[1-9][0-9]{{0,{self.whole_digits - 1}}}"
        places = f"(\\.[0-9]{{1,{self.places}}})?" if self.places else ""
        return f"regexp_full_match({value}, '-?({whole}){places}')"


def sample(
    connection: duckdb.DuckDBPyConnection,
    table: CsvTable,
    columns: Sequence[TextColumn],
    check: Callable[[], None],
) -> int:
    """Look at the first rows, and drop the kinds that do not fit them; returns how many rows those may be.

    The values of many columns are laid below each other, so that one statement of constant length checks them all:
    a statement with an expression for every column and kind takes time with the square of the columns.
    """
    rows = max(_SAMPLE_VALUES // len(columns), _SAMPLE_ROWS)
    undecided = [column for column in columns if column.kinds]
    for start in range(0, len(undecided), _COLUMNS_PER_SAMPLE):
        check()
        group = undecided[start : start + _COLUMNS_PER_SAMPLE]
        _sample(connection, table, group, rows)
    return rows


def settle(
    connection: duckdb.DuckDBPyConnection,
    table: CsvTable,
    columns: Sequence[TextColumn],
    check: Callable[[], None],
) -> None:
    """Look at all rows: whatever kind is left afterwards fits every value."""
    undecided = [column for column in columns if column.kinds]
    while undecided:
        tried = [(column, column.kinds) for column in undecided]
        for start in range(0, len(undecided), _COLUMNS_PER_PASS):
            check()
            _settle(connection, table, undecided[start : start + _COLUMNS_PER_PASS])
        undecided = [column for column, kinds in tried if column.kinds and column.kinds[0] is not kinds[0]]


def _sample(
    connection: duckdb.DuckDBPyConnection, table: CsvTable, columns: Sequence[TextColumn], rows: int
) -> None:
    wanted = {(kind, kind is Kind.DOUBLE and column.is_double) for column in columns for kind in column.kinds}
    asked = sorted(wanted)
    misfits = ", ".join(_misfit_sql(_fits_sql(kind, "v", is_double=is_double), "v") for kind, is_double in asked)
    cells, values = table.first_cells([column.name for column in columns], rows)
    found = connection.execute(
        f"SELECT place, {_seen_sql('v', 'text')}, {misfits}"
        f" FROM (SELECT text, nullif(text, '') AS v, place FROM ({cells})) GROUP BY place",
        values,
    ).fetchall()
    for place, *seen in found:
        column, answers = columns[place], zip(asked, seen[_FIGURES:], strict=True)
        misfit = {
            kind for (kind, is_double), is_misfit in answers if is_misfit and column.is_asked(kind, is_double)
        }
        column.note(seen[:_FIGURES], misfit)


def _settle(connection: duckdb.DuckDBPyConnection, table: CsvTable, columns: Sequence[TextColumn]) -> None:
    selected = ", ".join(_figures_sql(column) for column in columns)
    source, values = table.read({})
    answers = connection.execute(f"SELECT {selected} FROM {source}", values).fetchone() or ()
    for column, start in zip(columns, range(0, len(answers), _FIGURES + 1), strict=True):
        *seen, is_misfit = answers[start : start + _FIGURES + 1]
        column.note(seen, set(column.kinds[:1]) if is_misfit else set())


def _figures_sql(column: TextColumn) -> str:
    raw = quote_name(column.name)
    value = f"nullif({raw}, '')"
    misfit = _misfit_sql(_fits_sql(column.kinds[0], value, is_double=column.is_double), value)
    return f"{_seen_sql(value, raw)}, {misfit}"


def _seen_sql(value: str, raw: str) -> str:
    """Return aggregates: the number of values, whether there are empty texts, the longest digits before and after."""
    whole, places = _WHOLE_DIGITS.format(value=value), _PLACES.format(value=value)
    return f"count({value}), bool_or({raw} = ''), max({whole}), max({places})"


def _misfit_sql(fits: str, value: str) -> str:
    """Return the aggregate that is true when a value does not fit."""
    return f"bool_or({value} IS NOT NULL AND ({fits}) IS NOT TRUE)"


def _fits_sql(kind: Kind, value: str, *, is_double: bool) -> str:
    condition = _FITS.get(kind) or (_DECLARED_DOUBLE if is_double else _LIKELY_DOUBLE)
    return condition.format(value=value, typed=f"try_cast({value} AS {_SQL_TYPES.get(kind, 'VARCHAR')})")
