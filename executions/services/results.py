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
from executions.results.paging import ResultPage, page
from executions.results.statistics import ColumnStatistics, column_statistics
from executions.services.result_files import result_storage

ROWS_PER_PAGE = 100
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


def result_page(
    execution: Execution,
    *,
    number: int,
    order: Sequence[tuple[str, str]],
    conditions: Sequence[Filter],
    search: str,
) -> ResultPage:
    """Return one page of rows, counted from 1; raises ResultError for what cannot be asked, NoPlaceError."""
    path, offset = result_path(execution), (max(1, number) - 1) * ROWS_PER_PAGE
    with _QUESTIONS.held():
        return page(path, offset=offset, size=ROWS_PER_PAGE, sort=order, filters=conditions, search=search)


def facts_of(execution: Execution) -> ResultFacts:
    """Return rows and columns."""
    return read_facts(result_path(execution))


def statistics_of(execution: Execution) -> tuple[ColumnStatistics, ...]:
    """Return the figures of every column; raises ResultError, NoPlaceError."""
    path = result_path(execution)
    with _QUESTIONS.held():
        return column_statistics(path)


def chart_of(execution: Execution, *, x: str, y: str, kind: str) -> ChartData | None:
    """Return the chart that is asked for, or the one that suggests itself; None when nothing can be drawn.

    Raises ResultError, NoPlaceError.
    """
    path = result_path(execution)
    with _QUESTIONS.held():
        suggested = suggest_chart(read_facts(path))
        if x and y:
            return chart_series(path, x=x, ys=[y], kind=kind or "bar")
        if suggested is None:
            return None
        return chart_series(
            path,
            x=suggested.x,
            ys=suggested.ys,
            kind=kind or suggested.kind,
            aggregate=suggested.aggregate,
            limit=suggested.limit,
        )
