"""Rows, figures and charts of a stored result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from amchelper.places import Places
from executions.models import Execution
from executions.results.charts import ChartData, chart_series, suggest_chart
from executions.results.columns import ResultFacts, read_facts
from executions.results.errors import ResultGoneError
from executions.results.filters import Filter
from executions.results.paging import SHOWN_COLUMNS, ResultPage, page
from executions.results.statistics import ColumnStatistics, column_statistics
from executions.services.result_files import result_storage

ROWS_PER_PAGE = 100
# Of a wide result every row is long: as many cells as a page draws at once.
WIDE_ROWS_PER_PAGE = 40
# Each may take as long as its deadline, and half of the machine; a burst of short ones only waits a moment.
_QUESTIONS = Places(
    "RESULT_QUESTIONS_PER_PROCESS",
    "As many results are being read as are read at a time",
    wait_seconds=1.0,
)


def result_path(execution: Execution) -> Path:
    """Return where the Parquet file is; raises ResultGoneError when there is none (any more)."""
    if not execution.has_result or not result_storage().exists(execution.parquet_file):
        raise ResultGoneError
    return Path(result_storage().path(execution.parquet_file))


def facts_of(execution: Execution) -> ResultFacts:
    """Return rows and columns."""
    return read_facts(result_path(execution))


def rows_per_page(facts: ResultFacts) -> int:
    """Return how many rows of a result a page shows, whichever of its columns."""
    return ROWS_PER_PAGE if len(facts.columns) <= SHOWN_COLUMNS else WIDE_ROWS_PER_PAGE


def result_page(
    execution: Execution,
    facts: ResultFacts,
    *,
    columns: Sequence[str],
    number: int,
    order: Sequence[tuple[str, str]],
    conditions: Sequence[Filter],
    search: str,
) -> ResultPage:
    """Return one page of rows, counted from 1; raises ResultError for what cannot be asked, NoPlaceError."""
    path, size = result_path(execution), rows_per_page(facts)
    with _QUESTIONS.held():
        return page(
            path,
            columns=columns,
            offset=(max(1, number) - 1) * size,
            size=size,
            sort=order,
            filters=conditions,
            search=search,
            facts=facts,
        )


def statistics_of(
    execution: Execution, facts: ResultFacts, *, first: int, number: int
) -> tuple[ColumnStatistics, ...]:
    """Return the figures of so many columns from the `first` on; raises ResultError, NoPlaceError."""
    path = result_path(execution)
    with _QUESTIONS.held():
        return column_statistics(path, first=first, number=number, facts=facts)


def chart_of(execution: Execution, facts: ResultFacts, *, x: str, y: str, kind: str) -> ChartData | None:
    """Return the chart that is asked for, or the one that suggests itself; None when nothing can be drawn.

    Raises ResultError, NoPlaceError.
    """
    path = result_path(execution)
    with _QUESTIONS.held():
        if x and y:
            return chart_series(path, x=x, ys=[y], kind=kind or "bar", facts=facts)
        suggested = suggest_chart(facts)
        if suggested is None:
            return None
        return chart_series(
            path,
            x=suggested.x,
            ys=suggested.ys,
            kind=kind or suggested.kind,
            aggregate=suggested.aggregate,
            limit=suggested.limit,
            facts=facts,
        )
