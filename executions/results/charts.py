"""Data of a line or bar chart, and a first suggestion of one."""

# ruff: noqa: S608 - names are quoted and checked against the file, values are bound.
from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import duckdb

from executions.results.aggregates import mean_sql, total_sql
from executions.results.columns import Kind, ResultColumn, ResultFacts, open_result
from executions.results.connection import FileQueries, quote_name
from executions.results.display import display
from executions.results.errors import ResultError

KINDS = ("line", "bar")
AGGREGATES = ("sum", "avg", "min", "max", "count")
MAX_POINTS = 1_000
MAX_SERIES = 8
NO_VALUE, OTHERS = "No value", "Others"
_TIMEOUT_SECONDS = 30.0
# Ways to gather times into fewer points, finest first; days have no hours.
_BUCKETS = ("hour", "day", "week", "month", "quarter", "year")
# Averages and shares: adding them up gives nonsense.
_RATIO_NAME = re.compile(
    r"(?:^|_)(?:rate|ratio|share|pct|percent|percentage|avg|average|mean|ctr|cvr|cpc|cpm|cpa|roas|acos)(?:_|$)"
)
_SUGGESTED_SERIES = 3
_SUGGESTED_BARS = 20
_SUGGESTED_POINTS = 200


@dataclass(frozen=True, slots=True)
class ChartSuggestion:
    """A chart to begin with, as arguments of `chart_series`."""

    kind: str
    x: str
    ys: tuple[str, ...]
    aggregate: str
    limit: int


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """The values of one column, a point each; None where there is nothing to draw."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ChartData:
    """Points by label. `groups` is how many values of x there are; `note` says in words what is not drawn one by one.

    `bucket` is the time unit points were gathered into, empty when they were not; `has_others` tells that the last
    point stands for all groups that are not drawn.
    """

    kind: str
    x: ResultColumn
    aggregate: str
    labels: tuple[str, ...]
    series: tuple[ChartSeries, ...]
    groups: int
    bucket: str
    has_others: bool
    note: str


def suggest_chart(facts: ResultFacts) -> ChartSuggestion | None:
    """Return a chart that fits the columns: over time where there is time, else by the first text; None without."""
    numbers = (column for column in facts.columns if column.is_numeric and not column.is_identifier)
    sums = (column for column in facts.columns if _is_summed(column))
    # Of thousands of columns only the first ones are looked at.
    chosen = tuple(islice(sums, _SUGGESTED_SERIES))
    aggregate = "sum" if chosen else "avg"
    ys = tuple(column.name for column in chosen or islice(numbers, _SUGGESTED_SERIES))
    time = next((column for column in facts.columns if column.is_temporal), None)
    name = next(
        chain(
            (column for column in facts.columns if column.kind is Kind.TEXT and not column.is_identifier),
            (column for column in facts.columns if column.kind is Kind.BOOLEAN or column.is_identifier),
        ),
        None,
    )
    if not ys or not facts.rows:
        return None
    if time:
        return ChartSuggestion("line", time.name, ys, aggregate, _SUGGESTED_POINTS)
    if not name:
        return None
    # Bars of very different heights hide each other; one figure is readable.
    return ChartSuggestion("bar", name.name, ys[:1], aggregate, _SUGGESTED_BARS)


def _is_summed(column: ResultColumn) -> bool:
    """Return whether adding up the values of a column makes sense."""
    return column.is_numeric and not (column.is_identifier or _RATIO_NAME.search(column.name.lower()))


def chart_series(
    path: Path,
    *,
    x: str,
    ys: Sequence[str],
    kind: str = "line",
    aggregate: str = "sum",
    limit: int = _SUGGESTED_POINTS,
    facts: ResultFacts | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> ChartData:
    """Return a result grouped by `x` into at most `limit` points (a bar chart's "Others" comes on top of that).

    Times are gathered into the finest unit that fits. Bars of other columns are the highest ones by the first of `ys`
    and a bar for the rest; a line of other columns is cut. `facts` is what `read_facts` gave, if the caller has it.
    Raises ResultError for choices that make no chart.
    """
    if not 1 <= limit <= MAX_POINTS:
        raise ValueError(f"A chart has 1 to {MAX_POINTS} points.")
    with open_result(path, facts=facts, timeout_seconds=timeout_seconds) as (connection, known):
        columns = _check(known, ys, kind, aggregate)
        drawing = _Drawing(connection, path, known, known.column(x), columns, kind, aggregate, limit)
        return drawing.draw()


def _check(facts: ResultFacts, ys: Sequence[str], kind: str, aggregate: str) -> list[ResultColumn]:
    """Return the columns to draw; raises ResultError for choices that make no chart."""
    if kind not in KINDS or aggregate not in AGGREGATES:
        raise ResultError(f"Choose a kind of {', '.join(KINDS)} and a summary of {', '.join(AGGREGATES)}.")
    if not 1 <= len(ys) <= MAX_SERIES:
        raise ResultError(f"Choose between 1 and {MAX_SERIES} columns to draw.")
    columns = [facts.column(name) for name in ys]
    for column in columns:
        if aggregate != "count" and not column.is_numeric:
            raise ResultError(f"“{column.name[:100]}” holds no numbers. Count its values, or draw another column.")
    return columns


class _Drawing(FileQueries):
    """The questions behind one chart."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        facts: ResultFacts,
        x: ResultColumn,
        ys: Sequence[ResultColumn],
        kind: str,
        aggregate: str,
        limit: int,
    ) -> None:
        super().__init__(connection, path)
        self._facts = facts
        self._x, self._ys, self._kind, self._aggregate, self._limit = x, ys, kind, aggregate, limit
        self._key = quote_name(x.name)
        self._figures = ", ".join(self._figure(column) for column in ys)
        # A line that runs on to "No value" would look like a day after the last one.
        self._where = f"{self._key} IS NOT NULL" if x.is_temporal else "true"

    def draw(self) -> ChartData:
        """Return the chart, its points read in one or two statements."""
        bucket = self._bucket() if self._x.is_temporal else ""
        is_ranked = self._kind == "bar" and not self._x.is_temporal
        points, groups = self._points(bucket, is_ranked=is_ranked)
        labels = [NO_VALUE if point[0] is None else _label(point[0], bucket) for point in points]
        rows = [point[1:] for point in points]
        has_others = is_ranked and groups > len(points)
        if has_others:
            labels.append(OTHERS)
            rows.append(self._others([point[0] for point in points]))
        return ChartData(
            kind=self._kind,
            x=self._x,
            aggregate=self._aggregate,
            labels=tuple(labels),
            series=tuple(
                ChartSeries(column.name, tuple(_number(row[index]) for row in rows))
                for index, column in enumerate(self._ys)
            ),
            groups=groups,
            bucket=bucket,
            has_others=has_others,
            note=self._note(len(points), groups, bucket, has_others=has_others),
        )

    def _figure(self, column: ResultColumn) -> str:
        name = quote_name(column.name)
        # One NaN would make the whole point vanish.
        finite = f" FILTER (isfinite({name}))" if column.kind is Kind.DOUBLE and self._aggregate != "count" else ""
        if self._aggregate == "sum":
            return f"{total_sql(column, self._facts.rows)}{finite}"
        if self._aggregate == "avg":
            return f"{mean_sql(column, self._facts.rows)}{finite}"
        return f"{self._aggregate}({name}){finite}"

    def _bucket(self) -> str:
        """Return the finest unit of time that leaves few enough points; none when the values themselves are few."""
        units = _BUCKETS[1:] if self._x.kind is Kind.DATE else _BUCKETS
        counts = ", ".join(f"count(DISTINCT date_trunc('{unit}', {self._key}))" for unit in units)
        counted = self._fetch(f"SELECT count(DISTINCT {self._key}), {counts} FROM read_parquet(?)")[0]
        fitting = (unit for unit, count in zip(("", *units), counted, strict=True) if count <= self._limit)
        return next(fitting, units[-1])

    def _points(self, bucket: str, *, is_ranked: bool) -> tuple[list[tuple[Any, ...]], int]:
        """Return the points to draw, key first, and how many groups there are in all."""
        key = f"date_trunc('{bucket}', {self._key})" if bucket else self._key
        order = "2 DESC NULLS LAST, 1 NULLS LAST" if is_ranked else "1 NULLS LAST"
        found = self._fetch(
            f"SELECT {key}, {self._figures}, count(*) OVER () FROM read_parquet(?) WHERE {self._where}"
            f" GROUP BY 1 ORDER BY {order} LIMIT {self._limit}"
        )
        return [row[:-1] for row in found], found[0][-1] if found else 0

    def _others(self, drawn: Sequence[Any]) -> tuple[Any, ...]:
        """Sum up all rows whose group is not drawn, from the rows themselves: an average of averages is wrong."""
        values = [value for value in drawn if value is not None]
        rest = f"{self._key} NOT IN ({', '.join('?' * len(values))})" if values else "true"
        null_test = f"{self._key} IS NOT NULL AND" if None in drawn else f"{self._key} IS NULL OR"
        return self._fetch(f"SELECT {self._figures} FROM read_parquet(?) WHERE {null_test} {rest}", values)[0]

    def _note(self, drawn: int, groups: int, bucket: str, *, has_others: bool) -> str:
        """Return in words what is not drawn one by one, and what is not drawn at all."""
        notes = []
        if has_others:
            notes.append(f"The {drawn:,} highest of {groups:,}; all others together are the last bar.")
        elif groups > drawn:
            notes.append(f"The first {drawn:,} of {groups:,} values. Download the result to see all.")
        if bucket:
            notes.append(f"One point per {bucket}.")
        if self._x.is_temporal and (missing := self._missing()):
            notes.append(f"Not drawn: {missing:,} rows without a value in “{self._x.name}”.")
        return " ".join(notes)

    def _missing(self) -> int:
        return int(self._fetch(f"SELECT count(*) FROM read_parquet(?) WHERE {self._key} IS NULL")[0][0])


def _label(value: Any, bucket: str) -> str:
    """Return a point's label; whole days need no time."""
    text = display(value) or ""
    return text if bucket in {"", "hour"} else text[:10]


def _number(value: Any) -> float | None:
    """Return a figure as charts take it."""
    number = None if value is None else float(value)
    return number if number is not None and math.isfinite(number) else None
