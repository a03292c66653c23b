"""What pages show of a result: a page of rows and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from amchelper.exceptions import AmcHelperError
from executions.models import Execution
from executions.presenters.result_columns import ColumnChoice, ColumnsQuestion
from executions.results.charts import ChartData
from executions.results.columns import ResultColumn, ResultFacts
from executions.results.errors import ResultError
from executions.results.filters import Filter
from executions.services.results import chart_of, facts_of, result_page, rows_per_page

_NO_VALUE = "no value"
# By whether a cell is in a column of numbers, and whether it has no value.
_CLASSES = {
    (False, False): "",
    (False, True): "is-null",
    (True, False): "is-number",
    (True, True): "is-number is-null",
}


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


@dataclass(frozen=True)
class ResultQuestion:
    """What is asked of a result."""

    rows: RowsQuestion = field(default_factory=RowsQuestion)
    columns: ColumnsQuestion = field(default_factory=ColumnsQuestion)
    chart: ChartQuestion = field(default_factory=ChartQuestion)


def result_context(execution: Execution, asked: ResultQuestion) -> dict[str, Any]:
    """Return rows and chart; of a result that is gone or damaged only `result_problem`."""
    try:
        choice = ColumnChoice(facts_of(execution), asked.columns)
        return {
            **rows_context(execution, choice, asked.rows),
            **chart_context(execution, choice.facts, asked.chart),
        }
    except AmcHelperError as error:
        return {"result_problem": error.message}


def rows_context(execution: Execution, choice: ColumnChoice, asked: RowsQuestion) -> dict[str, Any]:
    """Return a page of rows; a question that cannot be answered is a `problem` beside the first page.

    Raises AmcHelperError for a result that cannot be read.
    """
    problem, columns = "", choice.names
    try:
        page = result_page(execution, choice.facts, columns=columns, **vars(asked))
    except ResultError as error:
        problem, asked = error.message, RowsQuestion()
        page = result_page(execution, choice.facts, columns=columns, **vars(asked))
    pages = max(1, -(-page.filtered // rows_per_page(choice.facts)))
    if asked.number > pages:
        page = result_page(execution, choice.facts, columns=columns, **{**vars(asked), "number": pages})
    return {
        "result": page,
        "columns": choice,
        "rows": [_cells(page.columns, row) for row in page.rows],
        "problem": problem,
        "number": min(asked.number, pages),
        "pages": pages,
        "first": page.offset + 1,
        "last": page.offset + len(page.rows),
    }


def _cells(columns: Sequence[ResultColumn], row: Sequence[str | None]) -> list[tuple[str, str]]:
    """Return class and text of every cell of a row: templates that decide for each make a page twice as large."""
    return [
        (_CLASSES[column.is_numeric, value is None], _NO_VALUE if value is None else value)
        for column, value in zip(columns, row, strict=True)
    ]


def chart_context(execution: Execution, facts: ResultFacts, asked: ChartQuestion) -> dict[str, Any]:
    """Return the chart that is asked for or suggests itself, as data for the script and as a table."""
    try:
        chart = chart_of(execution, facts, x=asked.x, y=asked.y, kind=asked.kind)
    except AmcHelperError as error:
        return {"chart": None, "chart_problem": error.message, "asked": asked}
    data = chart_json(chart) if chart else None
    values = zip(*(series.values for series in chart.series), strict=True) if chart else []
    table = list(zip(chart.labels, values, strict=True)) if chart else []
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
