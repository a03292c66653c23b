"""Lists of runs, one run with its result, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_POST

from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, render_page, wants_fragment
from executions.forms import ExecutionFilter, ResultQuery
from executions.models import Execution, ExecutionStatus
from executions.services import result_views
from executions.services.failure_causes import failure_of
from executions.services.queue import queue_position
from executions.services.start import cancel, fetch_again, get_execution, run_again
from instances.services.access import get_instance_or_404

PER_PAGE = 25


@require_GET
def execution_list(request: HtmxHttpRequest) -> HttpResponse:
    return _list(request, ExecutionFilter(request.GET, user=request.user), {"breadcrumbs": []})


@require_GET
def execution_of_instance(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance_or_404(request.user, pk)
    posted = request.GET.copy()
    posted["instance"] = str(instance.pk)
    listing = ("Instances", reverse("instances:instance-list"))
    context = {"instance": instance, "tab": "runs", "breadcrumbs": [listing, (instance.name, None)]}
    return _list(request, ExecutionFilter(posted, user=request.user), context)


def _list(request: HtmxHttpRequest, filters: ExecutionFilter, extra: dict[str, Any]) -> HttpResponse:
    mine = Execution.objects.visible_to(request.user)
    page = Paginator(filters.apply(mine).for_lists(), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "filters": filters,
        "is_filtered": filters.is_filtered,
        # Polling stops by itself once nothing that is shown can change.
        "is_live": any(execution.is_open for execution in page),
        "has_any": bool(page.object_list) or mine.exists(),
        **extra,
    }
    name = "execution_of_instance" if "instance" in extra else "execution_list"
    return render_page(request, f"executions/{name}.html", "executions/_partials/execution_table.html", context)


@require_GET
def execution_detail(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution(request.user, pk)
    context = {
        "execution": execution,
        "instance": execution.instance,
        "position": queue_position(execution) if execution.status == ExecutionStatus.QUEUED else None,
        "failure": failure_of(execution),
        "steps": _steps(execution),
        "run_key": uuid4(),
        "breadcrumbs": [("Runs", reverse("executions:execution-list")), (execution.name, None)],
    }
    if wants_fragment(request):
        response = render(request, "executions/_partials/execution_progress.html", context)
        if not execution.is_open:
            # The rest of the page changes too once the run has ended.
            response["HX-Refresh"] = "true"
        return response
    if execution.has_result:
        context |= _result(request, execution)
    return render(request, "executions/execution_detail.html", context)


@require_GET
def execution_rows(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return the rows of a result: a fragment for htmx, the run's page otherwise."""
    execution = get_execution(request.user, pk)
    if not wants_fragment(request):
        return redirect(f"{execution.get_absolute_url()}?{request.GET.urlencode()}")
    context = {"execution": execution, **_result(request, execution)}
    return render(request, "executions/_partials/result_table.html", context)


@require_GET
def execution_statistics(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution(request.user, pk)
    try:
        statistics = result_views.statistics_of(execution)
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect(execution)
    context = {
        "execution": execution,
        "statistics": statistics,
        "breadcrumbs": [
            ("Runs", reverse("executions:execution-list")),
            (execution.name, execution.get_absolute_url()),
            ("Columns", None),
        ],
    }
    return render(request, "executions/execution_statistics.html", context)


@require_GET
def execution_download(request: HtmxHttpRequest, pk: UUID, kind: str) -> HttpResponseBase:
    """Stream a result: the CSV as AMC sent it, one safe for spreadsheets, XLSX or Parquet."""
    execution = get_execution(request.user, pk)
    if not execution.has_result:
        raise Http404("This run has no stored result.")
    if kind not in _DOWNLOADS:
        raise Http404("There is no such format.")
    try:
        return _DOWNLOADS[kind](execution, slugify(execution.name)[:120] or "result")
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect(execution)


@require_POST
def execution_cancel(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution(request.user, pk)
    try:
        cancelled = cancel(execution, request.user)
        waits = "AMC was asked to end it; it may still succeed." if cancelled.is_open else "The run is cancelled."
        messages.success(request, waits)
    except AmcHelperError as error:
        messages.error(request, error.message)
    return redirect(execution)


@require_POST
def execution_again(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Run the same once more; the key makes a second click lead to the same run."""
    execution = get_execution(request.user, pk)
    as_is = request.POST.get("what") != "template"
    try:
        key = UUID(request.POST.get("key", ""))
    except ValueError:
        key = uuid4()
    try:
        again = run_again(execution, user=request.user, as_is=as_is, submission_key=key)
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect(execution)
    messages.success(request, "The new run is on its way. This page follows it.")
    return redirect(again)


@require_POST
def execution_fetch(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution(request.user, pk)
    try:
        fetch_again(execution, request.user)
        messages.success(request, "The result is being fetched again.")
    except AmcHelperError as error:
        messages.error(request, error.message)
    return redirect(execution)


def _result(request: HtmxHttpRequest, execution: Execution) -> dict[str, Any]:
    """Return rows, chart and what was asked for; of a result that is gone or damaged only what is wrong with it."""
    try:
        return {**_rows(request, execution), **_chart(request, execution)}
    except AmcHelperError as error:
        return {"result_problem": error.message}
    except Http404:
        return {"result_problem": "The stored result is gone. Run it again to have it back."}


def _rows(request: HtmxHttpRequest, execution: Execution) -> dict[str, Any]:
    """Return a page of rows; a question that cannot be answered is a message beside the first one."""
    query = ResultQuery(request.GET)
    number = request.GET.get("rows", "1")
    wanted = int(number) if number.isdecimal() and len(number) < 9 else 1
    asked: dict[str, Any] = {"order": query.order(), "conditions": query.conditions(), "search": query.text}
    problem = ""
    try:
        rows = result_views.result_page(execution, number=wanted, **asked)
    except AmcHelperError as error:
        problem, wanted = error.message, 1
        asked = {"order": [], "conditions": [], "search": ""}
        rows = result_views.result_page(execution, number=1, **asked)
    pages = max(1, -(-rows.filtered // result_views.ROWS_PER_PAGE))
    if wanted > pages:
        rows = result_views.result_page(execution, number=pages, **asked)
    return {
        "result": rows,
        "rows": [list(zip(rows.columns, row, strict=True)) for row in rows.rows],
        "query": query,
        "problem": problem,
        "number": max(1, min(wanted, pages)),
        "pages": pages,
        "first": rows.offset + 1,
        "last": rows.offset + len(rows.rows),
    }


def _chart(request: HtmxHttpRequest, execution: Execution) -> dict[str, Any]:
    asked = {name: request.GET.get(f"chart_{name}", "") for name in ("x", "y", "kind")}
    try:
        chart = result_views.chart_of(execution, x=asked["x"], y=asked["y"], kind=asked["kind"])
    except AmcHelperError as error:
        return {"chart": None, "chart_problem": error.message, "asked": asked}
    data = result_views.chart_json(chart) if chart else None
    table = list(zip(chart.labels, *(series.values for series in chart.series), strict=True)) if chart else []
    return {"chart": chart, "chart_data": data, "chart_rows": table, "asked": asked}


def _steps(execution: Execution) -> list[dict[str, Any]]:
    """Return the timeline: name, moment and whether it is done, current or failed."""
    moments = (
        ("Queued", execution.queued_at),
        ("Submitted to AMC", execution.submitted_at),
        ("Started at AMC", execution.started_at),
        ("Ended at AMC", execution.amc_finished_at),
        ("Result stored" if execution.status == ExecutionStatus.SUCCEEDED else "Ended", execution.finished_at),
    )
    steps = [{"name": name, "at": at, "status": "done" if at else ""} for name, at in moments]
    if execution.is_open:
        current = next((step for step in steps if not step["at"]), steps[-1])
        current["status"] = "current"
    elif execution.status != ExecutionStatus.SUCCEEDED:
        steps[-1]["status"] = "failed"
        steps[-1]["name"] = execution.get_status_display()
    return [step for step in steps if step["at"] or execution.is_open]


def _csv(execution: Execution, name: str) -> HttpResponseBase:
    return _streamed(result_views.original_csv(execution), "text/csv", f"{name}.csv")


def _safe(execution: Execution, name: str) -> HttpResponseBase:
    return _streamed(result_views.safe_csv(execution), "text/csv", f"{name}-spreadsheet.csv")


def _xlsx(execution: Execution, name: str) -> HttpResponseBase:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return FileResponse(
        result_views.xlsx(execution), as_attachment=True, filename=f"{name}.xlsx", content_type=kind
    )


def _parquet(execution: Execution, name: str) -> HttpResponseBase:
    kind = "application/vnd.apache.parquet"
    return FileResponse(
        result_views.parquet(execution), as_attachment=True, filename=f"{name}.parquet", content_type=kind
    )


def _streamed(chunks: Any, kind: str, filename: str) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingHttpResponse(chunks, content_type=f"{kind}; charset=utf-8", headers=headers)


_DOWNLOADS: dict[str, Callable[[Execution, str], HttpResponseBase]] = {
    "csv": _csv,
    "spreadsheet": _safe,
    "xlsx": _xlsx,
    "parquet": _parquet,
}
