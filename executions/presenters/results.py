"""What pages show of a result: a page of rows and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amchelper.exceptions import AmcHelperError
from executions.models import Execution
from executions.results.charts import ChartData
from executions.results.errors import ResultError
from executions.results.filters import Filter
from executions.services.results import ROWS_PER_PAGE, chart_of, result_page


@dataclass(frozen=True)
class RowsQuestion:
    """Which rows are asked for; `number` is the page, counted from 1."""

    number: int = 1
    order: Sequence[tuple[str, str]] = ()
    conditions: Sequence[Filter] = ()
    search: str = ""


@dataclass(frozen=True)
class ChartQuestion:
    """Which chart is asked for; empty fields leave the choice to us."""

    x: str = ""
    y: str = ""
    kind: str = ""


def result_context(execution: Execution, rows: RowsQuestion, chart: ChartQuestion) -> dict[str, Any]:
    """Return rows and chart; of a result that is gone or damaged only `result_problem`."""
    try:
        return {**rows_context(execution, rows), **chart_context(execution, chart)}
    except AmcHelperError as error:
        return {"result_problem": error.message}


def rows_context(execution: Execution, asked: RowsQuestion) -> dict[str, Any]:
    """Return a page of rows; a question that cannot be answered is a `problem` beside the first page.

    Raises AmcHelperError for a result that cannot be read.
    """
    problem = ""
    try:
        page = result_page(execution, **vars(asked))
    except ResultError as error:
        problem, asked = error.message, RowsQuestion()
        page = result_page(execution, **vars(asked))
    pages = max(1, -(-page.filtered // ROWS_PER_PAGE))
    if asked.number > pages:
        page = result_page(execution, **{**vars(asked), "number": pages})
    return {
        "result": page,
        "rows": [list(zip(page.columns, row, strict=True)) for row in page.rows],
        "problem": problem,
        "number": min(asked.number, pages),
        "pages": pages,
        "first": page.offset + 1,
        "last": page.offset + len(page.rows),
    }


def chart_context(execution: Execution, asked: ChartQuestion) -> dict[str, Any]:
    """Return the chart that is asked for or suggests itself, as data for the script and as a table."""
    try:
        chart = chart_of(execution, x=asked.x, y=asked.y, kind=asked.kind)
    except AmcHelperError as error:
        return {"chart": None, "chart_problem": error.message, "asked": asked}
    data = chart_json(chart) if chart else None
    table = list(zip(chart.labels, *(series.values for series in chart.series), strict=True)) if chart else []
    return {"chart": chart, "chart_data": data, "chart_rows": table, "asked": asked}


def chart_json(chart: ChartData) -> dict[str, Any]:
    """Return a chart as the page's script draws it."""
    return {
        "kind": chart.kind,
        "labels": list(chart.labels),
        "series": [{"name": series.name, "values": list(series.values)} for series in chart.series],
        "x_title": chart.x.name,
        "y_title": ", ".join(series.name for series in chart.series),
    }
